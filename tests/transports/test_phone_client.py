"""The phone's side: what it sends in time, what it hears, what it measures; against small servers of this test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.tones import sine
from antiphon.errors import ConfigurationError, IntegrationInvalidAuthException, IntegrationUnavailableException
from antiphon.store.recording import TimeLine
from antiphon.transports.client import Earpiece, phone_call
from antiphon.wire.contract import Connected, Digit, Started
from antiphon.wire.twilio import TwilioCodec

TONE = sine(440, 300, rate_hz=16_000, amplitude=0.3)
REPLY = from_pcm(sine(880, 20, rate_hz=8_000, amplitude=0.3), PHONE)

Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler, **options: Any) -> AsyncIterator[str]:
    started: Server
    async with serve(handler, "127.0.0.1", 0, compression=None, **options) as started:
        port = next(iter(started.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/telephony/twilio"


async def opened(socket: ServerConnection) -> TwilioCodec:
    """Read the opening."""
    codec = TwilioCodec()
    assert isinstance(codec.receive(await socket.recv()), Connected)
    assert isinstance(codec.receive(await socket.recv()), Started)
    return codec


async def test_line_is_said_in_frames_and_the_answer_is_timed() -> None:
    heard: list[dict[str, Any]] = []

    async def answers(socket: ServerConnection) -> None:
        codec = await opened(socket)
        loud = 0
        async for message in socket:
            event = json.loads(message)
            heard.append(event)
            if event["event"] == "media" and event["media"]["payload"][:4] != "////":
                loud += 1
                if loud == 15:  # The line's 300 ms are over.
                    for _ in range(10):
                        await socket.send(codec.media(REPLY))
                    await socket.send(codec.mark("end"))

    async with asyncio.timeout(30), server(answers) as url, phone_call(url) as phone:
        assert not await phone.greeted(0.05)
        utterance = await phone.say(TONE, 16_000)
        assert await phone.answer_begun(utterance, 10)
        assert await phone.answer_over(utterance, 10, quiet_s=0.1)
        assert utterance.voice_to_voice_ms is not None
        assert utterance.voice_to_voice_ms >= 0
        sound = phone.recording()
        assert np.abs(sound[:, 0]).max() > 5_000
        assert np.abs(sound[:, 1]).max() > 5_000
    chunks = [int(event["media"]["chunk"]) for event in heard if event["event"] == "media"]
    assert chunks == list(range(1, len(chunks) + 1))
    assert [event["mark"]["name"] for event in heard if event["event"] == "mark"] == ["end"]
    assert heard[-1]["event"] == "stop"


async def test_end_by_the_server_ends_a_line_and_is_told() -> None:
    async def hangs_up(socket: ServerConnection) -> None:
        await opened(socket)
        await socket.close(1001, "drained")

    async with asyncio.timeout(30), server(hangs_up) as url, phone_call(url) as phone:
        utterance = await phone.say(np.zeros(160_000, np.int16), 16_000)
        assert phone.over.is_set()
        assert phone.ended_by_server == (1001, "drained")
        assert not utterance.done.is_set()
        assert not await phone.answer_over(utterance, 10)


async def test_a_server_without_a_last_word_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.transports.client.LAST_WORD_S", 0.05)
    heard: list[str] = []

    async def says_nothing(socket: ServerConnection) -> None:
        assert socket.request is not None
        heard.append(socket.request.headers["Audiohook-Session-Id"])
        async for message in socket:
            assert isinstance(message, str)  # Audio waits for the server.
            heard.append(json.loads(message)["type"])

    async with asyncio.timeout(10), server(says_nothing, subprotocols=["audiohook-v2"]) as url:
        async with phone_call(url.replace("twilio", "audiohook")) as phone:
            await phone.say(TONE, 16_000)
        assert phone.ended_by_server is None
    assert heard[1:] == ["open", "close"]


async def test_nobody_there_is_one_sentence() -> None:
    with pytest.raises(IntegrationUnavailableException, match="antiphon serve"):
        async with phone_call("ws://127.0.0.1:9/telephony/twilio"):
            pass


@pytest.mark.parametrize("url", ["http://x/telephony/twilio", "ws://x/telephony/nobody", "nonsense", ""])
async def test_wrong_address_is_one_sentence(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no phone socket"):
        async with phone_call(url):
            pass


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, IntegrationInvalidAuthException, "--key"),
        (503, IntegrationUnavailableException, "503.*the line is full"),
    ],
)
async def test_refusal_is_one_sentence(status: int, error: type[Exception], words: str) -> None:
    async def never(socket: ServerConnection) -> None:
        raise AssertionError

    async def refuse(connection: ServerConnection, _request: Any) -> Any:
        return connection.respond(status, "the line is full\n")

    async with server(never, process_request=refuse) as url:
        with pytest.raises(error, match=words):
            async with phone_call(url):
                pass


def test_earpiece_plays_in_real_time_and_returns_marks_when_they_are_reached() -> None:
    ear = Earpiece(PHONE, TimeLine(8_000))
    assert ear.add(1.0, REPLY)
    assert not ear.add(1.0, REPLY * 10)
    ear.mark("a")
    assert ear.play_until_s == pytest.approx(1.22)
    assert ear.played(1.2) == []
    assert ear.played(1.23) == ["a"]
    assert not ear.add(1.3, REPLY)
    assert ear.add(2.0, REPLY)


def test_earpiece_forgets_what_is_cleared() -> None:
    line = TimeLine(8_000)
    ear = Earpiece(PHONE, line)
    ear.add(0.0, REPLY * 50)
    ear.mark("a")
    assert ear.clear(0.5) == ["a"]
    assert ear.play_until_s == 0.5
    assert ear.add(0.6, REPLY)
    sound = line.take(None)[:, 1]
    assert np.abs(sound[:4_000]).max() > 5_000
    assert np.abs(sound[4_000:4_800]).max() == 0
    assert len(sound) == 4_960


async def test_keys_are_pressed_in_order_and_their_answer_is_timed() -> None:
    async def answers(socket: ServerConnection) -> None:
        codec = await opened(socket)
        keys = ""
        async for message in socket:
            event = codec.receive(message)
            keys += event.digit if isinstance(event, Digit) else ""
            if keys == "12#":
                for _ in range(10):
                    await socket.send(codec.media(REPLY))
                keys = ""

    async with server(answers) as url, phone_call(url) as phone:
        pressed = await phone.press("12#")
        assert await phone.answer_over(pressed, 5.0, quiet_s=0.1)
        assert pressed.voice_to_voice_ms is not None
        assert 0 <= pressed.voice_to_voice_ms < 1000
