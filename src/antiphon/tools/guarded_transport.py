"""The guarded transport of httpx: checked targets, guarded connections, and answers that are unpacked bit by bit."""

from __future__ import annotations

import asyncio
import functools
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager

import httpcore
import httpx

from antiphon.errors import IntegrationInvalidRequestException
from antiphon.tools.network_guard import NetworkGuard

_PIECE_BYTES = 64 * 1024
_UNPACKED = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends requests over guarded connections.

    Args:
        guard: Makes the connections.
        ssl_context: For a certificate authority of one's own; the public authorities unless given.
    """

    def __init__(self, guard: NetworkGuard, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or _public_authorities(),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=15.0,
            network_backend=guard,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. The response carries no ``content-encoding``: its body comes unpacked.

        Raises:
            IntegrationInvalidRequestException: The target is refused.
            httpx.TransportError: What goes wrong on the network.
        """
        url = request.url
        if url.scheme not in ("http", "https") or not url.host:
            raise _denied("Only URLs that begin with http:// or https:// and name a host are allowed; correct the URL.")
        if url.userinfo:
            raise _denied(f"The URL of {url.host} holds a user name or password, which is refused; send a header.")
        assert isinstance(request.stream, AsyncIterable)
        with _httpx_errors():
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        headers = httpx.Headers(response.headers)
        encoding = headers.pop("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            headers.pop("content-length", None)
        return httpx.Response(
            response.status, headers=headers, stream=_Body(response, encoding), extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """A response's body, unpacked."""

    def __init__(self, response: httpcore.Response, encoding: str) -> None:
        self._response = response
        self._encoding = encoding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = self._response.aiter_stream()
        with _httpx_errors():
            async for part in parts if self._encoding == "identity" else _unpacked(parts, self._encoding):
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


async def _unpacked(parts: AsyncIterator[bytes], encoding: str) -> AsyncGenerator[bytes]:
    """The content in pieces of bounded size: a thousandth of it may be on the wire."""
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    begun = False
    try:
        async for part in parts:
            if encoding not in _UNPACKED:
                raise httpx.DecodingError("The body is packed in a way that was not asked for.")
            begun = True
            full = True
            while full and not unpacker.eof:
                piece = unpacker.decompress(part, _PIECE_BYTES)
                yield piece
                part, full = unpacker.unconsumed_tail, len(piece) == _PIECE_BYTES
                await asyncio.sleep(0)
    except zlib.error:
        raise httpx.DecodingError("The packed body is damaged.") from None
    if begun and not unpacker.eof:
        raise httpx.DecodingError("The packed body ends too soon.")


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """The errors of the connection pool as those of httpx, which have the same names."""
    try:
        yield
    except httpcore.RemoteProtocolError as error:
        # Its own words may repeat what the peer sent.
        if str(error).startswith(("Server disconnected", "peer closed")):
            raise httpx.ReadError("the peer broke off") from None
        raise httpx.RemoteProtocolError("the peer sent something that is no HTTP") from None
    except httpcore.LocalProtocolError:
        raise httpx.LocalProtocolError("the request holds something that HTTP does not allow") from None
    except (httpcore.TimeoutException, httpcore.NetworkError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from None


def _denied(text: str) -> IntegrationInvalidRequestException:
    return IntegrationInvalidRequestException(text, code="denied")


@functools.cache
def _public_authorities() -> ssl.SSLContext:
    """Reading the authorities takes long; all clients share them."""
    return httpx.create_ssl_context(trust_env=False)
