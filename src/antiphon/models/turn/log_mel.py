"""The log-mel spectrogram that Whisper's family of models hears, in numpy.

16 kHz, windows of 25 ms every 10 ms, 80 mel bands up to 8 kHz. Source: Radford et al. 2022, section 2.2; mel scale
and band areas as in Slaney's Auditory Toolbox.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
BANDS = 80

_WINDOW = 400
_HOP = 160
_LINEAR_HZ = 1_000.0
_LINEAR_STEP_HZ = 200 / 3
_LOG_STEP = np.log(6.4) / 27
_RANGE = 8.0


def log_mel(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of a piece of audio, brought to mean 0 and variance 1 first.

    Args:
        audio: Mono at 16 kHz, shape (n,), a whole number of hops.

    Returns:
        Shape (80, n / 160); values of about -1 to 1.
    """
    audio = (audio - audio.mean()) / np.sqrt(audio.var() + np.float32(1e-7))
    padded = np.pad(audio, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][: len(audio) // _HOP]
    spectrum = np.fft.rfft(frames * _hann())
    power = spectrum.real**2 + spectrum.imag**2
    levels = np.log10(np.maximum(_bands() @ power.T, 1e-10))
    features: NDArray[np.float32] = ((np.maximum(levels, levels.max() - _RANGE) + 4) / 4).astype(np.float32)
    return features


@cache
def _hann() -> NDArray[np.float32]:
    """A Hann window of period 400: one longer and without its last value, so that it goes round."""
    return np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


@cache
def _bands() -> NDArray[np.float32]:
    """Weights of each frequency in each band: triangles of equal area; shape (80, 201)."""
    highest_mel = _LINEAR_HZ / _LINEAR_STEP_HZ + np.log(RATE_HZ / 2 / _LINEAR_HZ) / _LOG_STEP
    corners_hz = _mel_to_hz(np.linspace(0, highest_mel, BANDS + 2))
    bins_hz = np.linspace(0, RATE_HZ / 2, _WINDOW // 2 + 1)
    low, middle, high = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    rising = (bins_hz - low) / (middle - low)
    falling = (high - bins_hz) / (high - middle)
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (high - low))
    weights: NDArray[np.float32] = triangles.astype(np.float32)
    return weights


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    first_log_mel = _LINEAR_HZ / _LINEAR_STEP_HZ
    hz: NDArray[np.float64] = np.where(
        mel < first_log_mel, mel * _LINEAR_STEP_HZ, _LINEAR_HZ * np.exp(_LOG_STEP * (mel - first_log_mel))
    )
    return hz
