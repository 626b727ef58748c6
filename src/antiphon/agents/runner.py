"""Who owns the running tool calls of a conversation.

A run (one turn) starts a group of calls and listens to it. When the run ends early, because the caller interrupts or
its task is cancelled, the group is released: calls go on to their end and their results reach ``on_result``, except
those whose tool says ``cancel_on_interrupt``. So every call gets exactly one result, either as an update of its run
or through ``on_result``, and no call outlives the conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any

import structlog

from antiphon.agents.updates import CallFinished, CallProgress, CallStarted, CallUpdate, Filler
from antiphon.clock import Clock
from antiphon.models.llm.contract import FunctionCall
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import INTERRUPTED, ToolResult, ToolStatus, invoke
from antiphon.tools.tool import FunctionTool

_log = structlog.get_logger(__name__)

CLEAN_UP_S = 0.1
"""How long a cancelled tool may clean up before its result is given without it."""
_CLOSE_S = 1.0


class ToolRunner:
    """The tool calls of one conversation. Close it with the conversation; then nothing of it runs any more.

    Args:
        clock: The conversation's time.
        session_id: Its id, for tools and logs.
        values: Handed to tools as ``context.values``.
        on_result: Gets the result of each call whose run ended before it. Called on the loop; must not wait.
        on_request: Gets what tools ask the conversation for, such as ``hang_up``.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        session_id: str = "",
        values: Mapping[str, Any] | None = None,
        on_result: Callable[[FunctionCall, ToolResult], None] | None = None,
        on_request: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.clock = clock
        self.on_result = on_result
        self._session_id = session_id
        self._values = values or {}
        self._on_request = on_request
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
        parallel: int = 8,
        fillers: Sequence[str] | None = (),
    ) -> CallGroup:
        """Start the calls of one step, in order, at most ``parallel`` at once.

        Args:
            tools: What may be called, by name.
            calls: With an id each.
            parallel: Calls that run at once.
            fillers: The agent's words for a caller who waits, where a tool has none; None says none at all.
        """
        return CallGroup(self, tools, calls, parallel, fillers)

    def pending(self) -> tuple[FunctionCall, ...]:
        """The calls that have no result yet."""
        return tuple(call for group in self._groups.values() for call in group.open_calls())

    async def aclose(self) -> None:
        """Cancel what runs; open calls get the result that they were interrupted. Waits a second at most."""
        for group in tuple(self._groups.values()):
            group.release(cancel=True)
        tasks = tuple(self._tasks)
        if tasks:
            for task in tasks:
                task.cancel()
            _, stuck = await asyncio.wait(tasks, timeout=_CLOSE_S)
            if stuck:
                _log.error("tool.stuck", session_id=self._session_id, tasks=[task.get_name() for task in stuck])

    def _context(self, call: FunctionCall, progress: Callable[[str], None]) -> ToolContext:
        if self._on_request is None:
            return ToolContext(call.call_id, self._session_id, self._values, progress)
        return ToolContext(call.call_id, self._session_id, self._values, progress, self._on_request)

    def _next_filler(self, texts: Sequence[str]) -> str:
        self._fillers_said += 1
        return texts[(self._fillers_said - 1) % len(texts)]


