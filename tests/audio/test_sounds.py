"""Sounds for a call: by name, or from a WAV of any kind, at the line's rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from antiphon.audio.ambience import ambience
from antiphon.audio.mix import interleave
from antiphon.audio.sounds import MOST_BYTES, load_sound
from antiphon.audio.tones import silence, sine
from antiphon.audio.wav import write_wav
from antiphon.errors import AudioError


@pytest.mark.parametrize("file_hz", [8_000, 11_025, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_r47_a_tone_keeps_its_pitch_and_length_at_every_rate(file_hz: int, rate_hz: int, tmp_path: Path) -> None:
    left = sine(1_000, 1_000, rate_hz=file_hz, amplitude=0.4)
    write_wav(tmp_path / "a.wav", interleave(left, silence(1_000, rate_hz=file_hz)), file_hz)
    pcm = load_sound(tmp_path / "a.wav", rate_hz)
    assert len(pcm) == rate_hz
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) / len(pcm) * 4 / 32768
    assert spectrum.argmax() == 1_000
    assert spectrum.max() == pytest.approx(0.2, rel=0.02)  # the mean of both channels


def test_a_name_a_path_and_bytes_are_all_sounds(tmp_path: Path) -> None:
    write_wav(tmp_path / "A.WAV", sine(300, 50), 8_000)
    from_path = load_sound(str(tmp_path / "A.WAV"), 8_000)
    assert (from_path == load_sound((tmp_path / "A.WAV").read_bytes(), 8_000)).all()
    assert load_sound("office", 8_000) is ambience("office", 8_000)


def test_a_file_is_loaded_once_for_all_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, sine(300, 50), 8_000)
    first = load_sound(path, 8_000)
    assert load_sound(str(path), 8_000) is first
    assert not first.flags.writeable
    write_wav(path, sine(300, 70), 8_000)
    assert len(load_sound(path, 8_000)) == 560


def test_what_is_no_sound_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", silence(0), 8_000)
    with (tmp_path / "huge.wav").open("wb") as huge:
        huge.truncate(MOST_BYTES + 1)
    for sound, reason in (
        ("jazz", "There is no sound 'jazz'"),
        (b"RIFF", "not a WAV"),
        (tmp_path / "empty.wav", "holds no sound"),
        (tmp_path / "huge.wav", "64 MiB"),
    ):
        with pytest.raises(AudioError, match=reason):
            load_sound(sound, 8_000)
    with pytest.raises(FileNotFoundError):
        load_sound(tmp_path / "none.wav", 8_000)
