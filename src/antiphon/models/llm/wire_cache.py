"""The wire form of messages and tools, made once: a conversation is sent again with every turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")

MOST_BYTES = 16 * 1024 * 1024
_LARGEST_SHARE = 64


class WireCache(Generic[T, V]):
    """What was made of an object, found by its identity. The object is held, so that no other can take its place.

    Args:
        make: Makes the value and says how many bytes it takes.
        most_bytes: The oldest leave beyond that.
    """

    __slots__ = ("_held", "_make", "_most_bytes", "_size")

    def __init__(self, make: Callable[[T], tuple[V, int]], *, most_bytes: int = MOST_BYTES) -> None:
        self._make = make
        self._most_bytes = most_bytes
        self._held: dict[int, tuple[T, V, int]] = {}
        self._size = 0

    def of(self, given: T) -> V:
        """The value of an object that never changes."""
        held = self._held.get(id(given))
        if held is not None:
            return held[1]
        value, size = self._make(given)
        if size * _LARGEST_SHARE <= self._most_bytes:
            self._held[id(given)] = (given, value, size)
            self._size += size
            while self._size > self._most_bytes:
                self._size -= self._held.pop(next(iter(self._held)))[2]
        return value
