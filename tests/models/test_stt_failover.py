"""Several recognisers as one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import (
    ConfigurationError,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.models.stt.contract import STT, FailureSink, Transcript, TranscriptSink
from antiphon.models.stt.failover import FailoverSTT
from antiphon.models.stt.scripted import ScriptedSTT, ScriptedSTTStream, STTFault
from tests.models.ears import Ears
from tests.models.vendors.listening import IMPATIENT, VENDORS


class Named(ScriptedSTT):
    """A script with a name of its own, that counts its streams and their sound."""

    def __init__(self, name: str, texts: Sequence[str], clock: VirtualClock, **options: Any) -> None:
        super().__init__(texts, clock=clock, **options)
        self.name = name
        self.opened = 0
        self.languages: tuple[str | None, ...] = ()
        self.warming: Exception | None = None

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> ScriptedSTTStream:
        if self.languages and language not in self.languages:
            raise IntegrationInvalidRequestException(f"{self.name} does not hear {language}.")
        self.opened += 1
        return super().open(rate_hz, on_transcript, on_failure)

    async def warm(self) -> None:
        if self.warming is not None:
            raise self.warming


def virtual(test: Callable[[VirtualClock], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def run() -> None:
        clock = VirtualClock()
        clock.run(test(clock))

    run.__name__ = test.__name__
    return run


def faulty(*faults: STTFault | None) -> dict[int, STTFault]:
    return {number: fault for number, fault in enumerate(faults) if fault is not None}


@virtual
async def test_all_is_well(clock: VirtualClock) -> None:
    first, second = Named("first", ["one", "two"], clock, words_per_partial=1), Named("second", ["other"], clock)
    ears = Ears().listen(FailoverSTT([first, second], clock=clock))
    ears.feed(1)
    assert (await ears.partial()).text == "one"
    ears.say()
    ears.say(2)
    assert await ears.results(2) == ["one", "two"]
    await ears.close()
    assert second.opened == 0


@virtual
async def test_lost_utterance_is_sent_once_more_to_the_same(clock: VirtualClock) -> None:
    # The stream that is opened for the second try has its own script, from its first text.
    first = Named("first", ["one", "again"], clock, faults=faulty(None, "fail"))
    ears = Ears().listen(FailoverSTT([first], clock=clock))
    ears.say(1)
    ears.say(2)
    assert await ears.results(2) == ["one", "one"]
    assert first.opened == 2
    assert [told.utterance for told in ears.told if isinstance(told, Transcript)] == [0, 1]
    await ears.close()


@virtual
async def test_second_failure_is_the_next_ones_turn(clock: VirtualClock) -> None:
    first, second = Named("first", ["no"], clock, faults=faulty("fail")), Named("second", ["yes", "on"], clock)
    stt = FailoverSTT([first, second], clock=clock)
    told: list[tuple[str, bool, str]] = []
    stt.watch(lambda *change: told.append(change))
    ears = Ears().listen(stt)
    ears.say(1)
    assert await ears.results(1) == ["yes"]
    assert first.opened == 2
    assert stt.available() == {"first": False, "second": True}
    ears.say(2)
    assert (await ears.results(2))[1] == "yes", "what follows goes to the one that is well, on its own stream"
    await clock.sleep(6.0)
    first.faults = {}
    ears.say(3)
    assert (await ears.results(3))[2] == "no"
    assert told == [("first", False, "unavailable"), ("first", True, "")]
    await ears.close()


@virtual
async def test_finals_come_in_order_whoever_gives_them(clock: VirtualClock) -> None:
    first = Named("first", ["x", "two", "three"], clock, faults=faulty("stall"))
    second = Named("second", ["one"], clock, delay_s=0.5)
    ears = Ears().listen(FailoverSTT([first, second], clock=clock, final_s=1.0))
    ears.say(1)
    ears.say(2)
    ears.say(3)
    results = await ears.results(3)
    assert results[0] == "one"
    assert [told.utterance for told in ears.told if isinstance(told, Transcript)] == [0, 1, 2]
    await ears.close()


@virtual
async def test_silent_recogniser_is_left_in_time(clock: VirtualClock) -> None:
    first, second = Named("first", ["no"], clock, faults=faulty("stall")), Named("second", ["yes"], clock)
    ears = Ears().listen(FailoverSTT([first, second], clock=clock))
    began = clock.now()
    ears.say(1)
    assert await ears.results(1) == ["yes"]
    assert clock.now() - began == pytest.approx(1.2)
    assert first.opened == 1
    await ears.close()


@virtual
async def test_when_none_can_hear_it_the_failure_is_told_once(clock: VirtualClock) -> None:
    every = [Named(name, ["x"], clock, faults=faulty("fail")) for name in ("first", "second")]
    ears = Ears().listen(FailoverSTT(every, clock=clock))
    ears.say(1)
    assert await ears.results(1) == ["IntegrationUnavailableException"]
    await clock.sleep(5.0)
    assert len(ears.told) == 1
    assert [stt.opened for stt in every] == [2, 2]
    await ears.close()


@virtual
async def test_discarded_sound_reaches_nobody(clock: VirtualClock) -> None:
    first, second = Named("first", ["no"], clock, faults=faulty("stall")), Named("second", ["yes"], clock)
    ears = Ears().listen(FailoverSTT([first, second], clock=clock))
    ears.feed(1)
    assert ears.stream is not None
    ears.stream.discard()
    await clock.sleep(5.0)
    assert ears.told == []
    assert second.opened == 0
    await ears.close()


@virtual
async def test_nothing_comes_after_the_end(clock: VirtualClock) -> None:
    first, second = Named("first", ["no"], clock, faults=faulty("stall")), Named("second", ["yes"], clock)
    ears = Ears().listen(FailoverSTT([first, second], clock=clock))
    ears.say(1)
    await ears.close()
    await clock.sleep(5.0)
    assert ears.told == []
    assert second.opened == 0


@virtual
async def test_recogniser_that_does_not_take_the_language_is_passed_over(clock: VirtualClock) -> None:
    first, second = Named("first", ["no"], clock), Named("second", ["ja"], clock)
    first.languages = ("en",)
    ears = Ears().listen(FailoverSTT([first, second], clock=clock), language="de")
    ears.say(1)
    assert await ears.results(1) == ["ja"]
    await ears.close()
    with pytest.raises(IntegrationInvalidRequestException):
        Ears().listen(FailoverSTT([first], clock=clock), language="de")


@virtual
async def test_warming_tells_a_wrong_key_and_lets_the_absent_rest(clock: VirtualClock) -> None:
    first, second = Named("first", ["a"], clock), Named("second", ["b"], clock)
    first.warming = IntegrationInvalidAuthException("No.")
    stt = FailoverSTT([first, second], clock=clock)
    with pytest.raises(IntegrationInvalidAuthException):
        await stt.warm()
    first.warming = IntegrationUnavailableException("Away.")
    await stt.warm()
    assert stt.available() == {"first": False, "second": True}
    second.warming = first.warming
    with pytest.raises(IntegrationUnavailableException):
        await stt.warm()


def test_at_least_one() -> None:
    with pytest.raises(ConfigurationError):
        FailoverSTT([])


async def test_from_deepgram_to_openai_over_real_connections() -> None:
    deepgram = VENDORS["deepgram"](**IMPATIENT["deepgram"])
    async with deepgram as (first, deep), VENDORS["openai"]() as (second, other):
        chain: list[STT] = [first, second]
        stt = FailoverSTT(chain)
        deep.faults = [None, "drop", "drop", "drop"]
        ears = Ears().listen(stt)
        ears.say(1)
        assert await ears.results(1) == ["one"]
        ears.say(2, 3)
        assert (await ears.results(2))[1] == "two three", "the next one hears the whole utterance"
        assert other.seconds == pytest.approx(0.8)
        ears.say(4)
        assert (await ears.results(3))[2] == "four"
        await ears.close()
