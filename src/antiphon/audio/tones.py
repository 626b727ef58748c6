"""Made sounds: tones, keypad tones, silence, comfort noise. The same arguments give the same samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import AudioError

_ROWS_HZ = (697, 770, 852, 941)
_COLUMNS_HZ = (1209, 1336, 1477, 1633)

DTMF_HZ = {
    key: (row, column)
    for row, keys in zip(_ROWS_HZ, ("123A", "456B", "789C", "*0#D"), strict=True)
    for key, column in zip(keys, _COLUMNS_HZ, strict=True)
}
"""The two frequencies of each key (ITU-T Q.23, RFC 4733 events 0 to 15)."""
DTMF_PAUSE_MS = {"w": 500, "W": 1_000}
"""Pauses among keys, as dialling strings write them."""


def sine(hz: float, duration_ms: float, *, rate_hz: int = 8_000, amplitude: float = 0.5) -> NDArray[np.int16]:
    """A tone of ``amplitude`` times full scale, phase 0 at its start; shape (n,)."""
    return _to_pcm(amplitude * _wave(hz, duration_ms, rate_hz))


def dtmf(
    keys: str, *, rate_hz: int = 8_000, tone_ms: float = 100, gap_ms: float = 60, amplitude: float = 0.25
) -> NDArray[np.int16]:
    """The sound of keys pressed one after the other, each with a pause after it; shape (n,).

    Args:
        keys: Out of ``0123456789*#ABCD``, with ``w`` and ``W`` for pauses.
        rate_hz: Samples a second.
        tone_ms: Length of each tone; a network must accept 40 ms.
        gap_ms: Length of the silence after each tone.
        amplitude: Of each of the two tones, times full scale.

    Raises:
        AudioError: A key is not on the keypad.
    """
    pause = silence(gap_ms, rate_hz=rate_hz)
    parts = [silence(0, rate_hz=rate_hz)]
    for key in keys:
        if key in DTMF_PAUSE_MS:
            parts.append(silence(DTMF_PAUSE_MS[key], rate_hz=rate_hz))
            continue
        if key not in DTMF_HZ:
            raise AudioError("A key is not on the keypad: use 0 to 9, *, #, A to D.")
        low, high = DTMF_HZ[key]
        parts += [_to_pcm(amplitude * (_wave(low, tone_ms, rate_hz) + _wave(high, tone_ms, rate_hz))), pause]
    return np.concatenate(parts)


def silence(duration_ms: float, *, rate_hz: int = 8_000) -> NDArray[np.int16]:
    """Zeros; shape (n,)."""
    return np.zeros(_count(duration_ms, rate_hz), np.int16)


def comfort_noise(
    duration_ms: float, *, rate_hz: int = 8_000, level_dbfs: float = -65.0, seed: int = 0
) -> NDArray[np.int16]:
    """Soft white noise, so that a line does not sound dead; shape (n,). ``level_dbfs`` is its root mean square."""
    noise = np.random.default_rng(seed).standard_normal(_count(duration_ms, rate_hz))
    return _to_pcm(noise * 10 ** (level_dbfs / 20))


def _count(duration_ms: float, rate_hz: int) -> int:
    return round(duration_ms * rate_hz / 1000)


def _wave(hz: float, duration_ms: float, rate_hz: int) -> NDArray[np.float64]:
    wave: NDArray[np.float64] = np.sin(np.arange(_count(duration_ms, rate_hz)) * (2 * np.pi * hz / rate_hz))
    return wave


def _to_pcm(signal: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.rint(signal * 32767), -32768, 32767).astype(np.int16)
