"""A call's side of a recogniser: what it was told, in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from antiphon.models.stt.contract import STT, STTStream, Transcript
from tests.models.vendors.sound import speech


@dataclass
class Ears:
    rate_hz: int = 8_000
    told: list[Transcript | Exception] = field(default_factory=list)
    partials: list[Transcript] = field(default_factory=list)
    stream: STTStream | None = None
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, stt: STT, **options: object) -> Ears:
        self.stream = stt.open(self.rate_hz, self._heard, self._failed, **options)  # type: ignore[arg-type]
        return self

    def _heard(self, transcript: Transcript) -> None:
        (self.told if transcript.is_final else self.partials).append(transcript)
        self._more.set()

    def _failed(self, error: Exception) -> None:
        self.told.append(error)
        self._more.set()

    def feed(self, number: int, seconds: float = 0.4) -> None:
        """Say a number's word, in frames of 20 ms."""
        assert self.stream is not None
        pcm = speech(number, rate_hz=self.rate_hz, seconds=seconds)
        frame = self.rate_hz // 50
        for start in range(0, len(pcm), frame):
            self.stream.feed(pcm[start : start + frame])

    def say(self, *numbers: int) -> None:
        """Say words and pause."""
        assert self.stream is not None
        for number in numbers:
            self.feed(number)
        self.stream.finish()

    async def results(self, count: int) -> list[str]:
        """Wait for so many answers; their words, or the names of their errors."""
        async with asyncio.timeout(10):
            while len(self.told) < count:
                self._more.clear()
                await self._more.wait()
        return [told.text if isinstance(told, Transcript) else type(told).__name__ for told in self.told]

    async def partial(self) -> Transcript:
        async with asyncio.timeout(10):
            while not self.partials:
                self._more.clear()
                await self._more.wait()
        return self.partials[0]

    async def close(self) -> None:
        assert self.stream is not None
        await self.stream.aclose()
