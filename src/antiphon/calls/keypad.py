"""Keys of the telephone, gathered: a number comes whole, and nobody who reads along sees its digits."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable

from antiphon.agents.keypad import KeypadManner, typed_text
from antiphon.calls.floor import KEY_MARK
from antiphon.clock import Clock

KEYS = frozenset("0123456789*#ABCD")
_WORDS = {
    **{word: str(digit) for digit, word in enumerate("zero one two three four five six seven eight nine".split())},
    **{"star": "*", "asterisk": "*", "pound": "#", "hash": "#"},
}
_MASKED = re.compile(f"{KEY_MARK}+")
_MOST_NUMBERS = 64


def keys_in(pressed: str | int) -> str:
    """The keys that a carrier or a client tells, by sign, number or word; what is none is left out."""
    text = str(pressed).strip()
    word = _WORDS.get(text.lower())
    return word if word is not None else "".join(key for key in text.upper() if key in KEYS)


class Keypad:
    """The keys of one call.

    Args:
        clock: Time.
        typed: Gets each number, and says whether it takes it; else it is offered again a while later.
        refused: Told that a number was too long and is forgotten.
    """

    def __init__(self, clock: Clock, typed: Callable[[str], bool], *, refused: Callable[[], None]) -> None:
        self._clock = clock
        self._typed = typed
        self._refused = refused
        self._keys = ""
        self._overflows = False
        self._after_s = 0.0
        self._whole_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no number has been begun."""
        return not self._keys and not self._overflows

    def is_spare(self, keys: str) -> bool:
        """Whether keys mean nothing: a ``#`` out of habit, right behind a number that was whole without it."""
        return keys == "#" and self.is_empty and self._clock.now() < self._whole_until

    def press(self, keys: str, manner: KeypadManner, *, length: int | None = None) -> None:
        """Take keys: ``#`` hands over what was typed, ``*`` forgets it.

        Args:
            keys: Out of ``KEYS``, in order.
            manner: How they are taken.
            length: A number of this length is whole, without ``#`` or silence.
        """
        self._after_s = manner.submit_after_s
        self._whole_until = 0.0
        for key in keys:
            self._stop()
            if key == "#":
                self._hand_over()
            elif key == "*":
                self.clear()
            else:
                self._add(key, manner.max_digits, length)

    def clear(self) -> None:
        """Forget what was not handed over."""
        self._stop()
        self._keys = ""
        self._overflows = False

    def _add(self, key: str, most: int, length: int | None) -> None:
        self._overflows = self._overflows or len(self._keys) >= most
        self._keys = "" if self._overflows else self._keys + key
        if len(self._keys) == length:
            self._whole_until = self._clock.now() + self._after_s
            self._hand_over()
        else:
            self._wait()

    def _hand_over(self) -> None:
        self._timer = None
        if self._overflows:
            self.clear()
            self._refused()
        elif self._keys:
            keys, self._keys = self._keys, ""
            if not self._typed(keys):
                self._keys = keys
                self._wait()

    def _wait(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + self._after_s, self._hand_over)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TypedNumbers:
    """What was typed in one call: masked for turn-taking and the log, and put back for the model."""

    def __init__(self) -> None:
        self._numbers: deque[str] = deque(maxlen=_MOST_NUMBERS)

    def mask(self, keys: str, shown: str) -> str:
        """Keep what the model reads of a number; how it is written down."""
        self._numbers.append(shown)
        return KEY_MARK * len(keys)

    def reveal(self, text: str) -> str:
        """Words of a turn as the model reads them. Its masked numbers are the latest that were typed, in order."""
        count = len(_MASKED.findall(text))
        if not count:
            return text
        numbers = iter(list(self._numbers)[-count:])
        return _MASKED.sub(lambda _: typed_text(next(numbers, "")), text)
