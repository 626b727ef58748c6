from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.tones import sine
from antiphon.transports.local.mic import RATE_HZ, RING_BLOCKS, DropPolicy, Level, MicStreamer

CHUNK = 960


def numbered(count: int) -> list[NDArray[np.int16]]:
    return [np.full(CHUNK, number, np.int16) for number in range(count)]


async def waiting(mic: MicStreamer) -> list[int]:
    mic.end()
    found = []
    while (chunk := await mic.get()) is not None:
        found.append(int(chunk[0]))
    return found


@pytest.mark.parametrize(("policy", "kept"), [("oldest", [6, 7, 8, 9]), ("newest", [0, 1, 2, 3])])
async def test_a_slow_reader_loses_the_chunks_of_its_policy(policy: DropPolicy, kept: list[int]) -> None:
    mic = MicStreamer(queue_chunks=4, drop_policy=policy)
    for chunk in numbered(10):
        mic.take_block(chunk, RATE_HZ)
    assert await waiting(mic) == kept
    assert mic.captured == mic.taken + mic.dropped["queue_full"] == 10 * CHUNK


async def test_blocks_of_any_size_become_whole_chunks() -> None:
    mic = MicStreamer(chunk_ms=40)
    signal = np.arange(CHUNK * 3, dtype=np.int16)
    for begin in range(0, len(signal), 701):
        mic.take_block(signal[begin : begin + 701], RATE_HZ)
    mic.end()
    chunks = []
    while (chunk := await mic.get()) is not None:
        chunks.append(chunk)
    assert [len(chunk) for chunk in chunks] == [CHUNK] * 3
    assert np.array_equal(np.concatenate(chunks), signal)


async def test_a_full_scale_sine_reads_minus_3_dbfs() -> None:
    levels: list[Level] = []
    mic = MicStreamer(on_level=levels.append)
    mic.take_block(sine(1000, 400, rate_hz=RATE_HZ, amplitude=1.0), RATE_HZ)
    assert len(levels) == 10
    assert levels[-1].rms_dbfs == pytest.approx(-3.01, abs=0.1)
    assert levels[-1].peak_dbfs == pytest.approx(0.0, abs=0.1)
    assert mic.level == levels[-1]


async def test_stereo_at_another_rate_keeps_pitch_and_level() -> None:
    mic = MicStreamer(queue_chunks=100)
    tone = sine(440, 2000, rate_hz=48_000, amplitude=0.5)
    stereo = np.stack((tone, tone), axis=1)
    for begin in range(0, len(stereo), 480):
        mic.take_block(stereo[begin : begin + 480], 48_000)
    mic.end()
    chunks = []
    while (chunk := await mic.get()) is not None:
        chunks.append(chunk)
    heard = np.concatenate(chunks)[CHUNK * 5 : CHUNK * 45]
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * RATE_HZ / len(heard) == pytest.approx(440, abs=1)
    assert np.sqrt(np.mean((heard / 32768) ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


async def test_a_muted_microphone_sends_silence_and_still_shows_its_level() -> None:
    mic = MicStreamer(is_muted=lambda: True)
    mic.take_block(np.full(CHUNK, 8000, np.int16), RATE_HZ)
    chunk = await mic.get()
    assert chunk is not None
    assert not chunk.any()
    assert mic.level.rms_dbfs > -20


async def test_blocks_of_a_devices_thread_come_in_order_and_are_copied() -> None:
    mic = MicStreamer(queue_chunks=1000)
    mic.bind(asyncio.get_running_loop())

    def device() -> None:
        shared = np.zeros(CHUNK, np.int16)
        for number in range(200):
            shared[:] = number
            mic.feed(shared, RATE_HZ)

    thread = threading.Thread(target=device)
    thread.start()
    found = [int(chunk[0]) for _ in range(200) if (chunk := await mic.get()) is not None]
    thread.join()
    assert found == list(range(200))


async def test_a_held_up_loop_bounds_the_ring_and_counts_what_was_lost() -> None:
    mic = MicStreamer(queue_chunks=10_000)
    mic.bind(asyncio.get_running_loop())
    for _ in range(RING_BLOCKS + 44):  # no await: the loop is held up
        mic.feed(np.ones(CHUNK, np.int16), RATE_HZ)
    mic_get = await mic.get()
    assert mic_get is not None
    assert mic.dropped["queue_full"] == 44 * CHUNK
    assert mic.captured == (RING_BLOCKS + 44) * CHUNK


async def test_what_is_too_old_is_dropped_as_stale() -> None:
    mic = MicStreamer()
    for chunk in numbered(3):
        mic.take_block(chunk, RATE_HZ)
    mic.drop_waiting()
    assert mic.dropped["stale"] == 3 * CHUNK
    assert await waiting(mic) == []
