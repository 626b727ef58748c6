"""Voice activity from a script, for tests and benchmarks: the audio is only counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from antiphon.audio.formats import AudioFormat
from antiphon.models.vad.contract import ScoreSink

Script = Sequence[tuple[float, float]]
"""(seconds, probability of speech) one after the other; behind its end is silence."""


def speech_between(*intervals: tuple[float, float]) -> Script:
    """The script of a caller who speaks in these (start, end) intervals of stream time, in seconds and in order."""
    script = []
    at_s = 0.0
    for start_s, end_s in intervals:
        script += [(start_s - at_s, 0.0), (end_s - start_s, 1.0)]
        at_s = end_s
    return script


class ScriptedVAD:
    """Scores each frame within ``feed`` by a script.

    Args:
        scripts: One for each stream in the order in which they are opened; the last one serves all further ones.
    """

    name = "scripted"
    tail_s = 0.0
    threshold = 0.5

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts or ((),)
        self._opened = 0

    def open(self, audio: AudioFormat, on_score: ScoreSink) -> ScriptedVADStream:
        """Start one call's script."""
        script = self._scripts[min(self._opened, len(self._scripts) - 1)]
        self._opened += 1
        return ScriptedVADStream(audio, on_score, script)

    async def warm(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """There is nothing to free."""


class ScriptedVADStream:
    """The script of one call, as far as it has been played."""

    def __init__(self, audio: AudioFormat, on_score: ScoreSink, script: Script) -> None:
        self._audio = audio
        self._on_score = on_score
        self._ends_s = list(accumulate(seconds for seconds, _ in script))
        self._scores = [*(score for _, score in script), 0.0]
        self._bytes = 0
        self._closed = False

    def feed(self, frame: bytes) -> None:
        """Score a frame at once, by what the script has at its middle."""
        if self._closed or not frame:
            return
        middle_s = self._audio.seconds(self._bytes) + self._audio.seconds(len(frame)) / 2
        self._bytes += len(frame)
        self._on_score(self._scores[bisect_right(self._ends_s, middle_s)], self._audio.seconds(len(frame)))

    def close(self) -> None:
        """Give no score any more."""
        self._closed = True
