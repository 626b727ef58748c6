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
