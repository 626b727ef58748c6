"""The only reader of time.

Everything that waits or measures asks a ``Clock``. ``WallClock`` is the running loop's monotonic time.
``VirtualClock`` owns an event loop whose time jumps to the next timer as soon as nothing is left to do, so that a
ten-minute call runs in a second and every run of it is the same.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Time as the parts of a call see it."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean anything."""
        ...

    def utc(self) -> datetime:
        """The date and time, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Run ``callback(*args)`` on the loop when ``now()`` reaches ``when``; the handle cancels it."""
        ...


class WallClock:
    """Real time of the running event loop."""

    def now(self) -> float:
        """Monotonic seconds of the running loop."""
        return asyncio.get_running_loop().time()

    def utc(self) -> datetime:
        """The date and time, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Run ``callback(*args)`` at ``when``."""
        return asyncio.get_running_loop().call_at(when, callback, *args)


class VirtualClock:
    """Time that passes only when nothing is left to do.

    ``run`` gives the coroutine an event loop of its own, on which ``asyncio.sleep``, ``asyncio.timeout`` and every
    other user of the loop's time live in virtual time too. Work in threads is waited for in real time.
    """

    START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    def __init__(self) -> None:
        self._loop = _VirtualLoop()

    def now(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._loop.time()

    def utc(self) -> datetime:
        """A fixed start date plus the virtual seconds."""
        return self.START + timedelta(seconds=self._loop.time())

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Run ``callback(*args)`` at virtual time ``when``."""
        return self._loop.call_at(when, callback, *args)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run ``main`` to its end in virtual time and give its result."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            return runner.run(main)


class _VirtualLoop(asyncio.SelectorEventLoop):
    """A selector loop that moves its own time forward in place of waiting."""

    def __init__(self) -> None:
        self._virtual_now = 0.0
        self._jobs = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._virtual_now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        self._jobs += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        # Threads end in real time: the limit that newer Pythons set would pass at once in virtual time.
        await super().shutdown_default_executor()

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self._jobs -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """Polls without waiting; what the loop would have waited for is added to its time instead."""

    def __init__(self, loop: _VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._loop._jobs or timeout is None:
            # A thread is at work, or only a socket can wake us: wait for it in real time.
            return super().select(0.05 if timeout is None or self._loop._jobs else timeout)
        self._loop._virtual_now += timeout
        return []
