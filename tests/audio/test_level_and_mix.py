from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.g711 import decode_mulaw
from antiphon.audio.level import FLOOR_DBFS, dbfs, mulaw_rms, peak, rms
from antiphon.audio.mix import apply_gain, interleave, mix
from antiphon.errors import AudioError

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SINE = np.frombuffer((GOLDEN / "sine_440.s16").read_bytes(), "<i2")
DTMF = np.frombuffer((GOLDEN / "dtmf_5.s16").read_bytes(), "<i2")


def test_level_and_peak_are_as_sox_measures_them() -> None:
    assert rms(DTMF) == pytest.approx(0.250405, abs=1e-6)
    assert peak(DTMF) == pytest.approx(0.499664, abs=1e-6)


@given(st.binary(min_size=1, max_size=400))
def test_the_level_of_mulaw_is_that_of_its_samples(payload: bytes) -> None:
    assert mulaw_rms(payload) == pytest.approx(rms(decode_mulaw(payload)), rel=1e-5)


def test_silence_and_nothing_have_no_level() -> None:
    for pcm in (np.zeros(0, np.int16), np.zeros(160, np.int16)):
        assert rms(pcm) == 0.0
        assert peak(pcm) == 0.0
    assert mulaw_rms(b"") == 0.0
    assert mulaw_rms(b"\xff" * 160) == 0.0
    assert dbfs(0.0) == FLOOR_DBFS


def test_full_scale_is_0_dbfs_and_half_is_6_less() -> None:
    assert peak(np.array([-32768, 0], np.int16)) == 1.0
    assert rms(np.full(10, -32768, np.int16)) == 1.0
    assert dbfs(1.0) == 0.0
    assert dbfs(0.5) == pytest.approx(-6.02, abs=0.01)
    assert dbfs(1e-9) == FLOOR_DBFS


def test_mixing_adds_and_cuts_as_sox_does() -> None:
    wanted = np.frombuffer((GOLDEN / "mix.s16").read_bytes(), "<i2")
    # The sum clips, no part does. sox works with 32 bits: the rounding differs by one step.
    assert np.abs(mix([SINE, DTMF], [0.9, 1.9]).astype(int) - wanted).max() <= 1


def test_a_mix_is_as_long_as_its_longest_part() -> None:
    assert mix([np.array([1, 2, 3], np.int16), np.array([10], np.int16)]).tolist() == [11, 2, 3]
    assert len(mix([])) == 0


def test_gain_and_mix_cut_at_full_scale() -> None:
    loud = np.array([30_000, -30_000], np.int16)
    assert apply_gain(loud, 2.0).tolist() == [32767, -32768]
    assert apply_gain(loud, 0.5).tolist() == [15_000, -15_000]
    assert mix([loud, loud]).tolist() == [32767, -32768]


def test_a_gain_for_each_signal_or_an_audio_error() -> None:
    with pytest.raises(AudioError, match="one gain for each"):
        mix([SINE, DTMF], [1.0])


def test_two_sides_become_stereo_and_the_shorter_one_ends_in_silence() -> None:
    stereo = interleave(np.array([1, 2, 3], np.int16), np.array([9], np.int16))
    assert stereo.tolist() == [[1, 9], [2, 0], [3, 0]]
    assert stereo.astype("<i2").tobytes() == b"\1\0\x09\0\2\0\0\0\3\0\0\0"
    assert interleave(np.zeros(0, np.int16), np.zeros(0, np.int16)).shape == (0, 2)
