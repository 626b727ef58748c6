from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.level import dbfs, peak, rms
from antiphon.audio.tones import DTMF_HZ, comfort_noise, dtmf, silence, sine
from antiphon.errors import AudioError

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def power_at(pcm: NDArray[np.int16], hz: float, rate_hz: int) -> float:
    turn = np.exp(-2j * np.pi * hz / rate_hz * np.arange(len(pcm)))
    return float(abs(np.dot(pcm, turn)) / len(pcm))


def test_a_sine_is_as_sox_makes_it() -> None:
    wanted = np.frombuffer((GOLDEN / "sine_440.s16").read_bytes(), "<i2")
    # sox scales by 32768 and rounds twice: one step.
    assert np.abs(sine(440, 50).astype(int) - wanted).max() <= 1


def test_a_keypad_tone_is_as_sox_makes_it() -> None:
    wanted = np.frombuffer((GOLDEN / "dtmf_5.s16").read_bytes(), "<i2")
    assert np.abs(dtmf("5", tone_ms=50, gap_ms=0).astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("key", "0123456789*#ABCD")
def test_every_key_sounds_its_two_frequencies_and_no_other(key: str, rate_hz: int) -> None:
    tone = dtmf(key, rate_hz=rate_hz, gap_ms=0)
    every_hz = {hz for pair in DTMF_HZ.values() for hz in pair}
    loudest = sorted(every_hz, key=lambda hz: power_at(tone, hz, rate_hz))[-2:]
    assert sorted(loudest) == sorted(DTMF_HZ[key])


def test_every_key_has_a_pair_of_its_own() -> None:
    assert len(DTMF_HZ) == 16
    assert len(set(DTMF_HZ.values())) == 16
    assert DTMF_HZ["1"] == (697, 1209)
    assert DTMF_HZ["#"] == (941, 1477)


def test_keys_follow_each_other_with_a_pause() -> None:
    pcm = dtmf("1#", tone_ms=100, gap_ms=60)
    assert len(pcm) == 2 * 160 * 8
    assert not pcm[800:1280].any()
    assert len(dtmf("")) == 0
    assert len(dtmf("wW", tone_ms=100, gap_ms=60)) == 8_000 * 1.5


def test_a_key_that_is_not_on_the_keypad_is_an_audio_error_that_does_not_tell_the_digits() -> None:
    with pytest.raises(AudioError, match="not on the keypad") as caught:
        dtmf("12x4")
    assert "12x4" not in str(caught.value)


def test_silence_is_zeros_of_the_right_length() -> None:
    assert silence(20).tolist() == [0] * 160
    assert len(silence(20, rate_hz=16_000)) == 320


def test_comfort_noise_has_its_level_and_is_the_same_each_time() -> None:
    noise = comfort_noise(1_000, level_dbfs=-50)
    assert dbfs(rms(noise)) == pytest.approx(-50, abs=0.5)
    assert np.array_equal(noise, comfort_noise(1_000, level_dbfs=-50))
    assert not np.array_equal(noise, comfort_noise(1_000, level_dbfs=-50, seed=1))


def test_a_tone_never_wraps_around() -> None:
    assert peak(sine(1_000, 100, amplitude=1.5)) <= 1.0
