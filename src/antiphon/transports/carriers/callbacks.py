"""Addresses that carriers ask or tell something for a while: documents of a transfer, and what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256

from antiphon.clock import Clock

LIFE_S = 180.0
_MOST = 1000

Callback = Callable[[bytes], str]
"""Takes the body of a request and gives the body of the answer."""


class Callbacks:
    """Those of one process. Who knows an address may use it until it is closed, or too old.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[bytes, tuple[float, Callback]] = {}

    def open(self, callback: Callback) -> str:
        """A secret name for this. The oldest ones give way when there are too many."""
        self._forget_old()
        while len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]
        token = secrets.token_hex(32)
        self._open[_digest(token)] = self._clock.now() + LIFE_S, callback
        return token

    def close(self, token: str) -> None:
        """Nobody asks any more."""
        self._open.pop(_digest(token), None)

    def ask(self, token: str, body: bytes) -> str | None:
        """What the callback answers; None where there is none."""
        self._forget_old()
        found = self._open.get(_digest(token))
        return None if found is None else found[1](body)

    def _forget_old(self) -> None:
        now = self._clock.now()
        while self._open:
            oldest, (until, _) = next(iter(self._open.items()))
            if until > now:
                break
            del self._open[oldest]


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
