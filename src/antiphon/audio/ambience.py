"""Made surroundings: an office, a street, music on hold. The same name gives the same samples; loops are seamless.

Nothing is recorded: noise is shaped in its spectrum, voices are vowels without words, keys are clicks, and the music is
plucked chords. All of it lies on a circle, so that what reaches over the end goes on at the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import AudioError

Track = NDArray[np.float64]

_RATE_HZ = 16_000
_SECONDS = 20.0
_LOUDNESS = 10 ** (-26 / 20)
"""Root mean square of a sound, where its loudest sample allows it."""
_PEAK = 0.5

_VOWELS_HZ = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
    (440, 1020, 2240),
)
"""The first three formants of a few vowels."""
_CHORDS = ((60, 64, 67, 71), (57, 60, 64, 67), (62, 65, 69, 72), (55, 59, 62, 65)) * 2
"""The music's bars, each four notes as MIDI numbers."""
_FIGURE = (0, 1, 2, 3, 2, 1, 3, 2)
"""Which notes of its chord a bar plays, in eighths."""
_EIGHTH_S = 0.4


@lru_cache(maxsize=32)
def ambience(name: str, rate_hz: int) -> NDArray[np.int16]:
    """A sound of ``AMBIENCES`` that may be played in a loop; shape (n,), read-only. Takes up to a second, once.

    Raises:
        AudioError: There is no such sound.
    """
    pcm = np.rint(_at_rate(_made(name), rate_hz) * 32767).astype(np.int16)
    pcm.setflags(write=False)
    return pcm


@lru_cache(maxsize=8)
def _made(name: str) -> NDArray[np.float32]:
    """The sound as it is made, before it is brought to a rate: that is nine tenths of the work."""
    make = AMBIENCES.get(name)
    if make is None:
        raise AudioError(f"There is no sound {name!r}: use one of {', '.join(sorted(AMBIENCES))}, or a WAV.")
    track = make(np.random.default_rng(_seed(name)))
    track -= track.mean()
    track *= min(_LOUDNESS / np.sqrt(np.mean(track**2)), _PEAK / np.abs(track).max())
    return track.astype(np.float32)


def _seed(name: str) -> int:
    return int.from_bytes(name.encode()[:8])


