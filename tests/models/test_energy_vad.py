from __future__ import annotations

import numpy as np
import pytest

from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.tones import comfort_noise, sine
from antiphon.models.vad.energy import EnergyVAD

FORMATS = [AudioFormat(encoding, rate) for encoding in ("mulaw", "alaw", "pcm16") for rate in (8_000, 16_000)]


def scores(audio: AudioFormat, *frames: bytes, level: float = 300.0) -> list[tuple[float, float]]:
    got: list[tuple[float, float]] = []
    stream = EnergyVAD(level=level).open(audio, lambda score, seconds: got.append((score, seconds)))
    for frame in frames:
        stream.feed(frame)
    return got


@pytest.mark.parametrize("audio", FORMATS, ids=str)
def test_a_loud_frame_is_speech_and_a_quiet_one_is_not_within_feed(audio: AudioFormat) -> None:
    loud = from_pcm(sine(300, 20, rate_hz=audio.rate_hz, amplitude=0.1), audio)
    quiet = from_pcm(comfort_noise(20, rate_hz=audio.rate_hz), audio)
    assert scores(audio, loud, quiet) == [(1.0, pytest.approx(0.02)), (0.0, pytest.approx(0.02))]


def test_the_level_is_on_the_scale_of_16_bit_samples() -> None:
    audio = AudioFormat("pcm16", 8_000)
    frame = np.full(160, 301, np.int16).tobytes()
    assert scores(audio, frame)[0][0] == 1.0
    assert scores(audio, frame, level=301.5)[0][0] == 0.0


def test_a_word_in_a_long_frame_is_not_levelled_out() -> None:
    frame = from_pcm(np.concatenate([np.zeros(7_600, np.int16), sine(300, 50, amplitude=0.05)]), PHONE)
    got = scores(PHONE, frame)
    assert [score for score, _ in got][-3:] == [1.0, 1.0, 1.0]
    assert sum(score for score, _ in got) == 3
    assert sum(seconds for _, seconds in got) == pytest.approx(1.0)


def test_empty_and_broken_frames_do_no_harm() -> None:
    assert scores(PHONE, b"") == []
    assert [score for score, _ in scores(AudioFormat("pcm16", 8_000), b"\0", b"\0\0\0")] == [0.0, 0.0]
