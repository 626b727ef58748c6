"""A minimal WebSocket client (RFC 6455) as one asyncio protocol, for load generation.

Why not a library: the generator shares the machine with the server that it measures. Here a send is one synchronous
``transport.write`` and a received message is one callback, with no task, queue or future for each message, so that
hundreds of paced calls cost a part of one core. The masking key is zero, which is valid and spares the XOR.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

_FINAL = 0x80
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_ZERO_MASK = b"\0\0\0\0"


class WebSocketClient(asyncio.Protocol):
    """One connection.

    Args:
        url: ``ws://host:port/path``.
        on_message: Gets each whole message.
        on_close: Called once, when the connection is gone.
    """

    def __init__(self, url: str, on_message: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._url = urlsplit(url)
        self._on_message = on_message
        self._on_close = on_close
        self._buffer = bytearray()
        self._partial = bytearray()
        self._opening: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._closed = False

    async def connect(self) -> None:
        """Connect and shake hands.

        Raises:
            OSError: The server did not answer, or refused.
        """
        loop = asyncio.get_running_loop()
        self._opening = opening = loop.create_future()
        await loop.create_connection(lambda: self, self._url.hostname or "127.0.0.1", self._url.port or 80)
        await opening

    def send(self, text: str) -> None:
        """Send a text message."""
        self._write(_TEXT, text.encode())

    def pending(self) -> int:
        """Bytes that the server has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def close(self) -> None:
        """Say goodbye and close."""
        if self._closed:
            return
        self._write(_CLOSE, b"\x03\xe8")
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: ask for the WebSocket."""
        # uvloop's transports are asyncio's in shape, not by inheritance.
        self._transport = stream = cast(asyncio.Transport, transport)
        target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        key = base64.b64encode(os.urandom(16)).decode()
        stream.write(
            f"GET {target} HTTP/1.1\r\nHost: {self._url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's."""
        self._closed = True
        if self._opening is not None and not self._opening.done():
            self._opening.set_exception(ConnectionError("closed during the handshake"))
        self._on_close()

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes of the handshake, then frames."""
        self._buffer += data
        if self._opening is not None and not self._read_handshake(self._opening):
            return
        consumed = 0
        while frame := _frame_at(self._buffer, consumed):
            first, payload, consumed = frame
            self._take(first, payload)
        del self._buffer[:consumed]

    def _read_handshake(self, opening: asyncio.Future[None]) -> bool:
        head, separator, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not separator:
            return False
        status = head.partition(b"\r\n")[0]
        if b" 101 " not in status:
            opening.set_exception(ConnectionError(f"the server answered {status.decode('latin-1')}"))
        else:
            opening.set_result(None)
        self._opening = None
        self._buffer = bytearray(rest)
        return b" 101 " in status

    def _take(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == _PING:
            self._write(_PONG, payload)
        elif opcode == _CLOSE:
            self.close()
        elif opcode <= _BINARY:
            if first & _FINAL and not self._partial:
                self._on_message(payload)
                return
            self._partial += payload
            if first & _FINAL:
                whole, self._partial = bytes(self._partial), bytearray()
                self._on_message(whole)

    def _write(self, opcode: int, payload: bytes) -> None:
        if self._transport is None or self._closed:
            return
        length = len(payload)
        if length < 126:
            head = bytes((_FINAL | opcode, 0x80 | length))
        elif length < 65536:
            head = bytes((_FINAL | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((_FINAL | opcode, 0x80 | 127)) + length.to_bytes(8, "big")
        self._transport.write(head + _ZERO_MASK + payload)


def _frame_at(buffer: bytearray, start: int) -> tuple[int, bytes, int] | None:
    """The server's frame at ``start``: its first byte, its payload and where it ends; None while it is not whole."""
    size = len(buffer)
    if size - start < 2:
        return None
    length = buffer[start + 1] & 0x7F
    head = start + 2
    if length >= 126:
        width = 2 if length == 126 else 8
        if size - head < width:
            return None
        length = int.from_bytes(buffer[head : head + width], "big")
        head += width
    if size - head < length:
        return None
    return buffer[start], bytes(buffer[head : head + length]), head + length
