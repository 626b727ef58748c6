"""Server-sent events: a bounded mailbox for each reader, and how it becomes a response."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from fastapi.responses import StreamingResponse

KEEP_ALIVE_S = 15.0
"""A comment is sent this often when there is nothing to tell, so that no proxy takes the stream for dead."""

_KEEP_ALIVE = b": keep-alive\n\n"

T = TypeVar("T")


class Mailbox(Generic[T]):
    """What waits for one reader. The oldest gives way when the reader is too slow.

    Args:
        capacity: Items that may wait.

    Attributes:
        dropped: Items that gave way.
    """

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self._waiting: deque[T] = deque(maxlen=capacity)
        self._news = asyncio.Event()
        self._closed = False

    def put(self, item: T) -> None:
        """Add an item; called on the loop, returns at once."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(item)
        self._news.set()

    def close(self) -> None:
        """Nothing more comes; what waits is still read."""
        self._closed = True
        self._news.set()

    async def take(self) -> list[T] | None:
        """All that waits: nothing after ``KEEP_ALIVE_S``, None at the end."""
        if not self._waiting and not self._closed:
            self._news.clear()
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._news.wait()
            except TimeoutError:
                return []
        items = list(self._waiting)
        self._waiting.clear()
        return items or (None if self._closed else [])


def frame(event: str, data: bytes, seq: int | None = None) -> bytes:
    """One event.

    Args:
        event: Its name.
        data: JSON, in one line.
        seq: Its id, from which a reader that was cut off may go on.
    """
    number = f"id: {seq}\n" if seq is not None else ""
    return f"event: {event}\n{number}data: ".encode() + data + b"\n\n"


async def told(mailbox: Mailbox[T], encode: Callable[[T], bytes]) -> AsyncIterator[bytes]:
    """What comes into a mailbox, as frames, until it is closed; with signs of life in between.

    Args:
        mailbox: Of this reader alone.
        encode: Makes an item's frame.
    """
    while (items := await mailbox.take()) is not None:
        yield b"".join(map(encode, items)) or _KEEP_ALIVE


def response(chunks: AsyncIterator[bytes]) -> StreamingResponse:
    """The HTTP response that sends these frames."""
    # `no-transform` and the last header keep proxies that compress or buffer from holding events back.
    headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
    return StreamingResponse(chunks, media_type="text/event-stream", headers=headers)
