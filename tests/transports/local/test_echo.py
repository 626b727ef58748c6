from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.level import rms
from antiphon.audio.resample import resample
from antiphon.audio.wav import mono, read_wav
from antiphon.transports.local.echo import EchoCanceller, FarEnd
from antiphon.transports.local.mic import MicStreamer

RATE_HZ = 24_000
CHUNK = 960

pytest.importorskip("pywebrtc_audio")


def speech() -> NDArray[np.int16]:
    pcm, rate_hz = read_wav(Path(__file__).parents[2] / "data" / "human" / "jfk.wav")
    return resample(mono(pcm), rate_hz, RATE_HZ)[: RATE_HZ * 6]


def test_the_loudspeakers_speech_leaves_the_microphones() -> None:
    played = speech()
    delay = RATE_HZ * 50 // 1000
    echo = np.concatenate((np.zeros(delay, np.int16), (played * 0.4).astype(np.int16)))[: len(played)]
    canceller = EchoCanceller(RATE_HZ)
    starts = range(0, len(played), CHUNK)
    left = [canceller.process(echo[at : at + CHUNK], played[at : at + CHUNK]) for at in starts]
    assert rms(np.concatenate(left)[RATE_HZ:]) < rms(echo[RATE_HZ:]) / 10


def test_a_voice_without_echo_stays() -> None:
    canceller = EchoCanceller(RATE_HZ)
    silent = np.zeros(CHUNK, np.int16)
    rng = np.random.default_rng(2)
    voice = (rng.standard_normal(RATE_HZ * 2) * 3000).astype(np.int16)
    clean = np.concatenate([canceller.process(voice[at : at + CHUNK], silent) for at in range(0, len(voice), CHUNK)])
    assert rms(clean[-RATE_HZ:]) > rms(voice[-RATE_HZ:]) / 2


def test_the_far_end_lags_little_in_order_and_is_silent_where_nothing_was_played() -> None:
    far = FarEnd(RATE_HZ)
    assert not far.take(100).any()
    for number in range(1, 101):
        far.put(np.full(CHUNK // 4, number, np.int16))
    # 60 ms and the last block: what was played before the microphone began is of no use.
    assert far.take(CHUNK // 4).tolist() == [94] * (CHUNK // 4)
    assert set(far.take(CHUNK).tolist()) == {95, 96, 97, 98}


async def test_the_microphone_pairs_what_it_hears_with_what_was_played_then() -> None:
    pairs: list[tuple[int, int]] = []

    class Pairing:
        def process(self, near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
            pairs.extend(zip(near[:: CHUNK // 4].tolist(), far[:: CHUNK // 4].tolist(), strict=True))
            return near

    far = FarEnd(RATE_HZ)
    mic = MicStreamer(cleaner=Pairing(), far=far)
    mic.bind(asyncio.get_running_loop())
    for number in range(1, 41):  # the loop is held up for all of it
        far.put(np.full(CHUNK // 4, number, np.int16))
        mic.feed(np.full(CHUNK // 4, number, np.int16), RATE_HZ)
    await mic.get()
    assert pairs == [(number, number) for number in range(1, 41)]
