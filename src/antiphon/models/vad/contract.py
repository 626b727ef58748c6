"""The contract of voice activity detection.

A ``VAD`` is one object for all calls of the process, so that it can score their audio in one batch; each call opens
a stream of its own. Scores come to a plain function, in order, on the event loop, at once or a few ms later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from antiphon.audio.formats import AudioFormat

ScoreSink = Callable[[float, float], None]
"""Called with (probability of speech 0..1, seconds of audio that the score covers)."""


class VADStream(Protocol):
    """The voice activity of one call."""

    def feed(self, frame: bytes) -> None:
        """Take audio in the format given to ``open``, of any length. Never blocks."""
        ...

    def close(self) -> None:
        """Give the stream's place back; no score comes after this."""
        ...


class VAD(Protocol):
    """A detector, shared by all calls."""

    name: str
    threshold: float
    """A score at or above this is speech."""
    tail_s: float
    """How long after the end of a sound the score still calls it speech, on average."""

    def open(self, audio: AudioFormat, on_score: ScoreSink) -> VADStream:
        """Start listening to one call.

        Raises:
            AudioError: The detector cannot read this format.
        """
        ...

    async def warm(self) -> None:
        """Load and run once, so that the first call does not wait."""
        ...

    async def aclose(self) -> None:
        """Free everything."""
        ...
