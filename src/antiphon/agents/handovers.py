"""Which handoffs of a step are carried out: the model calls one, or a tool's result asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.agents.handoff import SHARED_TOOL, Accepted, Handoff, by_tool
from antiphon.agents.passing import (
    CONTROL_KEYS,
    Passed,
    as_asked,
    greeting_of,
    last_words_of,
    passed_by_call,
    passed_by_result,
    values_brought,
)
from antiphon.errors import ConfigurationError
from antiphon.logs import Log
from antiphon.models.llm.content import FunctionCall, FunctionResult, HandedOff
from antiphon.models.llm.messages import Message

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.session import AgentSession

_MOST_PINGPONG = 2

_log = Log(__name__)


class Handovers:
    """The handoffs of one conversation, turn by turn. Of a step the first that is possible is accepted.

    Args:
        session: The conversation.
        messages: Gives its messages, for the caller's last words.
        greets: Whether an agent that takes over speaks its greeting.

    Attributes:
        done: Those of this turn.
        accepted: That of this step.
        greeting: What the agent that took over last says first; empty for nothing.
    """

    def __init__(
        self, session: AgentSession, messages: Callable[[], Sequence[Message]], *, greets: bool = False
    ) -> None:
        self.done: list[HandedOff] = []
        self.accepted: Accepted | None = None
        self.greeting = ""
        self._session = session
        self._messages = messages
        self._greets = greets
        self._agent: Agent | None = None
        self._team: Mapping[str, Agent] = {}
        self._at_most = 0

    @property
    def leaves_by(self) -> str:
        """The id of the call by which another agent takes over at the end of this step; empty: none does."""
        return self.accepted.call.call_id if self.accepted is not None else ""

    def settle(
        self, agent: Agent, calls: Iterable[FunctionCall], *, team: Mapping[str, Agent], at_most: int
    ) -> dict[str, FunctionResult]:
        """A step begins: answer the handoffs among its calls.

        Args:
            agent: Who answers now.
            calls: The calls of the step; others than handoffs are left alone.
            team: The conversation's agents by name; names ignore case.
            at_most: Handoffs in a turn.

        Returns:
            The results by the call's id.
        """
        self.accepted = None
        self._agent, self._at_most = agent, at_most
        self._team = {name.casefold(): member for name, member in team.items()}
        results: dict[str, FunctionResult] = {}
        tools = by_tool(agent.routes)
        for call in calls:
            members = tools.get(call.name)
            if members is None:
                continue
            arguments = _arguments(call)
            handoff = _chosen(members, arguments)
            if handoff is None:
                fault = _unknown(arguments.get("target_agent"), agent)
            else:
                fault = self._accept(agent, handoff, call, passed_by_call(arguments))
            text = _refusal(fault) if fault else self._answer()
            results[call.call_id] = FunctionResult(call.call_id, call.name, "error" if fault else "ok", text)
        return results

    def read(self, call: FunctionCall, result: FunctionResult) -> FunctionResult:
        """A tool's result: where it asks for a handoff, the answer to that, and else the result itself."""
        if '"handoff"' not in result.text or result.status != "ok":
            return result
        asked = _object(result.text)
        if asked.get("handoff") is not True:
            return result
        agent, arguments = self._agent, _arguments(call)
        target = asked.get("target_agent", arguments.get("target_agent"))
        handoff = None if agent is None else _edge(agent, call.name, target)
        if agent is None or handoff is None:
            fault = _unknown(target, agent)
        else:
            fault = self._accept(agent, handoff, call, passed_by_result(asked, arguments))
        if fault:
            return msgspec.structs.replace(result, status="error", text=_refusal(fault))
        told = {name: value for name, value in asked.items() if name not in CONTROL_KEYS}
        return msgspec.structs.replace(result, text=self._answer(**told))

    def carried_out(self, accepted: Accepted) -> None:
        """The target answers from here on: its values hold, and its visit is counted."""
        session, record = self._session, accepted.record
        self._agent = self.accepted = None
        self.greeting = accepted.greeting
        self.done.append(record)
        session.active_agent = record.target
        session.brought = dict(accepted.values)
        session.apart = accepted.apart
        session.visits.setdefault(record.source, 1)
        session.visits[record.target] = session.visits.get(record.target, 0) + 1

    def _accept(self, agent: Agent, handoff: Handoff, call: FunctionCall, passed: Passed) -> str:
        """Accept a handoff, or say why that cannot be."""
        fault = self._fault(agent, handoff, passed)
        if fault:
            return fault
        session, target = self._session, self._team[handoff.target_name.casefold()]
        last_words = last_words_of(self._messages())
        try:
            values = values_brought(
                handoff, passed, source=agent.name, target=target, session=session, last_words=last_words
            )
            greeting = ""
            if self._greets:
                greeting = greeting_of(target, handoff, passed, session=session, values=values)
        except ConfigurationError as error:
            _log.error("handoff.template", source=agent.name, target=target.name, error=str(error))
            return f"The agent {target.name!r} is not available: answer yourself."
        record = HandedOff(agent.name, target.name, handoff.handoff_type, passed.reason)
        target = as_asked(target, passed.overrides)
        self.accepted = Accepted(handoff, target, record, call, values, greeting)
        return ""

    def _fault(self, agent: Agent, handoff: Handoff, passed: Passed) -> str:
        """Why this handoff cannot be; empty where it can."""
        target = handoff.target_name
        if self.accepted is not None:
            return "Another handoff was accepted already."
        if target.casefold() == agent.name.casefold():
            return f"You are {target!r} yourself: answer."
        member = self._team.get(target.casefold())
        if member is None:
            return f"The agent {target!r} is not available: answer yourself."
        if len(self.done) >= self._at_most:
            return "The conversation was handed over often enough: answer yourself."
        pair = {agent.name, member.name}
        if sum({record.source, record.target} == pair for record in self.done) >= 2 * _MOST_PINGPONG - 1:
            return f"The conversation goes back and forth between {agent.name!r} and {target!r}: answer yourself."
        known = passed.client_id or self._session.values.get("client_id")
        if handoff.require_client_id and known in (None, "", "None"):
            return "It is not known yet who calls: find out first, then hand over with client_id."
        return ""

    def _answer(self, **told: Any) -> str:
        """What the model is told of a handoff that is carried out."""
        assert self.accepted is not None
        greeting = {"said_already": self.accepted.greeting} if self.accepted.greeting else {}
        return _encode({**told, "handoff": "accepted", "target": self.accepted.record.target, **greeting})


