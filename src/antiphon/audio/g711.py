"""G.711: the telephone network's mu-law and A-law, by table.

Every code has one value, so decoding is a table of 256 entries and encoding one of 65,536. Source: ITU-T G.711.
Where a 16-bit sample lies between two codes it is cut to 14 (mu-law) or 13 bits (A-law) by an arithmetic shift, as
CPython's former ``audioop`` did, bit for bit. (sox rounds there: its codes differ by one step just below a border.)
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

_BIAS = 33  # moves every mu-law segment to a power of two, in 14-bit steps
_MULAW_LIMIT = 8191  # the largest biased 14-bit magnitude
_MULAW_SEGMENT_ENDS = (1 << np.arange(6, 14)) - 1
_ALAW_SEGMENT_ENDS = (1 << np.arange(5, 13)) - 1
_ALAW_EVEN_BITS = 0x55  # A-law inverts every other bit on the line


def _frozen(table: NDArray[T]) -> NDArray[T]:
    table.setflags(write=False)
    return table


def _mulaw_values() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4 & 7).astype(np.int32)
    magnitude = (((code & 15).astype(np.int32) << 1) + _BIAS << exponent) - _BIAS << 2
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_values() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ _ALAW_EVEN_BITS
    segment = code >> 4 & 7
    step = (code & 15) << 4
    magnitude = np.where(segment == 0, step + 8, step + 0x108 << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


MULAW_TO_PCM = _frozen(_mulaw_values())
"""Value of each mu-law byte; shape (256,), int16."""

ALAW_TO_PCM = _frozen(_alaw_values())
"""Value of each A-law byte; shape (256,), int16."""

MULAW_TO_FLOAT = _frozen(MULAW_TO_PCM.astype(np.float32) / np.float32(32768))
"""Value of each mu-law byte in -1 to 1; shape (256,), float32. One lookup decodes a whole batch of calls."""

ALAW_TO_FLOAT = _frozen(ALAW_TO_PCM.astype(np.float32) / np.float32(32768))
"""Value of each A-law byte in -1 to 1; shape (256,), float32."""


def _all_samples() -> NDArray[np.int32]:
    """Every 16-bit sample, in the order of its bits read as a number without sign."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


@cache
def _mulaw_codes() -> NDArray[np.uint8]:
    sample = _all_samples() >> 2
    magnitude = np.minimum(np.abs(sample) + _BIAS, _MULAW_LIMIT)
    segment = np.searchsorted(_MULAW_SEGMENT_ENDS, magnitude)
    code = segment << 4 | magnitude >> segment + 1 & 15
    return _frozen((code ^ np.where(sample < 0, 0x7F, 0xFF)).astype(np.uint8))


@cache
def _alaw_codes() -> NDArray[np.uint8]:
    sample = _all_samples() >> 3
    magnitude = np.where(sample < 0, ~sample, sample)
    segment = np.searchsorted(_ALAW_SEGMENT_ENDS, magnitude)
    code = segment << 4 | magnitude >> np.maximum(segment, 1) & 15
    return _frozen((code ^ np.where(sample < 0, 0x00, 0x80) ^ _ALAW_EVEN_BITS).astype(np.uint8))


def decode_mulaw(payload: bytes) -> NDArray[np.int16]:
    """Samples of mu-law bytes; shape (len(payload),)."""
    return MULAW_TO_PCM.take(np.frombuffer(payload, np.uint8))


def encode_mulaw(pcm: NDArray[np.int16]) -> bytes:
    """Mu-law bytes of samples, one each; ``pcm`` has shape (n,)."""
    return _mulaw_codes().take(pcm.view(np.uint16)).tobytes()


def decode_alaw(payload: bytes) -> NDArray[np.int16]:
    """Samples of A-law bytes; shape (len(payload),)."""
    return ALAW_TO_PCM.take(np.frombuffer(payload, np.uint8))


def encode_alaw(pcm: NDArray[np.int16]) -> bytes:
    """A-law bytes of samples, one each; ``pcm`` has shape (n,)."""
    return _alaw_codes().take(pcm.view(np.uint16)).tobytes()
