"""Replaces matches, in whole texts and in texts that come bit by bit, with the same result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from antiphon.errors import ConfigurationError
from antiphon.redaction.kinds import KINDS, NOT_NUMBERS_OF_PEOPLE, Kind


def redactor_for(names: Iterable[str], custom: Sequence[Kind] = ()) -> Redactor:
    """A redactor of the kinds with these names, and of kinds of one's own.

    Raises:
        ConfigurationError: There is no such kind.
    """
    wanted = set(names)
    unknown = wanted - KINDS.keys()
    if unknown:
        raise ConfigurationError(f"There is no kind of data {min(unknown)!r} to redact: use {', '.join(KINDS)}.")
    return Redactor([*(kind for name, kind in KINDS.items() if name in wanted), *custom])


class Redactor:
    """Finds personal data and puts ``[REDACTED_EMAIL]`` and the like in its place. Doing it twice changes nothing.

    Args:
        kinds: What is looked for; none leaves every text as it is.

    Attributes:
        counts: Replacements by kind.
    """

    def __init__(self, kinds: Sequence[Kind] = tuple(KINDS.values())) -> None:
        self.counts: Counter[str] = Counter()
        numbers = any(kind.name in ("phone", "card") for kind in kinds)
        # Dates are looked for before telephone numbers, which they resemble.
        self._kinds = (*_before_phone(kinds), *(NOT_NUMBERS_OF_PEOPLE if numbers else ()), *_from_phone_on(kinds))

    def redact(self, text: str) -> str:
        """The whole text without personal data."""
        return self.scan("", text, is_last=True)[0] if self._kinds else text

    def stream(self) -> StreamRedactor:
        """A new stream of deltas."""
        return StreamRedactor(self)

    def scan(self, before: str, text: str, *, is_last: bool) -> tuple[str, str]:
        """Redact as much of a text as is decided.

        Args:
            before: The last character that was given on, or nothing.
            text: What has come since.
            is_last: Whether nothing will follow.

        Returns:
            What can be given on, and the rest, which may still become a match: at most the longest match length.
        """
        given: list[str] = []
        text, begin = before + text, len(before)
        while begin < len(text):
            undecided = len(text) if is_last else self._undecided(text, begin)
            found = self._find(text, begin)
            if found is None or found[0] >= undecided:
                given.append(text[begin:undecided])
                return "".join(given), text[undecided:]
            start, end, kind = found
            new = text[start:end] if kind.replacement is None else kind.replacement
            if kind.replacement is not None:
                self.counts[kind.name] += 1
            given += (text[begin:start], new)
            # What follows is judged by what stands before it in the result, so that a second pass agrees.
            text, begin = new[-1] + text[end:], 1
        return "".join(given), ""

    def _find(self, text: str, begin: int) -> tuple[int, int, Kind] | None:
        """The first match; of those that begin at one place, that of the first kind."""
        best: tuple[int, int, Kind] | None = None
        for kind in self._kinds:
            span = _first_of(kind, text, begin, before=best[0] if best else len(text))
            if span is not None:
                best = (*span, kind)
        return best

    def _undecided(self, text: str, begin: int) -> int:
        """Where the tail begins that may still become a match."""
        first = len(text)
        for kind in self._kinds:
            tail = kind.tail.search(text, max(begin, len(text) - kind.max_chars))
            if tail is not None:
                first = min(first, tail.start())
        return first


class StreamRedactor:
    """Redacts one text that comes bit by bit, so that a number split over deltas is found.

    Args:
        redactor: What to look for.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._before = ""
        self._held = ""

    def push(self, delta: str) -> str:
        """Take a delta; give what is decided, which may be nothing."""
        return self._step(delta, is_last=False)

    def finish(self) -> str:
        """Give what was held back; the next delta begins a new text."""
        rest = self._step("", is_last=True)
        self._before = ""
        return rest

    def _step(self, delta: str, *, is_last: bool) -> str:
        given, self._held = self._redactor.scan(self._before, self._held + delta, is_last=is_last)
        self._before = given[-1:] or self._before
        return given


def _first_of(kind: Kind, text: str, begin: int, *, before: int) -> tuple[int, int] | None:
    """The first match of a kind that begins before ``before``."""
    while (candidate := kind.pattern.search(text, begin)) is not None and candidate.start() < before:
        start = candidate.start()
        # One character more than a match may have, for what a pattern sees behind it.
        within: re.Match[str] | None = kind.pattern.match(text, start, start + kind.max_chars + 1)
        chars = kind.accept(within[0]) if within is not None else 0
        if 0 < chars <= kind.max_chars:
            return start, start + chars
        begin = start + 1
    return None


def _before_phone(kinds: Sequence[Kind]) -> list[Kind]:
    return [kind for kind in kinds if kind.name != "phone"]


def _from_phone_on(kinds: Sequence[Kind]) -> list[Kind]:
    return [kind for kind in kinds if kind.name == "phone"]
