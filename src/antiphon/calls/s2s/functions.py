"""The functions that the model calls in one call: run by the agent's own tools, and always answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.care import ask_for_approval, left_to_caller
from antiphon.agents.decided import PASSED_ON
from antiphon.agents.handoff import Accepted, team_of
from antiphon.agents.handovers import Handovers
from antiphon.agents.layers import tool_runner_through
from antiphon.agents.limits import RunLimits
from antiphon.agents.runner import CallGroup, Manner, ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.calls import events
from antiphon.calls.errands import Errands
from antiphon.calls.history import History
from antiphon.calls.log import CallLog
from antiphon.calls.responding import executed
from antiphon.calls.s2s.asking import Asking
from antiphon.calls.s2s.persona import Persona
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import AgentToolEnded, AgentToolStarted, FunctionCall, FunctionResult
from antiphon.models.s2s.contract import Brief, FunctionCalled, S2SSession
from antiphon.tools.invoke import INTERRUPTED, result_of

_LIMITS = RunLimits.voice()
_ENOUGH = "You have used functions often enough in this turn: answer the caller with what you know."
_TO_SAY = "Say this to the caller now, word for word, and nothing else: "


class Functions:
    """Runs what the model calls, one step of it after the other.

    Args:
        persona: Who the model is; changes with a handoff.
        session: The conversation's approvals and team.
        tools: Owns the tool calls of the call.
        errands: Takes what outlives a step.
        history: Gets calls and results.
        log: Gets the events of tools.
        model: Gives the model's session.
        say_filler: Says words for a caller who waits.
        ready: Awaited before another agent goes on.
        handed_over: Told when it does, and how it is described to the model; says whether it has another session.
        asked: Told when a collector asks, or is done.
        tell: Tells the model something in writing, and has it answered.
        spawn: Runs a task of the call; gives None where the call is not on.
    """

    def __init__(
        self,
        persona: Persona,
        session: AgentSession,
        tools: ToolRunner,
        *,
        errands: Errands,
        history: History,
        log: CallLog,
        model: Callable[[], S2SSession | None],
        say_filler: Callable[[str], None],
        ready: Callable[[Accepted], Awaitable[None]],
        handed_over: Callable[[Accepted, Brief], bool],
        asked: Callable[[AgentToolStarted | AgentToolEnded], None],
        tell: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
    ) -> None:
        self._persona = persona
        self._session = session
        self._tools = tools
        self._errands = errands
        self._history = history
        self._log = log
        self._model = model
        self._say_filler = say_filler
        self._ready = ready
        self._handed_over = handed_over
        self._spawn = spawn
        self._first = persona.agent
        self._called: list[FunctionCall] = []  # of the step that the model is in
        self._open: dict[str, FunctionCall] = {}  # not answered yet
        self._handovers = Handovers(session, lambda: history.messages, greets=True)  # since the caller spoke
        self._behind_greeting: FunctionResult | None = None  # what the model is told then
        self._asks_behind_greeting = False  # or it is asked to go on, since it knows of no call
        self._steps: set[asyncio.Task[None]] = set()
        self._count = 0  # of steps since the caller spoke
        self.asking = Asking(session, persona, model=model, changed=asked, keep=self._keep, tell=tell)

    def called(self, event: FunctionCalled) -> None:
        """The model asks for a function; it runs when all that the step asks for is known."""
        call = FunctionCall(event.call_id, event.name, event.arguments)
        self._called.append(call)
        self._open[call.call_id] = call

    def run(self) -> bool:
        """The model waits: run what it has asked for; whether there is anything."""
        calls, self._called = self._called, []
        if not calls:
            return False
        self._count += 1
        self._history.call_tools(calls, self._persona.agent.name)
        for call in calls:
            tool = self._persona.box.tools.get(call.name)
            shown = tool.visible_arguments(call.arguments) if tool is not None else {}
            self._log.append(events.ToolCalled(call.call_id, call.name, shown))
        step = self._spawn(self._step(calls), f"functions of {calls[0].call_id}")
        if step is not None:
            self._steps.add(step)
            step.add_done_callback(self._step_over)
        return True

    @property
    def is_endless(self) -> bool:
        """Whether the model asks on, though it was told to answer."""
        return bool(self._called) and self._count >= 2 * self._limits.max_model_steps

    def forget(self) -> None:
        """What the model has asked for last is not run, and it is not told so: it would only ask again."""
        called, self._called = self._called, []
        self._history.call_tools(called, self._persona.agent.name)
        for call in called:
            self._open.pop(call.call_id, None)
            self._history.add_result(result_of(call, "error", _ENOUGH))

    def let_go(self) -> None:
        """Nobody waits any more: what runs goes on behind the conversation, what has not begun does not."""
        called, self._called = self._called, []
        for call in called:
            self._give(result_of(call, "interrupted", INTERRUPTED))
        for step in self._steps:
            step.cancel()
        self._greeting_over()

    def heard_caller(self) -> None:
        """The caller has had a turn: steps and handoffs are counted anew, what was read back may be confirmed."""
        self._count = 0
        self._handovers.done.clear()
        self.asking.heard_caller()

    def go_on(self) -> bool:
        """A greeting was said: have the answer given that is owed; whether there is one."""
        model = self._model()
        if not self._greeting_over():
            return False
        if self._asks_behind_greeting and model is not None:
            model.greet()
        return True

    def _greeting_over(self) -> bool:
        """What is due behind a greeting is due now; whether there was one."""
        result, self._behind_greeting = self._behind_greeting, None
        if result is not None and not self._asks_behind_greeting:
            self._give(result)
        return result is not None

    def note(self, call: FunctionCall, result: FunctionResult) -> None:
        """A call has its result: the model is told, once."""
        if call.call_id in self._open:
            self._keep(call, result)
            self._give(result)

    def _keep(self, call: FunctionCall, result: FunctionResult) -> None:
        self._history.add_result(result)
        if result.status != "pending":
            self._log.append(executed(call, result))

    def _give(self, result: FunctionResult) -> None:
        self._open.pop(result.call_id, None)
        tool = self._persona.box.tools.get(result.name)
        is_direct = tool is not None and tool.return_direct and result.status == "ok"
        model = self._model()
        if model is not None:
            model.tool_result(result.call_id, _TO_SAY + result.text if is_direct else result.text)

    async def _step(self, calls: Sequence[FunctionCall]) -> None:
        agent = self._persona.agent
        group: CallGroup | None = None
        handovers, answer, tools = self._handovers, None, self._persona.box.tools
        held: list[FunctionResult] = []  # of a collector: who goes on decides what the model is told
        try:
            settled = self._settle(agent, calls)
            waiting = self.asking.settle(calls, tools=tools, settled=settled)
            await self._ask(agent, calls, settled)
            runnable = [call for call in calls if call.call_id not in waiting]
            group = self._tools.start(tools, runnable, manner=self._manner(agent), settled=settled)
            async for update in group:
                if update.type == "filler":
                    self._say_filler(update.text)
                elif update.type == "tool_finished":
                    for request in update.result.requests:  # an agent that runs as this tool asks
                        self._errands.asked(self._session.approvals.pass_on(request, agent.name), agent)
                    if update.call.call_id == handovers.leaves_by:
                        answer = update.result
                    elif self.asking.is_on:
                        self._keep(update.call, update.result)
                        held.append(update.result)
                    else:
                        self.note(update.call, update.result)
            if handovers.accepted is not None and answer is not None:
                await self._hand_over(handovers.accepted, answer)
            else:
                answers, held = held, []
                for call_id in (*waiting, *(result.call_id for result in answers)):
                    self._open.pop(call_id, None)
                await self.asking.step_over(answers)
        finally:
            for result in held:
                self._give(result)
            accepted, handovers.accepted = handovers.accepted, None
            if accepted is not None:  # a handoff that was not carried out is none
                self.note(accepted.call, result_of(accepted.call, "interrupted", INTERRUPTED))
            if group is not None:
                group.release()

    def _step_over(self, step: asyncio.Task[None]) -> None:
        """The step is over, perhaps cut: what has not even begun is answered too."""
        self._steps.discard(step)
        running = {call.call_id for call in (*self._tools.pending(), *self._called)}
        for call in [call for call in self._open.values() if call.call_id not in running]:
            self.note(call, result_of(call, "interrupted", INTERRUPTED))

    def _settle(self, agent: Agent, calls: Sequence[FunctionCall]) -> dict[str, FunctionResult]:
        """What needs no running: handoffs, functions that somebody else would have to run, and any one too many."""
        if self._count > self._limits.max_model_steps:
            return {call.call_id: result_of(call, "error", _ENOUGH) for call in calls}
        team = team_of(agent, (self._first, *self._session.agents))
        settled = self._handovers.settle(agent, calls, team=team, at_most=self._limits.max_handoffs)
        declared = left_to_caller(calls, self._persona.box.tools)
        for call in calls:
            if call.call_id in declared:
                settled[call.call_id] = result_of(call, "error", "Nobody in this call can run this function.")
        return settled

    async def _ask(self, agent: Agent, calls: Sequence[FunctionCall], settled: dict[str, FunctionResult]) -> None:
        """Have a person asked, where a call needs one; the model is told that the result will follow."""
        requests = await ask_for_approval(
            calls, self._persona.box.tools, approvals=self._session.approvals, runner=self._tools, agent=agent.name
        )
        for request in requests:
            self._errands.asked(request, agent)
            settled[request.call.call_id] = result_of(request.call, "pending", PASSED_ON)

    @property
    def _limits(self) -> RunLimits:
        return self._persona.agent.limits or _LIMITS

    def _manner(self, agent: Agent) -> Manner:
        limits = self._limits
        layers = agent.layers["function"]
        return Manner(
            agent.name,
            limits.max_parallel_tools,
            agent.fillers,
            limits.max_result_chars,
            tool_runner_through(layers, _go_on) if layers else None,
            self._add_tools,
            self._remove_tools,
            read=self._handovers.read,
        )

    def _add_tools(self, tools: Sequence[Any]) -> None:
        self._persona.box.add(tools)
        self._brief_again()

    def _remove_tools(self, names: Sequence[str]) -> None:
        self._persona.box.remove(names)
        self._brief_again()

    def _brief_again(self) -> None:
        model = self._model()
        if model is not None:
            model.rebrief(self._persona.brief())

    async def _hand_over(self, accepted: Accepted, result: FunctionResult) -> None:
        """The model becomes the target, and then learns that it may go on."""
        session, record = self._session, accepted.record
        before = session.brought
        try:
            await self._ready(accepted)
            session.brought = accepted.values
            brief = await self._persona.become(accepted.target)
        except (AntiphonException, TimeoutError, asyncio.CancelledError) as error:
            session.brought = before
            if isinstance(error, asyncio.CancelledError):
                raise
            text = f"The agent {record.target!r} is not available ({str(error) or 'too slow'}): answer yourself."
            self.note(accepted.call, result_of(accepted.call, "error", text))
            return
        self._handovers.carried_out(accepted)
        self._keep(accepted.call, result)
        self._open.pop(accepted.call.call_id, None)
        has_another = self._handed_over(accepted, brief)
        model = self._model()
        if model is None:
            return
        if not has_another:
            model.rebrief(brief)
        self._behind_greeting, self._asks_behind_greeting = result, has_another
        if accepted.greeting:
            model.say(accepted.greeting)
        else:
            self.go_on()


def _go_on() -> None:
    """Middleware may end the tool loop of an agent; here the loop is the model's."""
