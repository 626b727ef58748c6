"""The contract of speech to text.

A call opens one stream. It feeds speech only (the detector decides what is speech), and calls ``finish`` at each
pause: the words since the last ``finish`` then come as exactly one final transcript, empty where nothing was
understood. Speech after that is the next utterance. Transcripts and failures come to plain functions on the event
loop, so that no task has to wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words of one utterance.

    Attributes:
        text: The words; of the whole utterance so far, not a delta.
        is_final: Whether these words stay.
        utterance: Which utterance, counted from 0; ``finish`` ends one.
        confidence: 0..1, where the provider tells.
        language: BCP 47 tag, where the provider tells.
        recogniser: Who heard it, of several that stand in for each other.
    """

    text: str
    is_final: bool
    utterance: int
    confidence: float | None = None
    language: str | None = None
    recogniser: str | None = None


TranscriptSink = Callable[[Transcript], None]
FailureSink = Callable[[Exception], None]


class STTStream(Protocol):
    """The transcription of one call."""

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Take speech at the rate given to ``open``, mono. Never blocks."""
        ...

    def finish(self) -> None:
        """End the utterance: its final transcript is wanted now."""
        ...

    def discard(self) -> None:
        """Forget the utterance: it was noise. No transcript comes for it."""
        ...

    async def aclose(self) -> None:
        """End the stream; nothing comes after this."""
        ...


class STT(Protocol):
    """A recogniser, shared by all calls."""

    name: str

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> STTStream:
        """Start transcribing one call.

        Args:
            rate_hz: Rate of the audio that will be fed.
            on_transcript: Gets partial and final transcripts.
            on_failure: Gets an ``IntegrationException`` when an utterance could not be transcribed; the stream
                stays usable for the next one.
            language: BCP 47 tag of the expected language; the provider's default unless given.
            phrases: Names and words to expect.
        """
        ...

    async def warm(self) -> None:
        """Load and run once, so that the first call does not wait."""
        ...

    async def aclose(self) -> None:
        """Free everything."""
        ...
