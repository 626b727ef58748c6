"""An HTTP address that answers a request with server-sent events: connections, limits of time, and errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from urllib.parse import SplitResult, urlsplit

import httpx

from antiphon.errors import ChatClientException, ConfigurationError
from antiphon.models.http import NETWORK_ERRORS, new_http_client, public_url, redact
from antiphon.models.llm.refusals import connection_lost, error_of_response, not_reached, stalled, unreadable
from antiphon.models.sse import EventTooLong, SSEParser

FIRST_TOKEN_S = 30.0
STALL_S = 5.0

_WARM_S = 5.0
_DRAIN_S = 0.1
_ERROR_BYTES = 64 * 1024
_STREAM_HEADERS = {
    "accept": "text/event-stream",
    # Compression would hold words back until a block is full.
    "accept-encoding": "identity",
    "content-type": "application/json",
}


_NO_STREAM = httpx.ByteStream(b"")


class Refused(Exception):
    """The server answered with a status that is no success.

    Args:
        status: HTTP status.
        body: The beginning of what it said.
        error: The same, as it is told to people.
    """

    def __init__(self, status: int, body: bytes, error: ChatClientException) -> None:
        super().__init__(str(error))
        self.status = status
        self.body = body
        self.error = error


class Endpoint:
    """Where a provider is; keeps its connections.

    Args:
        provider: For messages.
        base_url: What all paths begin with; a query stays behind each path.
        headers: Of every request; their values count as secrets, except for what is public.
        secrets: Never shown in a message.
        first_token_s: Longest wait for the response, and then for its first word.
        stall_s: Longest wait between two pieces of an answer.
        http: An HTTP client to share; it is then not closed here.

    Raises:
        ConfigurationError: The base URL is none, or a header cannot be sent.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        headers: Mapping[str, str],
        secrets: tuple[str, ...] = (),
        first_token_s: float = FIRST_TOKEN_S,
        stall_s: float = STALL_S,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        parts = _checked_url(base_url)
        # A key that was read from a file ends with the file's last line end.
        headers = {name: value.strip() for name, value in headers.items()}
        _check_headers(provider, headers)
        self.provider = provider
        self.secrets = tuple(secret for secret in (*secrets, *_private(headers), parts.password, parts.query) if secret)
        self._query = parts.query
        self._root = base_url[: -len(parts.query) - 1] if parts.query else base_url
        self._root = self._root.rstrip("/")
        self.shown_url = public_url(self._root)
        """The address without what is secret in it."""
        self._headers = headers
        self._first_token_s = first_token_s
        self._stall_s = stall_s
        self._owns_http = http is None
        self._http = http or new_http_client()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> EventStream:
        """Ask.

        Raises:
            Refused: The server's status is no success.
            ChatClientUnavailableException: It cannot be reached, or does not answer.
            ConfigurationError: A header cannot be sent.
        """
        _check_headers(self.provider, headers)
        secrets = (*self.secrets, *_private(headers)) if headers else self.secrets
        sent = {**_STREAM_HEADERS, **self._headers, **headers}
        try:
            async with asyncio.timeout(self._first_token_s):
                request = self._http.build_request("POST", self._url(path), content=body, headers=sent)
                response = await self._http.send(request, stream=True)
                if response.is_success:
                    return EventStream(self, response, self._first_token_s, self._stall_s)
                try:
                    refused = await _beginning(response)
                finally:
                    await response.aclose()
        except NETWORK_ERRORS as error:
            raise self.mapped(error, secrets) from None
        status = response.status_code
        told = error_of_response(status, response.headers, refused, provider=self.provider, secrets=secrets)
        raise Refused(status, refused, told)

    async def knock(self, path: str) -> None:
        """Open a connection and try the key, so that the first turn does not wait for either.

        Raises:
            ChatClientInvalidAuthException: The key is refused.
            ChatClientUnavailableException: The endpoint cannot be reached.
        """
        try:
            async with asyncio.timeout(_WARM_S):
                response = await self._http.get(self._url(path), headers=self._headers)
        except NETWORK_ERRORS as error:
            raise self.mapped(error, self.secrets) from None
        if response.status_code in (401, 403):
            raise error_of_response(
                response.status_code, response.headers, b"", provider=self.provider, secrets=self.secrets
            )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    def mapped(self, error: Exception, secrets: tuple[str, ...] = ()) -> ChatClientException:
        """What went wrong on the network, as one of ours."""
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return not_reached(self.provider, self.shown_url, redact(str(error), secrets))
        if isinstance(error, (TimeoutError, httpx.TimeoutException)):
            return stalled(self.provider)
        return connection_lost(self.provider, redact(str(error), secrets))

    def _url(self, path: str) -> str:
        return f"{self._root}{path}?{self._query}" if self._query else f"{self._root}{path}"


class EventStream:
    """One response. Read it to its end, or close it, which stops the server."""

    __slots__ = ("_chunks", "_endpoint", "_first_token_s", "_parser", "_response", "_stall_s")

    def __init__(self, endpoint: Endpoint, response: httpx.Response, first_token_s: float, stall_s: float) -> None:
        self._endpoint = endpoint
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_raw()
        self._parser = SSEParser()
        self._first_token_s = first_token_s
        self._stall_s = stall_s

    async def read(self, *, begun: bool) -> list[bytes] | None:
        """The data of the next events, maybe of none; None at the end.

        Args:
            begun: Whether the model has begun to write. One that thinks first may take as long as one that queues.

        Raises:
            ChatClientException: The connection broke, stalled, or carries no events.
        """
        try:
            async with asyncio.timeout(self._stall_s if begun else self._first_token_s):
                chunk = await anext(self._chunks, None)
        except NETWORK_ERRORS as error:
            raise self._endpoint.mapped(error) from None
        try:
            return self._parser.finish() or None if chunk is None else self._parser.feed(chunk)
        except EventTooLong as error:
            raise unreadable(self._endpoint.provider, error) from None

    async def drain(self) -> None:
        """Read what is behind the last event, which is nothing: only then does the connection serve again."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                async for _ in self._chunks:
                    pass
        except (TimeoutError, httpx.TransportError):
            pass

    async def aclose(self) -> None:
        """Close the response, and the connection if it is not at its end."""
        await self._response.aclose()
        # The response and its stream refer to each other: without this they would wait for the garbage collector.
        self._response.stream = _NO_STREAM


def _checked_url(base_url: str) -> SplitResult:
    try:
        # The stricter of the two readers.
        httpx.URL(base_url)
        parts = urlsplit(base_url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    except (httpx.InvalidURL, ValueError):
        pass
    shown = public_url(base_url)
    raise ConfigurationError(f"The base URL {shown!r} must begin with http:// or https:// and name a host.")


def _check_headers(provider: str, headers: Mapping[str, str]) -> None:
    """Refuse what HTTP would refuse with the key in its message."""
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(
                f"The header {name} for {provider} has characters that no header may have; copy the key again."
            )


def _private(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The values of headers that may hold a key, and the key within them."""
    values = [value for name, value in headers.items() if name.lower() not in ("accept", "content-type", "user-agent")]
    return tuple(part for value in values for part in (value, value.rpartition(" ")[2]))


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= _ERROR_BYTES:
            break
    return body
