"""Who owns the running tool calls of a conversation.

A run (one turn) starts a group of calls and listens to it. When the run ends early, the group is released. After an
interruption its calls go on to their end and their results reach ``on_result``, except those whose tool says
``cancel_on_interrupt``; when the run's task is cancelled, or its stream closed, async tools are cancelled with it. So
every call gets exactly one result, either as an update of its run or through ``on_result``, and no call outlives the
conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from antiphon.agents.eager import start
from antiphon.agents.effects import carried_out
from antiphon.clock import Clock
from antiphon.logs import Log
from antiphon.models.llm.content import (
    ApprovalResponse,
    Filler,
    FunctionCall,
    FunctionResult,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import INTERRUPTED, MAX_RESULT_CHARS, PENDING, RunTool, invoke, result_of
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.observability.call_spans import CallTrace
    from antiphon.agents.observability.spans import RunTrace

_log = Log(__name__)

CLEAN_UP_S = 0.1
"""How long a cancelled tool may clean up before its result is given without it."""
_CLOSE_S = 1.0

CallUpdate = ToolStarted | ToolProgress | ToolFinished | Filler


def _ignore(*_: Any) -> None:
    """Nobody asked."""


@dataclass(slots=True)
class Manner:
    """How the calls of a step are run.

    Attributes:
        agent: The name of the agent that called.
        parallel: Calls that run at once.
        fillers: The agent's words for a caller who waits, where a tool has none; None says none at all.
        max_chars: Longest result, where the tool does not say it.
        run: What runs a tool in the place of ``run_tool``: middleware.
        add_tools: For tools that offer further ones.
        remove_tools: For tools that take some away.
        trace: Makes a span of each call; None when nobody wants them.
        quiet: Nobody wants updates.
        decisions: What a person has decided for the agents that run as tools, by the call's id.
        read: Looks at the result of a call whose step still goes on, and may give another in its place.
    """

    agent: str = ""
    parallel: int = 8
    fillers: Sequence[str] | None = ()
    max_chars: int = MAX_RESULT_CHARS
    run: RunTool | None = None
    add_tools: Callable[[Sequence[Any]], None] = _ignore
    remove_tools: Callable[[Sequence[str]], None] = _ignore
    trace: RunTrace | None = None
    quiet: bool = False
    decisions: Mapping[str, Sequence[ApprovalResponse]] | None = None
    read: Callable[[FunctionCall, FunctionResult], FunctionResult] | None = None


class ToolRunner:
    """The tool calls of one conversation. Close it with the conversation; then nothing of it runs any more.

    Args:
        clock: The conversation's time.
        session_id: Its id, for tools and logs.
        values: Handed to tools as ``context.values``.
        state: The conversation's state, for tools.
        private: What of it only tools may read.
        on_result: Gets the result of each call whose run ended before it. Called on the loop; must not wait.
        on_late: Gets the result of a call that the model has been told to wait for. Called on the loop.
        on_request: Gets what tools ask the conversation for, such as ``hang_up``.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        session_id: str = "",
        values: Mapping[str, Any] | None = None,
        state: MutableMapping[str, Any] | None = None,
        private: Mapping[str, Any] | None = None,
        on_result: Callable[[FunctionCall, FunctionResult], None] = _ignore,
        on_late: Callable[[FunctionCall, FunctionResult], None] = _ignore,
        on_request: Callable[[str, Mapping[str, Any]], None] = _ignore,
    ) -> None:
        self.clock = clock
        self.session_id = session_id
        self.values: Mapping[str, Any] = values or {}
        self.state: MutableMapping[str, Any] = {} if state is None else state
        self.private: Mapping[str, Any] = {} if private is None else private
        self.on_result = on_result
        self.on_late = on_late
        self.on_request = on_request
        self.plain_context = ToolContext(session_id=session_id)
        """For tools that want none."""
        self._groups: dict[int, CallGroup] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._fillers_said = 0

    async def __aenter__(self) -> ToolRunner:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def start(
        self,
        tools: Mapping[str, FunctionTool],
        calls: Sequence[FunctionCall],
        *,
        manner: Manner | None = None,
        settled: Mapping[str, FunctionResult] | None = None,
    ) -> CallGroup:
        """Start the calls of one step, in order.

        Args:
            tools: What may be called, by name.
            calls: With an id each.
            manner: How they are run.
            settled: Results that are known already, by the call's id: these calls do not run.
        """
        return CallGroup(self, tools, calls, Manner() if manner is None else manner, settled or {})

    def pending(self) -> tuple[FunctionCall, ...]:
        """The calls that have no result yet."""
        return tuple(call for group in self._groups.values() for call in group.open_calls())

    @property
    def idle(self) -> bool:
        """Whether nothing runs."""
        return all(task.done() for task in self._tasks)

    async def aclose(self) -> None:
        """Cancel what runs; open calls get the result that they were interrupted. Waits a second at most."""
        for group in tuple(self._groups.values()):
            group.release(cancel=True)
        tasks = [task for task in self._tasks if not task.done()]
        if tasks:
            for task in tasks:
                task.cancel()
            _, stuck = await asyncio.wait(tasks, timeout=_CLOSE_S)
            if stuck:
                _log.error("tool.stuck", session_id=self.session_id, tasks=[task.get_name() for task in stuck])

    def next_filler(self, texts: Sequence[str]) -> str:
        """The next of some texts; they take turns over the whole conversation."""
        self._fillers_said += 1
        return texts[(self._fillers_said - 1) % len(texts)]


