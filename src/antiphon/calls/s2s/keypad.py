"""Keys of the telephone, gathered: a model should get a number whole, and not answer each digit of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from antiphon.clock import Clock

PAUSE_S = 1.5
"""A pause this long ends what was typed; so does the sharp sign."""
_MOST_KEYS = 32


class Keypad:
    """The keys of one call.

    Args:
        clock: Time.
        pressed: Gets the keys that belong together, and says whether it takes them; else they wait a while longer.
    """

    def __init__(self, clock: Clock, pressed: Callable[[str], bool]) -> None:
        self._clock = clock
        self._pressed = pressed
        self._keys = ""
        self._timer: asyncio.TimerHandle | None = None

    def press(self, keys: str) -> None:
        """Take a key."""
        self._keys = (self._keys + keys)[:_MOST_KEYS]
        self._stop()
        if self._keys.endswith("#"):
            self._hand_over()
        else:
            self._wait()

    def close(self) -> None:
        """Forget what was not handed over."""
        self._stop()
        self._keys = ""

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self) -> None:
        self._timer = None
        if self._pressed(self._keys):
            self._keys = ""
        else:
            self._wait()

    def _wait(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + PAUSE_S, self._hand_over)
