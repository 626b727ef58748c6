"""Made surroundings: the same each time, as loud as they should be, seamless, at the rate that is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.ambience import AMBIENCES, ambience
from antiphon.audio.level import dbfs, peak, rms
from antiphon.errors import AudioError

RATES_HZ = (8_000, 16_000, 24_000)
SPARSE = {"typing", "typing-short"}
"""Mostly silence between keys: their peaks are as loud as may be, the whole is softer."""


def spectrum(pcm: NDArray[np.int16], rate_hz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.fft.rfftfreq(len(pcm), 1 / rate_hz), np.abs(np.fft.rfft(pcm)) ** 2


@pytest.mark.parametrize("name", AMBIENCES)
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_sound_has_its_level_and_its_length_at_every_rate(name: str, rate_hz: int) -> None:
    pcm = ambience(name, rate_hz)
    assert pcm.dtype == np.int16
    assert len(pcm) / rate_hz == {"typing-short": 2.5, "hold": 25.6}.get(name, 20.0)
    assert peak(pcm) <= 0.6
    level = dbfs(rms(pcm))
    assert -42 < level < -30 if name in SPARSE else level == pytest.approx(-26, abs=0.6)


@pytest.mark.parametrize("name", AMBIENCES)
def test_a_sound_is_the_same_each_time_and_nobody_can_change_it(name: str) -> None:
    first = ambience(name, 8_000)
    again = ambience.__wrapped__(name, 8_000)
    assert (first == again).all()
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


@pytest.mark.parametrize("name", AMBIENCES)
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_loop_has_no_seam(name: str, rate_hz: int) -> None:
    pcm = ambience(name, rate_hz).astype(int)
    steps = np.abs(np.diff(pcm))
    assert abs(pcm[0] - pcm[-1]) <= max(np.quantile(steps, 0.999), 40)


@pytest.mark.parametrize("name", AMBIENCES)
def test_a_sound_is_heard_on_a_telephone(name: str) -> None:
    hz, power = spectrum(ambience(name, 24_000), 24_000)
    band = power[(hz >= 200) & (hz <= 3_400)].sum()
    assert band > 0.25 * power.sum()


def test_the_sounds_differ_and_the_music_is_tuned() -> None:
    parts = [ambience(name, 8_000)[:16_000].astype(float) for name in AMBIENCES]
    likeness = np.corrcoef(parts)
    assert np.abs(likeness - np.eye(len(parts))).max() < 0.2
    hz, power = spectrum(ambience("hold", 8_000), 8_000)
    notes = 440 * 2 ** ((np.arange(36, 100) - 69) / 12)
    in_tune = np.abs(hz[:, None] / notes - 1).min(axis=1) < 0.012
    heard = (hz > 60) & (hz < 1_100)
    assert power[heard & in_tune].sum() > 0.9 * power[heard].sum()


def test_there_is_no_other_sound() -> None:
    with pytest.raises(AudioError, match="There is no sound 'jazz': use one of call-center, city-street"):
        ambience("jazz", 8_000)
