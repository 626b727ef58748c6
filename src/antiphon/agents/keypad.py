"""How an agent takes what is typed on the telephone's keypad."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TYPED = re.compile(r"\[keypad: [^\]]*\]")


@dataclass(frozen=True, slots=True)
class KeypadManner:
    """The manners of one agent at the keypad.

    Attributes:
        interrupts: Whether a key stops the agent's speech.
        submit_after_s: Silence behind the last key that ends a number; ``#`` ends it at once.
        max_digits: A longer number is refused.
        attempts: How often a secret number is asked for.
        timeout_s: How long the caller has for each attempt before the first key.
    """

    interrupts: bool = True
    submit_after_s: float = 1.5
    max_digits: int = 20
    attempts: int = 3
    timeout_s: float = 10.0


def typed_text(keys: str) -> str:
    """What a model reads where the caller typed."""
    return f"[keypad: {keys}]"


def without_typed(text: str) -> str:
    """A text without what a caller typed, for people who read along."""
    return _TYPED.sub(typed_text("•"), text)