def _chosen(members: Sequence[Handoff], arguments: Mapping[str, Any]) -> Handoff | None:
    if len(members) == 1 and members[0].tool_name != SHARED_TOOL:
        return members[0]
    return _to(members, arguments.get("target_agent"))


def _edge(agent: Agent, tool: str, target: object) -> Handoff | None:
    """The edge that a tool's result means: that of the tool, or else one that leads there."""
    own = [handoff for handoff in agent.routes if handoff.tool_name == tool]
    return _to(own, target) or _to(agent.routes, target)


def _to(handoffs: Sequence[Handoff], target: object) -> Handoff | None:
    wanted = str(target or "").casefold()
    return next((handoff for handoff in handoffs if handoff.target_name.casefold() == wanted), None)


def _unknown(target: object, agent: Agent | None) -> str:
    names = ", ".join(dict.fromkeys(each.target_name for each in agent.routes)) if agent is not None else ""
    return f"There is no agent {target!r} to hand over to. Known agents: {names or 'none'}."


def _refusal(fault: str) -> str:
    return _encode({"success": False, "error": fault})


def _arguments(call: FunctionCall) -> dict[str, Any]:
    return _object(call.arguments or "{}")


def _object(text: str) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def _encode(told: Mapping[str, Any]) -> str:
    return msgspec.json.encode(told).decode()
