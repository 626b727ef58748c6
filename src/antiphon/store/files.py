"""One thread that writes the files of all calls.

The event loop only puts items into a bounded ``Feed``; the thread takes them in batches a few times a second and gives
them to the feed's ``Sink``, which formats and writes. So a killed process loses at most the last half second, a slow
disk never slows a call, and a full disk costs a recording.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any, Protocol

import structlog

FLUSH_EVERY_S = 0.25

_log = structlog.get_logger(__name__)


class Sink(Protocol):
    """Where a feed's items go. Used by the writer's thread only."""

    def write(self, items: list[Any]) -> None:
        """Format these items and hand them to the operating system.

        Raises:
            OSError: They could not be written; the sink is then given up.
        """
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class Feed:
    """The way of one file's items to the thread.

    Attributes:
        dropped: Items that were lost: the thread was too slow, or the disk failed.
    """

    __slots__ = ("_capacity", "_closed", "_done", "_items", "_loop", "_sink", "_wake", "dropped")

    def __init__(self, sink: Sink, capacity: int, wake: threading.Event) -> None:
        self.dropped = 0
        self._sink: Sink | None = sink
        self._capacity = capacity
        self._wake = wake
        self._items: deque[Any] = deque()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()

    def put(self, item: Any) -> None:
        """Hand an item over. Never blocks; drops and counts when the thread is too far behind."""
        if len(self._items) >= self._capacity or self._sink is None:
            self.dropped += 1
        else:
            self._items.append(item)

    async def aclose(self) -> None:
        """Wait until everything is written and the file is finished."""
        self._closed = True
        self._wake.set()
        await asyncio.shield(self._done)

    def drain(self) -> bool:
        """Write what is waiting; in the writer's thread. Gives whether the feed is over."""
        closed = self._closed  # Looked at first: what is put before the closing is in ``_items`` by then.
        items = [self._items.popleft() for _ in range(len(self._items))]
        sink = self._sink
        try:
            if sink is not None and items:
                sink.write(items)
            if sink is not None and closed:
                sink.close()
        except Exception:  # The root of a file's writing: it costs this file and no other.
            _log.exception("file_failed", sink=type(sink).__name__)
            self.dropped += len(items)
            self._sink = None
        if closed:
            self._tell_done()
        return closed

    def _tell_done(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._set_done)
        except RuntimeError:
            _log.debug("file_finished_after_its_loop")  # Nobody waits any more.

    def _set_done(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


class FileWriter:
    """The thread. Started by its first feed, ended by ``close``."""

    def __init__(self) -> None:
        self._feeds: list[Feed] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items lost by all feeds so far."""
        with self._lock:
            return self._dropped + sum(feed.dropped for feed in self._feeds)

    def open(self, sink: Sink, *, capacity: int) -> Feed:
        """A new feed; on the event loop that will wait for its end.

        Args:
            sink: Where its items go.
            capacity: Items that may wait, for about ``FLUSH_EVERY_S`` and some trouble.
        """
        feed = Feed(sink, capacity, self._wake)
        with self._lock:
            self._feeds.append(feed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="call-files", daemon=True)
                self._thread.start()
        return feed

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._wake.wait(FLUSH_EVERY_S)
            self._wake.clear()
            stopping = self._stopping
            with self._lock:
                feeds = list(self._feeds)
            over = [feed for feed in feeds if feed.drain()]
            with self._lock:
                for feed in over:
                    self._feeds.remove(feed)
                    self._dropped += feed.dropped
