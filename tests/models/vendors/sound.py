"""Sound that tells its text, for vendors that speak and vendors that listen."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Fault = Literal["401", "429", "400", "500", "drop", "stall", "garbage", "silent"]
"""A refusal's status; or what happens behind the first piece of the answer; ``silent``: before it."""

CHAR_MS = 20
RATE_HZ = 24_000
KEY = "sk-very-secret-key"


def sound_of(text: str) -> NDArray[np.int16]:
    """20 ms of one value for each character."""
    values = np.array([ord(char) * 50 for char in text], np.int16)
    return np.repeat(values, RATE_HZ * CHAR_MS // 1000)


WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}
LEVEL = 1_000
SHORTEST = 40


def speech(number: int, *, rate_hz: int, seconds: float = 0.4) -> NDArray[np.int16]:
    """Sound that is heard as this number's word; 0 is a noise in which nothing is understood."""
    return np.full(int(rate_hz * seconds), number * LEVEL, np.int16)


def heard(pcm: NDArray[np.int16]) -> str:
    """The words of all numbers in a sound, in order.

    Near a number is good enough, as the telephone's code leaves it; what is shorter than 40 samples is a change of
    level, as filters make it.
    """
    numbers = np.rint(pcm / LEVEL).astype(int)
    if not len(numbers):
        return ""
    changes = np.flatnonzero(np.diff(numbers)) + 1
    parts = [part for part in np.split(numbers, changes) if len(part) > SHORTEST]
    return " ".join(WORDS[int(part[0])] for part in parts if int(part[0]) in WORDS)
