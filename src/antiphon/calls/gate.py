"""A secret number in a call: what is typed goes to its check, and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from antiphon.agents.keypad import KeypadManner
from antiphon.clock import Clock
from antiphon.tools.keypad import SecretNumber

_CHECK_S = 10.0

_log = structlog.get_logger(__name__)


class Gate:
    """Waits for one secret number.

    Args:
        secret: What is asked for.
        manner: Attempts and time, where the secret does not say.
        clock: Time.
        is_quiet: Whether the agent does not speak: only then the caller's time runs.
        say: Says something to the caller.
        lost: Told when the last attempt has failed.
        spawn: Runs a task of the call.
        early: A number that was typed before it asked: tried first, and no attempt.
        at_most: The attempts that are left, where it asks in the place of a gate that still waits.

    Attributes:
        length: As in ``SecretNumber``.
        left: How often the number may still be typed.
    """

    def __init__(
        self,
        secret: SecretNumber,
        manner: KeypadManner,
        *,
        clock: Clock,
        is_quiet: Callable[[], bool],
        say: Callable[[str], None],
        lost: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        early: str = "",
        at_most: int | None = None,
    ) -> None:
        self.length = secret.length
        self._secret = secret
        attempts = manner.attempts if secret.attempts is None else secret.attempts
        self.left = attempts if at_most is None else min(attempts, at_most)
        self._timeout_s = manner.timeout_s if secret.timeout_s is None else secret.timeout_s
        self._clock = clock
        self._is_quiet = is_quiet
        self._say = say
        self._lost = lost
        self._spawn = spawn
        self._checks = False
        self._timer: asyncio.TimerHandle | None = None
        self._wait()
        if early:
            self._begin(early, is_attempt=False)

    @property
    def is_waiting(self) -> bool:
        """Whether the number is still wanted."""
        return not self._secret.opened.done()

    def touch(self) -> None:
        """A key was pressed: the caller's time begins anew."""
        if not self._checks:
            self._wait()

    def take(self, digits: str) -> bool:
        """Check a number; False while another one is being checked."""
        if self._checks:
            return False
        self._begin(digits, is_attempt=True)
        return True

    def _begin(self, digits: str, *, is_attempt: bool) -> None:
        self._checks = True
        self._stop()
        self._spawn(self._check(digits, is_attempt=is_attempt), "gate")

    def close(self) -> None:
        """Nobody waits any more; a gate that was not opened stays closed."""
        self._stop()
        if self.is_waiting:
            self._secret.opened.set_result(False)

    async def _check(self, digits: str, *, is_attempt: bool) -> None:
        is_right = False
        try:
            async with asyncio.timeout(_CHECK_S):
                is_right = await self._secret.check(digits) is True
        except Exception as error:  # The root of somebody else's code. Its text may hold the digits.
            _log.error("gate_check_failed", error=type(error).__name__)
        self._checks = False
        if is_right and self.is_waiting:
            self._secret.opened.set_result(True)
        elif self.is_waiting and is_attempt:
            self._miss()
        elif self.is_waiting:
            self._wait()

    def _miss(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self._lost()
            self.close()
            return
        self._say(self._secret.again)
        self._wait()

    def _wait(self) -> None:
        self._stop()
        self._timer = self._clock.call_at(self._clock.now() + self._timeout_s, self._out_of_time)

    def _out_of_time(self) -> None:
        self._timer = None
        if not self.is_waiting:
            return
        if self._is_quiet():
            self._miss()
        else:
            self._wait()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
