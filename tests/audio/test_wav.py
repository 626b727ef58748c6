from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from antiphon.audio.tones import sine
from antiphon.audio.wav import WavWriter, mono, read_wav, write_wav
from antiphon.errors import AudioError

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
KINDS = [
    "unsigned_8",
    "signed_16",
    "signed_24",
    "signed_32",
    "floating-point_32",
    "floating-point_64",
    "mu-law_8",
    "a-law_8",
]


def wav_bytes(pcm: NDArray[np.int16], rate_hz: int = 8_000) -> bytes:
    file = io.BytesIO()
    with WavWriter(file, rate_hz, channels=1 if pcm.ndim == 1 else pcm.shape[1]) as wav:
        wav.write(pcm)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm_format(code: int = 1, channels: int = 1, rate_hz: int = 8_000, bits: int = 16) -> bytes:
    size = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * size, size, bits))


@pytest.mark.parametrize("kind", KINDS)
def test_every_sample_format_reads_as_sox_reads_it(kind: str) -> None:
    pcm, rate_hz = read_wav(GOLDEN / f"wav_{kind}.wav")
    wanted = np.frombuffer((GOLDEN / f"wav_{kind}.s16").read_bytes(), "<i2").reshape(-1, 2)
    assert rate_hz == 8_000
    assert np.array_equal(pcm, wanted)


def test_mono_is_the_mean_of_the_channels() -> None:
    stereo, _ = read_wav(GOLDEN / "wav_signed_16.wav")
    wanted = np.frombuffer((GOLDEN / "mono.s16").read_bytes(), "<i2")
    # A half is rounded to the even number here and up in sox: one step of 16 bits.
    assert np.abs(mono(stereo).astype(int) - wanted).max() <= 1
    assert np.array_equal(mono(np.array([[32767, 32767], [-32768, -32768]], np.int16)), [32767, -32768])
    assert mono(stereo[:, 0]) is not stereo
    assert np.array_equal(mono(stereo[:, 0]), stereo[:, 0])


def test_what_was_written_is_what_sox_writes() -> None:
    pcm, _ = read_wav(GOLDEN / "wav_signed_16.wav")
    assert wav_bytes(pcm) == (GOLDEN / "wav_signed_16.wav").read_bytes()


@given(
    hnp.arrays(np.int16, st.one_of(st.tuples(st.integers(0, 200)), st.tuples(st.integers(0, 100), st.integers(2, 3)))),
    st.sampled_from([8_000, 16_000, 44_100]),
)
def test_what_was_written_reads_the_same(pcm: NDArray[np.int16], rate_hz: int) -> None:
    got, got_rate_hz = read_wav(wav_bytes(pcm, rate_hz))
    assert got_rate_hz == rate_hz
    assert got.shape == pcm.shape
    assert np.array_equal(got, pcm)


def test_a_path_bytes_and_an_open_file_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    tone = sine(440, 20)
    write_wav(path, tone, 8_000)
    with path.open("rb") as file:
        sources = [path, str(path), path.read_bytes(), file]
        for source in sources:
            assert np.array_equal(read_wav(source)[0], tone)


def test_odd_and_unknown_chunks_are_skipped() -> None:
    tone = sine(440, 5)
    content = riff(
        chunk(b"LIST", b"INFOISFT\x05\0\0\0sox 1"),
        chunk(b"odd ", b"abc"),
        pcm_format(),
        chunk(b"fact", b"\0\0\0\0"),
        chunk(b"data", tone.tobytes()),
        chunk(b"LIST", b"INFO"),
    )
    assert np.array_equal(read_wav(content)[0], tone)


@pytest.mark.parametrize("told", [0, 0xFFFFFFFF])
def test_a_streamed_file_without_sizes_reads_to_its_end(told: int) -> None:
    tone = sine(440, 5)
    content = riff(pcm_format(), b"data" + struct.pack("<I", told) + tone.tobytes())
    assert np.array_equal(read_wav(content)[0], tone)


