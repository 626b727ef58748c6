"""A WebSocket proxy between a client library and the server: it records every event, can leave events out and can drop
the connection.

Programs under test steer it by plain HTTP on the same port: ``/-/scenario/NAME`` names what is recorded from now on,
``/-/drop`` breaks every connection off, as a network does: no closing handshake.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

FRAME_BYTES = 16 << 20

SMALLEST = frozenset(
    {
        "session.created",
        "session.updated",
        "conversation.item.added",
        "response.created",
        "response.output_item.added",
        "response.output_audio.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
        "conversation.item.input_audio_transcription.completed",
    }
)
"""The events that a conversation needs in every library."""

_PASSED_ON = ("authorization", "api-key", "openai-beta", "user-agent")


class Proxy:
    """Connections of one library.

    Args:
        upstream: The server, as ``ws://host:port``.
        record: Every event in either direction, one JSON object a line.
        only: Types of server events that pass; all unless given.
    """

    def __init__(self, upstream: str, record: IO[str], *, only: Collection[str] | None = None) -> None:
        self._upstream = upstream
        self._record = record
        self._only = only
        self._scenario = "none"
        self._clients: set[ServerConnection] = set()
        self._servers: dict[ServerConnection, ClientConnection] = {}

    async def steer(self, client: ServerConnection, request: Request) -> Response | None:
        """Answer what the program under test asks; open the server's side of a WebSocket."""
        if request.path.startswith("/-/scenario/"):
            self._scenario = request.path.rpartition("/")[2]
            return _response(HTTPStatus.OK)
        if request.path == "/-/drop":
            for connected in self._clients:
                connected.transport.abort()
            return _response(HTTPStatus.OK)
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        offered = [Subprotocol(name.strip()) for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        try:
            self._servers[client] = await connect(
                self._upstream + request.path,
                additional_headers=headers,
                user_agent_header=None,
                subprotocols=[name for name in offered if name] or None,
                compression=None,
                max_size=FRAME_BYTES,
                proxy=None,
            )
        except InvalidStatus as refused:
            return _response(HTTPStatus(refused.response.status_code), bytes(refused.response.body or b""))
        return None

    async def pass_on(self, client: ServerConnection) -> None:
        """The life of one connection."""
        server = self._servers.pop(client)
        self._clients.add(client)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._to_server(client, server))
                group.create_task(self._to_client(server, client))
        finally:
            self._clients.discard(client)

    async def _to_server(self, client: ServerConnection, server: ClientConnection) -> None:
        try:
            async for frame in client:
                self._write("client", frame)
                await server.send(frame)
        except ConnectionClosed:
            pass  # The other side ended it; closing below tells this one.
        await server.close(*_closing(client))

    async def _to_client(self, server: ClientConnection, client: ServerConnection) -> None:
        try:
            async for frame in server:
                kind = self._write("server", frame)
                if self._only is None or kind in self._only:
                    await client.send(frame)
        except ConnectionClosed:
            pass  # As above.
        await client.close(*_closing(server))

    def _write(self, sender: str, frame: str | bytes) -> str:
        event = json.loads(frame)
        line = {"at": asyncio.get_running_loop().time(), "from": sender, "scenario": self._scenario, "event": event}
        self._record.write(json.dumps(line) + "\n")
        return str(event.get("type"))


@asynccontextmanager
async def proxy(upstream: str, record: Path, *, only: Collection[str] | None = None) -> AsyncIterator[int]:
    """A proxy on a free port of this machine; gives the port."""
    with record.open("w", encoding="utf-8") as file:
        through = Proxy(upstream, file, only=only)
        async with serve(
            through.pass_on,
            "127.0.0.1",
            0,
            process_request=through.steer,
            select_subprotocol=_subprotocol,
            compression=None,
            max_size=FRAME_BYTES,
        ) as listening:
            yield next(iter(listening.sockets)).getsockname()[1]


def _closing(ended: ServerConnection | ClientConnection) -> tuple[int, str]:
    """How to close the other side: as this one was closed, where that may be said in a frame."""
    code = ended.close_code
    return (code, ended.close_reason or "") if code and code not in (1005, 1006, 1015) else (1000, "")


def _subprotocol(_client: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The server's choice: a key that comes as a sub-protocol is never told back."""
    return Subprotocol("realtime") if "realtime" in offered else None


def _response(status: HTTPStatus, body: bytes = b"") -> Response:
    headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
    return Response(status.value, status.phrase, headers, body)
