"""RIFF WAVE files: reads what is met in practice as int16, writes 16-bit PCM in a stream that outlives a crash."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.g711 import decode_alaw, decode_mulaw
from antiphon.errors import AudioError

Source = str | PathLike[str] | bytes | BinaryIO

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_STREAMED_SIZES = (0, 0xFFFFFFFF)  # what writers leave that could not go back to the header
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MAX_DATA_BYTES = 0xFFFFFFFF - _HEADER.size


@dataclass(frozen=True, slots=True)
class _Format:
    code: int
    channels: int
    rate_hz: int
    bits: int


def read_wav(source: Source) -> tuple[NDArray[np.int16], int]:
    """Read a whole WAV: PCM of 8, 16, 24 or 32 bits, float of 32 or 64 bits, mu-law, A-law, any of them extensible.

    A file whose end was cut, or whose header was never finished, gives the samples that are there.

    Args:
        source: A path, the file's bytes, or a binary file object (read from where it stands, not closed).

    Returns:
        The samples, shape (n,) for mono, else (n, channels), and the rate in Hz. The array may be read-only.

    Raises:
        AudioError: It is not a WAV, or its format is not one of the above.
        OSError: The file cannot be read.
    """
    content = _content(source)
    fmt, data = _chunks(content)
    pcm = _decode(data[: len(data) - len(data) % (fmt.channels * fmt.bits // 8)], fmt)
    return (pcm if fmt.channels == 1 else pcm.reshape(-1, fmt.channels)), fmt.rate_hz


def mono(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """The mean of the channels; shape (n,), from (n,) or (n, channels)."""
    if pcm.ndim == 1:
        return pcm
    mean: NDArray[np.float64] = pcm.mean(axis=1)
    return np.rint(mean).astype(np.int16)


def write_wav(path: str | PathLike[str], pcm: NDArray[np.int16], rate_hz: int) -> None:
    """Write 16-bit PCM of shape (n,) or (n, channels) to a new file at ``path``.

    Raises:
        AudioError: The samples are not int16, or too many for the format.
        OSError: The file cannot be written.
    """
    with Path(path).open("wb") as file, WavWriter(file, rate_hz, channels=1 if pcm.ndim == 1 else pcm.shape[1]) as wav:
        wav.write(pcm)


class WavWriter:
    """Writes 16-bit PCM bit by bit. Whoever opened ``file`` closes it; ``close`` here finishes the header.

    The header of a new file says that it is empty; ``sync_header`` brings it up to date. So the file can be read
    after a crash up to the last sync by every reader, and to its end by ``read_wav``.

    Args:
        file: Binary, writable and seekable, at its start.
        rate_hz: Samples a second.
        channels: 1 is mono, 2 is stereo.

    Raises:
        AudioError: There is no such number of channels.
    """

    def __init__(self, file: BinaryIO, rate_hz: int, *, channels: int = 1) -> None:
        if not 1 <= channels <= 64:
            raise AudioError(f"{channels} channels are not possible: use 1 for mono or 2 for stereo.")
        self._file = file
        self._rate_hz = rate_hz
        self._channels = channels
        self._data_bytes = 0
        file.write(self._header())

    @property
    def seconds(self) -> float:
        """Duration of what was written."""
        return self._data_bytes / (2 * self._channels * self._rate_hz)

    def write(self, pcm: NDArray[np.int16]) -> None:
        """Add samples: shape (n,) for mono, (n, channels) else.

        Raises:
            AudioError: The samples are not int16, have another number of channels, or would make the file too long.
        """
        channels = 1 if pcm.ndim == 1 else pcm.shape[-1]
        if pcm.dtype != np.int16 or pcm.ndim > 2 or channels != self._channels:
            raise AudioError(
                f"This file takes int16 of {self._channels} channel(s), not {pcm.dtype} of shape {pcm.shape}."
            )
        data = pcm.astype("<i2", copy=False).tobytes()
        if self._data_bytes + len(data) > _MAX_DATA_BYTES:
            raise AudioError("A WAV cannot be longer than 4 GiB: start a new file.")
        self._file.write(data)
        self._data_bytes += len(data)

    def sync_header(self) -> None:
        """Bring the header up to date and hand everything to the operating system."""
        end = self._file.tell()
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(end)
        self._file.flush()

    def close(self) -> None:
        """Finish the header. The file stays open."""
        self.sync_header()

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _header(self) -> bytes:
        frame_bytes = 2 * self._channels
        return _HEADER.pack(
            b"RIFF",
            _HEADER.size - 8 + self._data_bytes,
            b"WAVE",
            b"fmt ",
            16,
            _PCM,
            self._channels,
            self._rate_hz,
            self._rate_hz * frame_bytes,
            frame_bytes,
            16,
            b"data",
            self._data_bytes,
        )


def _content(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | PathLike):
        return Path(source).read_bytes()
    return source.read()


def _chunks(content: bytes) -> tuple[_Format, memoryview]:
    """The format and the audio bytes, from a walk over the chunks."""
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise AudioError("This is not a WAV file: convert it to WAV first.")
    view = memoryview(content)
    fmt: _Format | None = None
    at = 12
    while at + 8 <= len(content):
        name = content[at : at + 4]
        (size,) = struct.unpack_from("<I", content, at + 4)
        body = view[at + 8 : at + 8 + size]
        if name == b"fmt ":
            fmt = _format(body)
        elif name == b"data":
            if fmt is None:
                raise AudioError("The WAV has audio before its format: it is damaged, make it again.")
            return fmt, view[at + 8 :] if size in _STREAMED_SIZES else body
        at += 8 + size + size % 2  # chunks start at even places
    raise AudioError("The WAV ends before its audio: it is damaged or cut, make it again.")


def _format(body: memoryview) -> _Format:
    if len(body) < 16:
        raise AudioError("The WAV's format is cut: it is damaged, make it again.")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if code == _EXTENSIBLE and len(body) >= 26:
        (code,) = struct.unpack_from("<H", body, 24)  # the sub-format's first two bytes are the plain code
    if (code, bits) not in _READERS:
        raise AudioError(f"WAV format {code} with {bits} bits is not supported: convert it to 16-bit PCM.")
    if not channels or not rate_hz:
        raise AudioError(f"A WAV of {channels} channels at {rate_hz} Hz is not possible: it is damaged, make it again.")
    return _Format(code, channels, rate_hz, bits)


def _decode(data: memoryview, fmt: _Format) -> NDArray[np.int16]:
    return _READERS[fmt.code, fmt.bits](bytes(data))


def _from_8(data: bytes) -> NDArray[np.int16]:
    return (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8


def _from_16(data: bytes) -> NDArray[np.int16]:
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def _from_24(data: bytes) -> NDArray[np.int16]:
    packed = np.frombuffer(data, np.uint8).reshape(-1, 3)
    wide = np.zeros((len(packed), 4), np.uint8)
    wide[:, 1:] = packed
    return _from_32(wide.tobytes())


def _from_32(data: bytes) -> NDArray[np.int16]:
    return _saturate((np.frombuffer(data, "<i4").astype(np.int64) + 0x8000) >> 16)


def _from_float32(data: bytes) -> NDArray[np.int16]:
    return _saturate(np.rint(np.frombuffer(data, "<f4").astype(np.float64) * 32768))


def _from_float64(data: bytes) -> NDArray[np.int16]:
    return _saturate(np.rint(np.frombuffer(data, "<f8") * 32768))


def _saturate(wide: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.nan_to_num(wide), -32768, 32767).astype(np.int16)


_READERS = {
    (_PCM, 8): _from_8,
    (_PCM, 16): _from_16,
    (_PCM, 24): _from_24,
    (_PCM, 32): _from_32,
    (_FLOAT, 32): _from_float32,
    (_FLOAT, 64): _from_float64,
    (_ALAW, 8): decode_alaw,
    (_MULAW, 8): decode_mulaw,
}
