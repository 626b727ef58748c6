from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.level import rms
from antiphon.audio.resample import resample
from antiphon.audio.wav import mono, read_wav
from antiphon.transports.local.echo import EchoCanceller, FarEnd

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
    far = FarEnd(RATE_HZ)
    canceller = EchoCanceller(far, RATE_HZ)
    left = []
    for begin in range(0, len(played), CHUNK):
        far.put(played[begin : begin + CHUNK])
        left.append(canceller.process(echo[begin : begin + CHUNK]))
    assert rms(np.concatenate(left)[RATE_HZ:]) < rms(echo[RATE_HZ:]) / 10


def test_a_voice_without_echo_stays() -> None:
    far = FarEnd(RATE_HZ)
    canceller = EchoCanceller(far, RATE_HZ)
    rng = np.random.default_rng(2)
    voice = (rng.standard_normal(RATE_HZ * 2) * 3000).astype(np.int16)
    clean = np.concatenate([canceller.process(voice[at : at + CHUNK]) for at in range(0, len(voice), CHUNK)])
    assert rms(clean[-RATE_HZ:]) > rms(voice[-RATE_HZ:]) / 2


def test_the_far_end_is_bounded_in_order_and_silent_where_nothing_was_played() -> None:
    far = FarEnd(RATE_HZ)
    assert not far.take(100).any()
    for number in range(1, 101):
        far.put(np.full(CHUNK, number, np.int16))
    oldest = far.take(CHUNK // 2)
    assert set(oldest.tolist()) == {89}
    assert set(far.take(CHUNK).tolist()) == {89, 90}
