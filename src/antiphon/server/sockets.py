"""The WebSocket's short way: a received message is one function call, a sent one is one write.

uvicorn hands every message through a queue to a task. For media, 50 messages a second and call, that costs more than
the message itself. ``DirectWebSocketProtocol`` is uvicorn's own protocol, and behaves as that does until an accepted
endpoint takes the socket over (``DirectSocket.attach``). Then messages of one frame are unmasked here and given to the
endpoint's function at once; all other frames still go through the library's parser, which knows the rest of RFC 6455:
fragments, ping and pong, the closing handshake, and every kind of protocol error.
"""

from __future__ import annotations

import socket
from asyncio import BaseTransport, TimerHandle
from typing import Any, cast

import structlog
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from antiphon.transports.socket import PHONE_LIMITS, OnClose, OnMessage, SocketLimits

try:
    from websockets.speedups import apply_mask
except ImportError:  # A platform without the compiled part.
    from websockets.utils import apply_mask

EXTENSION = "antiphon.direct"
"""Key of the ``DirectSocket`` in the ``extensions`` of an ASGI WebSocket scope."""

STALL_LIMIT_S = 30.0
"""A peer that has not read for this long is cut off."""
KERNEL_BUFFER = 1 << 16
"""Bytes that the kernel may hold for a peer."""
RATE_WINDOW_S = 4.0
"""The time over which a peer's messages are counted."""

_TEXT = 0x81
_BINARY = 0x82
_WHOLE = (_TEXT, _BINARY)
_MASKED = 0x80
_MASKED_16 = 0xFE
_MASKED_64 = 0xFF

_log = structlog.get_logger(__name__)


def message_frame(message: str | bytes) -> bytes:
    """One unmasked message in one frame, as a server sends it."""
    kind, body = (_TEXT, message.encode()) if isinstance(message, str) else (_BINARY, message)
    size = len(body)
    if size < 126:
        return bytes((kind, size)) + body
    if size < 65_536:
        return bytes((kind, 126)) + size.to_bytes(2, "big") + body
    return bytes((kind, 127)) + size.to_bytes(8, "big") + body


