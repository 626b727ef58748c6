"""Who speaks next, and whether it is over: what several orchestrations ask."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from antiphon.agents.orchestrations.contract import SupportsAgentRun
from antiphon.agents.orchestrations.stage import Stage
from antiphon.models.llm.messages import Message

Until = Callable[[Sequence[Message]], bool | Awaitable[bool]]
"""Whether the work is done; asked behind each answer."""


async def is_over(until: Until | None, messages: Sequence[Message]) -> bool:
    """What ``until`` says."""
    if until is None:
        return False
    over = until(messages)
    return await over if inspect.isawaitable(over) else over


def choice_schema(names: Sequence[str], **more: Mapping[str, Any]) -> dict[str, Any]:
    """The form of a choice of the next speaker; a name that is nobody's does not fit it.

    Args:
        names: The participants.
        more: Further properties by name.
    """
    speaker = {"type": "string", "enum": [*names, ""], "description": "Who speaks next; empty when it is done."}
    properties = {"is_done": {"type": "boolean"}, **more, "next_speaker": speaker}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def team_text(participants: Sequence[SupportsAgentRun]) -> str:
    """The participants, as a model reads of them."""
    return "\n".join(f"- {each.name}: {each.description or 'no description'}" for each in participants)


async def in_turn(stage: Stage, names: Sequence[str], last: str, why: str) -> str:
    """Who speaks when no choice could be made: the next in declared order, behind the one who spoke last."""
    speaker = names[(names.index(last) + 1) % len(names)] if last in names else names[0]
    await stage.tell("warning", stage.name, {"message": f"{why} {speaker} speaks next, in turn."})
    return speaker
