"""The track that a client hears keeps the clock's pace; frames of any codec become the call's sound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from antiphon.audio.tones import sine
from antiphon.clock import VirtualClock
from antiphon.transports.webrtc.media import Ear, SpokenTrack

FRAME = b"\x01\x02" * 480


def payload_of(frame: AudioFrame) -> bytes:
    return bytes(frame.planes[0])[: frame.samples * 2]


def test_frames_leave_every_20_ms_with_silence_between_them() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        track = SpokenTrack(clock)
        track.play(FRAME + FRAME[:100])
        begun = clock.now()
        frames = [await track.recv() for _ in range(4)]
        assert [payload_of(frame) for frame in frames] == [FRAME, FRAME[:100].ljust(960, b"\0"), bytes(960), bytes(960)]
        assert [frame.pts for frame in frames] == [0, 480, 960, 1440]
        assert clock.now() - begun == pytest.approx(0.06)
        assert track.is_silent

    clock.run(scenario())


def test_a_stall_is_caught_up_and_a_long_one_is_let_go() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        track = SpokenTrack(clock)
        await track.recv()
        await clock.sleep(0.1)
        late = clock.now()
        for _ in range(5):
            await track.recv()
        assert clock.now() == late
        await track.recv()
        assert clock.now() - late == pytest.approx(0.02)

        await clock.sleep(5)
        late = clock.now()
        await track.recv()
        await track.recv()
        assert clock.now() - late == pytest.approx(0.02)

    clock.run(scenario())


def test_what_is_cleared_is_not_played() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        track = SpokenTrack(clock)
        track.play(FRAME * 10)
        await track.recv()
        track.clear()
        assert payload_of(await track.recv()) == bytes(960)
        track.play(FRAME)
        assert payload_of(await track.recv()) == FRAME

    clock.run(scenario())


def test_no_more_than_two_seconds_wait() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        track = SpokenTrack(clock)
        for _ in range(150):
            track.play(FRAME)
        assert track.dropped == 50

    clock.run(scenario())


def test_a_stopped_track_ends() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        track = SpokenTrack(clock)
        track.stop()
        with pytest.raises(MediaStreamError):
            await track.recv()

    clock.run(scenario())


def frames_of(rate_hz: int, layout: str, *, seconds: float) -> list[AudioFrame]:
    channels = 2 if layout == "stereo" else 1
    tone = np.repeat(sine(300, seconds * 1000, rate_hz=rate_hz), channels)
    size = rate_hz // 50
    frames = []
    for number in range(int(seconds * 50)):
        frame = AudioFrame(format="s16", layout=layout, samples=size)
        frame.planes[0].update(tone[number * size * channels : (number + 1) * size * channels].tobytes())
        frame.sample_rate = rate_hz
        frame.time_base = Fraction(1, rate_hz)
        frame.pts = number * size
        frames.append(frame)
    return frames


@pytest.mark.parametrize(("rate_hz", "layout"), [(48_000, "stereo"), (48_000, "mono"), (8_000, "mono")])
def test_any_codecs_frames_become_the_calls_sound(rate_hz: int, layout: str) -> None:
    ear = Ear()
    sound = b"".join(ear.pcm(frame) for frame in frames_of(rate_hz, layout, seconds=1.0))
    pcm = np.frombuffer(sound, np.int16)
    assert pcm.size == pytest.approx(24_000, abs=500)
    middle = pcm[2_400:21_600].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert np.argmax(spectrum) * 24_000 / middle.size == pytest.approx(300, abs=2)
    assert np.abs(middle).max() == pytest.approx(16_384, rel=0.05)


def test_a_client_may_change_its_codec() -> None:
    ear = Ear()
    frames = frames_of(48_000, "stereo", seconds=0.2) + frames_of(8_000, "mono", seconds=0.2)
    sound = b"".join(ear.pcm(frame) for frame in frames)
    assert len(sound) / 48_000 == pytest.approx(0.4, abs=0.02)
