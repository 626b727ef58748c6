"""The user's sound that no turn holds yet: what an outage would lose is kept for the next connection."""

from __future__ import annotations

from collections import deque

from antiphon.realtime.metrics import ClientMetrics

KEPT_MS = 5_000
"""Sound that is kept, and the longest outage after which it is still sent."""

KEPT_BEFORE_FIRST_MS = 2_000
"""Sound that is kept until the first connection is ready."""


class UncommittedAudio:
    """Chunks since the last turn's end, bounded, with their places in the connection's sound.

    Args:
        metrics: Where chunks are counted that no service will hear.

    Attributes:
        bytes_per_ms: Of the wire's format.
    """

    def __init__(self, metrics: ClientMetrics) -> None:
        self.bytes_per_ms = 48
        self._metrics = metrics
        self._chunks: deque[bytes] = deque()
        self._unsent = 0
        self._size = 0
        self._begins_at = 0
        self._turn_ends_at: int | None = None
        self._lost_at_s: float | None = None
        self._limit_ms = KEPT_BEFORE_FIRST_MS

    @property
    def position(self) -> int:
        """Bytes of this connection so far, sent or to be sent."""
        return self._begins_at + self._size

    @property
    def pending_ms(self) -> float:
        """Length of what is kept."""
        return self._size / self.bytes_per_ms

    def add(self, chunk: bytes, *, sent: bool) -> None:
        """Keep a chunk; the oldest ones give way."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._unsent += not sent
        while self._size > self._limit_ms * self.bytes_per_ms:
            if self._unsent == len(self._chunks):
                self._unsent -= 1
                self._metrics.count("audio_frames_dropped_total", direction="in", reason="disconnected")
            self._pop()

    def turn_ends(self, end_ms: int | None) -> None:
        """A turn's end is known, or is here: ``end_ms`` of the connection's sound; None is all so far."""
        self._turn_ends_at = self.position if end_ms is None else end_ms * self.bytes_per_ms

    def committed(self) -> None:
        """The service holds the turn: its sound need not be kept."""
        end = self.position if self._turn_ends_at is None else self._turn_ends_at
        self._turn_ends_at = None
        while self._chunks and self._begins_at + len(self._chunks[0]) <= end:
            self._pop()
        self._unsent = min(self._unsent, len(self._chunks))

    def clear(self) -> None:
        """The turn was thrown away."""
        self._turn_ends_at = None
        self._begins_at = self.position
        self._chunks.clear()
        self._size = self._unsent = 0

    def disconnected(self, now_s: float) -> None:
        """The connection is gone."""
        if self._lost_at_s is None:
            self._lost_at_s = now_s
        self._turn_ends_at = None

    def connected(self, now_s: float) -> None:
        """The new connection is ready: all that is kept is to be sent on it."""
        stale = self._lost_at_s is not None and (now_s - self._lost_at_s) * 1000 > KEPT_MS
        self._lost_at_s = None
        self._limit_ms = KEPT_MS
        if stale:
            if self._unsent:
                self._metrics.count("audio_frames_dropped_total", self._unsent, direction="in", reason="stale")
            self.clear()
        self._begins_at = 0
        self._unsent = len(self._chunks)

    def take_unsent(self) -> list[bytes]:
        """Chunks that are to be sent now, oldest first; they count as sent."""
        chunks = list(self._chunks)[len(self._chunks) - self._unsent :]
        self._unsent = 0
        return chunks

    def _pop(self) -> None:
        gone = len(self._chunks.popleft())
        self._size -= gone
        self._begins_at += gone
