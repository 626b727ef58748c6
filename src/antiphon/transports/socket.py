"""What a transport needs of a WebSocket: whole messages in by a plain call, messages out without waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

OnMessage = Callable[[str | bytes], None]
"""Gets each message in order; text as ``str``, anything else as ``bytes``."""
OnClose = Callable[[], None]
"""Called once, when no message will follow."""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What a peer may do.

    Attributes:
        frame_bytes: Its largest message; None is the server's own limit.
        messages: Most messages in 4 s; a stall of 40 s may still be caught up.
        unsent_bytes: A peer that leaves more than this unread is cut off.
        slow_code: Close code for that; None drops the connection at once.
    """

    frame_bytes: int | None = None
    messages: int = 2000
    unsent_bytes: int = 1 << 20
    slow_code: int | None = None


PHONE_LIMITS = SocketLimits()


class MessageSocket(Protocol):
    """An open WebSocket. All methods return at once and never raise; a dead socket swallows what it gets."""

    dropped: int
    """Media messages that were not sent because the peer read too slowly."""

    def attach(self, on_message: OnMessage, on_close: OnClose, limits: SocketLimits = PHONE_LIMITS) -> None:
        """Take the socket over: from now on every message goes to ``on_message``, and to nobody else."""
        ...

    def send_media(self, message: str | bytes) -> None:
        """Send audio. It is dropped and counted while the peer reads too slowly."""
        ...

    def send(self, text: str) -> None:
        """Send what must not be dropped."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake. Idempotent."""
        ...
