"""A call's sound on disk: a stereo WAV, the caller left and the agent right, on one time line.

Written while the call goes on, a quarter of a second behind it, since what the agent says may still be cut.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.wav import WavWriter
from antiphon.store.files import Feed, FileWriter

RECORDING_NAME = "recording.wav"
CAPACITY = 2_000
HOLD_S = 0.25
"""What is older than this is final."""
AHEAD_S = 0.4
"""Agent audio is told at most this long before it is heard."""
JITTER_S = 0.06
"""Audio this close to the end of what is there follows it without a gap."""
BURST_S = 0.005
"""Frames that came within this time were held up together: the last one is on time, the others were late."""

CALLER, AGENT, CUT = 0, 1, 2
Item = tuple[int, float, bytes]
"""What, seconds since the call's start, audio."""


class Recording:
    """An ``AudioTap`` that keeps everything. A call pays for one append a frame.

    Args:
        audio: The line's format.
        folder: Where the file goes.
        writer: The thread that writes it.
    """

    def __init__(self, audio: AudioFormat, folder: Path, writer: FileWriter) -> None:
        self.path = folder / RECORDING_NAME
        self.feed: Feed = writer.open(StereoWav(self.path, audio), capacity=CAPACITY)
        self._put = self.feed.put

    def caller(self, at_s: float, payload: bytes) -> None:
        """The caller's audio; its last sample arrived at ``at_s``."""
        self._put((CALLER, at_s, payload))

    def agent(self, at_s: float, payload: bytes) -> None:
        """The agent's audio; its first sample will be heard at ``at_s``."""
        self._put((AGENT, at_s, payload))

    def cut(self, at_s: float) -> None:
        """Agent audio from ``at_s`` on was never heard."""
        self._put((CUT, at_s, b""))


class StereoWav:
    """A ``Sink`` of a recording's items."""

    def __init__(self, path: Path, audio: AudioFormat) -> None:
        self._path = path
        self._audio = audio
        self._line = TimeLine(audio.rate_hz)
        self._file: BinaryIO | None = None
        self._wav: WavWriter | None = None
        self._now_s = 0.0

    def write(self, items: list[Item]) -> None:
        """Place these items, and write what is final."""
        waiting: list[bytes] = []
        waiting_at = 0.0
        for kind, at_s, payload in items:
            if waiting and (kind != CALLER or at_s - waiting_at > BURST_S):
                self._place_caller(waiting_at, b"".join(waiting))
                waiting.clear()
            if kind == CALLER:
                waiting.append(payload)
                waiting_at = at_s
                self._now_s = max(self._now_s, at_s)
            elif kind == AGENT:
                self._line.place(AGENT, at_s, to_pcm(payload, self._audio))
                self._now_s = max(self._now_s, at_s - AHEAD_S)
            else:
                self._line.cut(AGENT, at_s)
                self._now_s = max(self._now_s, at_s)
        if waiting:
            self._place_caller(waiting_at, b"".join(waiting))
        self._save(self._line.take(self._now_s - HOLD_S))

    def close(self) -> None:
        """Write the rest and finish the file."""
        self._save(self._line.take(None))
        if self._file is not None:
            self._file.close()

    def _place_caller(self, at_s: float, payload: bytes) -> None:
        whole = len(payload) - len(payload) % self._audio.sample_bytes
        self._line.place(CALLER, at_s - self._audio.seconds(whole), to_pcm(payload[:whole], self._audio))

    def _save(self, pcm: NDArray[np.int16]) -> None:
        if self._wav is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
            self._wav = WavWriter(self._file, self._audio.rate_hz, channels=2)
        if len(pcm):
            self._wav.write(pcm)
        self._wav.sync_header()


class TimeLine:
    """Two channels of sound, placed by time; the beginning is taken away when it is final.

    Args:
        rate_hz: Samples a second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._jitter = int(JITTER_S * rate_hz)
        self._taken = 0  # Samples that were taken away.
        self._ends = [0, 0]  # Where each channel's sound ends, in samples from the start.
        self._sound = np.zeros((rate_hz, 2), np.int16)

    def place(self, channel: int, at_s: float, pcm: NDArray[np.int16]) -> None:
        """Put samples where they begin; close to the end of the last ones they follow without a gap or an overlap."""
        start = round(at_s * self._rate_hz)
        end = self._ends[channel]
        if start - end < self._jitter and (channel == CALLER or end - start < self._jitter):
            start = end
        start = max(start, self._taken)
        self._ends[channel] = start + len(pcm)
        self._reach(self._ends[channel])
        self._sound[start - self._taken : self._ends[channel] - self._taken, channel] = pcm

    def cut(self, channel: int, at_s: float) -> None:
        """Forget a channel's samples from a time on."""
        start = max(round(at_s * self._rate_hz), self._taken)
        self._sound[start - self._taken :, channel] = 0
        self._ends[channel] = min(self._ends[channel], start)

    def take(self, until_s: float | None) -> NDArray[np.int16]:
        """Take away all before a time, or everything; shape (n, 2)."""
        until = max(self._ends) if until_s is None else round(until_s * self._rate_hz)
        count = until - self._taken
        if count <= 0:
            return self._sound[:0]
        self._reach(until)
        taken, kept = self._sound[:count], self._sound[count:]
        self._sound = np.concatenate([kept, np.zeros((count, 2), np.int16)])
        self._taken = until
        self._ends = [max(end, until) for end in self._ends]
        return taken

    def _reach(self, end: int) -> None:
        missing = end - self._taken - len(self._sound)
        if missing > 0:
            self._sound = np.concatenate([self._sound, np.zeros((missing + self._rate_hz, 2), np.int16)])
