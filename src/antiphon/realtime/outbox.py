"""What may wait to be sent: for a connection, or for the answer to the last ``response.create``. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.realtime.incoming import ServerEvent

MAX_WAITING = 100
MAX_WAIT_S = 10.0
"""Older events are dropped: by then they answer a conversation that has moved on."""

ALREADY_ACTIVE = "conversation_already_has_active_response"

_ITEM = "conversation.item.create"
_RESPONSE = "response.create"

MAY_WAIT = frozenset({_ITEM, _RESPONSE})

Event = Mapping[str, Any]


@dataclass(slots=True)
class _Wish:
    """An event that waits.

    Attributes:
        event: It.
        since_s: Since when.
        after_done: Whether it must wait for the end of a response.
    """

    event: Event
    since_s: float
    after_done: bool = False


class Outbox:
    """Holds events back until they can be sent. Its methods give what is to be sent now, in order.

    Attributes:
        dropped: Events that nobody could send in time.
        answered: The request of the newest response, where there was one.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.answered: Event | None = None
        self._online = False
        self._items: deque[_Wish] = deque()
        self._responses: deque[_Wish] = deque()
        self._unconfirmed: dict[str, Event] = {}
        self._asked: _Wish | None = None

    @property
    def awaiting_response(self) -> bool:
        """Whether a response was asked for, or is to be asked for, that has not begun."""
        return self._asked is not None or bool(self._responses)

    def push(self, event: Event, now_s: float) -> list[Event]:
        """Send an event, or keep it until it can be sent."""
        kind = event["type"]
        if kind == _RESPONSE:
            self._wait(self._responses, _Wish(event, now_s))
            return self._next(now_s)
        if kind == _ITEM and not self._online:
            self._wait(self._items, _Wish(event, now_s))
            return []
        if kind == _ITEM:
            self._sent(event)
        return [event]

    def take(self, event: ServerEvent, now_s: float) -> list[Event]:
        """Follow an event of the service."""
        if event.type == "conversation.item.added":
            self._unconfirmed.pop(event.item_id, None)
            return []
        if event.type == "error":
            self._refused(event)
        elif event.type == "response.created":
            self.answered = self._asked.event if self._asked is not None else None
            self._asked = None
        elif event.type == "response.done":
            self._asked = None
            for wish in self._responses:
                wish.after_done = False
        else:
            return []
        return self._next(now_s)

    def tick(self, now_s: float) -> list[Event]:
        """Time has passed: what waited too long is dropped, and what was never answered holds nothing up."""
        for waiting in (self._items, self._responses):
            while waiting and now_s - waiting[0].since_s > MAX_WAIT_S and not (self._online and waiting[0].after_done):
                waiting.popleft()
                self.dropped += 1
        if self._asked is not None and now_s - self._asked.since_s > MAX_WAIT_S:
            self._asked = None
        return self._next(now_s)

    def disconnected(self, now_s: float) -> None:
        """The connection is gone: what it never confirmed waits for the next one."""
        self._online = False
        for event in reversed(self._unconfirmed.values()):
            self._items.appendleft(_Wish(event, now_s))
        self._unconfirmed.clear()
        if self._asked is not None:
            self._responses.appendleft(_Wish(self._asked.event, now_s))
            self._asked = None
        for wish in self._responses:
            wish.after_done = False

    def connected(self, now_s: float) -> list[Event]:
        """The new connection is ready for all that waits."""
        self._online = True
        items = [wish.event for wish in self._items]
        self._items.clear()
        for event in items:
            self._sent(event)
        return [*items, *self._next(now_s)]

    def _wait(self, waiting: deque[_Wish], wish: _Wish) -> None:
        waiting.append(wish)
        if len(self._items) + len(self._responses) > MAX_WAITING:
            waiting.popleft()
            self.dropped += 1

    def _sent(self, event: Event) -> None:
        self._unconfirmed[event["item"]["id"]] = event
        if len(self._unconfirmed) > MAX_WAITING:  # A service that confirms nothing.
            self._unconfirmed.pop(next(iter(self._unconfirmed)))

    def _next(self, now_s: float) -> list[Event]:
        """The next ``response.create``, if its turn has come: one at a time."""
        if not self._online or self._asked is not None or not self._responses or self._responses[0].after_done:
            return []
        wish = self._responses.popleft()
        self._asked = _Wish(wish.event, now_s)
        return [wish.event]

    def _refused(self, event: ServerEvent) -> None:
        error = event.part("error")
        refused = error.get("event_id")
        self._unconfirmed = {
            item_id: waiting for item_id, waiting in self._unconfirmed.items() if waiting["event_id"] != refused
        }
        if self._asked is None or self._asked.event["event_id"] != refused:
            return
        if error.get("code") == ALREADY_ACTIVE:
            self._responses.appendleft(_Wish(self._asked.event, event.at_s, after_done=True))
        self._asked = None
