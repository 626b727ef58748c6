"""A call with more than one listener: every one gets the events, each asks for what it wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from antiphon.transports.realtime.session import RealtimeSession
from antiphon.wire.realtime.client_events import ClientEvent

_OWN_EVENTS = "antiphon."
_FOR_WHO_ASKED = frozenset({"error", "conversation.item.retrieved", "input_audio_buffer.cleared"})
"""Events that answer one client and mean nothing to the others."""


class End(Protocol):
    """A listener. All methods return at once and never raise."""

    takes_own_events: bool
    """Whether it knows Antiphon: events that the protocol does not have would be errors to others."""

    def send(self, event: Mapping[str, Any]) -> None:
        """Send a server event."""
        ...

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        ...


class CallChannel:
    """The ``Channel`` of a call: the client's own connection and those that look on. Sound goes another way."""

    takes_audio = False

    def __init__(self) -> None:
        self._ends: list[End] = []
        self._asking: End | None = None
        self._session: RealtimeSession

    @property
    def ends(self) -> int:
        """How many listen."""
        return len(self._ends)

    def serve(self, session: RealtimeSession) -> None:
        """Say whose events these are."""
        self._session = session

    def join(self, end: End) -> None:
        """Send this one everything from now on."""
        self._ends.append(end)

    def leave(self, end: End) -> None:
        """Send it no more."""
        if end in self._ends:
            self._ends.remove(end)

    def receive(self, end: End, event: ClientEvent) -> None:
        """Carry out what a listener asks for."""
        self._asking = end
        try:
            self._session.receive(event)
        finally:
            self._asking = None

    def send(self, event: Mapping[str, Any]) -> None:
        """Send a server event."""
        kind = event["type"]
        if self._asking is not None and kind in _FOR_WHO_ASKED:
            self._asking.send(event)
            return
        is_own = kind.startswith(_OWN_EVENTS)
        for end in tuple(self._ends):
            if not is_own or end.takes_own_events:
                end.send(event)

    def send_audio(self, response_id: str, item_id: str, *, output_index: int, audio: bytes) -> None:
        """Nobody takes sound this way."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End all connections."""
        for end in tuple(self._ends):
            end.close(code, reason)
