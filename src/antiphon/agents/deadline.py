"""The end of a run's time, with one timer for everything that the run waits for."""

from __future__ import annotations

import asyncio
from types import TracebackType

from antiphon.clock import Clock


class OutOfTime(Exception):
    """The run's time is over."""


class Deadline:
    """A point in time that ends the waits of a run.

    Each wait stands in a ``with``: ``with deadline: delta = await anext(deltas)``. Between the waits, while the run's
    reader is at work, nothing is cancelled; the next wait then raises at once. One timer serves all waits, because
    a timer for each word of an answer would cost more than the rest of the loop.

    Args:
        clock: The conversation's time.
        seconds: From now.
    """

    __slots__ = ("_cancelled_before", "_expired", "_loop", "_task", "_timer")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._expired = False
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cancelled_before = 0
        self._timer = clock.call_at(clock.now() + seconds, self._expire)

    def __enter__(self) -> None:
        """Begin a wait.

        Raises:
            OutOfTime: The time had come before.
        """
        if self._expired:
            raise OutOfTime
        task = self._task = asyncio.current_task(self._loop)
        self._cancelled_before = task.cancelling() if task is not None else 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        self._task = None
        # As asyncio.timeout does: our own cancellation becomes OutOfTime, anybody else's stays what it is.
        if self._expired and task is not None:
            mine = task.uncancel() <= self._cancelled_before
            if mine and kind is asyncio.CancelledError:
                raise OutOfTime from None

    def close(self) -> None:
        """Give the timer back."""
        self._timer.cancel()

    def _expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()
