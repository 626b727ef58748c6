"""When the caller was heard last: the model tells that a turn is over, but not since when there is silence."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.audio.formats import AudioFormat
from antiphon.models.vad.contract import VAD

_GAP_S = 0.5
"""Silence this long parts two sounds."""
_SILENT_S = 3.0
"""Silence this long is the end of a turn, whatever the model makes of it."""


class Ears:
    """Follows the caller's sound with the server's own detector. It decides nothing.

    Args:
        vad: The detector.
        audio: The line's format.
        now: Seconds since the call's start.
    """

    def __init__(self, vad: VAD, audio: AudioFormat, now: Callable[[], float]) -> None:
        self._now = now
        self._threshold = vad.threshold
        self._tail_s = vad.tail_s
        self._speech_at = self._voiced_at = -_GAP_S
        self._stream = vad.open(audio, self._scored)
        self.feed = self._stream.feed

    def speech_at(self) -> float:
        """When the caller's sound began that is told of now; now where none was heard."""
        now = self._now()
        return max(0.0, self._speech_at) if now - self._voiced_at < _GAP_S else now

    def silence_at(self, since: float) -> float:
        """When the caller's last sound since then was over; now where none was heard."""
        return self._voiced_at if self._voiced_at > since else self._now()

    def hears(self) -> bool:
        """Whether the caller makes sound, or did so a moment ago."""
        return self._now() - self._voiced_at < _SILENT_S

    def close(self) -> None:
        """Give the detector's stream back."""
        self._stream.close()

    def _scored(self, score: float, seconds: float) -> None:
        if score < self._threshold:
            return
        now = self._now()
        if now - self._voiced_at > _GAP_S:
            self._speech_at = now - seconds
        self._voiced_at = max(self._speech_at, now - self._tail_s)