@dataclass(slots=True, eq=False)
class _Slot:
    """One call of a group."""

    call: FunctionCall
    tool: FunctionTool | None
    result: FunctionResult | None = None
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    started: bool = False
    over: bool = False
    """Its task has done its work."""
    out_of_time: bool = False
    late: bool = field(default=False)
    """The model was told to wait; the result goes to ``on_late``."""
    trace: CallTrace | None = None


class CallGroup:
    """The calls of one step. Iterate to get their updates; it ends when every call has its result."""

    __slots__ = (
        "__weakref__",
        "_filler",
        "_is_starting",
        "_manner",
        "_open",
        "_released",
        "_runner",
        "_slots",
        "_tools",
        "_updates",
        "_waiter",
    )

    def __init__(
        self,
        runner: ToolRunner,
        tools: Mapping[str, FunctionTool],
        calls: Sequence[FunctionCall],
        manner: Manner,
        settled: Mapping[str, FunctionResult],
    ) -> None:
        self._runner = runner
        self._tools = tools
        self._manner = manner
        self._slots = [_Slot(call, tools.get(call.name)) for call in calls]
        self._open = len(self._slots)
        self._updates: deque[CallUpdate] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._filler: asyncio.TimerHandle | None = None
        self._released = False
        self._is_starting = False
        runner._groups[id(self)] = self
        if settled:
            known = [slot for slot in self._slots if slot.call.call_id in settled]
            for slot in known:
                slot.started = True
            for slot in known:
                self._settle(slot, settled[slot.call.call_id])
        self._start_more()
        if manner.fillers is not None and self._open:
            self._plan_filler(manner.fillers)

    def __aiter__(self) -> CallGroup:
        return self

    async def __anext__(self) -> CallUpdate:
        while not self._updates:
            if not self._open:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._updates.popleft()

    async def wait(self) -> None:
        """Wait until every call has its result; nobody wants the updates."""
        while self._open:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._updates.clear()

    @property
    def has_more(self) -> bool:
        """Whether another update will come."""
        return bool(self._updates or self._open)

    @property
    def results(self) -> list[FunctionResult | None]:
        """In the order of the calls; None where a call has no result yet."""
        return [slot.result for slot in self._slots]

    def open_calls(self) -> list[FunctionCall]:
        """The calls that have no result yet."""
        return [slot.call for slot in self._slots if slot.result is None]

    def release(self, *, cancel: bool = False) -> None:
        """Nobody listens any more. Calls that run go on, those that have not begun do not; see the module's text.

        Args:
            cancel: Cancel them all.
        """
        unheard = [] if self._released else [update for update in self._updates if update.type == "tool_finished"]
        self._released = True
        self._updates.clear()
        for update in unheard:
            self._runner.on_result(update.call, update.result)
        if not self._open:
            return
        for slot in self._slots:
            if slot.result is not None:
                continue
            if cancel or not slot.started or (slot.tool is not None and slot.tool.cancel_on_interrupt):
                self._settle(slot, result_of(slot.call, "interrupted", INTERRUPTED))
                if slot.task is not None:
                    slot.task.cancel()

    def _start_more(self) -> None:
        """Start what may run now. What ends at once makes room for the next, here and not one inside the other."""
        if self._released or self._is_starting:
            return
        self._is_starting = True
        try:
            while (slot := self._startable()) is not None:
                self._start(slot)
        finally:
            self._is_starting = False

    def _startable(self) -> _Slot | None:
        """The next call that may run: in order, within the bound, exclusive calls alone."""
        waiting = next((slot for slot in self._slots if not slot.started), None)
        if waiting is None:
            return None
        running = [slot.tool for slot in self._slots if slot.started and slot.result is None]
        alone = waiting.tool is not None and waiting.tool.exclusive
        if running and (alone or any(tool is not None and tool.exclusive for tool in running)):
            return None
        return waiting if len(running) < self._manner.parallel else None

    def _start(self, slot: _Slot) -> None:
        slot.started = True
        runner, call, tool = self._runner, slot.call, slot.tool
        self._tell(ToolStarted(call))
        if tool is not None and tool.is_later:
            self._settle(slot, result_of(call, "pending", PENDING))
            slot.late = True
        task = start(self._run(slot), name=call.name)
        if slot.over:
            return
        slot.task = task
        runner._tasks.add(task)
        if tool is not None:
            clock = runner.clock
            slot.timer = clock.call_at(clock.now() + tool.timeout_s, self._out_of_time, slot)

    async def _run(self, slot: _Slot) -> None:
        runner, manner, call = self._runner, self._manner, slot.call
        if manner.trace is not None:
            slot.trace = manner.trace.begin_call(slot.tool, call)
        tool = slot.tool
        is_plain = tool is None or (tool.parameters.context_name is None and manner.run is None)
        context = runner.plain_context if is_plain else self._context(slot)
        started = runner.clock.now()
        try:
            result = await invoke(
                slot.tool, call, context=context, known=self._tools, run=manner.run, max_chars=manner.max_chars
            )
        except asyncio.CancelledError:
            if not slot.out_of_time:
                self._settle(slot, result_of(call, "interrupted", INTERRUPTED))
                raise
            result = self._timeout_of(slot)
        finally:
            slot.over = True
            if slot.task is not None:
                runner._tasks.discard(slot.task)
        if slot.out_of_time:
            result = self._timeout_of(slot)
        if not self._released and slot.result is None:
            result = carried_out(tool, result, runner.on_request)
        if manner.read is not None and not (slot.late or self._released or slot.result is not None):
            result = manner.read(call, result)
        self._settle(slot, _timed(result, (runner.clock.now() - started) * 1000))

    def _context(self, slot: _Slot) -> ToolContext:
        runner, manner = self._runner, self._manner
        return ToolContext(
            slot.call.call_id,
            runner.session_id,
            runner.values,
            runner.state,
            manner.agent,
            partial(self._progress, slot),
            runner.on_request,
            manner.add_tools,
            manner.remove_tools,
            partial(_is_settled, slot),
            (manner.decisions or {}).get(slot.call.call_id, ()),
            runner.private,
        )

    def _out_of_time(self, slot: _Slot) -> None:
        """The tool's time is over: it is cancelled, and given up when it does not end soon."""
        slot.out_of_time = True
        _log.warning("tool.timeout", tool=slot.call.name, call_id=slot.call.call_id, session_id=self._runner.session_id)
        if slot.task is not None:
            slot.task.cancel()
        clock = self._runner.clock
        slot.timer = clock.call_at(clock.now() + CLEAN_UP_S, self._give_up, slot)

    def _give_up(self, slot: _Slot) -> None:
        self._settle(slot, self._timeout_of(slot))

    def _timeout_of(self, slot: _Slot) -> FunctionResult:
        seconds = slot.tool.timeout_s if slot.tool is not None else 0.0
        text = f"The function took longer than {seconds:g} s and was stopped."
        return _timed(result_of(slot.call, "timeout", text), seconds * 1000)

    def _settle(self, slot: _Slot, result: FunctionResult) -> None:
        """Give a call its result, once; a later one is dropped, or told apart where the model waits for it."""
        is_done = slot.over or result.status != "pending"
        if slot.timer is not None and is_done:
            slot.timer.cancel()
            slot.timer = None
        if slot.trace is not None and is_done:
            slot.trace.end(result)
            slot.trace = None
        if slot.late:
            slot.late = False
            if result.status != "interrupted":
                self._runner.on_late(slot.call, result)
            return
        if slot.result is not None:
            return
        slot.result = result
        self._open -= 1
        if self._released:
            self._runner.on_result(slot.call, result)
        else:
            self._tell(ToolFinished(slot.call, result))
            if self._open:
                self._start_more()
        if not self._open:
            if self._filler is not None:
                self._filler.cancel()
                self._filler = None
            self._runner._groups.pop(id(self), None)

    def _tell(self, update: CallUpdate) -> None:
        if not self._manner.quiet:
            self._updates.append(update)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _progress(self, slot: _Slot, text: str) -> None:
        if not self._released and slot.result is None:
            self._tell(ToolProgress(slot.call, text))

    def _plan_filler(self, fillers: Sequence[str]) -> None:
        """One filler a step, for the running tool whose caller shall wait least."""
        running = [(slot.tool, slot.call) for slot in self._slots if slot.tool is not None and slot.result is None]
        talkers = [each for each in running if each[0].filler or each[0].make_filler or fillers]
        if talkers:
            tool, call = min(talkers, key=lambda each: each[0].filler_after_s)
            clock = self._runner.clock
            at = clock.now() + tool.filler_after_s
            self._filler = clock.call_at(at, self._say_filler, tool, call, tuple(fillers))

    def _say_filler(self, tool: FunctionTool, call: FunctionCall, fillers: Sequence[str]) -> None:
        texts = tool.fillers_for(call.arguments) or fillers
        if texts and self._open and not self._released:
            self._tell(Filler(self._runner.next_filler(texts), self.open_calls()[0].call_id))


def _is_settled(slot: _Slot) -> bool:
    return slot.result is not None


def _timed(result: FunctionResult, duration_ms: float) -> FunctionResult:
    return replace(result, duration_ms=duration_ms)
