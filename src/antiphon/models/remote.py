"""Speech services over the network: how they are reached by HTTP and WebSocket, and their failures as ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State

from antiphon.errors import ConfigurationError, IntegrationException
from antiphon.models import speech_refusals
from antiphon.models.http import CONNECT_S, NETWORK_ERRORS, new_http_client, public_url, redact

STALL_S = 5.0
CLOSE_S = 0.05
"""A vendor that does not say goodbye in this time is left: whoever interrupts does not wait, and pays no longer."""
MAX_MESSAGE = 4 << 20
_ERROR_BYTES = 64 * 1024

# At debug level the library tells all headers, and with them the key, and all frames, and with them what people say.
_LIBRARY_LOG = logging.getLogger(f"{__name__}.websockets")
_LIBRARY_LOG.setLevel(logging.INFO)


class SpeechService:
    """Where a vendor of speech is; keeps its HTTP connections.

    Args:
        provider: For messages.
        base_url: What all paths begin with, ``http://`` or ``https://``; WebSockets go to the same place.
        headers: Of every request; their values are secrets.
        stall_s: Longest wait for a response, and between two pieces of it.

    Raises:
        ConfigurationError: The address is none, or the key cannot be sent.
    """

    def __init__(self, provider: str, base_url: str, *, headers: Mapping[str, str], stall_s: float = STALL_S) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigurationError(f"The address of {provider} must begin with http:// or https://.")
        self.provider = provider
        self.stall_s = stall_s
        # A key that was read from a file ends with the file's last line end.
        self._headers = {name: value.strip() for name, value in headers.items()}
        if not all(value.isascii() and value.isprintable() for value in self._headers.values()):
            raise ConfigurationError(f"The key for {provider} has characters that no key has; copy it again.")
        self._secrets = tuple(part for value in self._headers.values() for part in (value, value.rpartition(" ")[2]))
        self._root = base_url.rstrip("/")
        self._http = new_http_client()

    @asynccontextmanager
    async def post(self, path: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> AsyncIterator[Answer]:
        """Ask; leaving the block closes the response, so that the vendor stops.

        Args:
            path: Behind the base URL.
            headers: Beside the service's own.
            body: ``json``, ``content``, or ``data`` and ``files``, as httpx takes them.

        Raises:
            IntegrationException: The vendor refuses, cannot be reached, or does not answer.
        """
        try:
            async with asyncio.timeout(self.stall_s):
                request = self._http.build_request(
                    "POST", self._root + path, headers={**self._headers, **(headers or {})}, **body
                )
                response = await self._http.send(request, stream=True)
        except NETWORK_ERRORS as error:
            raise self.network_error(error) from None
        try:
            if not response.is_success:
                raise await self._refused(response)
            yield Answer(self, response)
        finally:
            await response.aclose()
            # The response and its stream refer to each other: without this they would wait for the garbage collector.
            response.stream = httpx.ByteStream(b"")

    async def dial(self, path: str, query: Mapping[str, str | list[str]]) -> ClientConnection:
        """Open a WebSocket.

        Raises:
            IntegrationException: The vendor refuses, cannot be reached, or does not answer.
        """
        url = f"ws{self._root.removeprefix('http')}{path}?{urlencode(query, doseq=True)}"
        try:
            return await _Connect(
                url,
                additional_headers=self._headers,
                compression=None,
                open_timeout=CONNECT_S,
                close_timeout=CLOSE_S,
                max_size=MAX_MESSAGE,
                proxy=None,
                logger=_LIBRARY_LOG,
            )
        except InvalidStatus as error:
            refusal = error.response
            raise self.refused(refusal.status_code, refusal.headers, bytes(refusal.body or b"")) from None
        except InvalidURI:
            raise ConfigurationError(f"{public_url(url)} is no address of {self.provider}.") from None
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise self._not_reached(error) from None

    async def receive(self, socket: ClientConnection) -> dict[str, Any]:
        """The next message, a JSON object.

        Raises:
            IntegrationException: The connection broke, stalled, or carries something else.
        """
        try:
            async with asyncio.timeout(self.stall_s):
                frame = await socket.recv()
        except TimeoutError:
            raise self.stalled() from None
        except ConnectionClosed as closed:
            raise self.closed(closed) from None
        return self.decoded(frame)

    async def send(self, socket: ClientConnection, message: bytes | dict[str, Any]) -> None:
        """Send audio, or an object as JSON.

        Raises:
            IntegrationException: The connection broke, or takes nothing.
        """
        frame = message if isinstance(message, bytes) else msgspec.json.encode(message).decode()
        try:
            async with asyncio.timeout(self.stall_s):
                await socket.send(frame)
        except TimeoutError:
            raise self.stalled() from None
        except ConnectionClosed as closed:
            raise self.closed(closed) from None

    def decoded(self, frame: str | bytes) -> dict[str, Any]:
        """A message that must be a JSON object."""
        try:
            message = msgspec.json.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise self.unreadable("no JSON object")
        return message

    async def aclose(self) -> None:
        """Close the HTTP connections."""
        await self._http.aclose()

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> IntegrationException:
        """A status that is no success."""
        return speech_refusals.refused(status, headers, body, provider=self.provider, secrets=self._secrets)

    def refusal(self, status: int, message: str) -> IntegrationException:
        """The same, as the vendor told it within a stream."""
        return speech_refusals.refusal(status, message, provider=self.provider, secrets=self._secrets)

    def closed(self, closed: ConnectionClosed) -> IntegrationException:
        """A connection that ended before its time."""
        said = closed.rcvd
        why = f"{said.code} {said.reason}".strip() if said is not None else "without a goodbye"
        return self._lost(why)

    def stalled(self) -> IntegrationException:
        """Nothing comes."""
        return speech_refusals.unavailable(self.provider, "stalled", "sends nothing")

    def unreadable(self, why: object) -> IntegrationException:
        """What came is not in the vendor's form."""
        return speech_refusals.unreadable(self.provider, why)

    def network_error(self, error: Exception) -> IntegrationException:
        """What went wrong on an HTTP connection."""
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return self._not_reached(error)
        if isinstance(error, (TimeoutError, httpx.TimeoutException)):
            return self.stalled()
        return self._lost(str(error))

    def _lost(self, why: str) -> IntegrationException:
        what = f"broke the connection ({redact(why, self._secrets) or 'without a word'})"
        return speech_refusals.unavailable(self.provider, "connection_lost", what)

    def _not_reached(self, error: Exception) -> IntegrationException:
        why = redact(str(error), self._secrets) or "timeout"
        what = f"cannot be reached at {public_url(self._root)} ({why})"
        return speech_refusals.unavailable(self.provider, "connect", what)

    async def _refused(self, response: httpx.Response) -> IntegrationException:
        body = b""
        try:
            async with asyncio.timeout(self.stall_s):
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) >= _ERROR_BYTES:
                        break
        except NETWORK_ERRORS:
            pass  # The status alone tells what kind of refusal it is.
        return self.refused(response.status_code, response.headers, body)


class Answer:
    """A response of a vendor.

    Attributes:
        content_type: Without parameters.
    """

    def __init__(self, service: SpeechService, response: httpx.Response) -> None:
        self.content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._service = service
        self._chunks = response.aiter_bytes()

    async def read(self) -> bytes | None:
        """The next piece of the body; None at its end.

        Raises:
            IntegrationException: The connection broke or stalled.
        """
        try:
            async with asyncio.timeout(self._service.stall_s):
                return await anext(self._chunks, None)
        except NETWORK_ERRORS as error:
            raise self._service.network_error(error) from None

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            IntegrationException: The connection broke or stalled, or the body is too long.
        """
        body = b""
        while (chunk := await self.read()) is not None:
            body += chunk
            if len(body) > MAX_MESSAGE:
                raise self._service.unreadable("too long")
        return body


def is_open(socket: ClientConnection) -> bool:
    """Whether nobody has closed a WebSocket."""
    return socket.state is State.OPEN


async def close_socket(socket: ClientConnection) -> None:
    """Close a WebSocket, whatever its state."""
    with suppress(ConnectionClosed, OSError):
        await socket.close()


class _Connect(connect):
    """Follows no redirect: the key is for one address."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc
