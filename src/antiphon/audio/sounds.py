"""A sound to be played in a call, by name or from a WAV, at the rate of the line. Imports soxr: see ``resample``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.ambience import AMBIENCES, ambience
from antiphon.audio.resample import resample
from antiphon.audio.wav import mono, read_wav
from antiphon.errors import AudioError

MOST_BYTES = 64 << 20
"""A larger WAV is refused: it would be half an hour, and held in memory."""

Sound = str | Path | bytes
"""A name of ``AMBIENCES``, the path of a WAV, or a WAV itself."""


def check_sound(sound: Sound) -> None:
    """See that a sound can be meant, without opening any file.

    Raises:
        AudioError: It is a name that no sound has.
    """
    if isinstance(sound, str) and sound not in AMBIENCES and Path(sound).suffix.lower() != ".wav":
        names = ", ".join(sorted(AMBIENCES))
        raise AudioError(f"There is no sound {sound!r}: use one of {names}, or the path of a file that ends in .wav.")


def load_sound(sound: Sound, rate_hz: int) -> NDArray[np.int16]:
    """The samples of a sound, mixed down to mono; shape (n,). Reads a file, or computes for up to a second.

    What was loaded lately is shared by all who want it, and read-only.

    Raises:
        AudioError: There is no such sound, it is no WAV that can be read, or it is empty or too large.
        OSError: The file cannot be read.
    """
    check_sound(sound)
    if isinstance(sound, str) and sound in AMBIENCES:
        return ambience(sound, rate_hz)
    if isinstance(sound, bytes):
        return _samples(sound, len(sound), rate_hz)
    path = Path(sound)
    stat = path.stat()
    return _from_file(path, (stat.st_mtime_ns, stat.st_size), rate_hz)


@lru_cache(maxsize=16)
def _from_file(path: Path, stamp: tuple[int, int], rate_hz: int) -> NDArray[np.int16]:
    """A changed file has another stamp."""
    return _samples(path, stamp[1], rate_hz)


def _samples(wav: Path | bytes, size: int, rate_hz: int) -> NDArray[np.int16]:
    if size > MOST_BYTES:
        raise AudioError(f"The WAV has {size >> 20} MiB: a sound for a call may have {MOST_BYTES >> 20}.")
    pcm, from_hz = read_wav(wav)
    if not len(pcm):
        raise AudioError("The WAV holds no sound: use one that is not empty.")
    loaded = resample(mono(pcm), from_hz, rate_hz)
    loaded.setflags(write=False)
    return loaded
