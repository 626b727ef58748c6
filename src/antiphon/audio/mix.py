"""Several signals into one, and two sides of a call into stereo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import AudioError


def apply_gain(pcm: NDArray[np.int16], gain: float) -> NDArray[np.int16]:
    """Samples times ``gain``; what does not fit is cut at the limits of int16."""
    return _saturate(pcm * np.float32(gain))


def mix(signals: Sequence[NDArray[np.int16]], gains: Sequence[float] | None = None) -> NDArray[np.int16]:
    """Sum of mono signals of one rate, as long as the longest; what does not fit is cut at the limits of int16.

    Args:
        signals: Each of shape (n,).
        gains: A factor for each signal; 1.0 each unless given.

    Raises:
        AudioError: There is not one gain for each signal.
    """
    if gains is not None and len(gains) != len(signals):
        raise AudioError(f"{len(signals)} signals and {len(gains)} gains: give one gain for each signal.")
    total = np.zeros(max((len(signal) for signal in signals), default=0), np.float32)
    for index, signal in enumerate(signals):
        total[: len(signal)] += signal * np.float32(1.0 if gains is None else gains[index])
    return _saturate(total)


def interleave(left: NDArray[np.int16], right: NDArray[np.int16]) -> NDArray[np.int16]:
    """Stereo of two mono signals, shape (n, 2); the shorter one ends in silence."""
    stereo = np.zeros((max(len(left), len(right)), 2), np.int16)
    stereo[: len(left), 0] = left
    stereo[: len(right), 1] = right
    return stereo


def _saturate(total: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(total), -32768, 32767).astype(np.int16)
