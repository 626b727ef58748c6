"""A loopback WebSocket server, on its good days and its bad ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Refuse = Callable[[Request], tuple[int, dict[str, Any]] | None]
Converse = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def socket_server(refuse: Refuse, converse: Converse, path: str) -> AsyncIterator[str]:
    """Serve; gives the address.

    Args:
        refuse: The status and body with which a handshake is refused; None to take it.
        converse: One connection; it may end with the client's leaving.
        path: Behind the host, in the address.
    """

    def process(_connection: ServerConnection, request: Request) -> Response | None:
        refused = refuse(request)
        if refused is None:
            return None
        status, body = refused
        content = json.dumps(body).encode()
        headers = Headers({"content-type": "application/json", "content-length": str(len(content))})
        if status == 429:
            headers["retry-after"] = "7"
        return Response(status, HTTPStatus(status).phrase, headers, content)

    async def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await converse(connection)

    async with serve(handle, "127.0.0.1", 0, process_request=process, compression=None, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}{path}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it happens."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
