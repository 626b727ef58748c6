"""Streams of recognisers that hear whole utterances by one request each: sound is kept until it ends, then sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import IntegrationException, IntegrationUnavailableException
from antiphon.logs import Log
from antiphon.models.stt.contract import FailureSink, Transcript, TranscriptSink

LONGEST_S = 60.0
SHORTEST_S = 0.1
"""Vendors refuse what is shorter; nobody says a word in less."""
MOST_WAITING = 8

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """What was understood.

    Attributes:
        text: The words, empty for none.
        confidence: 0..1, where the vendor tells.
        language: BCP 47 tag, where the vendor tells.
    """

    text: str
    confidence: float | None = None
    language: str | None = None


Recognise = Callable[[NDArray[np.int16]], Awaitable[Words]]
"""From a whole utterance to its words; raises an ``IntegrationException``."""


class UtteranceStream:
    """The utterances of one call, recognised one after the other.

    Args:
        name: Of the recogniser, for messages.
        recognise: What is asked.
        on_transcript: Gets final transcripts.
        on_failure: Gets why an utterance has none.
        rate_hz: Rate of the sound.

    Attributes:
        dropped_s: Sound beyond a minute without a pause, which no request would take.
    """

    def __init__(
        self,
        name: str,
        recognise: Recognise,
        on_transcript: TranscriptSink,
        *,
        on_failure: FailureSink,
        rate_hz: int,
    ) -> None:
        self.dropped_s = 0.0
        self._name = name
        self._recognise = recognise
        self._on_transcript = on_transcript
        self._on_failure = on_failure
        self._rate_hz = rate_hz
        self._number = 0
        self._chunks: list[NDArray[np.int16]] = []
        self._samples = 0
        # An utterance with no sound stands for one that came when too many waited.
        self._ended: asyncio.Queue[tuple[int, NDArray[np.int16] | None]] = asyncio.Queue()
        self._closed = False
        self._running = asyncio.create_task(self._run(), name=f"recogniser {name}")

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Keep speech."""
        if self._samples + len(pcm) > LONGEST_S * self._rate_hz:
            self.dropped_s += len(pcm) / self._rate_hz
            return
        self._chunks.append(pcm)
        self._samples += len(pcm)

    def finish(self) -> None:
        """Have the utterance recognised."""
        sound = np.concatenate([np.zeros(0, np.int16), *self._chunks])
        self._ended.put_nowait((self._number, sound if self._ended.qsize() < MOST_WAITING else None))
        self._number += 1
        self.discard()

    def discard(self) -> None:
        """Forget the utterance."""
        self._chunks = []
        self._samples = 0

    async def aclose(self) -> None:
        """End the stream, and a request that is under way."""
        self._closed = True
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def _run(self) -> None:
        while True:
            number, sound = await self._ended.get()
            try:
                words = await self._words(sound)
            except IntegrationException as error:
                self._fail(error)
            except Exception:
                _log.exception("stt.failed", recogniser=self._name)
                self._fail(IntegrationUnavailableException(f"The recogniser {self._name} broke; see the log."))
            else:
                if not self._closed:
                    self._on_transcript(
                        Transcript(
                            words.text.strip(), True, number, confidence=words.confidence, language=words.language
                        )
                    )

    async def _words(self, sound: NDArray[np.int16] | None) -> Words:
        if sound is None:
            raise IntegrationUnavailableException(
                f"The recogniser {self._name} is {MOST_WAITING} utterances behind: see whether it is well."
            )
        if len(sound) < SHORTEST_S * self._rate_hz:
            return Words("")
        return await self._recognise(sound)

    def _fail(self, error: Exception) -> None:
        if not self._closed:
            self._on_failure(error)
