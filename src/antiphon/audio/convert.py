"""Between a stream's bytes and int16 samples. The rate stays: see ``resample``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.formats import AudioFormat, Encoding
from antiphon.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from antiphon.errors import AudioError


def to_pcm(payload: bytes, audio: AudioFormat) -> NDArray[np.int16]:
    """Samples of bytes in ``audio``'s encoding; shape (n,). The array may be a read-only view of ``payload``.

    Raises:
        AudioError: The payload ends within a sample.
    """
    return _DECODERS[audio.encoding](payload)


def from_pcm(pcm: NDArray[np.int16], audio: AudioFormat) -> bytes:
    """Bytes of mono samples in ``audio``'s encoding; ``pcm`` has shape (n,).

    Raises:
        AudioError: The samples are not int16 or not mono.
    """
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise AudioError(f"Samples must be int16 and mono, not {pcm.dtype} of shape {pcm.shape}: convert them first.")
    return _ENCODERS[audio.encoding](pcm)


def _decode_pcm16(payload: bytes) -> NDArray[np.int16]:
    if len(payload) % 2:
        raise AudioError(f"{len(payload)} bytes are not whole 16-bit samples: send an even number of bytes.")
    return np.frombuffer(payload, "<i2").astype(np.int16, copy=False)


def _encode_pcm16(pcm: NDArray[np.int16]) -> bytes:
    return pcm.astype("<i2", copy=False).tobytes()


_DECODERS: Mapping[Encoding, Callable[[bytes], NDArray[np.int16]]] = {
    "mulaw": decode_mulaw,
    "alaw": decode_alaw,
    "pcm16": _decode_pcm16,
}
_ENCODERS: Mapping[Encoding, Callable[[NDArray[np.int16]], bytes]] = {
    "mulaw": encode_mulaw,
    "alaw": encode_alaw,
    "pcm16": _encode_pcm16,
}
