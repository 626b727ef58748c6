"""What a session sends its events through, and what it is heard by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from antiphon.wire.realtime.client_events import ClientEvent
from antiphon.wire.realtime.refusal import Refusal


class Channel(Protocol):
    """One end of a session: a WebSocket, a data channel, a sideband. All methods return at once and never raise."""

    takes_audio: bool
    """Whether the answers' sound goes with the events; else it has a way of its own."""

    def send(self, event: Mapping[str, Any]) -> None:
        """Send a server event."""
        ...

    def send_audio(self, response_id: str, item_id: str, *, output_index: int, audio: bytes) -> None:
        """Send sound of an answer, in the client's format."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection. Idempotent."""
        ...


class Recipient(Protocol):
    """Who a connection's events are for. All methods return at once and never raise."""

    def receive(self, event: ClientEvent) -> None:
        """Take a client event."""
        ...

    def refuse(self, refusal: Refusal) -> None:
        """Tell the client why nothing came of what it sent."""
        ...

    def lost(self) -> None:
        """The client is gone."""
        ...
