"""Voice activity by loudness alone: next to no cost and no model, for quiet lines and for measuring everything else."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from antiphon.audio.formats import AudioFormat, Encoding
from antiphon.audio.g711 import ALAW_TO_FLOAT
from antiphon.audio.level import mulaw_rms, rms
from antiphon.models.vad.contract import ScoreSink

_LONGEST_MS = 40.0
_PIECE_MS = 20.0


class EnergyVAD:
    """Calls a frame speech when its root mean square is above a fixed level.

    Args:
        level: The level, on the scale of 16-bit samples.
    """

    name = "energy"
    threshold = 0.5
    tail_s = 0.0

    def __init__(self, *, level: float = 300.0) -> None:
        self._level = level / 32768

    def open(self, audio: AudioFormat, on_score: ScoreSink) -> EnergyStream:
        """Start listening to one call. Each frame is scored within ``feed``: 1.0 for speech, else 0.0."""
        return EnergyStream(audio, on_score, self._level)

    async def warm(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """There is nothing to free."""


class EnergyStream:
    """The loudness of one call."""

    __slots__ = ("_level", "_longest", "_loudness", "_on_score", "_piece", "_s_per_byte")

    def __init__(self, audio: AudioFormat, on_score: ScoreSink, level: float) -> None:
        self._loudness = _LOUDNESS[audio.encoding]
        self._on_score = on_score
        self._level = level
        self._s_per_byte = 1 / audio.bytes_per_s
        self._longest = audio.frame_bytes(_LONGEST_MS)
        self._piece = audio.frame_bytes(_PIECE_MS)

    def feed(self, frame: bytes) -> None:
        """Score a frame at once; a long one in pieces of 20 ms, so that a word in it is not levelled out."""
        if len(frame) > self._longest:
            for start in range(0, len(frame), self._piece):
                self.feed(frame[start : start + self._piece])
        elif frame:
            score = 1.0 if self._loudness(frame) > self._level else 0.0
            self._on_score(score, len(frame) * self._s_per_byte)

    def close(self) -> None:
        """Nothing is held, and nothing comes later."""


def _alaw_rms(payload: bytes) -> float:
    values = ALAW_TO_FLOAT.take(np.frombuffer(payload, np.uint8))
    return math.sqrt(values.dot(values) / len(payload))


def _pcm16_rms(payload: bytes) -> float:
    # A byte too many is no sample; a malformed frame must not end the call.
    return rms(np.frombuffer(payload, "<i2", count=len(payload) // 2))


_LOUDNESS: dict[Encoding, Callable[[bytes], float]] = {"mulaw": mulaw_rms, "alaw": _alaw_rms, "pcm16": _pcm16_rms}
