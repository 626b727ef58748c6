"""Who gets in: a slot for each call, and reasons to take no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from antiphon.server.lag import LoopLag

Refusal = Literal["full", "draining", "overloaded", "not_ready"]


class Admission:
    """Counts the slots of a process exactly; CPU averages decide nothing.

    Args:
        max_calls: Slots.
        max_loop_lag_ms: No new call while the event loop is later than this (p95 over 5 s).
        lag: Tells how late the loop is.

    Attributes:
        live: Slots that are taken.
        draining: No new call will ever be taken.
        ready: Everything that a call needs is there.
        has_room: Tells whether the models' providers have a connection left for one more call.
    """

    def __init__(self, max_calls: int, max_loop_lag_ms: float, lag: LoopLag) -> None:
        self.max_calls = max_calls
        self.live = 0
        self.draining = False
        self.ready = False
        self.has_room: Callable[[], bool] = lambda: True
        self._max_loop_lag_ms = max_loop_lag_ms
        self._lag = lag

    @property
    def is_open(self) -> bool:
        """Whether a call that came now would get a slot."""
        return self._refusal() is None

    def enter(self) -> Refusal | None:
        """Take a slot, or say why there is none. Each slot that was taken is given back by ``leave``."""
        refusal = self._refusal()
        if refusal is None:
            self.live += 1
        return refusal

    def leave(self) -> None:
        """Give a slot back."""
        self.live -= 1

    def _refusal(self) -> Refusal | None:
        if self.draining:
            return "draining"
        if not self.ready:
            return "not_ready"
        if self.live >= self.max_calls or not self.has_room():
            return "full"
        if self._lag.p95_ms > self._max_loop_lag_ms:
            return "overloaded"
        return None
