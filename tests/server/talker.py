"""A client of the Realtime door on a real socket; both sides' events pass the ``Order``."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from antiphon.audio.tones import sine
from tests.server.harness import Running, phone
from tests.transports.realtime.order import Order

SPEECH = sine(220, 100, rate_hz=24_000, amplitude=0.3).tobytes()
SILENCE = bytes(4_800)


class Talker:
    """A connection, and everything that came over it.

    Attributes:
        socket: The connection.
        told: Each event of the server, with the loop's time.
        order: Watches both sides; None leaves it.
    """

    def __init__(self, socket: ClientConnection, *, order: Order | None) -> None:
        self.socket = socket
        self.told: list[tuple[float, dict[str, Any]]] = []
        self.order = order
        self._count = 0
        self._news = asyncio.Event()
        self._is_over = False

    async def read(self) -> None:
        """Take what comes, until the connection is closed."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                event = json.loads(await self.socket.recv())
                self.told.append((loop.time(), event))
                self._news.set()
                if self.order is not None:
                    self.order.told(event, 0.0)
        except ConnectionClosed:
            self._is_over = True
            self._news.set()

    async def send(self, type_: str, **fields: Any) -> str:
        """Send an event; gives its id."""
        self._count += 1
        event = {"type": type_, "event_id": f"client_{self._count}", **fields}
        if self.order is not None:
            self.order.asked(event, 0.0)
        await self.socket.send(json.dumps(event))
        return str(event["event_id"])

    async def update(self, **session: Any) -> None:
        """Change the session."""
        await self.send("session.update", session={"type": "realtime", **session})

    async def write(self, text: str, **response: Any) -> None:
        """Ask in writing."""
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        metadata = {"asked": f"client_{self._count + 1}"}
        await self.send("response.create", response={"metadata": metadata, **response})

    async def append(self, *pieces: bytes) -> None:
        """Send sound at once."""
        for piece in pieces:
            await self.send("input_audio_buffer.append", audio=b64encode(piece).decode())

    async def speak(self, seconds: float, piece: bytes = SPEECH) -> None:
        """Send sound as long as it lasts."""
        for _ in range(round(seconds / 0.1)):
            await self.append(piece)
            await asyncio.sleep(0.1)  # sound takes its time

    async def until(self, type_: str, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th event of a type."""
        async with asyncio.timeout(20):
            while len(self.events(type_)) < count:
                assert not self._is_over, f"the connection ended before {type_}: {self.types}"
                self._news.clear()
                await self._news.wait()
        return self.events(type_)[count - 1]

    async def closed(self) -> tuple[int, str]:
        """Wait for the server's close; gives its code and reason."""
        async with asyncio.timeout(20):
            while not self._is_over:
                self._news.clear()
                await self._news.wait()
        frame = self.socket.protocol.close_rcvd
        return (1006, "") if frame is None else (frame.code, frame.reason)

    def events(self, type_: str) -> list[dict[str, Any]]:
        """The events of a type."""
        return [event for _, event in self.told if event["type"] == type_]

    def times(self, type_: str) -> list[float]:
        """When they came."""
        return [at for at, event in self.told if event["type"] == type_]

    @property
    def types(self) -> list[str]:
        """The types of all events but deltas."""
        return [event["type"] for _, event in self.told if not event["type"].endswith(".delta")]

    @property
    def sound(self) -> bytes:
        """The sound of all answers."""
        return b"".join(b64decode(event["delta"]) for event in self.events("response.output_audio.delta"))


@asynccontextmanager
async def talker(
    up: Running, path: str = "/v1/realtime?model=desk", *, ordered: bool = True, **options: Any
) -> AsyncIterator[Talker]:
    """A connection to the Realtime door."""
    async with phone(up, path, **options) as socket, asyncio.TaskGroup() as tasks:
        client = Talker(socket, order=Order() if ordered else None)
        reading = tasks.create_task(client.read())
        if ordered:
            await client.until("conversation.created")
        yield client
        await socket.close()
        await reading
