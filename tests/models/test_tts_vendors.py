"""What holds of every vendor that speaks, over real connections."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from antiphon.clock import WallClock
from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationInvalidResponseException,
    IntegrationUnavailableException,
)
from antiphon.models.tts.contract import TTS, SpeechChunk
from tests.models.vendors.sockets import until
from tests.models.vendors.sound import CHAR_MS, KEY, sound_of
from tests.models.vendors.speaking import VENDORS, Serving

TEXT = "Good morning, this is the desk."


@pytest.fixture(params=sorted(VENDORS))
def serving(request: pytest.FixtureRequest) -> Serving:
    return VENDORS[request.param]


async def said(tts: TTS, text: str = TEXT, **options: Any) -> list[SpeechChunk]:
    return [chunk async for chunk in tts.synthesize(text, **options)]


def pcm_of(chunks: list[SpeechChunk]) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.concatenate([chunk.pcm for chunk in chunks])


async def test_clause_sounds_as_the_vendor_made_it(serving: Serving) -> None:
    async with serving() as (tts, vendor):
        chunks = await said(tts)
        assert np.array_equal(pcm_of(chunks), sound_of(TEXT))
        assert all(chunk.pcm.dtype == np.int16 for chunk in chunks)
        assert len(chunks) > 5
        assert vendor.asked[0].text == TEXT


async def test_voice_and_speed_and_model_are_asked_for(serving: Serving) -> None:
    async with serving() as (tts, vendor):
        await said(tts, voice="own-voice", speed=1.1)
        await said(tts)
        assert vendor.asked[0].voice == "own-voice"
        assert vendor.asked[0].speed == pytest.approx(1.1)
        assert vendor.asked[1].voice not in ("", "own-voice")
        assert vendor.asked[1].speed is None
        assert vendor.asked[0].model in tts.name


@pytest.mark.parametrize("name", ["azure", "elevenlabs", "cartesia"])
async def test_language_is_asked_for_where_the_vendor_takes_one(name: str) -> None:
    async with VENDORS[name]() as (tts, vendor):
        await said(tts, language="de-AT")
        await said(tts)
        assert [asked.language for asked in vendor.asked] == ["de-AT" if name == "azure" else "de", None]


@pytest.mark.parametrize("name", ["elevenlabs", "cartesia"])
async def test_words_are_timed_to_the_sample(name: str) -> None:
    async with VENDORS[name]() as (tts, _vendor):
        words = [word for chunk in await said(tts) for word in chunk.words]
    ends = [index for index, char in enumerate([*TEXT, " "]) if char == " "]
    assert [word.char_end for word in words] == ends
    assert [word.end_ms for word in words] == pytest.approx([end * CHAR_MS for end in ends])


async def test_many_clauses_at_once_do_not_mix(serving: Serving) -> None:
    texts = [f"Clause number {number}." for number in range(20)]
    async with serving() as (tts, _vendor):
        every = await asyncio.gather(*(said(tts, text) for text in texts))
    for text, chunks in zip(texts, every, strict=True):
        assert np.array_equal(pcm_of(chunks), sound_of(text))


async def test_closing_stops_the_vendor_in_50_ms(serving: Serving) -> None:
    clock = WallClock()
    async with serving() as (tts, vendor):
        vendor.pause_s = 0.02
        chunks = tts.synthesize("word " * 200)
        async with aclosing(chunks):
            async for _ in chunks:
                break
            began = clock.now()
        assert clock.now() - began < 0.05
        async with asyncio.timeout(0.05):
            await vendor.stopped.wait()
        made = vendor.pieces
        vendor.pause_s = 0.0
        assert np.array_equal(pcm_of(await said(tts)), sound_of(TEXT))
        assert vendor.pieces - made <= len(TEXT) // 3 + 2


async def test_cancelling_stops_the_vendor(serving: Serving) -> None:
    async with serving() as (tts, vendor):
        vendor.pause_s = 0.02
        task = asyncio.create_task(said(tts, "word " * 200))
        await until(lambda: vendor.pieces > 0)
        task.cancel()
        async with asyncio.timeout(0.1):
            await asyncio.gather(task, return_exceptions=True)
            await vendor.stopped.wait()


FAULTS: list[tuple[str, type[IntegrationException], str]] = [
    ("401", IntegrationInvalidAuthException, "auth"),
    ("429", IntegrationUnavailableException, "rate_limited"),
    ("400", IntegrationInvalidRequestException, "invalid_request"),
    ("500", IntegrationUnavailableException, "server_error"),
    ("silent", IntegrationUnavailableException, "stalled"),
    ("stall", IntegrationUnavailableException, "stalled"),
    ("drop", IntegrationUnavailableException, "connection_lost"),
    ("garbage", IntegrationInvalidResponseException, "bad_stream"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
async def test_failure_is_of_its_kind_and_the_next_clause_is_spoken(
    serving: Serving, fault: Any, kind: type[IntegrationException], code: str
) -> None:
    async with serving(stall_s=0.3) as (tts, vendor):
        vendor.faults = [fault]
        with pytest.raises(IntegrationException) as caught:
            await said(tts)
        assert type(caught.value) is kind
        assert caught.value.code == code
        assert caught.value.provider in tts.name
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert str(caught.value).endswith(".")
        if fault == "429":
            assert caught.value.retry_after_s == 7.0
        vendor.faults = []
        assert np.array_equal(pcm_of(await said(tts)), sound_of(TEXT))


async def test_vendor_that_is_not_there(serving: Serving) -> None:
    async with serving() as (tts, vendor):
        url = vendor.url
    async with serving() as (_, vendor):
        pass
    made = type(tts)(tts.name.partition("/")[2], api_key=KEY, base_url=url)
    with pytest.raises(IntegrationUnavailableException, match="cannot be reached at http://127"):
        await said(made)
    await made.aclose()


async def test_wrong_key_is_found_out_when_warming(serving: Serving) -> None:
    async with serving() as (tts, vendor):
        vendor.faults = ["401"]
        with pytest.raises(IntegrationInvalidAuthException):
            await tts.warm()
    async with serving() as (tts, _vendor):
        await tts.warm()


@pytest.mark.parametrize("name", ["elevenlabs", "cartesia"])
async def test_warm_connections_wait_for_the_next_clause(name: str) -> None:
    async with VENDORS[name]() as (tts, _vendor):
        await tts.warm()
        await until(lambda: tts.pool.warm == 3)
        await said(tts)
        assert tts.pool.counters.allocations_warm == 1
        assert tts.pool.active == 0


async def test_connection_of_cartesia_serves_again_after_an_interruption() -> None:
    async with VENDORS["cartesia"]() as (tts, vendor):
        vendor.pause_s = 0.01
        for _ in range(5):
            chunks = tts.synthesize("word " * 50)
            async with aclosing(chunks):
                async for _chunk in chunks:
                    break
        vendor.pause_s = 0.0
        assert np.array_equal(pcm_of(await said(tts)), sound_of(TEXT))
        assert tts.pool.counters.dropped == 0
        assert vendor.connections <= 4


async def test_markup_in_a_clause_is_spoken_to_azure_as_text() -> None:
    text = 'Is 3 < 5 & "so" on?</voice>'
    async with VENDORS["azure"]() as (tts, vendor):
        assert np.array_equal(pcm_of(await said(tts, text)), sound_of(text))
        assert vendor.asked[0].text == text
