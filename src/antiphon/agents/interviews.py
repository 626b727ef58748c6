"""The interviews of one conversation: which call opens one, who goes on, and what its result is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from antiphon.agents.interview import Interview, finished, interviewer, opened
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.content import AgentToolEnded, AgentToolStarted, FunctionCall, FunctionResult
from antiphon.tools.collect.form import CollectTool
from antiphon.tools.invoke import result_of
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.session import AgentSession

ONE_AT_A_TIME = "The caller is asked for one thing at a time: call this again when the other is there."
HANDED_OVER = "The conversation is handed over: it is for the other agent to ask."
TIMED_OUT = {"timed_out": True}


@dataclass(frozen=True, slots=True)
class Change:
    """Another agent goes on.

    Attributes:
        agent: Who.
        record: What is told of it.
        words: What it says first, without that its model is asked.
    """

    agent: Agent
    record: AgentToolStarted | AgentToolEnded
    words: str = ""


class Interviews:
    """At most one at a time.

    Args:
        session: The conversation.
        heard: Whether this turn is the caller's, who can have confirmed what was read back.

    Attributes:
        last: The last change; who has read of it may set it to None.
    """

    def __init__(self, session: AgentSession, *, heard: bool = False) -> None:
        self._session = session
        if session.interview is not None and heard:
            session.interview.is_read_back = True
        self.last: AgentToolStarted | AgentToolEnded | None = None
        self._wanted: tuple[Agent, CollectTool, FunctionCall] | None = None

    def settle(
        self,
        agent: Agent,
        calls: Iterable[FunctionCall],
        *,
        tools: Mapping[str, FunctionTool],
        settled: dict[str, FunctionResult],
    ) -> set[str]:
        """A step begins: which of its calls stays open for an interview; further ones are refused.

        Args:
            agent: Who has called.
            calls: Of the step.
            tools: What may be called, by name.
            settled: The results of handoffs; gets those of calls that are refused.
        """
        self._wanted = None
        leaves = any(result.status == "ok" for result in settled.values())
        for call in calls:
            tool = tools.get(call.name)
            if not isinstance(tool, CollectTool):
                continue
            if leaves:
                settled[call.call_id] = result_of(call, "error", HANDED_OVER)
            elif self._wanted is None:
                self._wanted = agent, tool, call
            else:
                settled[call.call_id] = result_of(call, "error", ONE_AT_A_TIME)
        return set() if self._wanted is None else {self._wanted[2].call_id}

    def change(self, agent: Agent) -> Change | None:
        """Behind a step, or before the first: whether an interview begins or ends.

        Args:
            agent: Who has the conversation.
        """
        wanted, self._wanted = self._wanted, None
        if wanted is not None and wanted[0] is agent:  # and not one to whom a tool has handed over in the same step
            return self._begin(*wanted)
        interview = self._session.interview
        if interview is None:
            return None
        if not interview.is_over(self._session.clock):
            return None
        if interview.outcome is None:
            interview.outcome = TIMED_OUT
        return self._end(interview)

    def _begin(self, agent: Agent, tool: CollectTool, call: FunctionCall) -> Change:
        session = self._session
        session.interview = interview = opened(tool, call, agent, session.clock)
        record = self.last = AgentToolStarted(call=call, tool_type=tool.form.type)
        return Change(interviewer(agent, tool, interview, session.clock), record, tool.form.opening)

    def _end(self, interview: Interview) -> Change:
        session = self._session
        agent, tool = interview.parent, interview.tool
        assert agent is not None
        assert tool is not None
        result, whole = finished(tool, interview, session.clock)
        session.interview = None
        session.interviewed.append(interview.call.call_id)
        if interview.secret:
            session.uncovered.append(interview)
        if not whole.keys() & {"declined", "timed_out", "failed"}:
            session.private[tool.name] = whole
        record = self.last = AgentToolEnded(call=interview.call, result=result, tool_type=tool.form.type)
        return Change(agent, record)


def interviewer_of(session: AgentSession, team: Mapping[str, Agent]) -> Agent:
    """Who asks in this conversation, which may have begun in another process.

    Raises:
        AgentInvalidRequestException: The agent that waits, or its tool, is not there any more.
    """
    interview = session.interview
    assert interview is not None
    interview.bind(team)
    if interview.parent is None or interview.tool is None:
        raise AgentInvalidRequestException(
            f"In session {session.id} the agent {interview.agent!r} waits for {interview.call.name!r}, which is not "
            "known here; give the session its agents, or set interview to None.",
            code="agent_unknown",
        )
    return interviewer(interview.parent, interview.tool, interview, session.clock)
