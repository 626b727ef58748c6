from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from antiphon.audio.resample import Resampler, resample
from antiphon.audio.tones import sine
from antiphon.errors import AudioError

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PAIRS = [(8_000, 16_000), (16_000, 8_000), (24_000, 8_000), (24_000, 16_000)]
OTHERS = [(8_000, 24_000), (44_100, 16_000), (48_000, 8_000), (22_050, 8_000)]


def stream(pcm: NDArray[np.int16], from_hz: int, to_hz: int, frame: int) -> NDArray[np.int16]:
    resampler = Resampler(from_hz, to_hz)
    parts = [resampler.feed(pcm[at : at + frame]) for at in range(0, len(pcm), frame)]
    return np.concatenate([*parts, resampler.feed(pcm[:0], last=True)])


def ratio_db(wanted: NDArray[np.int16], got: NDArray[np.int16]) -> float:
    """Signal to difference, in decibels."""
    difference = wanted.astype(float) - got
    return float(10 * np.log10(np.sum(wanted.astype(float) ** 2) / max(np.sum(difference**2), 1e-9)))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_recording_is_resampled_as_sox_does_it(from_hz: int, to_hz: int) -> None:
    pcm = np.frombuffer((GOLDEN / f"rate_{from_hz}_{to_hz}_in.s16").read_bytes(), "<i2")
    wanted = np.frombuffer((GOLDEN / f"rate_{from_hz}_{to_hz}_out.s16").read_bytes(), "<i2")
    got = resample(pcm, from_hz, to_hz)
    assert len(got) == len(wanted)
    # Both round to 16 bits and filter a little differently near the half rate: 50 dB below the signal.
    assert ratio_db(wanted, got) > 50


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS + OTHERS)
def test_a_stream_of_frames_gives_the_same_tone_as_the_whole(from_hz: int, to_hz: int) -> None:
    tone = sine(1_000, 500, rate_hz=from_hz)
    got = stream(tone, from_hz, to_hz, from_hz // 50)
    assert len(got) == pytest.approx(to_hz // 2, abs=1)
    # The stream's filter may shift by a fraction of a sample, so the spectrum is compared, not the samples.
    middle = got[len(got) // 4 : 3 * len(got) // 4].astype(float)
    power = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) ** 2
    at = round(1_000 / to_hz * len(middle))
    assert 10 * np.log10(power[at - 6 : at + 7].sum() / (power.sum() - power[at - 6 : at + 7].sum())) > 60
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(32767 * 0.5 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(24_000, 8_000), (16_000, 8_000), (48_000, 8_000)])
def test_what_does_not_fit_the_new_rate_is_filtered_out_of_a_stream(from_hz: int, to_hz: int) -> None:
    got = stream(sine(5_000, 500, rate_hz=from_hz), from_hz, to_hz, from_hz // 50)
    assert np.abs(got[to_hz // 8 : -to_hz // 8].astype(int)).max() <= 2


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS + OTHERS)
def test_a_stream_never_holds_back_more_than_32_ms_of_20_ms_frames(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    frame = np.zeros(from_hz // 50, np.int16)
    came, fed = 0, 0
    for _ in range(100):
        fed += len(frame)
        came += len(resampler.feed(frame))
        assert fed / from_hz - came / to_hz <= 0.032


@settings(max_examples=25)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=12), st.sampled_from(PAIRS))
def test_the_size_of_the_frames_does_not_change_the_samples(sizes: list[int], pair: tuple[int, int]) -> None:
    pcm = np.random.default_rng(7).integers(-20_000, 20_000, sum(sizes), dtype=np.int16)
    resampler = Resampler(*pair)
    whole = np.concatenate([resampler.feed(pcm), resampler.feed(pcm[:0], last=True)])
    frames = np.split(pcm, np.cumsum(sizes)[:-1])
    parts = [resampler.feed(frame, last=index == len(frames) - 1) for index, frame in enumerate(frames)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_after_the_last_frame_a_new_stream_begins() -> None:
    resampler = Resampler(8_000, 16_000)
    tone = sine(440, 200)
    first = resampler.feed(tone, last=True)
    assert np.array_equal(resampler.feed(tone, last=True), first)


def test_an_empty_last_frame_gives_what_was_held_back() -> None:
    resampler = Resampler(8_000, 16_000)
    before = len(resampler.feed(sine(440, 200)))
    assert before < 3_200
    assert before + len(resampler.feed(np.zeros(0, np.int16), last=True)) == 3_200


def test_the_same_rate_passes_samples_through() -> None:
    tone = sine(440, 20)
    assert Resampler(8_000, 8_000).feed(tone) is tone
    assert Resampler(8_000, 8_000).feed(tone, last=True) is tone
    assert resample(tone, 8_000, 8_000) is tone


def test_a_whole_recording_may_be_stereo_or_empty() -> None:
    assert resample(np.zeros((800, 2), np.int16), 8_000, 16_000).shape == (1_600, 2)
    assert len(resample(np.zeros(0, np.int16), 8_000, 16_000)) == 0


@pytest.mark.parametrize("rate_hz", [0, -8_000, 200_000])
def test_an_impossible_rate_is_an_audio_error(rate_hz: int) -> None:
    with pytest.raises(AudioError, match="out of range"):
        Resampler(8_000, rate_hz)
    with pytest.raises(AudioError, match="out of range"):
        resample(np.zeros(8, np.int16), rate_hz, 8_000)
