"""Deterministic test signals: a small formant synthesiser that real voice detectors accept as speech.

No recording and no model is needed: a glottal pulse train, with jitter from a generator of fixed seed, drives four
resonators which glide between the formants of vowels at about four syllables a second. Everything is written out
here, apart from Antiphon's own codecs, so that a fault in those cannot hide in the measurement.
"""

from __future__ import annotations

import math
import random
from array import array

RATE_HZ = 8000
FRAME_MS = 20
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000

# F1 to F4 of some vowels of an adult male voice, in Hz: a, e, i, o, u, ae.
_VOWELS = (
    (730, 1090, 2440, 3400),
    (530, 1840, 2480, 3400),
    (270, 2290, 3010, 3500),
    (570, 840, 2410, 3400),
    (300, 870, 2240, 3300),
    (660, 1720, 2410, 3400),
)
_BANDWIDTHS_HZ = (80, 100, 140, 200)
_SYLLABLE_S = 0.24
_ULAW_BIAS = 0x84
_ULAW_CLIP = 32635


class _Resonator:
    """One formant: a second-order filter of unit gain at 0 Hz."""

    def __init__(self, bandwidth_hz: float) -> None:
        self._radius = math.exp(-math.pi * bandwidth_hz / RATE_HZ)
        self._last = 0.0
        self._before = 0.0

    def step(self, sample: float, formant_hz: float) -> float:
        a1 = 2 * self._radius * math.cos(2 * math.pi * min(formant_hz, 0.47 * RATE_HZ) / RATE_HZ)
        a2 = -self._radius * self._radius
        out = (1 - a1 - a2) * sample + a1 * self._last + a2 * self._before
        self._before, self._last = self._last, out
        return out


def _glottis(seconds: float, rng: random.Random) -> list[float]:
    """The source: pulses at 90 to 150 Hz with a falling spectrum, and a little breath."""
    phase = level = 0.0
    out = []
    for n in range(int(seconds * RATE_HZ)):
        t = n / RATE_HZ
        pitch_hz = 118 + 22 * math.sin(2 * math.pi * 0.7 * t) + 6 * math.sin(2 * math.pi * 5 * t)
        phase += pitch_hz * (1 + 0.01 * rng.uniform(-1, 1)) / RATE_HZ
        pulse = float(phase >= 1.0)
        phase -= pulse
        level = 0.92 * level + pulse + 0.004 * rng.uniform(-1, 1)
        out.append(level)
    return out


def speech(seconds: float, *, seed: int = 6, peak: float = 0.7) -> list[int]:
    """Synthesise sound like speech.

    Args:
        seconds: Its length.
        seed: Chooses vowels and jitter.
        peak: Highest sample, as a part of full scale.

    Returns:
        Samples of 16 bits at 8 kHz.
    """
    rng = random.Random(seed)
    syllable = int(_SYLLABLE_S * RATE_HZ)
    vowels = [rng.choice(_VOWELS) for _ in range(int(seconds * RATE_HZ) // syllable + 2)]
    source = _glottis(seconds, rng)
    resonators = [_Resonator(bandwidth) for bandwidth in _BANDWIDTHS_HZ]
    out = []
    for n, level in enumerate(source):
        index, offset = divmod(n, syllable)
        position = offset / syllable
        glide = 0.5 - 0.5 * math.cos(math.pi * min(1.0, position / 0.6))
        # Syllables: vowels with short dips (closures) between them.
        sample = level * (0.12 + 0.88 * math.sin(math.pi * position) ** 0.6)
        for resonator, here, there in zip(resonators, vowels[index], vowels[index + 1], strict=True):
            sample = resonator.step(sample, here + (there - here) * glide)
        out.append(sample)
    scale = peak * 32767 / (max(map(abs, out), default=0.0) or 1.0)
    return [int(sample * scale) for sample in out]


def comfort_noise(seconds: float, *, level: int = 20, seed: int = 3) -> list[int]:
    """The faint noise of a quiet line; digital silence unsettles the state of some detectors."""
    rng = random.Random(seed)
    return [rng.randint(-level, level) for _ in range(int(seconds * RATE_HZ))]


def linear_to_ulaw(sample: int) -> int:
    """Encode one sample of 16 bits as G.711 mu-law."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | exponent << 4 | mantissa) & 0xFF


def ulaw_to_linear(code: int) -> int:
    """Decode one G.711 mu-law byte to a sample of 16 bits."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _ULAW_BIAS) << ((code >> 4) & 7)
    return _ULAW_BIAS - magnitude if code & 0x80 else magnitude - _ULAW_BIAS


def ulaw_frames(samples: list[int]) -> list[bytes]:
    """Cut samples at 8 kHz into mu-law frames of 20 ms; the last one is filled up with silence."""
    encoded = bytes(map(linear_to_ulaw, samples))
    cuts = (encoded[start : start + FRAME_SAMPLES] for start in range(0, len(encoded), FRAME_SAMPLES))
    return [frame.ljust(FRAME_SAMPLES, b"\xff") for frame in cuts]


def pcm24_frames(samples: list[int]) -> list[bytes]:
    """Cut samples at 8 kHz into frames of 20 ms of 16-bit PCM at 24 kHz, by straight lines between the samples."""
    following = [*samples[1:], 0]
    raised = array(
        "h",
        [
            here + (there - here) * step // 3
            for here, there in zip(samples, following, strict=True)
            for step in range(3)
        ],
    )
    size = FRAME_SAMPLES * 3 * 2
    data = raised.tobytes()
    return [data[start : start + size].ljust(size, b"\0") for start in range(0, len(data), size)]
