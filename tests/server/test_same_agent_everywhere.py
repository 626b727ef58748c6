"""One agent on all carriers: the same sound for the caller, and each carrier's own messages around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection

from antiphon.agents.agent import Agent
from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.resample import resample
from antiphon.audio.tones import sine
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.wire.caller import Audio, Clear, Mark, MediaCaller
from tests.server.harness import Serve, phone, scripted_models
from tests.server.test_keypad import LINES, connecting

TONE_HZ, TONE_S = 440, 0.5  # of the scripted voice
AUDIO_KINDS = {"twilio": "media", "plivo": "playAudio", "acs": "AudioData", "audiohook": "audio"}
MARK_KINDS = {"twilio": "mark", "plivo": "checkpoint"}
TOLD = {"opened", "transcript", "bot_turn_response"}
"""What AudioHook is told of the conversation."""
CLEAR_KINDS = {"twilio": "clear", "plivo": "clearAudio", "acs": "StopAudio", "audiohook": "barge_in"}
pytestmark = pytest.mark.timeout(60)


def kind_of(message: str | bytes) -> str:
    """A message's kind, in its protocol's word."""
    if isinstance(message, bytes):
        return "audio"
    told: dict[str, Any] = json.loads(message)
    if told.get("type") == "event":
        return str(told["parameters"]["entities"][0]["type"])
    return str(told.get("event") or told.get("kind") or told.get("type"))


@dataclass
class Ear:
    """All that a carrier's end of a socket got; sound is acknowledged as soon as it is there."""

    socket: ClientConnection
    caller: MediaCaller
    kinds: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    sound: bytes = b""
    after_clear: int = 0
    """Messages with sound behind the first clear."""

    async def listen(self, until: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not until():
                await self.take(await self.socket.recv())

    async def take(self, message: str | bytes) -> None:
        self.kinds.append(kind_of(message))
        event = self.caller.receive(message)
        if isinstance(event, Audio):
            self.sound += event.payload
            self.after_clear += CLEAR_KINDS[self.caller.name] in self.kinds
        elif isinstance(event, Mark):
            self.marks.append(event.name)
            answer = self.caller.mark_played(event.name)
            if answer is not None:
                await self.socket.send(answer)
        elif isinstance(event, Clear):
            answer = self.caller.cleared()
            if answer is not None:
                await self.socket.send(answer)

    async def say(self, seconds: float) -> None:
        """The caller speaks, and is silent then."""
        audio = self.caller.audio
        speech = from_pcm(sine(220, 20, rate_hz=audio.rate_hz, amplitude=0.3), audio)
        silence = from_pcm(np.zeros(audio.rate_hz // 50, np.int16), audio)
        for frame in [speech] * round(seconds * 50) + [silence] * 60:
            message = self.caller.media(frame)
            if message is not None:
                await self.socket.send(message)
            await asyncio.sleep(0.01)

    @property
    def has_cleared(self) -> bool:
        return CLEAR_KINDS[self.caller.name] in self.kinds


def tones(pcm: NDArray[np.int16], rate_hz: int) -> list[NDArray[np.int16]]:
    """The stretches of sound, without the silence before, between and behind them."""
    step = rate_hz // 100
    loud = [bool(np.abs(pcm[at : at + step].astype(np.int32)).max() > 200) for at in range(0, len(pcm), step)]
    edges = np.flatnonzero(np.diff([0, *loud, 0]))
    return [pcm[start * step : end * step] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def expected(audio: AudioFormat) -> NDArray[np.int16]:
    """What the voice says, as this line carries it."""
    pcm = resample(sine(TONE_HZ, TONE_S * 1000, rate_hz=8_000), 8_000, audio.rate_hz)
    return to_pcm(from_pcm(pcm, audio), audio)


@pytest.mark.parametrize("carrier", LINES)
async def test_the_same_agent_sounds_the_same_on_every_carrier(carrier: str, serve: Serve) -> None:
    llm = ScriptedChatClient(lambda messages, _options: f"You said: {messages[-1].text}")
    models = replace(scripted_models(), llm=llm, tts=ScriptedTTS(seconds=TONE_S))
    async with serve(agents=[Agent("desk", greeting="Hello.")], models=models) as up:
        async with connecting(up, carrier) as (socket, caller):
            ear = Ear(socket, caller)
            audio = caller.audio
            await ear.listen(lambda: audio.seconds(len(ear.sound)) >= TONE_S)
            greeting_bytes = len(ear.sound)
            await asyncio.sleep(TONE_S)  # it is being heard
            await ear.say(0.6)
            await ear.listen(lambda: audio.seconds(len(ear.sound) - greeting_bytes) >= TONE_S)
        assert [request.messages[-1].text for request in llm.requests] == ["Hello there."]
    wanted = expected(audio)
    for payload in (ear.sound[:greeting_bytes], ear.sound[greeting_bytes:]):
        (heard,) = tones(to_pcm(payload, audio), audio.rate_hz)
        assert len(heard) == pytest.approx(len(wanted), abs=audio.rate_hz // 50)
        spectrum = np.abs(np.fft.rfft(heard.astype(np.float64)))
        assert spectrum.argmax() * audio.rate_hz / len(heard) == pytest.approx(TONE_HZ, abs=3)
        assert np.abs(heard).max() == pytest.approx(np.abs(wanted).max(), rel=0.05)
    assert bool(ear.marks) == (carrier in MARK_KINDS)


@pytest.mark.parametrize("carrier", LINES)
async def test_what_is_not_heard_yet_is_dropped_in_the_carriers_own_words(carrier: str, serve: Serve) -> None:
    models = replace(scripted_models(), tts=ScriptedTTS(seconds=6.0))
    agent = Agent("desk", greeting="A long story.")
    async with serve(agents=[agent], models=models) as up, connecting(up, carrier) as (socket, caller):
        ear = Ear(socket, caller)
        await ear.listen(lambda: caller.audio.seconds(len(ear.sound)) >= 0.7)
        saying = asyncio.create_task(ear.say(1.0))
        await ear.listen(lambda: ear.has_cleared)
        await saying
    assert caller.audio.seconds(len(ear.sound)) < 4
    assert ear.after_clear == 0
    assert set(ear.kinds) - TOLD == {AUDIO_KINDS[carrier], CLEAR_KINDS[carrier]}


@pytest.mark.parametrize("carrier", LINES)
async def test_r8_a_phone_gets_each_piece_of_its_own_sound_once_and_nothing_of_a_page(
    carrier: str, serve: Serve
) -> None:
    models = replace(scripted_models(), tts=ScriptedTTS(seconds=TONE_S))
    async with (
        serve(agents=[Agent("desk", greeting="Hello.")], models=models) as up,
        phone(up, "/v1/realtime?model=desk") as page,
        connecting(up, carrier) as (socket, caller),
    ):
        ear = Ear(socket, caller)
        await page.send(json.dumps({"type": "response.create"}))
        shown = ""
        async with asyncio.timeout(10):
            while "audio.delta" not in shown:
                shown = str(await page.recv())
        await ear.listen(lambda: caller.audio.seconds(len(ear.sound)) >= TONE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:  # what comes behind it
                    await ear.take(await socket.recv())
    whole = caller.audio.seconds(len(ear.sound))
    assert whole == pytest.approx(TONE_S, abs=0.25 if carrier == "audiohook" else 0.02)
    (tone,) = tones(to_pcm(ear.sound, caller.audio), caller.audio.rate_hz)
    assert len(tone) / caller.audio.rate_hz == pytest.approx(TONE_S, abs=0.02)
    assert set(ear.kinds) - TOLD - {MARK_KINDS.get(carrier)} == {AUDIO_KINDS[carrier]}
