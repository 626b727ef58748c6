from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio.tones import sine
from antiphon.audio.wav import read_wav, write_wav
from antiphon.clock import VirtualClock
from antiphon.transports.local.errors import AudioDeviceError
from antiphon.transports.local.mic import MicStreamer
from antiphon.transports.local.paced import PacedSound
from antiphon.transports.local.player import RATE_HZ, AudioPlayer


def test_a_recording_is_heard_in_real_time_and_then_silence(tmp_path: Path) -> None:
    clock = VirtualClock()
    tone = sine(500, 1000, rate_hz=16_000)
    write_wav(tmp_path / "in.wav", tone, 16_000)

    async def main() -> None:
        mic, player = MicStreamer(queue_chunks=1000), AudioPlayer()
        sound = PacedSound(clock=clock)
        sound.say_file(tmp_path / "in.wav")
        async with sound.opened(mic, player.pull):
            await sound.is_silent.wait()
            assert clock.now() == pytest.approx(1.0, abs=0.011)
            await clock.sleep(1.0)
        mic.end()
        chunks = [chunk async for chunk in _chunks(mic)]
        heard = np.concatenate(chunks)
        assert len(heard) == pytest.approx(2 * RATE_HZ, abs=2 * 960)
        assert heard[:RATE_HZ].any()
        assert not heard[RATE_HZ + 960 :].any()

    clock.run(main())


def test_what_is_played_is_written_at_its_true_time(tmp_path: Path) -> None:
    clock = VirtualClock()

    async def main() -> None:
        mic, player = MicStreamer(), AudioPlayer(jitter_ms=120)
        async with PacedSound(output=tmp_path / "out.wav", clock=clock).opened(mic, player.pull):
            await clock.sleep(0.5)
            player.push("a", np.full(RATE_HZ // 2, 900, np.int16))
            player.complete("a")
            await clock.sleep(1.0)

    clock.run(main())
    pcm, rate_hz = read_wav(tmp_path / "out.wav")
    assert rate_hz == RATE_HZ
    assert np.flatnonzero(pcm)[0] / RATE_HZ == pytest.approx(0.5, abs=0.02)
    assert np.count_nonzero(pcm) == RATE_HZ // 2
    assert len(pcm) / RATE_HZ == pytest.approx(1.5, abs=0.02)


def test_ten_times_as_fast_is_the_same_sound_in_a_tenth_of_the_time() -> None:
    clock = VirtualClock()

    async def main() -> None:
        mic = MicStreamer(queue_chunks=1000)
        sound = PacedSound(speed=10, clock=clock)
        sound.say(np.ones(RATE_HZ * 2, np.int16))
        async with sound.opened(mic, AudioPlayer().pull):
            await sound.is_silent.wait()
        assert clock.now() == pytest.approx(0.2, abs=0.01)
        assert mic.captured == 2 * RATE_HZ

    clock.run(main())


async def test_files_that_cannot_be_used_are_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AudioDeviceError, match="cannot be read"):
        PacedSound().say_file(tmp_path / "none.wav")
    with pytest.raises(AudioDeviceError, match="Nothing can be written"):
        async with PacedSound(output=tmp_path / "no" / "out.wav").opened(MicStreamer(), AudioPlayer().pull):
            pass


async def test_an_error_of_the_body_comes_out_as_itself() -> None:
    with pytest.raises(KeyError):
        async with PacedSound().opened(MicStreamer(), AudioPlayer().pull):
            raise KeyError("mine")


async def test_an_error_of_the_devices_ends_the_body() -> None:
    def broken(count: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        raise AudioDeviceError("The loudspeaker is gone: connect it.")

    with pytest.raises(AudioDeviceError, match="gone"):
        async with PacedSound().opened(MicStreamer(), broken):
            await asyncio.Event().wait()


async def _chunks(mic: MicStreamer):  # type: ignore[no-untyped-def]
    while (chunk := await mic.get()) is not None:
        yield chunk
