"""Several voices as one: when one fails before its first sound, it is tried once more, then the next one speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from antiphon.audio.resample import Resampler
from antiphon.clock import Clock, WallClock
from antiphon.errors import ConfigurationError, IntegrationException, IntegrationUnavailableException
from antiphon.logs import Log
from antiphon.models.health import Member, OnAvailabilityChanged, Ranking, may_pass_at_once
from antiphon.models.tts.contract import TTS, SpeechChunk

FIRST_CHUNK_S = 3.0
"""Shorter than a call's patience with its voice, so that another one can still speak."""
TRIES = 2

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class _Clause:
    """What is to be said, and how."""

    text: str
    voice: str | None
    language: str | None
    speed: float

    def by(self, tts: TTS) -> AsyncGenerator[SpeechChunk]:
        return tts.synthesize(self.text, voice=self.voice, language=self.language, speed=self.speed)


class FailoverTTS:
    """Speaks with the first voice that is well. The order is the preference.

    A clause that has begun to sound is not begun anew: a failure in its middle is raised. The agent's voice is the name
    of one of the first provider's voices; the others speak with their own default.

    Args:
        voices: At least one; closed together with this object. The rate is the first one's.
        clock: Measures how long those that failed rest.
        first_chunk_s: Longest wait for a first sound, if another voice is left.

    Raises:
        ConfigurationError: There is no voice.
    """

    def __init__(
        self, voices: Sequence[TTS], *, clock: Clock | None = None, first_chunk_s: float = FIRST_CHUNK_S
    ) -> None:
        if not voices:
            raise ConfigurationError(
                "A failover needs at least one voice, such as elevenlabs/eleven_flash_v2_5|hibari."
            )
        self.name = "|".join(voice.name for voice in voices)
        self.rate_hz = voices[0].rate_hz
        self._clock = clock or WallClock()
        self._ranking: Ranking[TTS] = Ranking("tts", voices, clock=self._clock)
        self._first_chunk_s = first_chunk_s

    @property
    def has_room(self) -> bool:
        """Whether one of the voices has a connection left for one more call."""
        return any(_has_room(member.provider) for member in self._ranking.members)

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        """Speak one clause.

        Raises:
            IntegrationException: No voice could begin, or the one that did broke off.
        """
        clause = _Clause(text, voice, language, speed)
        order = self._ranking.order()
        for place, member in enumerate(order):
            try:
                first, chunks = await self._begin(member, clause, is_last=place == len(order) - 1)
            except IntegrationException as error:
                if member is order[-1]:
                    raise
                _log.warning(
                    "tts.failover", provider=member.provider.name, next=order[place + 1].provider.name, code=error.code
                )
                continue
            if first is not None:
                first = replace(first, voice=member.provider.name)
            async with aclosing(chunks), aclosing(self._at_own_rate(member.provider, first, chunks)) as resampled:
                async for chunk in resampled:
                    yield chunk
            return

    async def warm(self) -> None:
        """Warm all; one that cannot be had rests.

        Raises:
            IntegrationException: None can be had, or one refuses its key or model.
        """
        await self._ranking.warm(lambda provider: provider.warm(), IntegrationUnavailableException)

    async def aclose(self) -> None:
        """Close all."""
        await asyncio.gather(*[member.provider.aclose() for member in self._ranking.members])

    @property
    def providers(self) -> tuple[TTS, ...]:
        """Those that stand in for each other."""
        return tuple(member.provider for member in self._ranking.members)

    def watch(self, told: OnAvailabilityChanged) -> Callable[[], None]:
        """Have somebody told when a voice begins or ends to be unavailable; what is given back ends that."""
        self._ranking.watchers.append(told)
        return lambda: self._ranking.watchers.remove(told)

    def available(self) -> dict[str, bool]:
        """Whether each voice can be had, by name."""
        return self._ranking.available()

    async def _begin(
        self, member: Member[TTS], clause: _Clause, *, is_last: bool
    ) -> tuple[SpeechChunk | None, AsyncGenerator[SpeechChunk]]:
        """The first chunk and those behind it; a failure that may pass is tried once more."""
        asked_at = self._clock.now()
        if member is not self._ranking.members[0]:
            clause = replace(clause, voice=None)
        for attempt in range(1, TRIES + 1):
            chunks = clause.by(member.provider)
            try:
                with self._ranking.probing(member):
                    first = await self._first(member.provider, chunks, is_last=is_last)
            except IntegrationException as error:
                # A silence or a limit does not pass at once; what is answered quickly may.
                if attempt < TRIES and may_pass_at_once(error):
                    continue
                self._ranking.rest(member, error, asked_at)
                raise
            self._ranking.recovered(member)
            return first, chunks
        raise AssertionError("the last attempt returns or raises")

    async def _first(self, tts: TTS, chunks: AsyncGenerator[SpeechChunk], *, is_last: bool) -> SpeechChunk | None:
        try:
            async with asyncio.timeout(None if is_last else self._first_chunk_s):
                return await anext(chunks, None)
        except TimeoutError:
            await chunks.aclose()
            raise IntegrationUnavailableException(
                f"{tts.name} gave no sound for {self._first_chunk_s:g} s; see whether it is well, or use another.",
                code="stalled",
                provider=tts.name,
            ) from None

    async def _at_own_rate(
        self, tts: TTS, first: SpeechChunk | None, chunks: AsyncGenerator[SpeechChunk]
    ) -> AsyncGenerator[SpeechChunk]:
        """Chunks at this object's rate, whatever the voice's."""
        if first is None:
            return
        if tts.rate_hz == self.rate_hz:
            yield first
            async for chunk in chunks:
                yield chunk
            return
        resampler = Resampler(tts.rate_hz, self.rate_hz)
        yield replace(first, pcm=resampler.feed(first.pcm))
        async for chunk in chunks:
            yield replace(chunk, pcm=resampler.feed(chunk.pcm))
        yield SpeechChunk(resampler.feed(first.pcm[:0], last=True))


def _has_room(tts: TTS) -> bool:
    """Most voices have no pool, and always room."""
    room: bool = getattr(tts, "has_room", True)
    return room
