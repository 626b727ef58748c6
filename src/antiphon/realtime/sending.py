"""What goes out: every event gets an id, the dialect's shape and its turn; sound is kept until a turn holds it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import msgspec

from antiphon.clock import Clock
from antiphon.logs import Log
from antiphon.realtime.dialect import to_beta
from antiphon.realtime.endpoint import Dialect
from antiphon.realtime.errors import NotConnected
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.link import Link
from antiphon.realtime.metrics import ClientMetrics
from antiphon.realtime.outbox import MAY_WAIT, Event, Outbox
from antiphon.realtime.uncommitted import UncommittedAudio
from antiphon.wire.realtime.ids import new_id

MAX_APPEND = 1 << 20
"""Bytes of sound in one event; longer sound goes in several."""

_log = Log(__name__)
_encode = msgspec.json.Encoder().encode


class Sender:
    """Sends on the connection of the moment.

    Args:
        dialect: What the service reads.
        metrics: Where dropped sound is counted.
        clock: Time.

    Attributes:
        is_open: Whether there will be a connection, if there is none now.
        link: The connection, once it is prepared.
        audio: The user's sound that no turn holds yet.
        outbox: What waits.
    """

    def __init__(self, dialect: Dialect, metrics: ClientMetrics, clock: Clock) -> None:
        self.is_open = False
        self.link: Link | None = None
        self.audio = UncommittedAudio(metrics)
        self.outbox = Outbox()
        self._dialect = dialect
        self._clock = clock
        self._prefix = f"event_{token_hex(6)}_"
        self._number = 0
        self._told_dropped = 0

    def next_id(self) -> str:
        """A new event id, at most 32 characters."""
        self._number += 1
        return f"{self._prefix}{self._number}"

    def identified(self, event: Mapping[str, Any]) -> Event:
        """An event with an id, and with one for its new item."""
        event = {**event, "event_id": event.get("event_id") or self.next_id()}
        if event["type"] == "conversation.item.create" and not event["item"].get("id"):
            event["item"] = {**event["item"], "id": new_id("item")}
        return event

    async def send(self, event: Mapping[str, Any]) -> str:
        """Send an event, or keep it until it can be sent.

        Raises:
            NotConnected: There is no connection, and the event cannot wait for one.
        """
        event = self.identified(event)
        may_wait = event["type"] in MAY_WAIT
        if not self.is_open or (self.link is None and not may_wait):
            raise NotConnected(f"There is no Realtime connection to send {event['type']} on; connect first.")
        for due in self.outbox.push(event, self._clock.now()):
            if self.link is None:
                break  # Lost meanwhile; the outbox has kept it.
            try:
                await self.transmit(self.link, due)
            except NotConnected:
                if not may_wait:
                    raise
        return str(event["event_id"])

    async def append(self, audio: bytes) -> str:
        """Send sound, or keep it for the next connection."""
        if not self.is_open:
            raise NotConnected("There is no Realtime connection to send sound on; connect first.")
        event_id = ""
        for start in range(0, len(audio), MAX_APPEND):
            piece = audio[start : start + MAX_APPEND]
            event_id = self.next_id()
            self.audio.add(piece, sent=self.link is not None)
            try:
                if self.link is not None:
                    await self.link.send(_append(event_id, piece))
            except NotConnected:
                pass  # It is kept.
        return event_id

    async def transmit(self, link: Link, event: Event) -> None:
        """Send an event on a connection, prepared or not."""
        await link.send(self._text(event))

    async def catch_up(self, link: Link) -> None:
        """Send all that waited; from then on events are sent at once."""
        for event in self.outbox.connected(self._clock.now()):
            await self.transmit(link, event)
        self.audio.connected(self._clock.now())
        while chunks := self.audio.take_unsent():
            for chunk in chunks:
                await link.send(_append(self.next_id(), chunk))
        self.link = link

    def take(self, event: ServerEvent) -> None:
        """Follow an event of the service, which may let something go that waited."""
        self._post(self.outbox.take(event, self._clock.now()))
        if event.type == "input_audio_buffer.speech_stopped":
            end_ms = event.body.get("audio_end_ms")
            self.audio.turn_ends(int(end_ms) if isinstance(end_ms, (int, float)) else None)
        elif event.type == "input_audio_buffer.committed":
            self.audio.committed()

    def tick(self) -> None:
        """Time has passed."""
        self._post(self.outbox.tick(self._clock.now()))
        if self.outbox.dropped > self._told_dropped:
            self._told_dropped = self.outbox.dropped
            _log.warning("events that waited too long were dropped", dropped=self._told_dropped)

    def disconnected(self) -> None:
        """The connection is gone."""
        self.link = None
        self.outbox.disconnected(self._clock.now())
        self.audio.disconnected(self._clock.now())

    def post(self, event: Mapping[str, Any]) -> None:
        """Send an event soon, if there is a connection or it can wait for one."""
        event = self.identified(event)
        if self.link is not None or event["type"] in MAY_WAIT:
            self._post(self.outbox.push(event, self._clock.now()))

    def _post(self, events: list[Event]) -> None:
        for event in events:
            if self.link is not None:
                self.link.post(self._text(event))

    def _text(self, event: Event) -> str:
        return _encode(event if self._dialect == "ga" else to_beta(event)).decode()


def _append(event_id: str, audio: bytes) -> str:
    sound = base64.b64encode(audio).decode()
    return f'{{"event_id":"{event_id}","type":"input_audio_buffer.append","audio":"{sound}"}}'
