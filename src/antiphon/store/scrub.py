"""Takes personal data out of a call's log on its way to the disk, also where a number is split over entries."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from antiphon.redaction import Redactor, StreamRedactor
from antiphon.telemetry import OURS, redacted

MOST_HELD = 500
"""Entries that wait for the rest of a clause; then it is taken for whole."""

_ENDS = frozenset({"agent.speech_completed", "agent.speech_interrupted"})


class EntryScrubber:
    """Scrubs the entries of one log, as ``Entry.to_dict`` gives them, in their order.

    The clauses of a speech are one text, so an address that one of them begins and the next one ends is found; until
    that is decided, this entry and all later ones wait. What the caller seems to say while the words are not sure yet
    is left out: it is full of beginnings of numbers.
    """

    def __init__(self) -> None:
        self._redactor = Redactor()
        self._streams: dict[int, StreamRedactor] = {}
        self._open: dict[int, dict[str, Any]] = {}  # by speech, the last clause, whose end may still be held back
        self._held: deque[dict[str, Any]] = deque()

    def take(self, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The entries that may be written now: these, and those that waited for them."""
        for body in bodies:
            self._held.append(self._scrubbed(body))
            if len(self._held) > MOST_HELD:
                self._close_all()
        return self._decided()

    def finish(self) -> list[dict[str, Any]]:
        """The entries that still wait."""
        self._close_all()
        return self._decided()

    def _decided(self) -> list[dict[str, Any]]:
        given = []
        waiting = [id(body) for body in self._open.values()]
        while self._held and id(self._held[0]) not in waiting:
            given.append(self._held.popleft())
        return given

    def _scrubbed(self, body: dict[str, Any]) -> dict[str, Any]:
        kind = body["type"]
        if kind == "agent.text":
            return self._clause(body)
        if kind in _ENDS:
            self._close(int(body["speech"]))
        return {name: self._value(name, value) for name, value in _sure(body).items()}

    def _value(self, name: str, value: Any) -> Any:
        """Secrets are masked where a tool or the application names things; our own figures stay."""
        if isinstance(value, (str, dict, list, tuple)):
            return redacted(
                "" if isinstance(value, str) and name not in OURS else name, _sure(value), self._redactor.redact
            )
        return value

    def _clause(self, body: dict[str, Any]) -> dict[str, Any]:
        speech = int(body["speech"])
        stream = self._streams.setdefault(speech, self._redactor.stream())
        body = {**body, "text": stream.push(str(body["text"]))}
        self._open[speech] = body
        return body

    def _close(self, speech: int) -> None:
        stream, last = self._streams.pop(speech, None), self._open.pop(speech, None)
        if stream is not None and last is not None:
            last["text"] += stream.finish()

    def _close_all(self) -> None:
        for speech in tuple(self._streams):
            self._close(speech)


def _sure(value: Any) -> Any:
    """A value without the text of words that are not final."""
    if isinstance(value, Mapping) and (value.get("final") is False or value.get("is_final") is False):
        return {**value, "text": ""}
    return value