class DirectSocket:
    """The connection, as the endpoint that has taken it over sees it (``MessageSocket``)."""

    __slots__ = ("_can_send", "_limits", "_protocol", "_stalled", "_transport", "dropped")

    def __init__(self, protocol: DirectWebSocketProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._can_send = True
        self._stalled = False
        self._limits = PHONE_LIMITS
        self.dropped = 0

    def attach(self, on_message: OnMessage, on_close: OnClose, limits: SocketLimits = PHONE_LIMITS) -> None:
        """Take the accepted socket over; what it has received before comes first."""
        self._limits = limits
        self._protocol.take_over(self, on_message, on_close, limits=limits)

    def send_media(self, message: str | bytes) -> None:
        """Send audio, or drop it while the peer does not read."""
        if self._stalled:
            self.dropped += 1
        elif self._can_send:
            self._transport.write(message_frame(message))

    def send(self, text: str) -> None:
        """Send a message that must not be lost."""
        if self._can_send:
            self._transport.write(message_frame(text))
            if self._stalled and self._transport.get_write_buffer_size() > self._limits.unsent_bytes:
                self._protocol.cut_off("backlog")

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake; the socket ends with the peer's answer or 10 s later."""
        if self._can_send:
            self._can_send = False
            self._protocol.begin_close(code, reason)

    def lost(self) -> None:
        """Nothing can be sent any more."""
        self._can_send = False

    def stall(self, stalled: bool) -> None:
        """The transport's buffer is over, or again under its limit."""
        self._stalled = stalled


class DirectWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with a way around its queue and task."""

    _direct: DirectSocket | None = None
    _on_message: OnMessage
    _on_close: OnClose | None = None
    _stall_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """The TCP connection is up."""
        self._tail = bytearray()  # The beginning of a frame whose end has not come yet,
        self._tail_needs = 0  # and the size at which it is worth looking at again.
        self._limits = PHONE_LIMITS
        self._frame_bytes = self.config.ws_max_size
        self._quota = PHONE_LIMITS.messages
        self._quota_since = self.loop.time()
        super().connection_made(transport)
        self.conn.debug = False  # The library would log all headers, with the keys in them, and all frames.

    def handle_connect(self, event: Request) -> None:
        """The upgrade request is here: offer the short way to the application."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[EXTENSION] = DirectSocket(self)

    # The endpoint's side.

    def take_over(
        self, direct: DirectSocket, on_message: OnMessage, on_close: OnClose, *, limits: SocketLimits
    ) -> None:
        """Give all messages to ``on_message`` from now on."""
        self._limits = limits
        self._quota = limits.messages
        self._frame_bytes = limits.frame_bytes or self.config.ws_max_size
        self.conn.max_message_size = self._frame_bytes
        self._direct = direct
        self._on_message = on_message
        self._on_close = on_close
        endpoint = self.transport.get_extra_info("socket")
        if endpoint is not None:  # So that a reader that stalls is noticed after seconds of audio, not minutes.
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        if self.disconnected or self.close_sent:
            self._ended()
            return
        while not self.queue.empty():
            early = self.queue.get_nowait()
            if early["type"] == "websocket.receive":
                self._deliver(early.get("text") or early.get("bytes") or "")
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def begin_close(self, code: int, reason: str) -> None:
        """Send the close frame and wait for the peer's."""
        if self.close_sent or self.conn.state is not State.OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def cut_off(self, why: str) -> None:
        """Drop a connection whose peer does not read; where its protocol has a code for that, it may still read it."""
        if self.close_sent:
            return
        _log.warning("socket_cut_off", reason=why, client=self.client, unsent=self.transport.get_write_buffer_size())
        if self._limits.slow_code is None:
            self.transport.abort()
            return
        if self._direct is not None:
            self._direct.close(self._limits.slow_code, "too slow")
        self._ended()

    # The network's side.

    def data_received(self, data: bytes) -> None:
        """Bytes have come; each whole message in them is delivered before this returns."""
        if self._direct is None:
            super().data_received(data)
            return
        if self._tail:
            self._tail += data
            if len(self._tail) < self._tail_needs:
                return
            data = bytes(self._tail)
            self._tail.clear()
        try:
            self._read_frames(data)
        except Exception:  # The root of all that a message sets off: it costs this connection and no other.
            _log.exception("socket_message_failed", client=self.client)
            self._direct.close(1011, "internal error")
            self._ended()

    def _read_frames(self, data: bytes) -> None:
        start, size = 0, len(data)
        conn = self.conn
        while size - start >= 4:
            second = data[start + 1]
            if second == _MASKED_16:
                body = start + 8
                end = body + (data[start + 2] << 8 | data[start + 3])
            elif _MASKED <= second < _MASKED_16:
                body = start + 6
                end = body + second - _MASKED
            else:
                body, end = self._measure_rare(data, start)
            if end > size:
                self._keep(data[start:], end - start)
                return
            kind = data[start]
            if body and kind in _WHOLE and conn.current_size is None and not self.close_sent:
                payload = apply_mask(data[body:end], data[body - 4 : body])
                self._text(payload) if kind == _TEXT else self._deliver(payload)
            else:
                super().data_received(data[start:end])
                if conn.parser_exc is not None or conn.close_rcvd is not None:
                    return
            start = end
        if start < size:
            self._keep(data[start:], 4)

    def _measure_rare(self, data: bytes, start: int) -> tuple[int, int]:
        """Body and end of a frame of 64 KiB and more; body 0 is for the library, which will refuse it."""
        if data[start + 1] != _MASKED_64:
            return 0, len(data)  # Not masked.
        if len(data) - start < 14:
            return 0, start + 14
        length = int.from_bytes(data[start + 2 : start + 10], "big")
        if length > self._frame_bytes:
            return 0, len(data)
        return start + 14, start + 14 + length

    def _keep(self, tail: bytes, needs: int) -> None:
        self._tail += tail
        self._tail_needs = needs

    def _text(self, payload: bytes) -> None:
        try:
            message: str | bytes = payload.decode()
        except UnicodeDecodeError:
            message = payload  # Not text at all: counted as a malformed message, the connection lives.
        self._deliver(message)

    def _deliver(self, message: str | bytes) -> None:
        self._quota -= 1
        if self._quota < 0:
            now = self.loop.time()
            if now - self._quota_since < RATE_WINDOW_S:
                _log.warning("socket_too_many_messages", client=self.client)
                assert self._direct is not None
                self._direct.close(1008, "too many messages")
                return
            self._quota = self._limits.messages
            self._quota_since = now
        self._on_message(message)

    # What uvicorn's protocol would have put into its queue.

    def send_receive_event_to_app(self) -> None:
        """A binary or fragmented message is whole."""
        if self._direct is None:
            super().send_receive_event_to_app()
            return
        data = b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text":
            self._text(data)
        else:
            self._deliver(data)

    async def send(self, message: ASGISendEvent) -> None:
        """What the endpoint does before it takes the socket over."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # It was refused, which is no fault; uvicorn would log one.

    def handle_close(self, event: Frame) -> None:
        """The peer closes."""
        super().handle_close(event)
        self._ended()

    def handle_parser_exception(self) -> None:
        """The peer has broken the protocol."""
        super().handle_parser_exception()
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        super().connection_lost(exc)
        self._ended()

    def shutdown(self) -> None:
        """The server ends; running calls were ended before, so this meets only what is left."""
        if self._direct is None:
            super().shutdown()
            return
        self.stop_keepalive()
        self.begin_close(1001, "server shutdown")
        self.transport.close()
        self._ended()

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        super().pause_writing()
        if self._direct is not None:
            self._direct.stall(True)
            self._stall_timer = self.loop.call_later(STALL_LIMIT_S, self.cut_off, "stalled")

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        if self._direct is not None:
            self._direct.stall(False)
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _ended(self) -> None:
        if self._direct is not None:
            self._direct.lost()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()
