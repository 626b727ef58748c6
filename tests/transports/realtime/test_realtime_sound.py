"""Sound of a session: formats, halves of samples, bursts, and how long everything is."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.tones import sine
from antiphon.clock import VirtualClock
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.transports.realtime.inlet import Inlet
from antiphon.transports.realtime.sound import CALL_AUDIO, FORMATS, Decoder, Encoder
from antiphon.wire.realtime.client_events import AudioAppend, AudioCommit, ClientEvent
from antiphon.wire.realtime.session import WireFormat
from tests.transports.realtime.talk import Client, talking, virtually

WIRES: tuple[WireFormat, ...] = ("pcm", "pcmu", "pcma")
TONE_HZ = 440.0


def pitch_hz(pcm: NDArray[np.int16], rate_hz: int) -> float:
    """The loudest frequency."""
    spectrum = np.abs(np.fft.rfft(pcm.astype(np.float64) * np.hanning(len(pcm)), 1 << 18))
    return float(np.argmax(spectrum)) * rate_hz / (1 << 18)


def wire_tone(wire: WireFormat, ms: int) -> bytes:
    audio = FORMATS[wire]
    return from_pcm(sine(TONE_HZ, ms, rate_hz=audio.rate_hz), audio)


# Conversion.


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 999), min_size=1, max_size=40))
def test_a_tone_survives_pieces_of_any_size(wire: WireFormat, sizes: list[int]) -> None:
    tone = wire_tone(wire, 400)
    decoder = Decoder(wire)
    pieces, at, turn = [], 0, 0
    while at < len(tone):
        size = sizes[turn % len(sizes)]
        pieces.append(decoder.feed(tone[at : at + size]))
        at, turn = at + size, turn + 1
    pcm = np.frombuffer(b"".join(pieces) + decoder.rest(), np.int16)
    assert len(pcm) == pytest.approx(400 * 24, abs=24)
    assert pitch_hz(pcm, 24_000) == pytest.approx(TONE_HZ, abs=1)
    assert np.max(np.abs(pcm)) > 0.9 * np.max(np.abs(to_pcm(tone, FORMATS[wire])))


@given(sizes=st.lists(st.integers(0, 7), max_size=60))
def test_no_byte_of_odd_pieces_is_lost(sizes: list[int]) -> None:
    decoder = Decoder("pcm")
    sent = Random(1).randbytes(sum(sizes))
    at, heard = 0, b""
    for size in sizes:
        piece = decoder.feed(sent[at : at + size])
        assert len(piece) % 2 == 0
        heard += piece
        at += size
    assert heard == sent[: len(sent) // 2 * 2]


@pytest.mark.parametrize("wire", WIRES)
def test_an_answers_tone_survives_the_way_out(wire: WireFormat) -> None:
    tone = sine(TONE_HZ, 500, rate_hz=24_000).tobytes()
    encoder = Encoder(wire)
    size = CALL_AUDIO.frame_bytes(40)
    sent = b"".join(encoder.feed(tone[at : at + size]) for at in range(0, len(tone), size)) + encoder.rest()
    audio = FORMATS[wire]
    assert audio.seconds(len(sent)) == pytest.approx(0.5, abs=0.001)
    assert pitch_hz(to_pcm(sent, audio), audio.rate_hz) == pytest.approx(TONE_HZ, abs=1)


# In a session.


@pytest.mark.parametrize("wire", WIRES)
@virtually
async def test_what_the_caller_says_is_as_long_as_it_was(clock: VirtualClock, wire: WireFormat) -> None:
    async with talking(clock) as client:
        client.listen_by(None, format={"type": f"audio/{wire}"})
        tone, random = wire_tone(wire, 1200), Random(2)
        at = 0
        while at < len(tone):
            size = random.randint(1, 400)
            client.append(tone[at : at + size])
            at += size
            await clock.sleep(0.02)
        client.send("input_audio_buffer.commit")
        await client.wait(1.0)
        usage = client.only("conversation.item.input_audio_transcription.completed")["usage"]
        assert usage["seconds"] == pytest.approx(1.2, abs=0.001)
        client.send("conversation.item.retrieve", item_id=client.only("input_audio_buffer.committed")["item_id"])
        sound = b64decode(client.only("conversation.item.retrieved")["item"]["content"][0]["audio"])
        assert FORMATS[wire].seconds(len(sound)) == pytest.approx(1.2, abs=0.001)
        assert pitch_hz(to_pcm(sound, FORMATS[wire]), FORMATS[wire].rate_hz) == pytest.approx(TONE_HZ, abs=1)


async def spoken(client: Client) -> bytes:
    """The sound of a written question's answer, which lasts a second."""
    before = len(client.sound())
    client.write("Hum!")
    client.ask()
    await client.until("response.done", len(client.events("response.done")) + 1)
    return client.sound()[before:]


