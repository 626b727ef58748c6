"""A session's WebSocket: frames into client events, server events into frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.telemetry import Traffic
from antiphon.transports.realtime.channel import Recipient
from antiphon.transports.socket import MessageSocket, SocketLimits
from antiphon.wire.realtime.codec import RealtimeCodec
from antiphon.wire.realtime.refusal import Refusal, binary_frame


class SocketChannel:
    """A WebSocket that carries everything, sound included.

    Args:
        socket: Accepted and not yet attached.
        codec: In the client's dialect.
        traffic: Counts the frames of all sockets.
        limits: What the client may do.
    """

    takes_audio = True

    def __init__(self, socket: MessageSocket, codec: RealtimeCodec, *, traffic: Traffic, limits: SocketLimits) -> None:
        self._socket = socket
        self._codec = codec
        self._traffic = traffic
        self._limits = limits
        self._session: Recipient | None = None

    def attach(self, session: Recipient) -> None:
        """Let the client's events reach a session, from the first one that came."""
        self._session = session
        self._socket.attach(self._on_message, session.lost, self._limits)

    def send(self, event: Mapping[str, Any]) -> None:
        """Send a server event."""
        for frame in self._codec.encode(event):
            self._socket.send(frame)

    def send_audio(self, response_id: str, item_id: str, *, output_index: int, audio: bytes) -> None:
        """Send sound of an answer."""
        self._traffic.frames_out += 1
        self._socket.send(self._codec.encode_audio_delta(response_id, item_id, output_index, audio))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake."""
        self._socket.close(code, reason.encode()[:123].decode(errors="ignore"))

    def _on_message(self, message: str | bytes) -> None:
        assert self._session is not None
        self._traffic.frames_in += 1
        try:
            if isinstance(message, bytes):
                raise binary_frame()
            event = self._codec.receive(message)
        except Refusal as refusal:
            self._traffic.frames_malformed += 1
            self._session.refuse(refusal)
            return
        self._session.receive(event)
