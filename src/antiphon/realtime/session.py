"""The session's configuration: what was asked for so far, and what the service's answer means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MERGED = frozenset({"audio", "input", "output", "transcription", "noise_reduction", "reasoning"})
"""Objects of which an update changes only the keys that it holds; all others are replaced as a whole."""

BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}


def merged(current: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration after an update, as a service merges it."""
    result = dict(current)
    for key, value in update.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping) and _merges(key, before, value):
            result[key] = merged(before, value)
        else:
            result[key] = value
    return result


def _merges(key: str, before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    # Another kind of turn detection begins anew, with its own defaults.
    return key in MERGED or (key == "turn_detection" and value.get("type", before.get("type")) == before.get("type"))


class Configuration:
    """What the session should be: what the service has agreed to, and what it was asked for since.

    Args:
        session: What it should be from the beginning.
    """

    def __init__(self, session: Mapping[str, Any]) -> None:
        self._agreed = merged({"type": "realtime"}, session)
        self._asked: dict[str, Mapping[str, Any]] = {}

    @property
    def whole(self) -> dict[str, Any]:
        """All of it."""
        result = self._agreed
        for update in self._asked.values():
            result = merged(result, update)
        return dict(result)

    def ask(self, event_id: str, update: Mapping[str, Any]) -> None:
        """A change that an event tells the service."""
        self._asked[event_id] = update

    def agreed(self) -> None:
        """The service has taken the change that it was asked for first; it answers in order."""
        if self._asked:
            self._agreed = merged(self._agreed, self._asked.pop(next(iter(self._asked))))

    def refused(self, event_id: object) -> None:
        """The service has refused what an event told it; so would the next connection."""
        if isinstance(event_id, str):
            self._asked.pop(event_id, None)

    def take(self) -> dict[str, Any]:
        """All of it, for a new connection, whose first answer is to all of it."""
        self._agreed, self._asked = self.whole, {}
        return dict(self._agreed)


def audio_part(session: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    """``audio.input`` or ``audio.output`` of a session; empty where there is none."""
    audio = session.get("audio")
    part = audio.get(side) if isinstance(audio, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def bytes_per_ms(session: Mapping[str, Any], side: str) -> int:
    """Bytes of a millisecond on the wire, by the session's format of this side."""
    wire_format = audio_part(session, side).get("format")
    kind = wire_format.get("type") if isinstance(wire_format, Mapping) else None
    return BYTES_PER_MS.get(str(kind), BYTES_PER_MS["audio/pcm"])


def detects_turns(session: Mapping[str, Any]) -> bool:
    """Whether the service decides when the user has finished."""
    return isinstance(audio_part(session, "input").get("turn_detection"), Mapping)


def answers_turns(session: Mapping[str, Any]) -> bool:
    """Whether the service begins an answer by itself when the user has finished."""
    detection = audio_part(session, "input").get("turn_detection")
    return isinstance(detection, Mapping) and detection.get("create_response", True) is True


def cancels_on_speech(session: Mapping[str, Any]) -> bool:
    """Whether the service itself cancels an answer when the user begins to speak: only where it says so."""
    detection = audio_part(session, "input").get("turn_detection")
    return isinstance(detection, Mapping) and detection.get("interrupt_response") is True
