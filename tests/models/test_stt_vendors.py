"""What holds of every vendor that listens, over real connections."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest

from antiphon.clock import WallClock
from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationInvalidResponseException,
    IntegrationUnavailableException,
)
from antiphon.models.stt.contract import Transcript
from tests.models.ears import Ears
from tests.models.vendors.listening import IMPATIENT, VENDORS, Serving
from tests.models.vendors.sockets import until
from tests.models.vendors.sound import KEY


@pytest.fixture(params=sorted(VENDORS))
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def serving(name: str) -> Serving:
    return VENDORS[name]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_utterance_is_heard_at_any_rate(serving: Serving, rate_hz: int) -> None:
    async with serving() as (stt, vendor):
        ears = Ears(rate_hz).listen(stt)
        ears.say(1, 2, 3)
        assert await ears.results(1) == ["one two three"]
        assert vendor.seconds == pytest.approx(1.2)
        # One of Azure's interfaces takes one rate only: what it hears was resampled.
        assert vendor.asked[0]["sample_rate"] == ["16000" if stt.name == "azure/conversation" else str(rate_hz)]
        await ears.close()


async def test_each_utterance_has_one_final_in_order(serving: Serving) -> None:
    async with serving() as (stt, _vendor):
        ears = Ears().listen(stt)
        ears.say(1)
        ears.say(2, 3)
        assert await ears.results(2) == ["one", "two three"]
        ears.say(4)
        assert await ears.results(3) == ["one", "two three", "four"]
        assert [told.utterance for told in ears.told if isinstance(told, Transcript)] == [0, 1, 2]
        await ears.close()


async def test_noise_and_silence_have_an_empty_final(serving: Serving) -> None:
    async with serving() as (stt, _vendor):
        ears = Ears().listen(stt)
        ears.say(0)
        assert await ears.results(1) == [""]
        ears.say()
        assert await ears.results(2) == ["", ""]
        ears.say(5)
        assert await ears.results(3) == ["", "", "five"]
        await ears.close()


async def test_discarded_sound_is_in_no_transcript(serving: Serving) -> None:
    async with serving() as (stt, _vendor):
        ears = Ears().listen(stt)
        ears.feed(9)
        assert ears.stream is not None
        ears.stream.discard()
        ears.say(1)
        assert await ears.results(1) == ["one"]
        told = ears.told[0]
        assert isinstance(told, Transcript)
        assert told.utterance == 0
        await ears.close()


async def test_calls_do_not_mix(serving: Serving) -> None:
    async with serving() as (stt, _vendor):
        every = [Ears().listen(stt) for _ in range(9)]
        for number, ears in enumerate(every, start=1):
            ears.say(number)
        words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        for word, ears in zip(words, every, strict=True):
            assert await ears.results(1) == [word]
            await ears.close()


async def test_language_and_phrases_are_asked_for(name: str) -> None:
    async with VENDORS[name]() as (stt, vendor):
        ears = Ears().listen(stt, language="de", phrases=("Zwetschge", "Antiphon"))
        ears.say(1)
        await ears.results(1)
        await ears.close()
        ears = Ears().listen(stt)
        ears.say(1)
        await ears.results(1)
        await ears.close()
        first, second = vendor.asked
        assert first["language"] == ["de"]
        assert second.get("language") == (["en-US"] if name == "azure" else None)
        told = {
            "azure fast": ("phrases", ["Zwetschge", "Antiphon"]),
            "deepgram": ("keyterm", ["Zwetschge", "Antiphon"]),
            "openai": ("prompt", ["Zwetschge, Antiphon"]),
        }
        if name in told:
            field, phrases = told[name]
            assert first[field] == phrases
            assert field not in second
        assert first["model"] == [stt.name.partition("/")[2]]


FAULTS: list[tuple[str, type[IntegrationException], str]] = [
    ("401", IntegrationInvalidAuthException, "auth"),
    ("429", IntegrationUnavailableException, "rate_limited"),
    ("400", IntegrationInvalidRequestException, "invalid_request"),
    ("500", IntegrationUnavailableException, "server_error"),
    ("silent", IntegrationUnavailableException, "stalled"),
    ("garbage", IntegrationInvalidResponseException, "bad_stream"),
    ("drop", IntegrationUnavailableException, "connection_lost"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
async def test_failure_is_told_once_and_the_next_utterance_is_heard(
    name: str, fault: Any, kind: type[IntegrationException], code: str
) -> None:
    async with VENDORS[name](**IMPATIENT[name]) as (stt, vendor):
        vendor.faults = [fault]
        ears = Ears().listen(stt)
        ears.say(1)
        await ears.results(1)
        error = ears.told[0]
        assert isinstance(error, IntegrationException)
        assert type(error) is kind
        assert error.code == code
        assert KEY not in "".join(traceback.format_exception(error))
        vendor.faults = []
        ears.say(2)
        assert (await ears.results(2))[1] == "two"
        assert len(ears.told) == 2
        await ears.close()


async def test_nothing_comes_after_the_end(serving: Serving) -> None:
    async with serving() as (stt, vendor):
        vendor.faults = ["silent"]
        ears = Ears().listen(stt)
        ears.say(1)
        await until(lambda: vendor.seconds > 0)
        began = WallClock().now()
        await ears.close()
        assert WallClock().now() - began < 0.15
        async with asyncio.timeout(0.2):
            await vendor.left.wait()
        assert ears.told == []


async def test_wrong_key_is_found_out_when_warming(serving: Serving) -> None:
    async with serving() as (stt, vendor):
        vendor.faults = ["401"]
        with pytest.raises(IntegrationInvalidAuthException):
            await stt.warm()
        vendor.faults = []
        await stt.warm()


class TestDeepgram:
    """What only a live connection has."""

    async def test_words_come_while_the_caller_speaks(self) -> None:
        async with VENDORS["deepgram"]() as (stt, _vendor):
            ears = Ears().listen(stt)
            ears.feed(1)
            assert (await ears.partial()).text == "one"
            ears.say(2)
            assert await ears.results(1) == ["one two"]
            told = ears.told[0]
            assert isinstance(told, Transcript)
            assert told.confidence == pytest.approx(0.9)
            assert told.language == "en"
            await ears.close()

    async def test_long_utterance_is_one_final_of_many_segments(self) -> None:
        async with VENDORS["deepgram"]() as (stt, _vendor):
            ears = Ears().listen(stt)
            ears.say(*[1, 2, 3, 4, 5, 6, 7, 8, 9] * 3)
            words = (await ears.results(1))[0].split()
            assert len(words) >= 27
            assert [words[0], words[-1]] == ["one", "nine"]
            assert len(ears.told) == 1
            await ears.close()

    async def test_silence_keeps_the_connection_with_keep_alives(self) -> None:
        async with VENDORS["deepgram"](keep_alive_s=0.02) as (stt, vendor):
            ears = Ears().listen(stt)
            await until(lambda: vendor.commands.count("KeepAlive") >= 3)
            ears.say(1)
            assert await ears.results(1) == ["one"]
            assert vendor.connections == 1
            await ears.close()
            assert vendor.commands[-1] == "CloseStream"

    async def test_connection_that_broke_between_utterances_is_made_again(self) -> None:
        async with VENDORS["deepgram"]() as (stt, vendor):
            ears = Ears().listen(stt)
            vendor.faults = [None, "drop", None]
            ears.say(1)
            assert await ears.results(1) == ["one"]
            ears.say(2)
            ears.say(3)
            await ears.results(3)
            ears.say(4)
            assert (await ears.results(4))[3] == "four"
            numbers = [told.utterance for told in ears.told if isinstance(told, Transcript)]
            assert numbers == [0, 3]
            await ears.close()