@pytest.mark.parametrize("wire", WIRES)
@virtually
async def test_an_answer_is_as_long_as_it_is(clock: VirtualClock, wire: WireFormat) -> None:
    tts = ScriptedTTS(seconds=1.0, rate_hz=24_000, clock=clock)
    async with talking(clock, tts=tts) as client:
        client.update(audio={"output": {"format": {"type": f"audio/{wire}"}}})
        sound, audio = await spoken(client), FORMATS[wire]
        assert audio.seconds(len(sound)) == pytest.approx(1.0, abs=0.001)
        assert pitch_hz(to_pcm(sound, audio), audio.rate_hz) == pytest.approx(TONE_HZ, abs=1)
        client.check()


@virtually
async def test_the_format_may_change_in_the_middle_of_a_session(clock: VirtualClock) -> None:
    tts = ScriptedTTS(seconds=1.0, rate_hz=24_000, clock=clock)
    async with talking(clock, stt=["One.", "Two."], tts=tts) as client:
        client.listen_by({"type": "server_vad", "create_response": False})
        await client.turn()
        formats = {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}
        client.update(audio=formats)
        hum = from_pcm(sine(220, 100, rate_hz=8_000, amplitude=0.3), FORMATS["pcmu"])
        await client.speak(0.6, piece=hum)
        await client.speak(1.0, piece=b"\xff" * 800)
        told = client.events("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in told] == ["One.", "Two."]
        sound = await spoken(client)
        assert FORMATS["pcma"].seconds(len(sound)) == pytest.approx(1.0, abs=0.001)
        assert client.events("response.created")[-1]["response"]["audio"]["output"]["format"] == {"type": "audio/pcma"}
        client.check()


@virtually
async def test_an_answer_may_have_a_format_of_its_own(clock: VirtualClock) -> None:
    tts = ScriptedTTS(seconds=1.0, rate_hz=24_000, clock=clock)
    async with talking(clock, tts=tts) as client:
        client.ask(audio={"output": {"format": {"type": "audio/pcmu"}}})
        await client.until("response.done")
        assert len(client.sound()) == pytest.approx(8_000, abs=8)
        client.check()


@virtually
async def test_sound_of_fifteen_minutes_fills_the_buffer_of_a_silent_client(clock: VirtualClock) -> None:
    async with talking(clock) as client:
        client.listen_by(None)
        for _ in range(95):
            client.append(bytes(48 * 10_000))
            await client.wait(1.0)
        assert [code for code, _, _ in client.errors] == ["input_audio_buffer_full"]
        client.send("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")


# Sound that comes at once.


class Ears:
    """What an inlet gives on, in order and with its time."""

    def __init__(self, clock: VirtualClock) -> None:
        self.heard: list[tuple[float, bytes | ClientEvent]] = []
        self.is_pause = False
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self.inlet = Inlet(
            lambda event: self._note(event),
            decode=lambda audio: audio,
            hear=self._note,
            pauses=lambda: self.is_pause,
            spawn=self._spawn,
            clock=clock,
        )

    def _note(self, what: bytes | ClientEvent) -> None:
        self.heard.append((self._clock.now(), what))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)

    async def done(self) -> None:
        """Wait until nothing waits."""
        await asyncio.gather(*self._tasks)

    @property
    def sound(self) -> bytes:
        return b"".join(what for _, what in self.heard if isinstance(what, bytes))


