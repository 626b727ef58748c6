"""What was typed, and what is said in confidence, taken out of everything that is told about a call."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import fields, replace
from typing import Any

from antiphon.calls.events import CallEvent, UserSpeechStarted
from antiphon.calls.floor import KEY_MARK
from antiphon.tools.collect.spoken import HIDDEN, without_numbers

_SHORTEST = 4
"""Shorter ones, such as the choice in a menu, are also prices and dates."""
_MOST = 64
_TELLING = 8
"""Words said in confidence that are shorter, such as "Yes.", are told again when they are said again."""
_BETWEEN = r"[\s.,-]*"
_CALLERS_WORDS = frozenset({"user.transcription", "user.typed", "user.turn_completed", "user.backchannel"})
"""The events whose ``text`` is the caller's; others tell it as ``user_text``."""
_TEXTS = frozenset({"text", "fresh"})


class HiddenNumbers:
    """What nobody may read who reads about one call: also where a tool gets it, or the agent reads it back."""

    def __init__(self) -> None:
        self._patterns: deque[re.Pattern[str]] = deque(maxlen=_MOST)
        self._said: deque[str] = deque(maxlen=_MOST)
        self._is_veiled = False
        self._hides_caller = False

    def add(self, digits: str) -> None:
        """Hide this from now on, also with spaces, points and dashes in it."""
        if len(digits) >= _SHORTEST:
            loosely = _BETWEEN.join(map(re.escape, digits))
            self._patterns.append(re.compile(rf"(?<!\d){loosely}(?!\d)"))

    def veil(self) -> None:
        """From now on hide all that the caller says, and each number that is said by anybody."""
        self._is_veiled = self._hides_caller = True

    def unveil(self) -> None:
        """No longer; but late words of what the caller has said by now stay hidden."""
        self._is_veiled = False

    def mask(self, event: CallEvent) -> CallEvent:
        """The event without them."""
        if type(event) is UserSpeechStarted and not self._is_veiled:
            self._hides_caller = False
        if not self._patterns and not self._said and not self._hides_caller:
            return event
        values = {each.name: getattr(event, each.name) for each in fields(event)}
        texts = {name: value for name, value in values.items() if not isinstance(value, int)}  # ours count and measure
        changed = {name: masked for name, value in texts.items() if (masked := self._hide(event, name, value)) != value}
        return replace(event, **changed) if changed else event

    def _hide(self, event: CallEvent, name: str, value: Any) -> Any:
        is_callers = name == "user_text" or (name == "text" and event.type in _CALLERS_WORDS)
        if is_callers and value and self._hides_caller:
            if len(value) >= _TELLING and value not in self._said:
                self._said.append(value)
            return HIDDEN
        if event.type == "floor.decision" and self._hides_caller:
            return _without_texts(value)
        return self._masked(value)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            for said in self._said:
                value = value.replace(said, HIDDEN)
            for pattern in self._patterns:
                value = pattern.sub(lambda found: KEY_MARK * sum(map(str.isalnum, found[0])), value)
            return without_numbers(value) if self._is_veiled else value
        if isinstance(value, int) and not isinstance(value, bool):
            masked = self._masked(str(value))
            return masked if masked != str(value) else value
        if isinstance(value, dict):
            return {name: self._masked(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked(inner) for inner in value]
        return value


def _without_texts(value: Any) -> Any:
    """A decision of turn-taking without the words that it was about."""
    if isinstance(value, dict):
        return {name: HIDDEN if name in _TEXTS and inner else _without_texts(inner) for name, inner in value.items()}
    return [_without_texts(inner) for inner in value] if isinstance(value, list) else value
