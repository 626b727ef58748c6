"""Threads for sync tools: few at work, and one that hangs takes no place away.

A thread cannot be stopped. A tool that outlives its timeout is therefore given up: its thread goes on and its result
is dropped, but it no longer counts as one of the few. The threads are daemons, so that none holds up the end of the
process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class TooManyAbandoned(RuntimeError):
    """So many sync tools hang that no further one is started."""


class ToolThreads(Executor):
    """At most ``size`` sync tools at work; others wait for their turn.

    Args:
        size: Threads at work at once.
        max_abandoned: Given-up threads at which new work is refused.
    """

    def __init__(self, size: int = 32, *, max_abandoned: int = 64) -> None:
        self.abandoned = 0
        """Threads that were given up and still run."""
        self._size = size
        self._max_abandoned = max_abandoned
        self._working = 0
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running: dict[Callable[[], Any], bool] = {}
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn`` in a thread as soon as one is free.

        Raises:
            TooManyAbandoned: Too many threads hang.
        """
        if args or kwargs:
            raise TypeError("ToolThreads runs functions without arguments.")
        future: Future[T] = Future()
        with self._lock:
            if self.abandoned >= self._max_abandoned:
                raise TooManyAbandoned(f"{self.abandoned} sync tools hang; give them timeouts of their own.")
            self._waiting.append((future, fn))
            self._start_thread()
        return future

    def abandon(self, fn: Callable[[], Any]) -> None:
        """Give up work that was submitted: another may take its place. Does nothing when it has ended."""
        with self._lock:
            if self._running.get(fn) is False:
                self._running[fn] = True
                self.abandoned += 1
                self._working -= 1
                self._start_thread()

    def _start_thread(self) -> None:
        if self._waiting and self._working < self._size:
            self._working += 1
            threading.Thread(target=self._work, name="antiphon-tool", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working -= 1
                    return
                future, fn = self._waiting.popleft()
                self._running[fn] = False
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn())
                except BaseException as error:  # the thread's root; whoever waits for the future gets it
                    future.set_exception(error)
            with self._lock:
                if self._running.pop(fn):
                    self.abandoned -= 1
                    return
            del future, fn


THREADS = ToolThreads()
"""The threads of this process."""
