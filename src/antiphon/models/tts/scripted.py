"""Text to speech that hums, for tests and benchmarks: a tone as long as the text would take."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.tones import sine
from antiphon.clock import Clock, WallClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.tts.contract import SpeechChunk, WordTiming

TTSFault = Literal["fail", "break", "stall", "empty", "odd"]
"""``fail`` before the first chunk, ``break`` and ``stall`` after it, ``odd`` cuts chunks of 0, 1, 3, 7 … samples."""

_TONE_HZ = 440.0


class ScriptedTTS:
    """Speaks every clause as a tone.

    Args:
        ms_per_char: Length of the tone for each character.
        seconds: Length of the tone of every clause, whatever its text; wins over ``ms_per_char``.
        rate_hz: Samples a second.
        chunk_s: Length of each chunk.
        first_chunk_delay_s: From the request to the first chunk.
        word_timings: Whether chunks tell when each word ends.
        faults: What goes wrong, by the number of the clause.
        clock: Wall time unless given.

    Attributes:
        said: The last clauses asked for.
        cut: Clauses that were closed before their end.
    """

    name = "scripted"

    def __init__(
        self,
        *,
        ms_per_char: float = 60.0,
        seconds: float | None = None,
        rate_hz: int = 8_000,
        chunk_s: float = 1.0,
        first_chunk_delay_s: float = 0.0,
        word_timings: bool = False,
        faults: Mapping[int, TTSFault] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.rate_hz = rate_hz
        self.said: deque[str] = deque(maxlen=1_000)
        self.cut = 0
        self._ms_per_char = ms_per_char
        self._seconds = seconds
        self._chunk = max(1, int(chunk_s * rate_hz))
        self._first_chunk_delay_s = first_chunk_delay_s
        self._word_timings = word_timings
        self._faults = dict(faults or {})
        self._clock = clock or WallClock()
        self._clauses = 0
        # The tone is made once and only cut: whole periods, so that it can go round without a click.
        second = sine(_TONE_HZ, 1000, rate_hz=rate_hz)
        self._tone: NDArray[np.int16] = np.tile(second, 2 + self._chunk // rate_hz)

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        """Hum one clause."""
        fault = self._faults.get(self._clauses)
        self._clauses += 1
        self.said.append(text)
        if self._first_chunk_delay_s:
            await self._clock.sleep(self._first_chunk_delay_s)
        if fault == "fail":
            raise IntegrationUnavailableException("The scripted voice failed.", provider="scripted")
        if fault == "empty":
            return
        total = self._samples(text, speed)
        at = sent = 0
        try:
            while at < total:
                size = min(2**sent - 1 if fault == "odd" else self._chunk, self._chunk, total - at)
                yield self._piece(text, at, size, total=total)
                at += size
                sent += 1
                await self._go_wrong(fault)
        except (GeneratorExit, asyncio.CancelledError):
            self.cut += 1
            raise

    async def warm(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """There is nothing to free."""

    def _samples(self, text: str, speed: float) -> int:
        seconds = self._ms_per_char * len(text) / 1000 if self._seconds is None else self._seconds
        return int(seconds / speed * self.rate_hz)

    def _piece(self, text: str, at: int, size: int, *, total: int) -> SpeechChunk:
        phase = at % self.rate_hz
        words = tuple(self._words(text, at, at + size, total=total)) if self._word_timings else ()
        return SpeechChunk(self._tone[phase : phase + size], words)

    def _words(self, text: str, start: int, end: int, *, total: int) -> list[WordTiming]:
        """Words whose last sample lies in a piece; each character takes the same time."""
        timings = []
        char_end = 0
        for word in text.split():
            char_end = text.index(word, char_end) + len(word)
            sample = total * char_end // len(text)
            if start < sample <= end:
                timings.append(WordTiming(char_end, sample / self.rate_hz * 1000))
        return timings

    async def _go_wrong(self, fault: TTSFault | None) -> None:
        if fault == "break":
            raise IntegrationUnavailableException("The scripted voice broke off.", provider="scripted")
        if fault == "stall":
            await asyncio.get_running_loop().create_future()
