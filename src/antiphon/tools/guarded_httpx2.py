"""The guarded client for libraries that speak ``httpx2``, such as the MCP SDK: the same connections behind it.

Import this module only where ``httpx2`` is there; it comes with the package that needs it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import httpx2

from antiphon.tools.guarded_http import TLS_S, TOTAL_S, USUAL_HEADERS
from antiphon.tools.guarded_transport import GuardedTransport
from antiphon.tools.network_guard import NetworkGuard, Resolve, system_resolve


def guarded_httpx2_client(
    *,
    headers: Mapping[str, str] | None = None,
    allow_hosts: Iterable[str] = (),
    resolve: Resolve = system_resolve,
    timeout_s: float = TOTAL_S,
    read_s: float | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx2.AsyncClient:
    """``guarded_client`` as an ``httpx2.AsyncClient``. Whoever makes it closes it.

    Args:
        headers: Of every request.
        allow_hosts: Hosts that may be reached wherever they are: ``host``, or ``host:port``.
        resolve: Finds the addresses of a host; the system's resolver unless given.
        timeout_s: Longest wait for a free connection, and for the peer to read.
        read_s: Longest wait for the peer's next bytes; ``timeout_s`` unless given. Streams of events are often silent.
        ssl_context: For a certificate authority of one's own.

    Raises:
        ConfigurationError: An entry of ``allow_hosts`` is no host.
    """
    guarded = GuardedTransport(NetworkGuard(allow_hosts=allow_hosts, resolve=resolve), ssl_context=ssl_context)
    return httpx2.AsyncClient(
        transport=_Transport(guarded),
        trust_env=False,
        timeout=httpx2.Timeout(timeout_s, connect=TLS_S, read=timeout_s if read_s is None else read_s),
        headers={**USUAL_HEADERS, **(headers or {})},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


class _Transport(httpx2.AsyncBaseTransport):
    """Hands requests on to the guarded transport of httpx."""

    def __init__(self, guarded: GuardedTransport) -> None:
        self._guarded = guarded

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, AsyncIterable)
        with _httpx2_errors():
            response = await self._guarded.handle_async_request(
                httpx.Request(
                    request.method,
                    str(request.url),
                    headers=request.headers.raw,
                    stream=_Body(request.stream),
                    extensions=request.extensions,
                )
            )
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=_Answer(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._guarded.aclose()


class _Body(httpx.AsyncByteStream):
    """A request's body."""

    def __init__(self, parts: AsyncIterable[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            yield part


class _Answer(httpx2.AsyncByteStream):
    """A response's body."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx2_errors():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


@contextmanager
def _httpx2_errors() -> Iterator[None]:
    """The errors of httpx as those of httpx2, which have the same names."""
    try:
        yield
    except httpx.RequestError as error:
        raise getattr(httpx2, type(error).__name__)(str(error)) from None
