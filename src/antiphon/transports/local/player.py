"""Playout: what the service sends, held briefly against jitter, handed to the device, and counted to the sample.

The device pulls. Its clock is the only one here: how long an item has waited is told by how many samples the device
has asked for meanwhile, so that the same deltas and pulls always give the same sound.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 24_000
FADE_SAMPLES = RATE_HZ * 5 // 1000
LONGEST_WAIT_SAMPLES = RATE_HZ * 250 // 1000
"""After its first delta an item waits no longer than this for its jitter buffer to fill."""
REMEMBERED_ITEMS = 64

PlayerEventKind = Literal["started", "underrun", "finished", "overflow"]
OnPlayerEvent = Callable[[PlayerEventKind, str], None]
"""Gets what happened and the item's id. Called in the device's thread or that of ``push``: it must not wait."""


def _to_nobody(kind: PlayerEventKind, item_id: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Playout:
    """How far an item is.

    Attributes:
        received_ms: Sound that has come.
        played_ms: Sound that left the device, never more than has come.
        is_done: Whether all has come and all was handed to the device.
        was_flushed: Whether the rest was dropped.
    """

    received_ms: int = 0
    played_ms: int = 0
    is_done: bool = False
    was_flushed: bool = False


@dataclass(slots=True, eq=False)
class _Item:
    """Sound of one item; positions count the samples that the device has taken in all."""

    item_id: str
    first_at: int
    received: int = 0
    is_complete: bool = False
    is_primed: bool = False
    has_started: bool = False
    was_flushed: bool = False
    is_finished: bool = False
    blocks: deque[NDArray[np.int16]] = field(default_factory=deque)
    held: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)
    """Where its samples went: position and count, one entry for each stretch without a gap."""

    def handed_before(self, position: int) -> int:
        return sum(min(count, max(0, position - start)) for start, count in self.spans)

    def note_handed(self, position: int, count: int) -> None:
        if self.spans and sum(self.spans[-1]) == position:
            start, before = self.spans[-1]
            self.spans[-1] = (start, before + count)
        else:
            self.spans.append((position, count))

    def take(self, count: int) -> NDArray[np.int16]:
        """Up to ``count`` samples of what is held."""
        block = self.blocks[0]
        taken = block[:count]
        if len(taken) == len(block):
            self.blocks.popleft()
        else:
            self.blocks[0] = block[count:]
        self.held -= len(taken)
        return taken


class AudioPlayer:
    """Holds sound of items and hands it over when the device asks. Safe to use from the loop and a device's thread.

    Args:
        jitter_ms: Sound that is held before an item starts, and again after an underrun.
        max_s: Longest sound that is held; further deltas are dropped and counted.
        on_event: Told what happened.

    Attributes:
        latency_s: How long after it was handed over a sample is heard; the device's backend sets it.
        underruns: Times that the device found nothing although the item was not complete.
        dropped: Samples that were not played, by reason: ``queue_full``, ``cancelled``.
    """

    def __init__(self, *, jitter_ms: int = 120, max_s: float = 120.0, on_event: OnPlayerEvent = _to_nobody) -> None:
        self.latency_s = 0.0
        self.underruns = 0
        self.dropped: Counter[str] = Counter()
        self._jitter = RATE_HZ * jitter_ms // 1000
        self._max = int(RATE_HZ * max_s)
        self._on_event = on_event
        self._lock = threading.Lock()
        self._items: OrderedDict[str, _Item] = OrderedDict()
        self._queue: deque[_Item] = deque()
        self._position = 0
        self._held = 0
        self._fade: NDArray[np.int16] | None = None
        self._fade_item: _Item | None = None

    @property
    def held_ms(self) -> int:
        """Sound that waits to be handed over."""
        return self._held * 1000 // RATE_HZ

    @property
    def is_playing(self) -> bool:
        """Whether some item is being played or waits for it, what is still inside the device included."""
        with self._lock:
            if self._queue:
                return True
            heard = self._heard_position()
            return any(sum(span) > heard for item in self._items.values() for span in item.spans[-1:])

    @property
    def current(self) -> str | None:
        """The item that is heard now or next; None when all is silent."""
        with self._lock:
            heard = self._heard_position()
            for item in self._items.values():
                if not item.was_flushed and item.spans and sum(item.spans[-1]) > heard:
                    return item.item_id
            return self._queue[0].item_id if self._queue else None

    def push(self, item_id: str, pcm: NDArray[np.int16]) -> None:
        """Take sound of an item; shape (n,), 24 kHz. Sound of a flushed item is dropped and counted."""
        full = False
        with self._lock:
            item = self._items.get(item_id)
            if item is None:
                item = self._add(item_id)
            if item.was_flushed or item.is_complete or item.is_finished:
                self.dropped["cancelled"] += len(pcm)
            elif self._held + len(pcm) > self._max:
                self.dropped["queue_full"] += len(pcm)
                full = True
            elif len(pcm):
                item.blocks.append(pcm)
                item.received += len(pcm)
                item.held += len(pcm)
                self._held += len(pcm)
        if full:
            self._on_event("overflow", item_id)

    def complete(self, item_id: str) -> None:
        """Nothing more of this item will come: it is played whatever its length."""
        with self._lock:
            if (item := self._items.get(item_id)) is not None:
                item.is_complete = True

    def flush(self) -> list[str]:
        """Be silent at once: drop what is held, fade what the ear would hear cut. Gives the items that were cut."""
        with self._lock:
            cut = [item.item_id for item in self._queue]
            head = self._queue[0] if self._queue else None
            if head is not None and head.is_primed and head.held:
                rest = np.concatenate(head.blocks)[:FADE_SAMPLES]
                self._fade = (rest * np.linspace(1.0, 0.0, len(rest), dtype=np.float32)).astype(np.int16)
                self._fade_item = head
            for item in list(self._queue):
                self._forget(item)
            return cut

    def playout(self, item_id: str) -> Playout:
        """How far an item is; zeros for one that is not known."""
        with self._lock:
            item = self._items.get(item_id)
            if item is None:
                return Playout()
            played = min(item.handed_before(self._heard_position()), item.received)
            return Playout(
                item.received * 1000 // RATE_HZ, played * 1000 // RATE_HZ, item.is_finished, item.was_flushed
            )

    def pull(self, count: int) -> NDArray[np.int16]:
        """The next samples for the device, silence where there are none; shape (count,)."""
        events: list[tuple[PlayerEventKind, str]] = []
        out = np.zeros(count, np.int16)
        with self._lock:
            filled = self._play_fade(out)
            while filled < count and self._queue:
                head = self._queue[0]
                if not self._is_ready(head):
                    if self._is_underrun(head):
                        events.append(("underrun", head.item_id))
                    break
                if not head.held:
                    self._queue.popleft()
                    head.is_finished = True
                    events.append(("finished", head.item_id))
                    continue
                if not head.has_started:
                    head.has_started = True
                    events.append(("started", head.item_id))
                taken = head.take(count - filled)
                out[filled : filled + len(taken)] = taken
                head.note_handed(self._position + filled, len(taken))
                self._held -= len(taken)
                filled += len(taken)
            self._position += count
        for kind, item_id in events:
            self._on_event(kind, item_id)
        return out

    def _play_fade(self, out: NDArray[np.int16]) -> int:
        if self._fade is None or self._fade_item is None:
            return 0
        count = min(len(out), len(self._fade))
        out[:count] = self._fade[:count]
        self._fade_item.note_handed(self._position, count)
        self._fade = self._fade_item = None
        return count

    def _is_ready(self, head: _Item) -> bool:
        """Whether the first item in the queue may hand out samples now, or has none left to come."""
        is_complete = head.is_complete or len(self._queue) > 1
        if is_complete or (head.is_primed and head.held):
            return True
        waited = not head.has_started and self._position - head.first_at >= LONGEST_WAIT_SAMPLES
        if not head.is_primed:
            head.is_primed = head.held >= self._jitter or (waited and head.held > 0)
        return head.is_primed and head.held > 0

    def _is_underrun(self, head: _Item) -> bool:
        """Whether an item that plays has run dry; it fills its buffer again before it goes on."""
        if not head.is_primed:
            return False
        self.underruns += 1
        head.is_primed = False
        return True

    def _forget(self, item: _Item) -> None:
        """Take an item out of the queue and drop what is held of it."""
        self._queue.remove(item)
        self._held -= item.held
        self.dropped["cancelled"] += item.held
        item.blocks.clear()
        item.held = 0
        item.was_flushed = True

    def _add(self, item_id: str) -> _Item:
        item = _Item(item_id, self._position)
        self._items[item_id] = item
        self._queue.append(item)
        while len(self._items) > REMEMBERED_ITEMS and next(iter(self._items.values())) not in self._queue:
            self._items.popitem(last=False)
        return item

    def _heard_position(self) -> int:
        return self._position - round(self.latency_s * RATE_HZ)
