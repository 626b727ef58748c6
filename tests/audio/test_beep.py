from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from antiphon.audio.beep import Beep, BeepDetector
from antiphon.audio.g711 import decode_mulaw, encode_mulaw
from antiphon.audio.resample import resample
from antiphon.audio.tones import comfort_noise, dtmf, sine
from antiphon.audio.wav import mono, read_wav

DATA = Path(__file__).parents[1] / "data"
RECORDINGS = sorted([*(DATA / "human").glob("*.wav"), *(DATA / "callers").glob("*.wav")])
RATE_HZ = 8_000


def heard(pcm: NDArray[np.int16], *, rate_hz: int = RATE_HZ, frame: int = 160) -> list[tuple[float, Beep]]:
    """What is told about a sound, with the second at which its frame had come."""
    detector = BeepDetector(rate_hz)
    return [
        ((start + frame) / rate_hz, beep)
        for start in range(0, len(pcm), frame)
        for beep in detector.feed(pcm[start : start + frame])
    ]


def over_phone(wave: NDArray[np.float64]) -> NDArray[np.int16]:
    """What is left of a wave, -1 to 1, behind a telephone line."""
    return decode_mulaw(encode_mulaw(np.clip(wave * 32767, -32768, 32767).astype(np.int16)))


def noisy_beep(
    hz: float, *, level_db: float, snr_db: float, lead_ms: int, ms: int, seed: int = 0
) -> NDArray[np.float64]:
    """A beep in white noise over the whole band, -1 to 1."""
    tone = sine(hz, ms, amplitude=10 ** (level_db / 20)) / 32767
    lead = lead_ms * RATE_HZ // 1000
    wave = np.zeros(lead + len(tone) + RATE_HZ // 2)
    wave[lead : lead + len(tone)] = tone
    noise = 10 ** ((level_db - snr_db) / 20) / np.sqrt(2)
    made: NDArray[np.float64] = wave + noise * np.random.default_rng(seed).standard_normal(len(wave))
    return made


@given(
    hz=st.floats(800, 2000),
    level_db=st.floats(-38, -3),
    snr_db=st.floats(15, 40),
    lead_ms=st.integers(0, 400),
    ms=st.integers(150, 1200),
    seed=st.integers(0, 2**32 - 1),
)
@example(hz=971.0, level_db=-3.0, snr_db=15.0, lead_ms=94, ms=150, seed=94)
@settings(deadline=None)
def test_a_beep_is_found_within_300_ms_at_15_db(
    hz: float, level_db: float, snr_db: float, lead_ms: int, ms: int, seed: int
) -> None:
    wave = noisy_beep(hz, level_db=level_db, snr_db=snr_db, lead_ms=lead_ms, ms=ms, seed=seed)
    told = heard(over_phone(wave))
    (found_at, beginning), (_, whole) = told[0], told[-1]
    assert found_at - lead_ms / 1000 <= 0.3
    assert not beginning.is_over
    assert abs(beginning.frequency_hz - hz) <= 15
    if len(told) == 2:  # at 15 dB a click of noise may now and then end one before its time
        assert whole.is_over
        assert abs(whole.duration_ms - ms) <= 80


def test_a_beep_is_told_with_its_frequency_and_length() -> None:
    told = heard(over_phone(noisy_beep(1004, level_db=-10, snr_db=40, lead_ms=200, ms=500)))
    assert [beep.is_over for _, beep in told] == [False, True]
    whole = told[-1][1]
    assert whole.frequency_hz == pytest.approx(1004, abs=3)
    assert whole.duration_ms == pytest.approx(500, abs=20)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("frame_ms", [10, 20, 37, 400])
def test_a_beep_is_found_at_every_rate_and_frame_length(rate_hz: int, frame_ms: int) -> None:
    quiet = comfort_noise(300, rate_hz=rate_hz)
    sound = np.concatenate((quiet, sine(1400, 300, rate_hz=rate_hz), quiet))
    told = heard(sound, rate_hz=rate_hz, frame=rate_hz * frame_ms // 1000)
    assert [round(beep.frequency_hz, -1) for _, beep in told] == [1400, 1400]


def test_two_beeps_are_two() -> None:
    one = noisy_beep(1000, level_db=-12, snr_db=30, lead_ms=100, ms=250)
    told = heard(over_phone(np.concatenate((one, one))))
    assert [beep.is_over for _, beep in told] == [False, True, False, True]


def test_a_beep_right_behind_speech_is_found() -> None:
    pcm, rate_hz = read_wav(DATA / "human" / "jfk.wav")
    speech = resample(mono(pcm), rate_hz, RATE_HZ)[: 3 * RATE_HZ]
    told = heard(np.concatenate((speech, sine(1000, 400), speech)))
    assert [beep.is_over for _, beep in told] == [False, True]
    assert 3.0 < told[0][0] <= 3.3


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("pace", [0.8, 0.9, 1.0, 1.1, 1.25, 1.4])
def test_recorded_speech_holds_no_beep(path: Path, pace: float) -> None:
    """At the pitch that was recorded, and as deeper and higher voices."""
    pcm, rate_hz = read_wav(path)
    voice = resample(mono(pcm), round(rate_hz * pace), RATE_HZ)
    assert heard(decode_mulaw(encode_mulaw(voice))) == []


SECONDS = np.arange(3 * RATE_HZ) / RATE_HZ


def tones(*frequencies_hz: float) -> NDArray[np.float64]:
    waves = np.array([np.sin(2 * np.pi * hz * SECONDS) for hz in frequencies_hz])
    mixed: NDArray[np.float64] = waves.mean(axis=0) * 0.6
    return mixed


@pytest.mark.parametrize("key", "0123456789*#ABCD")
def test_a_key_is_no_beep(key: str) -> None:
    assert heard(dtmf(key, tone_ms=400)) == []


@pytest.mark.parametrize(
    "signal",
    [(440, 480), (400, 450), (480, 620), (350, 440), (425,), (2100,), (2600,)],
    ids=["ringback US", "ringback UK", "busy US", "dial tone US", "ringback Europe", "fax answer", "trunk tone"],
)
def test_the_network_s_signals_are_no_beep(signal: tuple[float, ...]) -> None:
    assert heard(over_phone(tones(*signal))) == []


@pytest.mark.parametrize("note_hz", [220.0, 440.0, 659.3, 880.0, 1046.5, 1318.5])
def test_music_is_no_beep(note_hz: float) -> None:
    """A bowed note with its overtones, a plucked one that fades, a sung one that trembles, a chord."""
    bowed = np.sum([np.sin(2 * np.pi * note_hz * k * SECONDS) / k for k in range(1, 8)], axis=0) * 0.3
    plucked = np.sin(2 * np.pi * note_hz * SECONDS) * np.exp(-6 * SECONDS) * 0.8
    sung = 0.6 * np.sin(2 * np.pi * note_hz * SECONDS + 0.006 * note_hz * np.sin(2 * np.pi * 5 * SECONDS))
    chord = tones(note_hz, note_hz * 1.26, note_hz * 1.5)
    assert heard(over_phone(np.concatenate((bowed, plucked, sung, chord)))) == []


@given(seed=st.integers(0, 2**32 - 1), level_db=st.floats(-60, -6))
@settings(deadline=None, max_examples=20)
def test_noise_is_no_beep(seed: int, level_db: float) -> None:
    assert heard(comfort_noise(3_000, level_dbfs=level_db, seed=seed)) == []


def test_a_click_of_a_tone_is_no_beep() -> None:
    quiet = comfort_noise(200)
    assert heard(np.concatenate((quiet, sine(1000, 100), quiet))) == []


def test_a_tone_that_nobody_hears_is_no_beep() -> None:
    assert heard(sine(1000, 1000, amplitude=0.001)) == []