class CallGroup:
    """The calls of one step. Iterate to get their updates; it ends when every call has its result."""

    def __init__(
        self,
        runner: ToolRunner,
        tools: Mapping[str, FunctionTool],
        calls: Sequence[FunctionCall],
        parallel: int,
        fillers: Sequence[str] | None,
    ) -> None:
        self.calls = tuple(calls)
        self.results: list[ToolResult | None] = [None] * len(self.calls)
        """In the order of the calls; None where a call has no result yet."""
        self._runner = runner
        self._tools = tools
        self._open = len(self.calls)
        self._next = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self._updates: deque[CallUpdate] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._released = False
        runner._groups[id(self)] = self
        for _ in range(min(parallel, self._open)):
            self._start_next()
        self._plan_filler(fillers)

    def __aiter__(self) -> CallGroup:
        return self

    async def __anext__(self) -> CallUpdate:
        while not self._updates:
            if not self._open:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._updates.popleft()

    @property
    def has_more(self) -> bool:
        """Whether another update will come."""
        return bool(self._updates or self._open)

    def open_calls(self) -> list[FunctionCall]:
        """The calls that have no result yet."""
        return [call for call, result in zip(self.calls, self.results, strict=True) if result is None]

    def release(self, *, cancel: bool = False) -> None:
        """Nobody listens any more. Calls that run go on, those that have not begun do not; see the module's text.

        Args:
            cancel: Cancel them all.
        """
        unheard = [] if self._released else [update for update in self._updates if update.type == "call_finished"]
        self._released = True
        self._updates.clear()
        for update in unheard:
            self._deliver(update.call, update.result)
        for index, call in enumerate(self.calls):
            if self.results[index] is not None:
                continue
            tool = self._tools.get(call.name)
            if cancel or index >= self._next or (tool is not None and tool.cancel_on_interrupt):
                self._settle_without(index, "interrupted", INTERRUPTED)
                if index in self._tasks:
                    self._tasks[index].cancel()

    def _start_next(self) -> None:
        if self._released or self._next >= len(self.calls):
            return
        index = self._next
        self._next += 1
        call = self.calls[index]
        self._tell(CallStarted(call))
        task = asyncio.create_task(self._run(index, call), name=f"tool {call.name} {call.call_id}")
        self._tasks[index] = task
        self._runner._tasks.add(task)
        task.add_done_callback(self._runner._tasks.discard)
        if tool := self._tools.get(call.name):
            clock = self._runner.clock
            self._timers.append(clock.call_at(clock.now() + tool.timeout_s + CLEAN_UP_S, self._give_up, index, tool))

    async def _run(self, index: int, call: FunctionCall) -> None:
        runner = self._runner
        context = runner._context(call, partial(self._progress, call))
        try:
            result = await invoke(self._tools, call, context=context, clock=runner.clock)
        except asyncio.CancelledError:
            self._settle_without(index, "interrupted", INTERRUPTED)
            raise
        self._settle(index, result)

    def _give_up(self, index: int, tool: FunctionTool) -> None:
        text = f"The function took longer than {tool.timeout_s:g} s."
        self._settle_without(index, "timeout", text)

    def _settle_without(self, index: int, status: ToolStatus, text: str) -> None:
        call = self.calls[index]
        self._settle(index, ToolResult(call.call_id, call.name, status, text))

    def _settle(self, index: int, result: ToolResult) -> None:
        """Give a call its result, once; a later one is dropped."""
        if self.results[index] is not None:
            return
        self.results[index] = result
        self._open -= 1
        if self._released:
            self._deliver(self.calls[index], result)
        else:
            self._tell(CallFinished(self.calls[index], result))
            self._start_next()
        if not self._open:
            for timer in self._timers:
                timer.cancel()
            del self._runner._groups[id(self)]

    def _deliver(self, call: FunctionCall, result: ToolResult) -> None:
        if self._runner.on_result is not None:
            self._runner.on_result(call, result)

    def _tell(self, update: CallUpdate) -> None:
        self._updates.append(update)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _progress(self, call: FunctionCall, text: str) -> None:
        if not self._released and call in self.open_calls():
            self._tell(CallProgress(call, text))

    def _plan_filler(self, fillers: Sequence[str] | None) -> None:
        """One filler a step, for the running tool whose caller shall wait least."""
        if fillers is None:
            return
        waits = [(tool.filler_after_s, call) for call in self.calls if (tool := self._tools.get(call.name))]
        talkers = [(after_s, call) for after_s, call in waits if self._tools[call.name].filler or fillers]
        if talkers:
            after_s, call = min(talkers, key=lambda talker: talker[0])
            clock = self._runner.clock
            texts = self._tools[call.name].filler or fillers
            self._timers.append(clock.call_at(clock.now() + after_s, self._say_filler, texts))

    def _say_filler(self, texts: Sequence[str]) -> None:
        if self._open and not self._released:
            self._tell(Filler(self._runner._next_filler(texts), self.open_calls()[0].call_id))
