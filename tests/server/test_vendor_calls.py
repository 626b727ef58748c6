"""Whole phone calls with the speech of each vendor, over real connections on both sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from antiphon.agents.agent import Agent
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.pool import PoolLimits
from antiphon.models.stt.failover import FailoverSTT
from antiphon.models.tts.failover import FailoverTTS
from antiphon.models.vad.energy import EnergyVAD
from tests.models.vendors import listening, speaking
from tests.models.vendors.sound import LEVEL
from tests.server.harness import SILENCE, Serve, close_code, next_event, phone, scripted_models, start_stream

ANSWER = "Good morning to you."
VOICED = from_pcm(np.full(160, 4 * LEVEL, np.int16), PHONE)


async def call(
    serve: Serve,
    tmp_path: Path,
    *,
    stts: list[Any],
    ttss: list[Any],
    then: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """One call in which the caller says something and is answered; gives its log. ``then`` comes when it has begun."""
    models = Models(
        vad=EnergyVAD(),
        stt=FailoverSTT(stts),
        llm=ScriptedChatClient(lambda _messages, _options: ANSWER),
        tts=FailoverTTS(ttss),
        turn=None,
    )
    async with serve(agents=[Agent("desk")], models=models, keep_files=True) as up:
        async with phone(up) as socket:
            caller = await start_stream(socket, "CA77")
            then()
            for frame in [VOICED] * 30 + [SILENCE] * 60:
                await socket.send(caller.media(frame))
                await asyncio.sleep(0.005)
            while (await next_event(socket))["event"] != "media":
                pass
            await socket.send(caller.closing())
            assert await close_code(socket) == 1000
        async with asyncio.timeout(10):
            await up.board.all_over()
    (log_file,) = tmp_path.glob("calls/*/CA77/log.jsonl")  # noqa: ASYNC240
    return [json.loads(line) for line in log_file.read_text().splitlines()]


PAIRS = [
    ("azure", "azure"),
    ("azure fast", "azure"),
    ("deepgram", "cartesia"),
    ("deepgram", "elevenlabs"),
    ("openai", "openai"),
]


def test_every_vendor_has_a_call() -> None:
    assert {ears for ears, _ in PAIRS} == set(listening.VENDORS)
    assert {voice for _, voice in PAIRS} == set(speaking.VENDORS)


@pytest.mark.parametrize(("ears", "voice"), PAIRS)
async def test_caller_is_heard_and_answered(serve: Serve, tmp_path: Path, ears: str, voice: str) -> None:
    async with AsyncExitStack() as stack:
        stt, heard = await stack.enter_async_context(listening.VENDORS[ears]())
        tts, spoken = await stack.enter_async_context(speaking.VENDORS[voice]())
        events = await call(serve, tmp_path, stts=[stt], ttss=[tts])
    assert any(asked.text == ANSWER for asked in spoken.asked)
    assert heard.seconds > 0.5
    assert heard.live == 0
    turns = [event["text"] for event in events if event["type"] == "user.turn_completed"]
    assert turns == ["four"]
    assert events[-1]["type"] == "session.ended"


async def test_no_call_is_taken_while_all_connections_of_the_voice_are_in_use(serve: Serve) -> None:
    async with speaking.VENDORS["cartesia"](limits=PoolLimits(size=2, warm=0)) as (tts, _vendor):
        models = scripted_models()
        models.tts = FailoverTTS([tts])
        async with serve(models=models) as up:
            leases = [await tts.pool.acquire("line") for _ in range(2)]
            with pytest.raises(InvalidStatus) as caught:
                async with phone(up):
                    pass
            assert caught.value.response.status_code == 503
            await tts.pool.release(leases.pop())
            async with phone(up) as socket:
                leases.append(await tts.pool.acquire("line"))  # somebody else was faster
                await start_stream(socket)
                assert await close_code(socket) == 1013
            await tts.pool.release(leases.pop())
            assert up.board.metrics.refused["full"] == 2
            async with phone(up) as socket:
                await start_stream(socket)
                assert (await next_event(socket))["event"] == "media"
            await tts.pool.release(leases.pop())


async def test_the_next_ones_take_over_in_the_middle_of_a_call(serve: Serve, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        deaf, deepgram = await stack.enter_async_context(listening.VENDORS["deepgram"]())
        stt, heard = await stack.enter_async_context(listening.VENDORS["openai"]())
        mute, elevenlabs = await stack.enter_async_context(speaking.VENDORS["elevenlabs"]())
        tts, spoken = await stack.enter_async_context(speaking.VENDORS["cartesia"]())

        def fail() -> None:
            deepgram.faults = ["drop"] * 2
            elevenlabs.faults = ["400"]
            elevenlabs.asked.clear()

        events = await call(serve, tmp_path, stts=[deaf, stt], ttss=[mute, tts], then=fail)
    turns = [event["text"] for event in events if event["type"] == "user.turn_completed"]
    assert turns == ["four"]
    assert heard.seconds > 0.5
    assert [asked.text for asked in spoken.asked] == [ANSWER]
    assert [asked.text for asked in elevenlabs.asked] == [ANSWER]
    assert not [event for event in events if event["type"] == "session.error"]
