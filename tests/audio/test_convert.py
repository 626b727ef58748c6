from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.errors import AudioError

FORMATS = [PHONE, AudioFormat("alaw", 8_000), AudioFormat("pcm16", 16_000)]


@given(st.sampled_from(FORMATS), st.binary(max_size=400))
def test_bytes_come_back_as_they_were(audio: AudioFormat, payload: bytes) -> None:
    payload = payload[: len(payload) - len(payload) % audio.sample_bytes].replace(b"\x7f", b"\xff")
    assert from_pcm(to_pcm(payload, audio), audio) == payload


def test_pcm16_is_little_endian() -> None:
    assert to_pcm(b"\x01\x00\x00\x80", FORMATS[2]).tolist() == [1, -32768]
    assert from_pcm(np.array([1, -32768], np.int16), FORMATS[2]) == b"\x01\x00\x00\x80"


def test_half_a_sample_is_an_audio_error() -> None:
    with pytest.raises(AudioError, match="3 bytes"):
        to_pcm(b"\x00\x00\x00", FORMATS[2])


@pytest.mark.parametrize("pcm", [np.zeros(4, np.float32), np.zeros((4, 2), np.int16)], ids=["float", "stereo"])
@pytest.mark.parametrize("audio", FORMATS, ids=lambda audio: audio.encoding)
def test_samples_of_another_kind_are_an_audio_error(pcm: np.ndarray, audio: AudioFormat) -> None:
    with pytest.raises(AudioError, match="int16 and mono"):
        from_pcm(pcm, audio)