def sound_of(seconds: float, seed: int = 3) -> bytes:
    return Random(seed).randbytes(round(seconds * 24_000) * 2)


@virtually
async def test_sound_that_comes_as_it_is_spoken_is_heard_at_once(clock: VirtualClock) -> None:
    ears = Ears(clock)
    for _ in range(50):
        ears.inlet.take(AudioAppend(bytes(4_800)))
        assert ears.heard[-1][0] == clock.now()
        await clock.sleep(0.1)


@pytest.mark.parametrize("piece_s", [0.02, 0.1, 3.0, 20.0])
@virtually
async def test_a_burst_is_heard_whole_and_in_order_and_leaves_the_loop_free(
    clock: VirtualClock, piece_s: float
) -> None:
    ears, sound = Ears(clock), sound_of(20.0)
    size = round(piece_s * 24_000) * 2
    for at in range(0, len(sound), size):
        ears.inlet.take(AudioAppend(sound[at : at + size]))
    ears.inlet.take(AudioCommit())
    ears.inlet.take_sound(sound[:4_800])
    await ears.done()
    assert ears.sound == sound + sound[:4_800]
    assert isinstance(ears.heard[-2][1], AudioCommit)
    assert ears.inlet.dropped == 0
    assert clock.now() < 2.0
    at_once: Counter[float] = Counter()
    for when, what in ears.heard:
        at_once[when] += len(what) if isinstance(what, bytes) else 0
    assert list(at_once) == sorted(at_once)
    assert max(at_once.values()) <= CALL_AUDIO.frame_bytes(
        1100
    )  # half a second ahead, and half a second between two breaths


@virtually
async def test_a_pause_in_a_burst_lasts_as_long_as_it_did(clock: VirtualClock) -> None:
    ears = Ears(clock)
    ears.is_pause = True
    ears.inlet.take(AudioAppend(sound_of(2.0)))
    await ears.done()
    assert clock.now() == pytest.approx(2.0, abs=0.01)


@virtually
async def test_behind_a_burst_sound_is_heard_at_once_again(clock: VirtualClock) -> None:
    ears = Ears(clock)
    ears.inlet.take(AudioAppend(sound_of(5.0)))
    await ears.done()
    ears.inlet.take(AudioAppend(sound_of(0.1)))
    assert ears.heard[-1][0] == clock.now()


@virtually
async def test_what_waits_is_bounded(clock: VirtualClock) -> None:
    ears, minute = Ears(clock), bytes(CALL_AUDIO.frame_bytes(60_000))
    for _ in range(20):
        ears.inlet.take(AudioAppend(minute))
    assert ears.inlet.dropped == 4  # one is being heard, fifteen wait
    await ears.done()
    assert len(ears.sound) == 16 * len(minute)


# Sessions that only write down.


@virtually
async def test_a_session_that_transcribes_never_answers(clock: VirtualClock) -> None:
    async with talking(clock, kind="transcription", given={"audio": {"input": {"transcription": {}}}}) as client:
        assert client.only("session.created")["session"]["object"] == "realtime.transcription_session"
        await client.turn()
        await client.turn()
        event_id = client.ask()
        await client.wait(30.0)
        told = client.events("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in told] == ["Hello there."] * 2
        assert client.errors == [("invalid_value", "type", event_id)]
        assert not [told for told in client.types if told.startswith("response.")]
        client.check()


@virtually
async def test_a_session_that_transcribes_outlives_its_engine(clock: VirtualClock) -> None:
    stt = ScriptedSTT(["One.", "Two."], faults={0: "fail"}, clock=clock)
    given: dict[str, Any] = {"audio": {"input": {"transcription": {}}}}
    async with talking(clock, kind="transcription", given=given, stt=stt) as client:
        await client.turn()
        await client.wait(10.0)
        await client.turn()
        assert len(client.events("conversation.item.input_audio_transcription.failed")) == 1
        assert client.only("conversation.item.input_audio_transcription.completed")["transcript"] == "Two."
        assert not [told for told in client.types if told.startswith("response.")]
        client.check()
