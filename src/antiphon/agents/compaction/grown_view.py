"""A view that was made of a conversation, used further while the conversation only grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.models.llm.messages import Message


@dataclass(frozen=True, slots=True)
class MadeView:
    """What was made of a conversation.

    Attributes:
        given: The conversation.
        view: What was made of it.
        learnt: The summary and the facts that there were.
    """

    given: list[Message]
    view: list[Message]
    learnt: tuple[Any, ...]

    def grown(self, messages: list[Message], state: Mapping[str, Any]) -> list[Message] | None:
        """The view and what was said since; None when something else has changed."""
        if self.learnt != learnt(state) or messages[: len(self.given)] != self.given:
            return None
        new = messages[len(self.given) :]
        return self.view + new if _have_calls(new, self.view) else None


def learnt(state: Mapping[str, Any]) -> tuple[Any, ...]:
    """What views are made with besides the messages."""
    return state.get("summary"), state.get("facts")


def _have_calls(new: list[Message], view: list[Message]) -> bool:
    """Whether the new results have their calls; the call of one that comes late may have left."""
    results = {message.result.call_id for message in new if message.result is not None}
    return not results or results <= {call.call_id for message in view + new for call in message.calls}
