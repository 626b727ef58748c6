"""The append-only event log of one call.

The call writes; transcript, metrics, files, console and sockets read. A reader is a plain function that returns at
once, or a ``Follower`` that drops (and counts) what it cannot take: no reader ever slows the call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, get_args

import msgspec
import structlog

from antiphon.calls.events import CallEvent, SessionEnded
from antiphon.calls.hidden import HiddenNumbers
from antiphon.clock import Clock

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    Attributes:
        seq: Counts from 1 without gaps.
        at: Seconds since the call's start.
        event: What happened.
    """

    seq: int
    at: float
    event: CallEvent

    def to_dict(self) -> dict[str, Any]:
        """The entry as one flat JSON object: ``seq``, ``at``, ``type`` and the event's own fields."""
        event = self.event
        body = {f.name: getattr(event, f.name) for f in fields(event)}
        return {"seq": self.seq, "at": round(self.at, 4), "type": event.type, **body}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Entry | None:
        """What ``to_dict`` has written; None where another version wrote something that is not known here."""
        kind = _KINDS.get(str(body.get("type")))
        if kind is None:
            return None
        try:
            return cls(int(body["seq"]), float(body["at"]), msgspec.convert(body, kind))
        except (msgspec.ValidationError, KeyError, TypeError, ValueError):
            return None


_KINDS: Mapping[str, type[CallEvent]] = {kind.type: kind for kind in get_args(CallEvent)}

Reader = Callable[[Entry], None]


class CallLog:
    """The log of one call; ``append`` is called on the call's event loop only.

    Attributes:
        call_id: The call it belongs to.
        started_at: Date and time of second 0.
        ended: ``session.ended`` was told; nothing is taken after it.
    """

    def __init__(self, call_id: str, clock: Clock) -> None:
        self.call_id = call_id
        self.ended = False
        self.started_at: datetime = clock.utc()
        self._clock = clock
        self._start = clock.now()
        self._seq = 0
        self._readers: list[Reader] = []
        self._hidden = HiddenNumbers()

    def seconds(self, at: float | None = None) -> float:
        """Seconds since the call's start, now or at the clock's time ``at``."""
        return (self._clock.now() if at is None else at) - self._start

    def append(self, event: CallEvent) -> None:
        """Number and time an event and hand it to all readers. What comes after the call's end is left out."""
        if self.ended:
            return
        self.ended = event.type == SessionEnded.type
        self._seq += 1
        entry = Entry(self._seq, self.seconds(), self._hidden.mask(event))
        for reader in tuple(self._readers):
            try:
                reader(entry)
            except Exception:  # A reader is another task's root: its fault must not reach the call.
                _log.exception("log_reader_failed", call_id=self.call_id, event_type=event.type)

    def hide(self, digits: str) -> None:
        """Tell nobody these digits, which the caller has typed, in whatever event they come back."""
        self._hidden.add(digits)

    def veil(self) -> None:
        """From now on tell nobody what the caller says, nor any number: it is said in confidence."""
        self._hidden.veil()

    def unveil(self) -> None:
        """What is said from the caller's next words on may be told."""
        self._hidden.unveil()

    def subscribe(self, reader: Reader) -> Callable[[], None]:
        """Call ``reader`` with every later entry; the returned function ends that."""
        self._readers.append(reader)
        return lambda: self._readers.remove(reader) if reader in self._readers else None

    def follow(self, capacity: int = 1000) -> Follower:
        """Read later entries from another task, at its own pace."""
        return Follower(self, capacity)


class Follower:
    """A bounded view of a log for one slow reader; iteration ends when the log has ended.

    Attributes:
        dropped: Entries that were lost because the reader was too slow; the oldest go first.
    """

    def __init__(self, log: CallLog, capacity: int) -> None:
        self.dropped = 0
        self._log = log
        self._waiting: deque[Entry] = deque(maxlen=capacity)
        self._news = asyncio.Event()
        self._leave = log.subscribe(self._take)

    def _take(self, entry: Entry) -> None:
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(entry)
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Entry]:
        try:
            while True:
                while self._waiting:
                    yield self._waiting.popleft()
                if self._log.ended:
                    return
                self._news.clear()
                await self._news.wait()
        finally:
            self._leave()
