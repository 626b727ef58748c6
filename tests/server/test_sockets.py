"""The WebSocket's short way against the wire: every frame that RFC 6455 knows, whole and in pieces."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from antiphon.server import sockets
from antiphon.server.sockets import EXTENSION, DirectSocket, DirectWebSocketProtocol, message_frame
from tests.server.harness import until

MAX_SIZE = 100_000


@dataclass
class Endpoint:
    """An application that takes every socket over and keeps what it gets."""

    echo: bool = False
    messages: list[str | bytes] = field(default_factory=list)
    closes: int = 0
    direct: DirectSocket | None = None
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        self.direct = scope["extensions"][EXTENSION]
        self.direct.attach(self.on_message, self.on_close)
        self.taken.set()
        await self.closed.wait()

    def on_message(self, message: str | bytes) -> None:
        if message == "fail":
            raise ZeroDivisionError
        self.messages.append(message)
        if self.echo and self.direct is not None:
            self.direct.send_media(message if isinstance(message, str) else message.hex())

    def on_close(self) -> None:
        self.closes += 1
        self.closed.set()


@dataclass
class Wire:
    """A client that sends whatever bytes it likes."""

    endpoint: Endpoint
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame of the server."""
        first, second = await self.reader.readexactly(2)
        length = second & 127
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 15, await self.reader.readexactly(length)

    async def close_code(self) -> int:
        while True:
            opcode, payload = await self.frame()
            if opcode == Opcode.CLOSE:
                return int.from_bytes(payload[:2], "big")

    async def until(self, count: int) -> None:
        await until(lambda: len(self.endpoint.messages) >= count)


def masked(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


@asynccontextmanager
async def wire(endpoint: Endpoint | None = None) -> AsyncIterator[Wire]:
    endpoint = endpoint or Endpoint()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        endpoint,
        ws=DirectWebSocketProtocol,
        ws_max_size=MAX_SIZE,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.capture_signals = lambda: _nothing()  # type: ignore[method-assign, assignment]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    try:
        writer.write(
            b"GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        async with asyncio.timeout(20):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            await endpoint.taken.wait()
            yield Wire(endpoint, reader, writer)
    finally:
        writer.transport.abort()
        server.should_exit = True
        async with asyncio.timeout(20):
            await endpoint.closed.wait()
            await serving


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 400, 65_535, 65_536, MAX_SIZE])
async def test_message_of_every_length_form_arrives_and_comes_back(size: int) -> None:
    text = ("ä" * size).encode()[: size - size % 2].decode() + "x" * (size % 2)
    async with wire(Endpoint(echo=True)) as line:
        line.writer.write(masked(text.encode()))
        assert await line.frame() == (Opcode.TEXT, text.encode())
        assert line.endpoint.messages == [text]


async def test_messages_cut_anywhere_are_the_same_messages() -> None:
    texts = [os.urandom(size).hex() for size in (0, 1, 62, 63, 200, 0, 5, 20_000)]
    data = b"".join(masked(text.encode()) for text in texts)
    async with wire() as line:
        for start in range(0, len(data), 41):
            line.writer.write(data[start : start + 41])
            await line.writer.drain()
            if start % 10 == 0:
                await asyncio.sleep(0)
        await line.until(len(texts))
        assert line.endpoint.messages == texts


class Feed:
    """A protocol object without a network, for byte-exact cuts."""

    class Transport(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__()
            self.written = b""
            self.closed = False

        def write(self, data: Any) -> None:
            self.written += bytes(data)

        def close(self) -> None:
            self.closed = True

        abort = close

        def is_closing(self) -> bool:
            return self.closed

        def pause_reading(self) -> None: ...
        def resume_reading(self) -> None: ...

        def get_write_buffer_size(self) -> int:
            return 0

    def __init__(self, endpoint: Endpoint) -> None:
        config = uvicorn.Config(endpoint, ws_max_size=MAX_SIZE, ws_per_message_deflate=False, log_config=None)
        config.load()
        self.transport = self.Transport()
        self.protocol = DirectWebSocketProtocol(config, uvicorn.server.ServerState(), {})
        self.protocol.connection_made(self.transport)
        self.protocol.data_received(
            b"GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )


MESSAGES = st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300)), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1, max_size=20), st.booleans())
def test_any_cut_and_any_mixture_gives_the_same_messages(
    messages: list[str | bytes], cuts: list[int], with_controls: bool
) -> None:
    async def run() -> None:
        endpoint = Endpoint()
        feed = Feed(endpoint)
        await endpoint.taken.wait()
        data = b""
        for n, message in enumerate(messages):
            if with_controls:
                data += masked(b"p", Opcode.PING if n % 2 else Opcode.PONG)
            raw = message.encode() if isinstance(message, str) else message
            opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
            if with_controls and len(raw) > 1 and n % 3 == 0:
                data += masked(raw[:1], opcode, fin=False) + masked(raw[1:], Opcode.CONT)
            else:
                data += masked(raw, opcode)
        at = n = 0
        while at < len(data):
            feed.protocol.data_received(data[at : at + cuts[n % len(cuts)]])
            at += cuts[n % len(cuts)]
            n += 1
        assert endpoint.messages == messages
        feed.protocol.connection_lost(None)
        await endpoint.closed.wait()

    asyncio.run(run())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_closes_or_waits_and_never_raises(garbage: bytes) -> None:
    async def run() -> None:
        endpoint = Endpoint()
        feed = Feed(endpoint)
        await endpoint.taken.wait()
        feed.protocol.data_received(garbage)
        feed.protocol.data_received(masked(b"after"))
        feed.protocol.connection_lost(None)
        await endpoint.closed.wait()
        assert endpoint.closes == 1

    asyncio.run(run())


