"""The contract of text to speech: a clause in, chunks of sound out, closed as soon as nobody listens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class WordTiming:
    """Where a word stands in the text and when it has been spoken.

    Attributes:
        char_end: Index in the clause's text just behind the word.
        end_ms: Time from the clause's first sample to the word's last.
    """

    char_end: int
    end_ms: float


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of a clause's sound.

    Attributes:
        pcm: Mono samples at the provider's ``rate_hz``; any length.
        words: Timings of words that this or earlier chunks end, where the provider tells.
        voice: Who speaks, of several that stand in for each other; on the first chunk.
    """

    pcm: NDArray[np.int16]
    words: tuple[WordTiming, ...] = ()
    voice: str | None = None


class TTS(Protocol):
    """A voice, shared by all calls."""

    name: str
    rate_hz: int
    """Samples a second of every chunk."""

    def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        """Speak one clause. Closing the generator stops the synthesis at once.

        Args:
            text: Plain words, no markup, at most a few sentences.
            voice: The provider's name of a voice; its default unless given.
            language: BCP 47 tag.
            speed: 1.0 is the voice's own pace.

        Raises:
            IntegrationException: The provider failed.
        """
        ...

    async def warm(self) -> None:
        """Load and speak once, so that the first call does not wait."""
        ...

    async def aclose(self) -> None:
        """Free everything."""
        ...
