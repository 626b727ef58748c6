"""The calls that go on now, for people who look on: their entries, their sums, and who wants to be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from antiphon.calls.events import SessionStarted
from antiphon.calls.log import CallLog, Entry
from antiphon.redaction import Redactor
from antiphon.server.sse import Mailbox
from antiphon.store.calls import call_name
from antiphon.store.summary import CallSummary, Tally

KEEP_ENTRIES = 500
"""Entries of a call that are kept in memory: a minute or two. Earlier ones are in the call's file by then."""
KEEP_ENDED = 16
"""Calls that are kept after their end, since their files are whole a moment later."""
MAX_READERS = 200
"""Streams that may be open at the same time."""
READER_ENTRIES = 2_000
READER_SUMMARIES = 500

_TOLD = frozenset({"session.started", "session.ended", "turn.completed", "turn.metrics"})
"""The entries after which a call's sum is told."""

FolderOf = Callable[[str], Path | None]
IsRecorded = Callable[[str], bool]


class LiveCall:
    """One call as it goes on.

    Args:
        log: The call's.
        name: Its id.
        recorded: Whether there will be sound.
        redactor: Of what people read.

    Attributes:
        entries: The latest entries, the oldest of them first.
    """

    def __init__(self, log: CallLog, name: str, *, recorded: bool, redactor: Redactor) -> None:
        self.id = name
        self.log = log
        self.entries: deque[Entry] = deque(maxlen=KEEP_ENTRIES)
        self._tally = Tally()
        self._recorded = recorded
        self._redactor = redactor

    @property
    def models(self) -> dict[str, str]:
        """The models by role."""
        return self._tally.models

    @property
    def said(self) -> str:
        """The beginning of what was said, in lower case."""
        return self._tally.said

    @property
    def is_whole(self) -> bool:
        """Whether ``entries`` begins with the call's first one."""
        return not self.entries or self.entries[0].seq == 1

    def add(self, entry: Entry) -> None:
        """Keep the next entry."""
        self.entries.append(entry)
        if entry.event.type in Tally.TYPES:
            self._tally.add(entry.to_dict())

    def summary(self) -> CallSummary:
        """The call as a list shows it now."""
        if not self.log.ended:
            self._tally.reached(self.log.seconds())
        summary = self._tally.summary(self.id, is_live=not self.log.ended, has_recording=self._recorded)
        return replace(summary, preview=self._redactor.redact(summary.preview))


class LiveCalls:
    """A watcher of all calls of a process (``Switchboard.watchers``). A call is one once its session has started.

    Args:
        folder_of: Where the files of a session go; None when it leaves none.
        recorded: Whether a session is recorded.
        scrubs: Whether those who look on read no personal data.
    """

    def __init__(self, folder_of: FolderOf, *, recorded: IsRecorded, scrubs: bool = False) -> None:
        self._redactor = Redactor() if scrubs else Redactor([])
        self._folder_of = folder_of
        self._recorded = recorded
        self._calls: dict[str, LiveCall] = {}
        self._readers: set[Mailbox[CallSummary]] = set()
        self._followers: set[Mailbox[Entry]] = set()
        self._dropped = 0
        self._closed = False

    @property
    def dropped(self) -> int:
        """What readers lost because they were too slow."""
        waiting = sum(box.dropped for box in self._readers) + sum(box.dropped for box in self._followers)
        return self._dropped + waiting

    @property
    def streams(self) -> int:
        """Streams that are open."""
        return len(self._readers) + len(self._followers)

    @property
    def has_room(self) -> bool:
        """Whether one more stream may be opened."""
        return not self._closed and self.streams < MAX_READERS

    def watch(self, log: CallLog) -> None:
        """Read the log of a new call."""
        call: LiveCall | None = None

        def read(entry: Entry) -> None:
            nonlocal call
            if call is None:
                call = self._enter(log, entry)
            if call is not None:
                call.add(entry)
                if entry.event.type in _TOLD:
                    self._tell(call)

        log.subscribe(read)

    def all(self) -> list[LiveCall]:
        """The calls that go on, and a few that have just ended; the latest first."""
        return [*reversed(self._calls.values())]

    def get(self, name: str) -> LiveCall | None:
        """A call by its id."""
        return self._calls.get(name)

    @contextmanager
    def summaries(self) -> Iterator[Mailbox[CallSummary]]:
        """A mailbox that gets the sum of each live call now, and later of each call that changes."""
        box: Mailbox[CallSummary] = Mailbox(READER_SUMMARIES)
        for call in self._calls.values():
            if not call.log.ended:
                box.put(call.summary())
        self._readers.add(box)
        try:
            yield box
        finally:
            self._readers.discard(box)
            self._dropped += box.dropped

    @contextmanager
    def follow(self, call: LiveCall) -> Iterator[Mailbox[Entry]]:
        """A mailbox that gets the later entries of a call until it ends."""
        box: Mailbox[Entry] = Mailbox(READER_ENTRIES)

        def read(entry: Entry) -> None:
            box.put(entry)
            if call.log.ended:
                box.close()

        unsubscribe = call.log.subscribe(read)
        if call.log.ended:
            box.close()
        self._followers.add(box)
        try:
            yield box
        finally:
            unsubscribe()
            self._followers.discard(box)
            self._dropped += box.dropped

    def close_streams(self) -> None:
        """End all streams, and open none any more: the server ends."""
        self._closed = True
        for reader in self._readers:
            reader.close()
        for follower in self._followers:
            follower.close()

    def _enter(self, log: CallLog, entry: Entry) -> LiveCall | None:
        event = entry.event
        if not isinstance(event, SessionStarted):
            return None
        folder = self._folder_of(event.session_id)
        name = call_name(folder) if folder is not None else f"{log.started_at:%Y-%m-%d}.{event.session_id}"
        call = LiveCall(log, name, recorded=self._recorded(event.session_id), redactor=self._redactor)
        self._calls[name] = call
        return call

    def _tell(self, call: LiveCall) -> None:
        if call.log.ended:
            ended = [name for name, each in self._calls.items() if each.log.ended]
            for name in ended[:-KEEP_ENDED]:
                del self._calls[name]
        if self._readers:
            summary = call.summary()
            for box in self._readers:
                box.put(summary)
