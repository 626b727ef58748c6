"""A Realtime service for tests: a real socket on loopback that keeps a conversation and does what a test scripts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from antiphon.clock import VirtualClock
from antiphon.realtime.endpoint import Endpoint, endpoint_for
from antiphon.realtime.session import merged

VAD = {"type": "server_vad", "create_response": True, "interrupt_response": True}
SESSION: dict[str, Any] = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_1",
    "output_modalities": ["audio"],
    "audio": {
        "input": {"format": {"type": "audio/pcm", "rate": 24_000}, "turn_detection": VAD},
        "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"},
    },
}

BETA = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}


class Connection:
    """One connection, from the service's side.

    Attributes:
        got: All events of the client, in order; sound as ``audio`` bytes.
        path: What was asked for.
        headers: What it came with.
    """

    def __init__(self, socket: ServerConnection, *, beta: bool = False) -> None:
        self.got: list[dict[str, Any]] = []
        self.path = socket.request.path if socket.request else ""
        self.headers = dict(socket.request.headers) if socket.request else {}
        self.items: list[str] = []
        self._socket = socket
        self._beta = beta
        self._arrived = asyncio.Condition()
        self._number = 0

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        self._number += 1
        name = BETA.get(kind, kind) if self._beta else kind
        await self._socket.send(json.dumps({"type": name, "event_id": f"ev_{self._number}", **fields}))

    async def raw(self, text: str | bytes) -> None:
        """Send a frame as it is."""
        await self._socket.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in good order."""
        await self._socket.close(code, reason)

    def drop(self) -> None:
        """Be gone, without a word."""
        self._socket.transport.abort()

    def freeze(self) -> None:
        """Read nothing any more, not even a ping."""
        self._socket.transport.pause_reading()

    async def until(self, kind: str, number: int = 1) -> dict[str, Any]:
        """Wait for the client's n-th event of a type on this connection."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.of(kind)) >= number)
        return self.of(kind)[number - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The client's events of a type."""
        return [event for event in self.got if event["type"] == kind]

    def sound(self) -> bytes:
        """All the sound that came."""
        return b"".join(event["audio"] for event in self.of("input_audio_buffer.append"))

    async def greet(self, **session: Any) -> None:
        """Begin the session."""
        await self.send("session.created", session={**SESSION, **session})

    async def add(self, item: dict[str, Any], previous: str | None) -> None:
        """Put an item into the conversation and tell it."""
        self.items.insert(self.items.index(previous) + 1 if previous in self.items else 0, item["id"])
        await self.send("conversation.item.added", item=item, previous_item_id=previous)
        if not self._beta:
            await self.send("conversation.item.done", item=item, previous_item_id=previous)

    async def hears(self, item_id: str, words: str) -> None:
        """The user says something, as turn detection tells it."""
        await self.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item_id)
        await self.send("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=item_id)
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        previous = self.items[-1] if self.items else None
        item = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        await self.add(item, previous)
        await self.send(
            "conversation.item.input_audio_transcription.completed", item_id=item_id, content_index=0, transcript=words
        )

    async def begins(self, response_id: str, item_id: str = "", **fields: Any) -> None:
        """Begin a response, and its message if it has one."""
        state: dict[str, Any] = {"status": "in_progress", "output": [], "conversation_id": "conv_1"}
        await self.send("response.created", response={"id": response_id, **state, **fields})
        if item_id:
            item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
            await self.send("response.output_item.added", response_id=response_id, output_index=0, item=item)
            previous = self.items[-1] if self.items else None
            self.items.append(item_id)
            await self.send("conversation.item.added", item=item, previous_item_id=previous)

    async def says(self, response_id: str, item_id: str, words: str = "", sound: bytes = b"") -> None:
        """A piece of an answer."""
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        if words:
            await self.send("response.output_audio_transcript.delta", **where, delta=words)
        if sound:
            await self.send("response.output_audio.delta", **where, delta=base64.b64encode(sound).decode())

    async def ends(self, response_id: str, status: str = "completed", **fields: Any) -> None:
        """End a response."""
        state: dict[str, Any] = {"status": status, "output": [], "status_details": None, "usage": None}
        await self.send("response.done", response={"id": response_id, **state, **fields})

    async def fails(self, response_id: str, code: str) -> None:
        """End a response that went wrong."""
        details = {"type": "failed", "error": {"type": "server_error", "code": code, "message": "It broke."}}
        await self.ends(response_id, "failed", status_details=details)

    async def calls(self, response_id: str, call_id: str, name: str, arguments: str, index: int = 0) -> None:
        """A function call, whole, in a response that has begun."""
        item = {"id": f"item_{call_id}", "type": "function_call", "name": name, "call_id": call_id}
        where = {"response_id": response_id, "output_index": index}
        begun = {**item, "arguments": "", "status": "in_progress"}
        await self.send("response.output_item.added", **where, item=begun)
        await self.send("conversation.item.added", item=begun, previous_item_id=self.items[-1] if self.items else None)
        self.items.append(str(item["id"]))
        fields = {"item_id": item["id"], "call_id": call_id, "name": name, "arguments": arguments}
        await self.send("response.function_call_arguments.done", **where, **fields)
        done = {**item, "arguments": arguments, "status": "completed"}
        await self.send("response.output_item.done", **where, item=done)

    async def refuse(self, event: dict[str, Any], code: str, kind: str = "invalid_request_error") -> None:
        """Answer an event with an error."""
        error = {"type": kind, "code": code, "message": "No.", "param": None, "event_id": event["event_id"]}
        await self.send("error", error=error)

    async def serve(self, answers: bool) -> None:
        """Read the client's events; configure, and confirm items, unless the test wants to do so itself."""
        try:
            async for message in self._socket:
                event = json.loads(message)
                if "audio" in event and isinstance(event["audio"], str):
                    event["audio"] = base64.b64decode(event["audio"])
                async with self._arrived:
                    self.got.append(event)
                    self._arrived.notify_all()
                if answers:
                    await self._answer(event)
        except ConnectionClosed:
            pass

    async def _answer(self, event: dict[str, Any]) -> None:
        if event["type"] == "session.update":
            session = event["session"] if self._beta else merged(SESSION, event["session"])
            await self.send("session.updated", session=session)
        elif event["type"] == "conversation.item.create":
            previous = event.get("previous_item_id") or (self.items[-1] if self.items else None)
            await self.add(event["item"], None if previous == "root" else previous)
        elif event["type"] == "conversation.item.delete":
            if event["item_id"] in self.items:
                self.items.remove(event["item_id"])
            await self.send("conversation.item.deleted", item_id=event["item_id"])


Script = Callable[[Connection], Awaitable[None]]


class Service:
    """What listens.

    Attributes:
        url: Its base URL.
        connections: All connections so far.
        refused: Handshakes that were refused.
    """

    def __init__(self, scripts: Sequence[Script | int], *, answers: bool, beta: bool) -> None:
        self.url = ""
        self.connections: list[Connection] = []
        self.refused = 0
        self._scripts = list(scripts)
        self._answers = answers
        self._beta = beta
        self._tries = 0
        self._came = asyncio.Condition()

    def endpoint(self, model: str = "gpt-test", key: str = "key-1234") -> Endpoint:
        """How a client finds it."""
        return endpoint_for("antiphon", model, api_key=key, base_url=self.url)

    async def connection(self, number: int) -> Connection:
        """Wait for the n-th connection, counted from 1."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.connections) >= number)
        return self.connections[number - 1]

    def check(self, connection: ServerConnection, _request: Request) -> Response | None:
        """Refuse the handshake, where the script says a status."""
        script = self._scripts[min(self._tries, len(self._scripts) - 1)]
        if not isinstance(script, int):
            return None
        self._tries += 1
        self.refused += 1
        error = {"error": {"message": "Not today.", "type": "x", "code": "refused_here", "param": None}}
        return connection.respond(HTTPStatus(script), json.dumps(error))

    async def handle(self, socket: ServerConnection) -> None:
        """Play the next script."""
        script = self._scripts[min(self._tries, len(self._scripts) - 1)]
        self._tries += 1
        assert not isinstance(script, int)
        connection = Connection(socket, beta=self._beta)
        async with self._came:
            self.connections.append(connection)
            self._came.notify_all()
        reading = asyncio.create_task(connection.serve(self._answers))
        playing = asyncio.ensure_future(script(connection))
        try:
            # A script that still waits for a client that has gone is over.
            reading.add_done_callback(lambda _done: playing.cancel())
            await playing
            await reading
        except ConnectionClosed:
            pass
        except asyncio.CancelledError:
            if not reading.done():
                raise
        finally:
            reading.cancel()


async def greets(connection: Connection) -> None:
    """The script of a service that begins the session and leaves the rest to the test."""
    await connection.greet()


def in_virtual_time(scenario: Callable[[VirtualClock], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Make a test of a coroutine that gets a clock whose time passes only when nothing else is left to do."""

    def test() -> None:
        clock = VirtualClock()
        clock.run(scenario(clock))

    return test


@asynccontextmanager
async def service(*scripts: Script | int, answers: bool = True, beta: bool = False) -> AsyncIterator[Service]:
    """Listen on loopback. Each connection plays the next script, the last one again and again; a number refuses."""
    started = Service(scripts or (greets,), answers=answers, beta=beta)
    server: Server
    async with serve(started.handle, "127.0.0.1", 0, compression=None, process_request=started.check) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        started.url = f"http://127.0.0.1:{port}"
        yield started
