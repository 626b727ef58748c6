"""A server behind a URL: streamable HTTP, or the older transport of two requests, over the guarded client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Transport
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from antiphon.errors import IntegrationInvalidAuthException, IntegrationInvalidResponseException

MAX_ANSWER_BYTES = 16 * 1024 * 1024
READ_S = 300.0
"""A stream of events may be silent this long."""

Headers = Mapping[str, str] | Callable[[], Awaitable[Mapping[str, str]]]
"""Of every request; a function is asked at the first one, and again when the server has refused what it gave."""
ClientFactory = Callable[[], httpx2.AsyncClient]


def streamable_transport(
    url: str, *, server: str, headers: Headers, make_client: ClientFactory, on_end: Callable[[], None]
) -> Transport:
    """The transport of today.

    Args:
        url: Of the server.
        server: Its name, for messages.
        headers: Of every request.
        make_client: Makes the HTTP client, which is closed with the connection.
        on_end: Called when the server no longer knows the session.
    """
    return _streamable(url, _prepared(make_client(), server, headers, on_end))


def sse_transport(
    url: str, *, server: str, headers: Headers, make_client: ClientFactory, on_end: Callable[[], None]
) -> Transport:
    """The transport of servers before 2025; the arguments are those of ``streamable_transport``."""

    def factory(*_: Any, **__: Any) -> httpx2.AsyncClient:
        return _prepared(make_client(), server, headers, on_end)

    return sse_client(url, httpx_client_factory=factory)


@asynccontextmanager
async def _streamable(url: str, client: httpx2.AsyncClient) -> AsyncIterator[Any]:
    async with client, streamable_http_client(url, http_client=client, max_sse_event_size=MAX_ANSWER_BYTES) as streams:
        yield streams


def _prepared(
    client: httpx2.AsyncClient, server: str, headers: Headers, on_end: Callable[[], None]
) -> httpx2.AsyncClient:
    async def judge(response: httpx2.Response) -> None:
        if response.status_code == 404 and "mcp-session-id" in response.request.headers:
            on_end()
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, server)

    if client.auth is None:
        client.auth = _HeaderAuth(headers, server)
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "response": [*hooks["response"], judge]}
    return client


class _HeaderAuth(httpx2.Auth):
    """Puts the headers on each request, and asks for fresh ones once when the server refuses them."""

    def __init__(self, headers: Headers, server: str) -> None:
        self._make = headers if callable(headers) else None
        self._headers: Mapping[str, str] | None = None if callable(headers) else headers
        self._server = server
        self._lock = asyncio.Lock()

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        used = await self._fresh(None)
        request.headers.update(used)
        response = yield request
        if response.status_code == 401 and self._make is not None:
            request.headers.update(await self._fresh(used))
            response = yield request
        if response.status_code in (401, 403):
            raise IntegrationInvalidAuthException(
                f"The MCP server {self._server!r} refused the credentials; check its headers=.",
                status_code=response.status_code,
            )

    async def _fresh(self, refused: Mapping[str, str] | None) -> Mapping[str, str]:
        """The headers; new ones where these were refused and nobody has fetched others meanwhile."""
        async with self._lock:
            if self._headers is None or (self._make is not None and self._headers is refused):
                assert self._make is not None
                self._headers = await self._make()
            return self._headers


class _Bounded(httpx2.AsyncByteStream):
    """A body that is no stream of events: it is read as a whole, so it has to end."""

    def __init__(self, stream: httpx2.AsyncByteStream, server: str) -> None:
        self._stream = stream
        self._server = server

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = MAX_ANSWER_BYTES
        async for part in self._stream:
            room -= len(part)
            if room < 0:
                raise IntegrationInvalidResponseException(
                    f"The MCP server {self._server!r} sends more than {MAX_ANSWER_BYTES} bytes; ask it for less.",
                    code="too_large",
                )
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
