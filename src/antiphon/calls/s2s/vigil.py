"""Sees that no silence lasts for ever: the agent's is filled and then given up, the caller's is asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from antiphon.calls.floor import StartTimer, StopTimer, TimerName
from antiphon.calls.policy import TurnPolicy
from antiphon.calls.timers import Timers
from antiphon.clock import Clock

Deed = Literal["fill", "give_up", "look_for_caller", "remind", "leave", "hang_up"]
"""What is to be done about a silence."""

_WATCHDOG_SHARE = 0.75
"""Part of ``max_dead_air_s`` after which something is done; the rest is for making the sound of it."""


class Vigil:
    """The silences of one call.

    Args:
        policy: How long they may be.
        clock: Time.
        seconds: Seconds since the call's start.
        due: Told what is to be done.

    Attributes:
        reminders: How often the caller was asked in this silence.
    """

    def __init__(
        self, policy: TurnPolicy, clock: Clock, seconds: Callable[[], float], due: Callable[[Deed], None]
    ) -> None:
        self.reminders = 0
        self._policy = policy
        self._seconds = seconds
        self._due = due
        self._strikes = 0  # fillers and apologies in this silence
        self._lost = 0  # turns in a row that got an apology for an answer
        self._silent_since: float | None = None  # in the agent's turn
        self._idle_at: float | None = None  # loudness alone does not put it off
        self._is_ending = False
        self._timers = Timers(clock, seconds, self._ran_out)

    def await_agent(self, since: float | None = None) -> None:
        """It is the agent's turn, silent since then, or for longer already."""
        now = self._seconds()
        share = self._policy.max_dead_air_s * _WATCHDOG_SHARE
        if self._silent_since is None:
            self._silent_since = now if since is None else since
        self._stop("idle", "turn_limit")
        self._start("dead_air", max(now + 0.25 * share, self._silent_since + share))

    def await_caller(self) -> None:
        """Nobody speaks, and nothing is owed."""
        self._strikes = 0
        self._stop("turn_limit")
        self._stop_watching()
        if self._policy.idle_s > 0 and not self._is_ending:
            now = self._seconds()
            if self._idle_at is None:
                self._idle_at = now + self._policy.idle_s
            self._start("idle", max(now, self._idle_at))

    def leave_alone(self) -> None:
        """The caller is asked nothing, until somebody speaks or ``await_caller`` says so."""
        self._stop("idle")

    def hear_agent(self, *, is_reply: bool) -> None:
        """The agent is heard."""
        self._idle_at = None
        self._stop("idle")
        self._stop_watching()
        if is_reply:
            self._strikes = self._lost = self.reminders = 0

    def hear_caller(self) -> None:
        """The caller makes sound, or presses keys. A model that has been away may never tell that it is over."""
        self._stop("idle")
        self._stop_watching()
        self._strikes = 0
        self._start("turn_limit", self._seconds() + self._policy.max_turn_s)

    def note_life(self) -> None:
        """The caller has said words, or pressed keys: the silence that ends a call begins anew."""
        self.reminders = 0
        self._idle_at = None

    def lose_turn(self) -> bool:
        """A turn gets no answer: whether an apology for it is in order, or it would be one too many."""
        fillers = self._policy.dead_air_fillers
        if self._strikes > fillers or self._lost >= self._policy.max_lost_turns - 1:
            return False
        self._strikes = fillers + 1
        self._lost += 1
        return True

    def end(self) -> None:
        """The call is to end, and does so after some time whatever still sounds."""
        self._is_ending = True
        self._stop("idle", "turn_limit")
        self._start("ending", self._seconds() + self._policy.ending_s)

    def adopt(self, policy: TurnPolicy) -> None:
        """Go by these limits from the next silence on."""
        self._policy = policy

    def close(self) -> None:
        """The call is over."""
        self._timers.close()

    def _ran_out(self, timer: TimerName) -> None:
        if timer == "idle":
            has_more = self.reminders < self._policy.idle_reminders
            self.reminders += has_more
            self._due("remind" if has_more else "leave")
            return
        if timer == "turn_limit":
            self._due("look_for_caller")
            return
        self._silent_since = None  # something is said now
        if self._is_ending:
            self._due("hang_up")
        elif self._strikes < self._policy.dead_air_fillers:
            self._strikes += 1
            self.await_agent()
            self._due("fill")
        else:
            self._due("give_up")

    def _stop_watching(self) -> None:
        self._silent_since = None
        self._stop("dead_air")

    def _start(self, timer: TimerName, when: float) -> None:
        self._timers.start(StartTimer(timer, when))

    def _stop(self, *timers: TimerName) -> None:
        for timer in timers:
            self._timers.stop(StopTimer(timer))
