"""Several voices as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import (
    ConfigurationError,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.models.tts.contract import TTS, SpeechChunk
from antiphon.models.tts.failover import FailoverTTS
from antiphon.models.tts.scripted import ScriptedTTS


class Voice:
    """Fails as often as it is told, then hums; its sound is its own value."""

    def __init__(self, name: str, value: int, *failures: Exception, rate_hz: int = 8_000) -> None:
        self.name = name
        self.rate_hz = rate_hz
        self.failures = list(failures)
        self.asked: list[str | None] = []
        self.value = value
        self.closed = False
        self.breaks = False

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        self.asked.append(voice)
        if self.failures:
            raise self.failures.pop(0)
        yield SpeechChunk(np.full(self.rate_hz, self.value, np.int16))
        if self.breaks:
            raise unavailable("connection_lost")
        yield SpeechChunk(np.full(self.rate_hz, self.value, np.int16))

    async def warm(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    async def aclose(self) -> None:
        self.closed = True


def unavailable(code: str, **fields: Any) -> IntegrationUnavailableException:
    return IntegrationUnavailableException("It is away.", code=code, **fields)


async def values(tts: TTS, **options: Any) -> set[int]:
    return {int(chunk.pcm[-1]) async for chunk in tts.synthesize("Hello.", **options) if len(chunk.pcm)}


async def test_failure_that_may_pass_is_tried_once_more() -> None:
    first = Voice("first", 1, unavailable("connection_lost"))
    assert await values(FailoverTTS([first])) == {1}
    assert len(first.asked) == 2


async def test_second_failure_is_the_next_ones_turn() -> None:
    first, second = Voice("first", 1, *[unavailable("server_error")] * 2), Voice("second", 2)
    tts = FailoverTTS([first, second])
    assert await values(tts, voice="anna") == {2}
    assert first.asked == ["anna", "anna"]
    assert second.asked == [None], "another provider does not have this voice"
    assert tts.available() == {"first": False, "second": True}


async def test_the_first_chunk_says_who_speaks() -> None:
    tts = FailoverTTS([Voice("first", 1, unavailable("stalled")), Voice("second", 2)])
    assert [chunk.voice async for chunk in tts.synthesize("Hello.")] == ["second", None]


@pytest.mark.parametrize(
    "error",
    [
        unavailable("rate_limited", retry_after_s=7.0),
        unavailable("stalled"),
        IntegrationInvalidAuthException("The key is wrong."),
        IntegrationInvalidRequestException("There is no such voice."),
    ],
)
async def test_what_does_not_pass_at_once_is_not_tried_again(error: Exception) -> None:
    first, second = Voice("first", 1, error), Voice("second", 2)
    assert await values(FailoverTTS([first, second])) == {2}
    assert len(first.asked) == 1


async def test_last_failure_is_raised() -> None:
    tts = FailoverTTS([Voice("first", 1, *[unavailable("connect")] * 2), Voice("second", 2, unavailable("stalled"))])
    with pytest.raises(IntegrationUnavailableException) as caught:
        await values(tts)
    assert caught.value.code == "stalled"


async def test_clause_that_has_begun_is_not_begun_anew() -> None:
    first, second = Voice("first", 1), Voice("second", 2)
    first.breaks = True
    tts = FailoverTTS([first, second])
    chunks = tts.synthesize("Hello.")
    assert int((await anext(chunks)).pcm[0]) == 1
    with pytest.raises(IntegrationUnavailableException):
        await anext(chunks)
    assert second.asked == []


def test_voice_rests_and_is_tried_again() -> None:
    clock = VirtualClock()
    first, second = Voice("first", 1, *[unavailable("stalled")] * 2), Voice("second", 2)
    tts = FailoverTTS([first, second], clock=clock)
    told: list[tuple[str, bool, str]] = []

    async def main() -> None:
        forget = tts.watch(lambda *change: told.append(change))
        assert await values(tts) == {2}
        assert await values(tts) == {2}
        assert len(first.asked) == 1
        await clock.sleep(5.1)
        assert await values(tts) == {2}
        assert len(first.asked) == 2
        await clock.sleep(9.0)
        assert await values(tts) == {2}
        await clock.sleep(1.1)
        assert await values(tts) == {1}
        forget()

    clock.run(main())
    assert told == [("first", False, "stalled"), ("first", True, "")]


def test_silent_voice_is_left_in_time() -> None:
    clock = VirtualClock()
    silent = ScriptedTTS(first_chunk_delay_s=60.0, clock=clock)
    tts = FailoverTTS([silent, Voice("second", 2)], clock=clock)

    async def main() -> float:
        began = clock.now()
        assert await values(tts) == {2}
        return clock.now() - began

    assert clock.run(main()) == pytest.approx(3.0)


async def test_sound_has_the_first_ones_rate() -> None:
    first, second = Voice("first", 1, unavailable("stalled"), rate_hz=24_000), Voice("second", 1000, rate_hz=8_000)
    tts = FailoverTTS([first, second])
    assert tts.rate_hz == 24_000
    pcm = np.concatenate([chunk.pcm async for chunk in tts.synthesize("Hello.")])
    assert len(pcm) == pytest.approx(48_000, abs=48)
    assert abs(int(pcm[24_000]) - 1000) <= 2


async def test_closing_closes_the_voice_that_speaks() -> None:
    speaking = ScriptedTTS(seconds=60.0)
    tts = FailoverTTS([speaking])
    chunks = tts.synthesize("Hello.")
    async with aclosing(chunks):
        async for _ in chunks:
            break
    assert speaking.cut == 1


async def test_warming_tells_a_wrong_key_and_lets_the_absent_rest() -> None:
    with pytest.raises(IntegrationInvalidAuthException):
        await FailoverTTS([Voice("a", 1, IntegrationInvalidAuthException("No.")), Voice("b", 2)]).warm()
    tts = FailoverTTS([Voice("a", 1, unavailable("connect")), Voice("b", 2)])
    await tts.warm()
    assert tts.available() == {"a": False, "b": True}
    with pytest.raises(IntegrationUnavailableException):
        await FailoverTTS([Voice("a", 1, unavailable("connect"))]).warm()


async def test_all_are_closed_and_none_is_refused() -> None:
    voices = [Voice("a", 1), Voice("b", 2)]
    await FailoverTTS(voices).aclose()
    assert [voice.closed for voice in voices] == [True, True]
    with pytest.raises(ConfigurationError):
        FailoverTTS([])


async def test_clauses_at_once_count_as_one_failure() -> None:
    first, second = Voice("first", 1, *[unavailable("stalled")] * 4), Voice("second", 2)
    tts = FailoverTTS([first, second])
    assert await asyncio.gather(*(values(tts) for _ in range(4))) == [{2}] * 4
    assert tts.available()["first"] is False
