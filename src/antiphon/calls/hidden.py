"""Numbers that were typed, taken out of everything that is told about a call."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import fields, replace
from typing import Any

from antiphon.calls.events import CallEvent
from antiphon.calls.floor import KEY_MARK

_SHORTEST = 4
"""Shorter ones, such as the choice in a menu, are also prices and dates."""
_MOST = 64
_BETWEEN = r"[\s.,-]*"


class HiddenNumbers:
    """What nobody may read who reads about one call: also where a tool gets it, or the agent reads it back."""

    def __init__(self) -> None:
        self._patterns: deque[re.Pattern[str]] = deque(maxlen=_MOST)

    def add(self, digits: str) -> None:
        """Hide this from now on, also with spaces, points and dashes in it."""
        if len(digits) >= _SHORTEST:
            loosely = _BETWEEN.join(map(re.escape, digits))
            self._patterns.append(re.compile(rf"(?<!\d){loosely}(?!\d)"))

    def mask(self, event: CallEvent) -> CallEvent:
        """The event without them."""
        if not self._patterns:
            return event
        values = {each.name: getattr(event, each.name) for each in fields(event)}
        texts = {name: value for name, value in values.items() if not isinstance(value, int)}  # ours count and measure
        changed = {name: masked for name, value in texts.items() if (masked := self._masked(value)) != value}
        return replace(event, **changed) if changed else event

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            for pattern in self._patterns:
                value = pattern.sub(lambda found: KEY_MARK * sum(map(str.isalnum, found[0])), value)
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            masked = self._masked(str(value))
            return masked if masked != str(value) else value
        if isinstance(value, dict):
            return {name: self._masked(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked(inner) for inner in value]
        return value
