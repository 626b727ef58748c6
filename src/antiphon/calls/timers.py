"""The timers that turn-taking asks for, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from antiphon.calls.floor import StartTimer, StopTimer, TimerName
from antiphon.clock import Clock


class Timers:
    """The timers of one call.

    Args:
        clock: The call's time.
        seconds: The time since the call's start.
        ended: Told which timer has run out.
    """

    def __init__(self, clock: Clock, seconds: Callable[[], float], ended: Callable[[TimerName], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._ended = ended
        self._running: dict[TimerName, asyncio.TimerHandle] = {}

    def start(self, action: StartTimer) -> None:
        """Begin, or begin anew."""
        self.stop(action)
        when = self._clock.now() + action.when - self._seconds()
        self._running[action.timer] = self._clock.call_at(when, self._run_out, action.timer)

    def stop(self, action: StartTimer | StopTimer) -> None:
        """Forget one, if it runs."""
        timer = self._running.pop(action.timer, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Forget all."""
        for timer in self._running.values():
            timer.cancel()
        self._running.clear()

    def _run_out(self, timer: TimerName) -> None:
        self._running.pop(timer, None)
        self._ended(timer)
