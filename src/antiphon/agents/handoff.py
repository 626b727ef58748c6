"""Handoff: one agent passes the conversation to another, inside of a run.

For the model a handoff is a tool. The run answers the call itself and goes on as the target: its instructions, tools,
options and voice hold from the next request on. No agent is changed by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from antiphon.models.llm.content import FunctionCall, HandedOff, HandoffType
from antiphon.models.llm.contract import ToolSpec
from antiphon.models.llm.messages import Message

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent

SHARED_TOOL = "handoff_to_agent"
"""One tool for several targets: the model names the target in ``target_agent``."""


@dataclass(frozen=True, slots=True, eq=False)
class Handoff:
    """That an agent may pass the conversation to another.

    Attributes:
        target: The agent, or its name among the conversation's agents.
        tool_name: What the model calls; the target's ``handoff_tool`` or ``handoff_to_NAME`` unless given. Handoffs
            that share a name, as all do that are called ``handoff_to_agent``, are one tool with the argument
            ``target_agent``.
        description: When to hand over; the target's description unless given.
        handoff_type: ``announced``: what the old agent has said so far is heard, and the new agent greets.
            ``discrete``: the caller hears the new agent at once.
        share_context: Whether the target sees the whole conversation; else only its own part of it, and the reason.
        context_vars: Values for the target's templates; those with ``{{`` are templates themselves, and a dot in a
            name leads into a mapping.
        when: Added to the instructions of the agent that hands over.
        require_client_id: Whether it must be known who the caller is: by the variable ``client_id`` of the conversation
            or by the argument of this name.
    """

    target: Agent | str
    tool_name: str = ""
    description: str = ""
    handoff_type: HandoffType = "announced"
    share_context: bool = True
    context_vars: Mapping[str, Any] = field(default_factory=dict)
    when: str = ""
    require_client_id: bool = False

    def __post_init__(self) -> None:
        if self.handoff_type not in ("announced", "discrete"):
            raise ValueError(f"handoff_type is {self.handoff_type!r}; choose announced or discrete.")
        if not self.tool_name:
            own = "" if isinstance(self.target, str) else self.target.handoff_tool
            object.__setattr__(self, "tool_name", own or default_tool(self.target_name))

    @property
    def target_name(self) -> str:
        """The target's name."""
        return self.target if isinstance(self.target, str) else self.target.name

    @property
    def about(self) -> str:
        """When to hand over."""
        return self.description or ("" if isinstance(self.target, str) else self.target.description)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A handoff that a run carries out.

    Attributes:
        handoff: What was agreed on.
        target: Who goes on.
        record: What is told of it.
        call: The model's call of it.
        values: What it brings for templates.
        greeting: What the target says before it answers; empty for nothing.
    """

    handoff: Handoff
    target: Agent
    record: HandedOff
    call: FunctionCall
    values: Mapping[str, Any] = field(default_factory=dict)
    greeting: str = ""

    @property
    def apart(self) -> Apart | None:
        """Since when the target knows of the conversation; None where it shares the context."""
        if self.handoff.share_context:
            return None
        return Apart(self.record.target, self.call.call_id, self.record.reason)


@dataclass(frozen=True, slots=True)
class Apart:
    """Since when an agent has the conversation that does not share its context.

    Attributes:
        agent: Its name.
        call_id: The call by which it came.
        reason: Why it was asked.
    """

    agent: str
    call_id: str
    reason: str


def handoff_specs(handoffs: Iterable[Handoff]) -> tuple[ToolSpec, ...]:
    """The tools that a model sees for some handoffs, one for each name."""
    return tuple(_spec(name, members) for name, members in by_tool(handoffs).items())


def handoff_tool_names(handoffs: Iterable[Handoff]) -> frozenset[str]:
    """The names of these tools."""
    return frozenset(handoff.tool_name for handoff in handoffs)


def team_of(agent: Agent, others: Iterable[Agent] = ()) -> dict[str, Agent]:
    """All agents that a conversation with this one can reach, by name."""
    found: dict[str, Agent] = {}
    waiting = [agent, *others]
    while waiting:
        member = waiting.pop(0)
        if member.name not in found:
            found[member.name] = member
            waiting += [handoff.target for handoff in member.routes if not isinstance(handoff.target, str)]
    return found


def own_part(conversation: Sequence[Message], apart: Apart) -> list[Message]:
    """What an agent sees that does not share the context: its own earlier turns, and why it is asked now.

    A turn is the agent's if it was the first to speak or act in it.

    Args:
        conversation: Until the handoff.
        apart: The agent and the reason.
    """
    part: list[Message] = []
    asked: list[Message] = []
    calls: set[str] = set()
    for message in conversation:
        if message.role == "user":
            asked.append(message)
        elif message.author_name == apart.agent:
            calls |= {call.call_id for call in message.calls}
            part += [*asked, message]
            asked.clear()
        elif message.result is not None and message.result.call_id in calls:
            part.append(message)
        elif message.role == "assistant":
            asked.clear()
    return [*part, Message("user", apart.reason or "Please go on.")]


def visible(conversation: Sequence[Message], apart: Apart | None) -> Sequence[Message]:
    """What the agent in charge sees of a conversation: all of it, or its own part and what was said since it came.

    Messages that do not hold the handoff are not this conversation, and stay as they are.
    """
    if apart is None:
        return conversation
    came = [message.result is not None and message.result.call_id == apart.call_id for message in conversation]
    if True not in came:
        return conversation
    place = came.index(True) + 1
    seen = own_part(conversation[:place], apart)
    seen += [message for message in conversation[place:] if message.author_name in (None, apart.agent)]
    calls = {call.call_id for message in seen for call in message.calls}
    return [message for message in seen if message.result is None or message.result.call_id in calls]


def by_tool(handoffs: Iterable[Handoff]) -> dict[str, list[Handoff]]:
    """The handoffs by what the model calls."""
    found: dict[str, list[Handoff]] = {}
    for handoff in handoffs:
        found.setdefault(handoff.tool_name, []).append(handoff)
    return found


def _spec(name: str, members: list[Handoff]) -> ToolSpec:
    properties: dict[str, Any] = {
        "reason": {"type": "string", "description": "Why, in one sentence."},
        "context": {"type": "object", "description": "What the other agent has to know, as keys and values."},
    }
    required = ["reason"]
    if len(members) > 1 or name == SHARED_TOOL:
        targets = [handoff.target_name for handoff in members]
        properties = {"target_agent": {"type": "string", "enum": targets}, **properties}
        required = ["target_agent", "reason"]
        who = "; ".join(f"{handoff.target_name}: {handoff.about or 'no description'}" for handoff in members)
        text = f"Hand the conversation over to another agent. {who}"
    else:
        text = f"Hand the conversation over to {members[0].target_name}. {members[0].about}".strip()
    if any(handoff.require_client_id for handoff in members):
        properties["client_id"] = {"type": "string", "description": "Who the caller is, where you know it."}
    return ToolSpec(name, text, {"type": "object", "properties": properties, "required": required})


def default_tool(target: str) -> str:
    """The tool that hands over to an agent, where nobody has named it."""
    return f"handoff_to_{plain_name(target)}"[:64]


def plain_name(name: str) -> str:
    """A name with only the signs that a tool's name may have."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in name)
