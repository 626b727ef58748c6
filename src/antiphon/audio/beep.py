"""Finds the beep of an answering machine in a stream of sound: one steady tone, and nothing else beside it.

Speech is never that for long. A vowel has harmonics beside its strongest one, and its pitch and level move; keys and
most signals of the network are two tones at once; a note of music has overtones or fades.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ = 600.0
HIGHEST_HZ = 2_070.0
"""Machines beep between 800 and 2000 Hz. At 2100 Hz a fax answers; below 500 Hz the network signals."""

_WINDOW_S = 0.03
_HOP_S = 0.01
_STEADY_WINDOWS = 12
"""That is 140 ms of sound: a beep of 150 ms has so many, wherever it lies between the windows."""
_GAP_WINDOWS = 2
"""A beep goes on over so many windows that a click has spoiled."""
_PURITY = 0.84
"""Least part of the sound's power that is the tone's."""
_DRIFT = 0.015
"""How far the tone may lie off its middle frequency."""
_SWING = 2.0
"""How far the power of the tone may vary: 3 dB."""
_SOFTEST = 10 ** (-50 / 10)
"""Least power of the tone, of full scale's."""
_SIDE_HZ = 70.0
"""A tone is so wide to each side in a window of this length."""
_BAND_HZ = (200.0, 3_600.0)
"""What counts as sound: what a telephone carries, without hum."""


@dataclass(frozen=True, slots=True)
class Beep:
    """A beep that was found.

    Attributes:
        frequency_hz: Of its tone.
        duration_ms: How long it has been heard; within some 20 ms.
        is_over: Whether that is all of it.
    """

    frequency_hz: float
    duration_ms: int
    is_over: bool


class BeepDetector:
    """Listens to one stream of mono sound. Each beep is told twice: within 300 ms of its start, and when it is over.

    Args:
        rate_hz: Samples a second; 8000 or more.
    """

    def __init__(self, rate_hz: int) -> None:
        self._window = round(_WINDOW_S * rate_hz)
        self._hop = round(_HOP_S * rate_hz)
        size = 1 << (2 * self._window - 1).bit_length()
        self._size = size
        self._bin_hz = rate_hz / size
        self._shape = np.hanning(self._window)
        self._scale = 2.0 / (size * float(self._shape @ self._shape) * 32768.0**2)
        self._band = slice(round(_BAND_HZ[0] / self._bin_hz), round(_BAND_HZ[1] / self._bin_hz) + 1)
        self._side = round(_SIDE_HZ / self._bin_hz)
        self._pcm: NDArray[np.int16] = np.zeros(0, np.int16)
        self._tone: list[tuple[float, float]] = []  # frequency and power, one a window
        self._spoiled = 0
        self._told = False

    def feed(self, pcm: NDArray[np.int16]) -> list[Beep]:
        """Take the next samples, shape (n,); what is known about beeps with them."""
        self._pcm = np.concatenate((self._pcm, pcm))
        if self._pcm.size < self._window:
            return []
        windows = np.lib.stride_tricks.sliding_window_view(self._pcm, self._window)[:: self._hop]
        spectra = np.abs(np.fft.rfft(windows * self._shape, self._size)) ** 2 * self._scale
        self._pcm = self._pcm[len(windows) * self._hop :]
        told = (self._hear(self._tone_in(spectrum)) for spectrum in spectra)
        return [beep for beep in told if beep is not None]

    def _tone_in(self, spectrum: NDArray[np.float64]) -> tuple[float, float] | None:
        """Frequency and power of the tone that a window holds, if it holds one and nothing else."""
        band = spectrum[self._band]
        total = float(band.sum())
        if total < _SOFTEST:
            return None
        top = int(band.argmax()) + self._band.start
        power = float(spectrum[top - self._side : top + self._side + 1].sum())
        frequency_hz = (top + _shift(*spectrum[top - 1 : top + 2])) * self._bin_hz
        if power < _PURITY * total or not LOWEST_HZ <= frequency_hz <= HIGHEST_HZ:
            return None
        return frequency_hz, power

    def _hear(self, tone: tuple[float, float] | None) -> Beep | None:
        if tone is not None and self._goes_on(*tone):
            self._tone.append(tone)
            self._spoiled = 0
            if not self._told and len(self._tone) >= _STEADY_WINDOWS:
                self._told = True
                return self._beep(is_over=False)
            return None
        if self._told and self._spoiled < _GAP_WINDOWS:
            self._spoiled += 1
            return None
        beep = self._beep(is_over=True) if self._told else None
        self._tone = [] if tone is None else [tone]
        self._spoiled = 0
        self._told = False
        return beep

    def _goes_on(self, frequency_hz: float, power: float) -> bool:
        """Whether a window's tone is the one that has been heard; at its ends it may be softer, once it was told."""
        if not self._tone:
            return True
        middle = self._tone[len(self._tone) // 2]
        if abs(frequency_hz - middle[0]) > _DRIFT * middle[0]:
            return False
        if self._told:
            return power > middle[1] / 4
        powers = [each[1] for each in self._tone]
        if power * _SWING < max(powers):
            return False
        # A window that was softer held only the beginning of the tone, or of one that grows: it does not count.
        steady = next((n for n in range(len(powers), 0, -1) if powers[n - 1] * _SWING < power), 0)
        del self._tone[:steady]
        return True

    def _beep(self, *, is_over: bool) -> Beep:
        frequencies = sorted(each[0] for each in self._tone)
        duration_s = len(self._tone) * _HOP_S + (_WINDOW_S - _HOP_S) / 2
        return Beep(round(frequencies[len(frequencies) // 2], 1), round(duration_s * 1000), is_over)


def _shift(before: float, top: float, behind: float) -> float:
    """Where a peak of power lies between the bins, by a parabola through their logarithms."""
    left, middle, right = (np.log(max(each, 1e-30)) for each in (before, top, behind))
    bend = left - 2 * middle + right
    return 0.0 if bend == 0 else float(0.5 * (left - right) / bend)