@given(st.integers(44, 363))
def test_a_file_cut_within_its_audio_gives_the_whole_samples_that_are_there(size: int) -> None:
    stereo = np.arange(160, dtype=np.int16).reshape(-1, 2)
    got, _ = read_wav(wav_bytes(stereo)[:size])
    assert np.array_equal(got, stereo[: (min(size, 364) - 44) // 4])


@given(st.integers(0, 43))
def test_a_file_cut_within_its_header_is_an_audio_error(size: int) -> None:
    with pytest.raises(AudioError):
        read_wav(wav_bytes(sine(440, 5))[:size])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a WAV"),
        (b"ID3\x04" + bytes(100), "not a WAV"),
        (riff(chunk(b"data", b"\0\0"), pcm_format()), "before its format"),
        (riff(pcm_format()), "ends before its audio"),
        (riff(chunk(b"fmt ", b"\1\0"), chunk(b"data", b"")), "format is cut"),
        (riff(pcm_format(code=0x55), chunk(b"data", b"")), "WAV format 85 with 16 bits"),
        (riff(pcm_format(bits=12), chunk(b"data", b"")), "format 1 with 12 bits"),
        (riff(pcm_format(channels=0), chunk(b"data", b"")), "0 channels"),
        (riff(pcm_format(rate_hz=0), chunk(b"data", b"")), "0 Hz"),
    ],
)
def test_what_is_no_wav_is_an_audio_error_that_says_why(content: bytes, says: str) -> None:
    with pytest.raises(AudioError, match=says):
        read_wav(content)


@given(st.binary(max_size=200))
def test_damaged_headers_give_samples_or_an_audio_error(noise: bytes) -> None:
    for content in (noise, b"RIFF\0\0\0\0WAVE" + noise, riff(chunk(b"fmt ", noise[:40]), chunk(b"data", noise))):
        try:
            pcm, rate_hz = read_wav(content)
        except AudioError:
            continue
        assert pcm.dtype == np.int16
        assert rate_hz > 0


def test_floats_beyond_full_scale_are_cut_and_nothings_are_silence() -> None:
    values = np.array([2.0, -2.0, np.inf, -np.inf, np.nan, 0.5], "<f4")
    content = riff(pcm_format(code=3, bits=32), chunk(b"data", values.tobytes()))
    assert read_wav(content)[0].tolist() == [32767, -32768, 32767, -32768, 0, 16384]


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")


def test_a_file_cut_by_a_crash_reads_to_the_last_sync_by_its_header_and_no_further() -> None:
    file = io.BytesIO()
    wav = WavWriter(file, 8_000, channels=2)
    first = np.arange(320, dtype=np.int16).reshape(-1, 2)
    wav.write(first)
    wav.sync_header()
    wav.write(first)  # and here the power fails
    assert np.array_equal(read_wav(file.getvalue())[0], first)
    wav.sync_header()
    assert len(read_wav(file.getvalue())[0]) == 2 * len(first)


def test_a_file_that_was_never_synced_reads_to_its_end() -> None:
    file = io.BytesIO()
    tone = sine(440, 20)
    WavWriter(file, 8_000).write(tone)
    assert np.array_equal(read_wav(file.getvalue())[0], tone)


def test_closing_finishes_the_header_and_leaves_the_file_open(tmp_path: Path) -> None:
    with (tmp_path / "call.wav").open("wb") as file:
        wav = WavWriter(file, 8_000, channels=2)
        wav.write(np.zeros((80, 2), np.int16))
        assert wav.seconds == pytest.approx(0.01)
        wav.close()
        assert not file.closed
    content = (tmp_path / "call.wav").read_bytes()
    assert struct.unpack_from("<I", content, 4)[0] == len(content) - 8
    assert struct.unpack_from("<I", content, 40)[0] == 320


@pytest.mark.parametrize(
    "pcm", [np.zeros(4, np.int16), np.zeros((4, 3), np.int16), np.zeros((4, 2), np.float32)], ids=str
)
def test_samples_that_do_not_fit_the_file_are_an_audio_error(pcm: NDArray[np.int16]) -> None:
    wav = WavWriter(io.BytesIO(), 8_000, channels=2)
    with pytest.raises(AudioError, match="2 channel"):
        wav.write(pcm)


def test_a_file_of_no_channels_is_an_audio_error() -> None:
    with pytest.raises(AudioError, match="0 channels"):
        WavWriter(io.BytesIO(), 8_000, channels=0)
