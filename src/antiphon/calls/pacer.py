"""One metronome for all calls of the process: whoever has sound to send is asked for it at each beat.

Time is absolute (next beat = last beat + step), so that lateness never adds up; and with nobody speaking there is no
timer at all.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from antiphon.clock import Clock

_log = structlog.get_logger(__name__)


class Paced(Protocol):
    """Something that has to act at each beat while it is in the pacer."""

    def beat(self, now: float) -> None:
        """Send what is due. May leave the pacer."""
        ...


class Pacer:
    """Calls ``beat`` of everyone who joined, each ``step_s``.

    Attributes:
        late_max_s: The worst lateness of a beat so far.
    """

    def __init__(self, clock: Clock, *, step_s: float = 0.02) -> None:
        self.late_max_s = 0.0
        self._clock = clock
        self._step_s = step_s
        self._members: dict[Paced, None] = {}
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, member: Paced) -> None:
        """Be asked at each beat from now on. Idempotent."""
        self._members[member] = None
        if self._timer is None:
            self._next = self._clock.now() + self._step_s
            self._timer = self._clock.call_at(self._next, self._beat)

    def leave(self, member: Paced) -> None:
        """Be asked no more. Idempotent."""
        self._members.pop(member, None)

    def _beat(self) -> None:
        now = self._clock.now()
        self.late_max_s = max(self.late_max_s, now - self._next)
        for member in tuple(self._members):
            try:
                member.beat(now)
            except Exception:  # The timer is the root here: one call's fault must not stop the others' sound.
                _log.exception("beat_failed")
                self.leave(member)
        if not self._members:
            self._timer = None
            return
        self._next = max(self._next + self._step_s, now - self._step_s)
        self._timer = self._clock.call_at(self._next, self._beat)