async def test_text_that_is_no_utf8_is_given_as_bytes_and_the_socket_lives() -> None:
    async with wire() as line:
        line.writer.write(masked(b"\xff\xfe") + masked(b"next"))
        await line.until(2)
        assert line.endpoint.messages == [b"\xff\xfe", "next"]


async def test_binary_and_fragments_arrive_whole() -> None:
    async with wire() as line:
        line.writer.write(
            masked(b"\x00\x01", Opcode.BINARY)
            + masked(b"one ", fin=False)
            + masked(b"?", Opcode.PING)
            + masked(b"two ", Opcode.CONT, fin=False)
            + masked(b"three", Opcode.CONT)
            + masked(b"four")
        )
        await line.until(3)
        assert line.endpoint.messages == [b"\x00\x01", "one two three", "four"]
        assert await line.frame() == (Opcode.PONG, b"?")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.TEXT, b"no mask").serialize(mask=False), 1002),
        (masked(b"x" * (MAX_SIZE + 1)), 1009),
        (b"\x83\x80\x00\x00\x00\x00", 1002),
        (b"\xc1\x81\x00\x00\x00\x00x", 1002),
        (masked(b"a", fin=False) + masked(b"b"), 1002),
        (masked(b"a", Opcode.CONT), 1002),
        (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"\x00" * 4, 1009),
    ],
    ids=["unmasked", "too large", "opcode", "reserved bit", "new message in a fragment", "lone rest", "huge"],
)
async def test_broken_protocol_closes_with_its_code(data: bytes, code: int) -> None:
    async with wire() as line:
        line.writer.write(masked(b"before") + data)
        assert await line.close_code() == code
        await line.endpoint.closed.wait()
        assert line.endpoint.messages == ["before"]
        assert line.endpoint.closes == 1


async def test_peer_closes_and_gets_its_code_back() -> None:
    async with wire() as line:
        line.writer.write(masked((1001).to_bytes(2, "big"), Opcode.CLOSE) + masked(b"late"))
        assert await line.close_code() == 1001
        await line.endpoint.closed.wait()
        assert line.endpoint.messages == []
        assert line.endpoint.closes == 1


async def test_we_close_and_hear_nothing_after_it() -> None:
    async with wire() as line:
        assert line.endpoint.direct is not None
        line.endpoint.direct.close(1000, "bye")
        line.endpoint.direct.close(1011, "twice")
        line.endpoint.direct.send("after the close")
        line.writer.write(masked(b"late"))
        assert await line.frame() == (Opcode.CLOSE, (1000).to_bytes(2, "big") + b"bye")
        line.writer.write(masked((1000).to_bytes(2, "big"), Opcode.CLOSE))
        assert await line.reader.read() == b""
        await line.endpoint.closed.wait()
        assert line.endpoint.messages == []


async def test_connection_that_breaks_is_told_once() -> None:
    async with wire() as line:
        line.writer.write(masked(b"half")[:5])
        line.writer.transport.abort()
        await line.endpoint.closed.wait()
        await asyncio.sleep(0)
        assert line.endpoint.closes == 1
        assert line.endpoint.direct is not None
        line.endpoint.direct.send("nobody")
        line.endpoint.direct.close()


async def test_fault_in_the_endpoint_costs_its_own_connection() -> None:
    async with wire() as line:
        line.writer.write(masked(b"fail") + masked(b"next"))
        assert await line.close_code() == 1011
        await line.endpoint.closed.wait()
        assert line.endpoint.messages == []


async def test_slow_reader_loses_audio_and_is_cut_off_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "STALL_LIMIT_S", 0.3)
    async with wire() as line:
        direct = line.endpoint.direct
        assert direct is not None
        line.reader._transport.pause_reading()  # type: ignore[attr-defined]
        while not direct.dropped:
            direct.send_media("x" * 10_000)
            await asyncio.sleep(0)
        before = direct.dropped
        direct.send_media("x")
        assert direct.dropped == before + 1
        await line.endpoint.closed.wait()


async def test_reader_that_catches_up_gets_audio_again() -> None:
    async with wire() as line:
        direct = line.endpoint.direct
        assert direct is not None
        line.reader._transport.pause_reading()  # type: ignore[attr-defined]
        while not direct.dropped:
            direct.send_media("x" * 10_000)
            await asyncio.sleep(0)
        line.reader._transport.resume_reading()  # type: ignore[attr-defined]
        direct.send("mark")
        while (await line.frame())[1] != b"mark":
            pass
        await asyncio.sleep(0.05)
        direct.send_media("again")
        assert (await line.frame())[1] == b"again"


async def test_backlog_of_what_may_not_be_dropped_is_bounded() -> None:
    async with wire() as line:
        direct = line.endpoint.direct
        assert direct is not None
        line.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(400):
            direct.send("x" * 10_000)
        await line.endpoint.closed.wait()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_message_in_one_frame_is_what_the_library_makes(size: int) -> None:
    text = "y" * size
    assert message_frame(text) == Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
    assert message_frame(text.encode()) == Frame(Opcode.BINARY, text.encode()).serialize(mask=False)
