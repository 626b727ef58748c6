"""One connection: the handshake and what its refusal means, frames out, frames in, and why it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from antiphon.errors import (
    AntiphonException,
    ConfigurationError,
    IntegrationInvalidAuthException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.realtime.endpoint import Endpoint
from antiphon.realtime.errors import NotConnected
from antiphon.realtime.reconnect import FATAL_STATUSES, RECONNECT_CODES

CONNECT_S = 10.0
PING_S, PONG_S = 10.0, 20.0
CLOSE_S = 1.0
SEND_S = 20.0
MAX_FRAME = 16 << 20
MAX_POSTS = 256
"""Frames that wait to be sent for nobody in particular."""

# At debug level the library tells all headers, and with them the key, and all frames, and with them what people say.
_LIBRARY_LOG = logging.getLogger(f"{__name__}.websockets")
_LIBRARY_LOG.setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ended.

    Attributes:
        again: Whether to connect again.
        error: What went wrong; None: it was meant to end.
        reason: One word for the metrics and the log.
        code: The close code, where there was one.
    """

    again: bool
    error: AntiphonException | None
    reason: str
    code: int | None = None


class Link:
    """A connected socket.

    Args:
        socket: Connected.

    Attributes:
        ended: Done when the connection is over; the first reason stays.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._posts: asyncio.Queue[str] = asyncio.Queue(MAX_POSTS)
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def end(self, ending: Ending) -> None:
        """The connection is to end, or has ended."""
        if not self.ended.done():
            self.ended.set_result(ending)

    async def send(self, text: str) -> None:
        """Send one frame.

        Raises:
            NotConnected: The connection is over, or takes nothing any more.
        """
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send(text)
        except (ConnectionClosed, TimeoutError):
            self.end(_lost("send_failed", self._socket.close_code))
            raise NotConnected("The Realtime connection is lost; it is being made again.") from None

    def post(self, text: str) -> None:
        """Send one frame soon, without waiting for it."""
        try:
            self._posts.put_nowait(text)
        except asyncio.QueueFull:  # A service that has stopped reading.
            self.end(_lost("send_failed", None))

    async def write(self) -> None:
        """Send what was posted, until the connection is over."""
        try:
            while True:
                await self.send(await self._posts.get())
        except NotConnected:
            pass  # ``ended`` tells why.

    async def read(self, take: Callable[[str | bytes], None]) -> None:
        """Give every frame to ``take``, until the connection is over."""
        try:
            async for message in self._socket:
                take(message)
        except ConnectionClosed:
            pass  # What follows reads how it was closed.
        self.end(_closed(self._socket.close_code or 1006, self._socket.close_reason or ""))

    async def close(self) -> None:
        """Close the socket, whatever its state."""
        await self._socket.close()


async def open_socket(
    endpoint: Endpoint, *, ping_interval_s: float = PING_S, ping_timeout_s: float = PONG_S
) -> ClientConnection:
    """Connect.

    Args:
        endpoint: The service.
        ping_interval_s: Between two pings.
        ping_timeout_s: Without an answer to a ping for so long, the connection counts as lost.

    Raises:
        AntiphonException: It did not work; ``retryable`` tells whether the next try may.
    """
    try:
        return await _Connect(
            endpoint.url,
            additional_headers=dict(endpoint.headers),
            compression=None,
            open_timeout=CONNECT_S,
            close_timeout=CLOSE_S,
            ping_interval=ping_interval_s,
            ping_timeout=ping_timeout_s,
            max_size=MAX_FRAME,
            proxy=None,
            logger=_LIBRARY_LOG,
        )
    except InvalidStatus as exc:
        raise _refusal(endpoint, exc.response.status_code, bytes(exc.response.body or b"")) from exc
    except InvalidURI as exc:
        raise ConfigurationError(f"{endpoint.url} is no address of a Realtime service.") from exc
    except (OSError, TimeoutError, InvalidHandshake) as exc:
        raise IntegrationUnavailableException(
            f"Nothing answers at {endpoint.url}; check the address and the network.",
            code="unreachable",
            provider=endpoint.provider,
        ) from exc


class _Connect(connect):
    """Follows no redirect: the key is for one address."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _refusal(endpoint: Endpoint, status: int, body: bytes) -> AntiphonException:
    """What a refused handshake means."""
    error = _error_of(body)
    code = error.get("code") if isinstance(error.get("code"), str) else None
    said = error.get("message") if isinstance(error.get("message"), str) else None
    # The service's own words may repeat the key.
    words = f": {said[:200]}" if said and not any(value in said for value in _secrets(endpoint)) else ""
    where = f"The Realtime service at {endpoint.url}"
    fields: dict[str, Any] = {"code": code, "status_code": status, "provider": endpoint.provider}
    if status in (401, 403):
        return IntegrationInvalidAuthException(f"{where} refuses the key ({status}){words}; check the key.", **fields)
    if status in FATAL_STATUSES or 300 <= status < 400:
        return IntegrationInvalidRequestException(
            f"{where} refuses the connection ({status}){words}; check the address and the model.", **fields
        )
    return IntegrationUnavailableException(f"{where} does not take the connection now ({status}){words}.", **fields)


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, dict) else {}


def _secrets(endpoint: Endpoint) -> list[str]:
    return [value.removeprefix("Bearer ") for value in endpoint.headers.values() if value]


def _lost(reason: str, code: int | None) -> Ending:
    error = IntegrationUnavailableException("The Realtime connection was lost; the next try may work.", code=reason)
    return Ending(True, error, reason, code)


def _closed(code: int, said: str) -> Ending:
    if code == 1000:
        return Ending(False, None, "closed", code)
    if code in RECONNECT_CODES:
        return _lost("lost" if code == 1006 else f"closed_{code}", code)
    error = IntegrationInvalidRequestException(
        f"The Realtime service has closed for good ({code} {said[:200] or 'without a reason'}); see its log.",
        code=f"closed_{code}",
    )
    return Ending(False, error, f"closed_{code}", code)
