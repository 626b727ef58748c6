"""The last audio before something happened: a pre-roll for the start of speech."""

from __future__ import annotations

from collections import deque


class ByteRing:
    """Keeps the newest frames, at most ``capacity`` bytes of them; older frames are dropped whole.

    Attributes:
        dropped: Bytes that were pushed out since the ring was made.
    """

    __slots__ = ("_capacity", "_frames", "_size", "dropped")

    def __init__(self, capacity: int) -> None:
        if capacity < 0:
            raise ValueError(f"A capacity of {capacity} bytes is not possible: use 0 or more.")
        self._capacity = capacity
        self._frames: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Bytes that are held."""
        return self._size

    def push(self, frame: bytes) -> None:
        """Add a frame; the oldest ones give way. A frame larger than the ring is not kept either."""
        self._frames.append(frame)
        self._size += len(frame)
        while self._size > self._capacity:
            gone = len(self._frames.popleft())
            self._size -= gone
            self.dropped += gone

    def take(self) -> bytes:
        """All held bytes, oldest first; the ring is empty then."""
        held = b"".join(self._frames)
        self.clear()
        return held

    def clear(self) -> None:
        """Forget what is held; this is no drop."""
        self._frames.clear()
        self._size = 0
