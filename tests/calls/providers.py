"""Voices and models that the scripted ones are not: slow, told apart by their sound, or wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from itertools import groupby
from typing import Any

import numpy as np

from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.g711 import decode_mulaw
from antiphon.audio.level import rms
from antiphon.clock import VirtualClock
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.vad.contract import ScoreSink

BYTES_PER_CHAR = 480
"""60 ms, as ``ScriptedTTS`` speaks."""


class CodedTTS:
    """A voice whose sound tells what is said and where in it one is.

    Args:
        clock: For the waits.
        first_s: Wait before each clause.
        pace: Seconds of waiting for each second of sound; 0 gives all at once.
        coded: Each 10 ms of a clause has a code of its own; otherwise each clause has one.
        first_delays: Waits before the first clauses, in place of ``first_s``.
    """

    name = "coded"
    rate_hz = 8000

    def __init__(
        self,
        clock: VirtualClock,
        *,
        first_s: float = 0.0,
        pace: float = 0.0,
        coded: bool = False,
        first_delays: tuple[float, ...] = (),
    ) -> None:
        self.said: list[str] = []
        self.open: list[str] = []
        """Clauses that are being made."""
        self._clock = clock
        self._first_s = first_s
        self._pace = pace
        self._coded = coded
        self._first_delays = first_delays

    def sound_of(self, text: str, number: int = 0) -> bytes:
        """The mu-law bytes of a clause, the ``number``-th of the call."""
        size = len(text) * BYTES_PER_CHAR
        if self._coded:
            return bytes(1 + at // 80 % 100 for at in range(size))
        return bytes([number + 1]) * size

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        number = len(self.said)
        self.said.append(text)
        self.open.append(text)
        try:
            first_s = self._first_delays[number] if number < len(self._first_delays) else self._first_s
            if first_s:
                await self._clock.sleep(first_s)
            pcm = decode_mulaw(self.sound_of(text, number))
            for start in range(0, len(pcm), 800):
                if self._pace:
                    await self._clock.sleep(0.1 * self._pace)
                yield SpeechChunk(pcm[start : start + 800])
        finally:
            self.open.remove(text)

    def heard(self, sound: bytes) -> list[str]:
        """The clauses in a line's sound, one after the other; a clause that comes twice was torn apart."""
        return [self.said[code - 1] for code, _ in groupby(sound) if code <= len(self.said)]

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


class NotingTTS(CodedTTS):
    """Also notes who is to speak."""

    def __init__(self, clock: VirtualClock, **options: Any) -> None:
        super().__init__(clock, **options)
        self.voices: list[tuple[str, str | None, str | None]] = []
        """Of each clause: its text, its voice and its language."""

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        self.voices.append((text, voice, language))
        async for chunk in super().synthesize(text, voice=voice, language=language, speed=speed):
            yield chunk


class WrongTTS:
    """A voice that gives ``wrong`` for some clauses: an exception to raise, or what stands where sound should.

    Args:
        wrong: What it gives.
        clauses: Which ones; all unless given.
    """

    name = "wrong"
    rate_hz = 8000

    def __init__(self, wrong: Any, clauses: Callable[[int], bool] = lambda number: True) -> None:
        self.asked = 0
        self._wrong = wrong
        self._clauses = clauses

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        number = self.asked
        self.asked += 1
        if not self._clauses(number):
            yield SpeechChunk(np.full(len(text) * BYTES_PER_CHAR, 1000, np.int16))
        elif isinstance(self._wrong, Exception):
            raise self._wrong
        else:
            yield self._wrong

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


class LevelVAD:
    """A detector whose score is the level of the sound."""

    name = "level"
    threshold = 0.1
    tail_s = 0.0

    def open(self, audio: AudioFormat, on_score: ScoreSink) -> LevelStream:
        return LevelStream(audio, on_score)

    async def warm(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """There is nothing to free."""


class LevelStream:
    """The levels of one call."""

    def __init__(self, audio: AudioFormat, on_score: ScoreSink) -> None:
        self._audio = audio
        self._on_score = on_score

    def feed(self, frame: bytes) -> None:
        self._on_score(rms(to_pcm(frame, self._audio)), self._audio.seconds(len(frame)))

    def close(self) -> None:
        """Nothing is held."""
