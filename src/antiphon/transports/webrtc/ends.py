"""Who listens to a call: the client over its data channel, and others over WebSockets of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from antiphon.transports.realtime.socket import SocketChannel
from antiphon.transports.webrtc.channel import CallChannel
from antiphon.wire.realtime import events
from antiphon.wire.realtime.client_events import AudioAppend, ClientEvent
from antiphon.wire.realtime.codec import RealtimeCodec
from antiphon.wire.realtime.refusal import Refusal, binary_frame, invalid_value

if TYPE_CHECKING:
    from antiphon.transports.webrtc.peer import Peer


class DataEnd:
    """The client of a call.

    Args:
        call: Whose events it gets.
        peer: Its connection.
        codec: In its dialect.
        takes_own_events: Whether it knows Antiphon.
    """

    def __init__(self, call: CallChannel, peer: Peer, codec: RealtimeCodec, *, takes_own_events: bool) -> None:
        self.takes_own_events = takes_own_events
        self._call = call
        self._peer = peer
        self._codec = codec

    def send(self, event: Mapping[str, Any]) -> None:
        """Send a server event; one that is larger than the client's messages may be is told to be so."""
        for frame in self._codec.encode(event):
            size, limit = len(frame.encode()), self._peer.message_bytes
            if limit and size > limit:
                kind = event["type"]
                message = f"The event {kind} has {size} bytes, and your data channel takes {limit}: use a sideband."
                self.send(events.error(Refusal("event_too_large", message, kind="server_error")))
            else:
                self._peer.send(frame)

    def close(self, code: int, reason: str) -> None:
        """The connection is closed by who owns it, with the call."""

    def take(self, message: str | bytes) -> None:
        """Read a message of the client."""
        try:
            if isinstance(message, bytes):
                raise binary_frame()
            event = self._codec.receive(message)
        except Refusal as refusal:
            self.send(events.error(refusal))
        else:
            self._call.receive(self, event)


class Sideband:
    """Another connection to a call, over a WebSocket.

    Args:
        call: Whose events it gets.
        channel: Its WebSocket.
        takes_own_events: Whether it knows Antiphon.

    Attributes:
        over: Set when it has ended.
    """

    def __init__(self, call: CallChannel, channel: SocketChannel, *, takes_own_events: bool) -> None:
        self.takes_own_events = takes_own_events
        self.over = asyncio.Event()
        self._call = call
        self._channel = channel

    def attach(self) -> None:
        """Carry out what it asks for, from the first event that came."""
        self._channel.attach(self)

    def send(self, event: Mapping[str, Any]) -> None:
        """Send a server event."""
        self._channel.send(event)

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        self._channel.close(code, reason)
        self.over.set()

    def receive(self, event: ClientEvent) -> None:
        """Take a client event."""
        if type(event) is AudioAppend:
            refusal = invalid_value("The sound of this call comes from its own client: send none here.", "type")
            refusal.event_id = event.event_id
            self.refuse(refusal)
        else:
            self._call.receive(self, event)

    def refuse(self, refusal: Refusal) -> None:
        """Tell why nothing came of an event."""
        self._channel.send(events.error(refusal))

    def lost(self) -> None:
        """The WebSocket is gone; the call goes on."""
        self._call.leave(self)
        self.over.set()
