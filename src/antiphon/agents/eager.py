"""Tasks that begin at once: what ends without waiting costs no round through the event loop.

Python has such tasks from 3.12 on. Before that, the first step is taken here, as the task: whoever asks for the
current task meanwhile (timeouts, cancel scopes) gets the one that goes on later.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

if sys.version_info >= (3, 12):

    def start(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run ``work`` as a task up to its first wait, now; the rest follows in the loop."""
        return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name, eager_start=True)

else:

    def start(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run ``work`` as a task up to its first wait, now; the rest follows in the loop."""
        loop = asyncio.get_running_loop()
        rest = _Rest(work)
        context = contextvars.copy_context()
        task = loop.create_task(rest, name=name, context=context)
        outer = asyncio.current_task(loop)
        if outer is not None:
            asyncio.tasks._leave_task(loop, outer)
        asyncio.tasks._enter_task(loop, task)
        try:
            context.run(rest.begin)
        finally:
            asyncio.tasks._leave_task(loop, task)
            if outer is not None:
                asyncio.tasks._enter_task(loop, outer)
        return task


class _Rest(Coroutine[Any, Any, Any]):
    """A coroutine whose first step has been taken before the task that drives it begins."""

    __slots__ = ("_error", "_is_resumed", "_result", "_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work: Coroutine[Any, Any, Any] | None = work
        self._waits_for: Any = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._is_resumed = False

    def begin(self) -> None:
        """Take the first step."""
        assert self._work is not None
        try:
            self._waits_for = self._work.send(None)
        except StopIteration as end:
            self._work, self._result = None, end.value
        except BaseException as error:  # told by the task, as if it had come later
            self._work, self._error = None, error

    def send(self, value: Any) -> Any:
        """Go on; at first with what the first step has begun to wait for."""
        if self._work is None:
            if self._error is not None:
                raise self._error
            raise StopIteration(self._result)
        if not self._is_resumed:
            self._is_resumed = True
            waits_for, self._waits_for = self._waits_for, None
            return waits_for
        return self._work.send(value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        """Let the work see an exception; a cancellation that comes first also ends what it waits for."""
        if self._work is None:
            raise kind
        if not self._is_resumed:
            self._is_resumed = True
            waits_for, self._waits_for = self._waits_for, None
            if waits_for is not None and isinstance(kind, asyncio.CancelledError):
                waits_for.cancel()
        return self._work.throw(kind)

    def close(self) -> None:
        """Drop the work."""
        if self._work is not None:
            self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("Only a task drives this.")