def _at_rate(track: NDArray[np.float32], rate_hz: int) -> Track:
    """The circle at another rate: its spectrum cut, or continued with nothing."""
    count = round(len(track) * rate_hz / _RATE_HZ)
    changed: Track = np.fft.irfft(np.fft.rfft(track)[: count // 2 + 1], count) * (count / len(track))
    return changed


# What they are made of.


def _silent(seconds: float = _SECONDS) -> Track:
    return np.zeros(round(seconds * _RATE_HZ))


def _put(track: Track, at_s: float, sound: Track, gain: float = 1.0) -> None:
    """Add a sound; what reaches over the end goes on at the beginning."""
    places = (round(at_s * _RATE_HZ) + np.arange(len(sound))) % len(track)
    np.add.at(track, places, gain * sound)


def _levelled(track: Track) -> Track:
    changed: Track = track / np.sqrt(np.mean(track**2))
    return changed


def _noise(rng: np.random.Generator, low_hz: float, high_hz: float, *, tilt: float = 1.0) -> Track:
    """Noise of a band that gets softer by ``tilt`` times 6 dB an octave; its root mean square is 1."""
    count = len(_silent())
    hz = np.fft.rfftfreq(count, 1 / _RATE_HZ)
    inside = (hz >= low_hz) & (hz <= high_hz)
    size = np.where(inside, np.maximum(hz, 1.0) ** -tilt, 0.0)
    track: Track = np.fft.irfft(size * np.exp(2j * np.pi * rng.random(len(hz))), count)
    return _levelled(track)


def _swell(rng: np.random.Generator, depth: float, cycles: int = 7) -> Track:
    """A slow, uneven rise and fall about 1, of so much depth."""
    turn = np.linspace(0, 2 * np.pi, len(_silent()), endpoint=False)
    waves = sum(np.cos(cycle * turn + rng.uniform(0, 2 * np.pi)) for cycle in range(1, cycles + 1))
    level: Track = 1 + depth * np.asarray(waves) / np.sqrt(cycles)
    return np.maximum(level, 0.0)


def _time(seconds: float) -> Track:
    return np.arange(round(seconds * _RATE_HZ)) / _RATE_HZ


def _key(rng: np.random.Generator) -> Track:
    """A key of a keyboard goes down, and comes up again."""
    time = _time(0.03)
    down = rng.standard_normal(len(time)) * np.exp(-time / 0.003) + 0.8 * np.sin(2 * np.pi * 190 * time) * np.exp(
        -time / 0.01
    )
    up = 0.4 * rng.standard_normal(len(time)) * np.exp(-time / 0.002)
    gap = _silent(rng.uniform(0.04, 0.08))
    return np.concatenate([down, gap, up])


def _type(track: Track, rng: np.random.Generator, *, until_s: float, gain: float = 1.0) -> None:
    """Words are typed, with pauses in which somebody thinks."""
    at_s = rng.uniform(0, 0.3)
    while at_s < until_s:
        for _ in range(rng.integers(3, 11)):
            _put(track, at_s, _key(rng), gain * rng.uniform(0.5, 1.0))
            at_s += rng.uniform(0.09, 0.24)
            if at_s >= until_s:
                return
        at_s += rng.choice((0.25, 0.4, 1.3))


def _syllables(rng: np.random.Generator, pitch_hz: float, count: int = 10) -> list[Track]:
    """Vowels of one voice, without any word."""
    made = []
    for _ in range(count):
        time = _time(rng.uniform(0.12, 0.26))
        pitch = pitch_hz * rng.uniform(0.85, 1.2) * (1 + rng.uniform(-0.1, 0.1) * time / time[-1])
        phase = 2 * np.pi * np.cumsum(pitch) / _RATE_HZ
        formants = _VOWELS_HZ[rng.integers(len(_VOWELS_HZ))]
        sound = np.zeros(len(time))
        for harmonic in range(1, int(3_300 / pitch_hz)):
            hz = harmonic * pitch_hz
            weight = sum(np.exp(-(((hz - formant) / 180) ** 2)) / (1 + index) for index, formant in enumerate(formants))
            sound += (weight + 0.02) / harmonic**0.3 * np.sin(harmonic * phase)
        made.append(sound * np.hanning(len(time)) ** 0.35)
    return made


def _babble(rng: np.random.Generator, voices: int) -> Track:
    """People who talk, too far away to be understood; its root mean square is 1."""
    track = _silent()
    for _ in range(voices):
        syllables = _syllables(rng, rng.uniform(95, 230))
        gain = rng.uniform(0.3, 1.0)
        at_s = rng.uniform(0, 2)
        while at_s < _SECONDS:
            for _ in range(rng.integers(4, 14)):
                _put(track, at_s, syllables[rng.integers(len(syllables))], gain * rng.uniform(0.5, 1.0))
                at_s += rng.uniform(0.16, 0.3)
            at_s += rng.uniform(0.4, 2.5)
    return _levelled(track)


def _ring(track: Track, at_s: float, gain: float) -> None:
    """A telephone far away rings twice."""
    time = _time(0.9)
    tone = (np.sin(2 * np.pi * 880 * time) + np.sin(2 * np.pi * 1_108 * time)) * (np.sin(2 * np.pi * 18 * time) > 0)
    edge = np.minimum(1, np.minimum(time, time[-1] - time) / 0.02)
    for start_s in (at_s, at_s + 1.6):
        _put(track, start_s, tone * edge, gain)


# The sounds.


def _office(rng: np.random.Generator) -> Track:
    track = _noise(rng, 60, 900, tilt=1.2) * _swell(rng, 0.05) + 0.35 * _babble(rng, 3)
    _type(track, rng, until_s=_SECONDS * 0.8, gain=1.1)
    return track


def _city_street(rng: np.random.Generator) -> Track:
    track = _noise(rng, 40, 2_500, tilt=0.8) * _swell(rng, 0.2)
    for start_s in (1.5, 6.0, 9.2, 14.5):
        time = _time(rng.uniform(3.5, 5.0))
        passing = np.exp(-(((time - time[-1] / 2) / 0.8) ** 2))
        _put(track, start_s, _noise(rng, 90, 3_000, tilt=0.5)[: len(time)] * passing, rng.uniform(1.2, 2.2))
    time = _time(0.45)
    horn = (np.sin(2 * np.pi * 405 * time) + np.sin(2 * np.pi * 508 * time)) * np.hanning(len(time)) ** 0.2
    _put(track, 12.3, horn, 0.5)
    return track


def _crowded_room(rng: np.random.Generator) -> Track:
    track = _babble(rng, 14) * _swell(rng, 0.1) + 0.4 * _noise(rng, 80, 1_500, tilt=1.0)
    for _ in range(6):
        time = _time(0.25)
        glass = np.sin(2 * np.pi * rng.uniform(2_100, 3_200) * time) * np.exp(-time / 0.05)
        _put(track, rng.uniform(0, _SECONDS), glass, 0.6)
    return track


def _call_center(rng: np.random.Generator) -> Track:
    track = _babble(rng, 8) + 0.5 * _noise(rng, 70, 1_200, tilt=1.0)
    _type(track, rng, until_s=_SECONDS * 0.9, gain=1.0)
    _ring(track, 4.2, 0.25)
    _ring(track, 13.7, 0.18)
    return track


def _typing(rng: np.random.Generator) -> Track:
    track = _silent()
    _type(track, rng, until_s=_SECONDS - 0.5)
    return track


def _typing_short(rng: np.random.Generator) -> Track:
    track = _silent(2.5)
    _type(track, rng, until_s=2.2)
    return track


def _hold(_rng: np.random.Generator) -> Track:
    bar_s = len(_FIGURE) * _EIGHTH_S
    track = _silent(len(_CHORDS) * bar_s)
    for bar, chord in enumerate(_CHORDS):
        start_s = bar * bar_s
        _put(track, start_s, _pluck(chord[0] - 12, 2.6), 0.5)
        _put(track, start_s + bar_s / 2, _pluck(chord[2] - 12, 1.4), 0.35)
        lift = 12 if bar % 4 == 3 else 0
        for eighth, note in enumerate(_FIGURE):
            _put(track, start_s + eighth * _EIGHTH_S, _pluck(chord[note] + lift, 1.3), 0.5 if eighth % 4 else 0.65)
    return track


def _pluck(note: int, seconds: float) -> Track:
    """A soft note: its overtones fade before it does."""
    time = _time(seconds)
    hz = 440 * 2 ** ((note - 69) / 12)
    sound = np.zeros(len(time))
    for overtone, gain in enumerate((1.0, 0.45, 0.22, 0.1, 0.05), 1):
        sound += gain * np.sin(2 * np.pi * overtone * hz * time) * np.exp(-time * (2.2 + 1.6 * overtone) / seconds)
    edge = np.minimum(1, np.minimum(time / 0.008, (time[-1] - time) / 0.05))
    faded: Track = sound * edge
    return faded


AMBIENCES: Mapping[str, Callable[[np.random.Generator], Track]] = {
    "office": _office,
    "city-street": _city_street,
    "crowded-room": _crowded_room,
    "call-center": _call_center,
    "typing": _typing,
    "typing-short": _typing_short,
    "hold": _hold,
}
"""The sounds by name; ``hold`` is the music of a call that waits."""
