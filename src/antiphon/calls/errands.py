"""What goes on behind a call's turns: tools that take longer than a turn, and calls that wait for a person.

The model is told at once that the result will follow. When it is there it waits in the session until the agent may
tell it: with the caller's next turn, or in the next pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.approval import Decision
from antiphon.agents.layers import tool_runner_through
from antiphon.agents.runner import Manner, ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.calls import events
from antiphon.calls.log import CallLog
from antiphon.calls.responding import executed
from antiphon.clock import Clock
from antiphon.errors import AgentInvalidRequestException, AntiphonException
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse, FunctionCall, FunctionResult, LateResult
from antiphon.tools.invoke import result_of
from antiphon.tools.tool import FunctionTool

_SOURCES_S = 5.0

_log = structlog.get_logger(__name__)


class Errands:
    """The late results and the approvals of one call.

    Args:
        session: Keeps what waits.
        tools: Runs what was approved.
        log: Gets the events.
        clock: The call's time.
        news: Told that there is something to tell.
        spawn: Runs a task of the call; gives None where the call is not on.
    """

    def __init__(
        self,
        session: AgentSession,
        tools: ToolRunner,
        *,
        log: CallLog,
        clock: Clock,
        news: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
    ) -> None:
        self._session = session
        self._tools = tools
        self._log = log
        self._clock = clock
        self._news = news
        self._spawn = spawn
        self._askers: dict[str, Agent] = {}

    def late(self, call: FunctionCall, result: FunctionResult) -> None:
        """A call that the model does not wait for has its result."""
        self._log.append(executed(call, result))
        waiting = self._session.late
        if len(waiting) == waiting.maxlen:
            self._session.dropped += 1
            _log.error("late_result_dropped", session_id=self._session.id, tool=waiting[0].call.name)
        waiting.append(LateResult(call, result))
        self._news()

    def asked(self, request: ApprovalRequest, agent: Agent) -> None:
        """The agent's call waits for a person."""
        self._askers[request.id] = agent
        call = request.call
        self._log.append(events.ToolApprovalRequested(request.id, call.call_id, call.name, request.prompt))

    def decide(self, response: ApprovalResponse) -> None:
        """A person has decided: run the call, or have the refusal told.

        Raises:
            AgentInvalidRequestException: The request is not known, was answered before, or was for another call.
        """
        [decision] = self._session.approvals.take_all([response], now=self._clock.utc())
        call, result = decision.call, decision.result
        agent = self._askers.pop(response.id)
        self._log.append(events.ToolApprovalDecided(response.id, call.call_id, call.name, response.approved))
        if result is not None:
            self.late(call, result)
        elif self._spawn(self._run(decision, agent), f"approved {call.name}") is None:
            raise AgentInvalidRequestException(
                f"The call is over: {call.name!r} does not run any more.", code="input_invalid"
            )

    async def _run(self, decision: Decision, agent: Agent) -> None:
        call = decision.call
        layers = agent.layers["function"]
        manner = Manner(
            agent.name,
            fillers=None,
            run=tool_runner_through(layers, _go_on) if layers else None,
            decisions={call.call_id: decision.responses},
        )
        try:
            tools = await _tools_of(agent)
        except (AntiphonException, TimeoutError) as error:
            self.late(
                call, result_of(call, "error", f"Its source of tools cannot be reached: {str(error) or 'too slow'}")
            )
            return
        group = self._tools.start(tools, [call], manner=manner)
        try:
            async for update in group:
                if update.type != "tool_finished":
                    continue
                for request in update.result.requests:  # the agent that runs as this tool asks again
                    self.asked(self._session.approvals.pass_on(request, agent.name), agent)
                if update.result.status != "pending":
                    self.late(update.call, update.result)
        finally:
            group.release()


async def _tools_of(agent: Agent) -> Mapping[str, FunctionTool]:
    async with asyncio.timeout(_SOURCES_S):
        listed = [tool for source in agent.sources for tool in await source.list_tools()]
    return {**{tool.name: tool for tool in listed}, **agent.toolset}


def _go_on() -> None:
    """Function middleware that ends the loop of tools ends nothing here: its result is told like any other."""
