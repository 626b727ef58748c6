"""HTTP for URLs that users, models, agents or YAML give: public hosts, few redirects, bounded size and time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidRequestException,
    IntegrationInvalidResponseException,
    IntegrationUnavailableException,
)
from antiphon.tools.guarded_transport import GuardedTransport
from antiphon.tools.network_guard import NetworkGuard, Resolve, system_resolve

MAX_BODY_BYTES = 10 * 1024 * 1024
TOTAL_S = 30.0
TLS_S = 2.0
USUAL_HEADERS = {"accept": "*/*", "accept-encoding": "gzip", "user-agent": "antiphon"}

_MAX_REDIRECTS = 3
_FOR_ANY_HOST = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
_OF_THE_MESSAGE = frozenset({"host", "content-length", "transfer-encoding"})
_OF_THE_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-location"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, whatever its status.

    Attributes:
        url: Where it came from, after redirects.
        status: HTTP status.
        media_type: In lower case without parameters, such as ``application/json``; empty where not told.
        charset: Of the text.
        content: The body, unpacked.
    """

    url: str
    status: int
    media_type: str
    charset: str
    content: bytes

    @property
    def text(self) -> str:
        """The body as text; what cannot be read becomes U+FFFD."""
        try:
            return self.content.decode(self.charset, errors="replace")
        except (LookupError, UnicodeError):
            # The server chose the name, and not all of Python's codecs are for text.
            return self.content.decode(errors="replace")


def guarded_client(
    *,
    allow_hosts: Iterable[str] = (),
    resolve: Resolve = system_resolve,
    timeout_s: float = TOTAL_S,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """An HTTP client that reaches public hosts only. It uses no proxy, keeps no cookies and follows no redirects.

    As a plain ``httpx.AsyncClient`` it streams without a limit of size; ``fetch`` adds that. Whoever makes it closes
    it.

    Args:
        allow_hosts: Hosts that may be reached wherever they are: ``host``, or ``host:port``.
        resolve: Finds the addresses of a host; the system's resolver unless given.
        timeout_s: Longest wait for a free connection, for the peer to read, and for its next bytes.
        ssl_context: For a certificate authority of one's own.

    Raises:
        ConfigurationError: An entry of ``allow_hosts`` is no host.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(NetworkGuard(allow_hosts=allow_hosts, resolve=resolve), ssl_context=ssl_context),
        trust_env=False,
        max_redirects=_MAX_REDIRECTS,
        # The guard's own time for name and connection and this one for TLS are 5 s together.
        timeout=httpx.Timeout(timeout_s, connect=TLS_S),
        headers=USUAL_HEADERS,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    timeout_s: float = TOTAL_S,
    max_bytes: int = MAX_BODY_BYTES,
) -> Fetched:
    """Ask once, follow at most 3 redirects, and read the whole answer.

    On the way to another scheme, host or port only headers without secrets are kept.

    Args:
        client: Made by ``guarded_client``.
        method: ``GET``, ``POST`` and so on.
        url: ``http`` or ``https``, without user name and password.
        headers: Of the request.
        content: Body of the request.
        timeout_s: For all of it.
        max_bytes: Longest body, unpacked.

    Raises:
        IntegrationInvalidRequestException: The target is refused (code ``denied``), or the request cannot be sent.
        IntegrationInvalidResponseException: The answer is too large, redirects too often, or cannot be read.
        IntegrationUnavailableException: The host cannot be reached, breaks off or is too slow.
    """
    try:
        request = client.build_request(method, url, headers=headers, content=content)
    except (httpx.InvalidURL, UnicodeEncodeError):
        raise IntegrationInvalidRequestException(
            "The URL or a header holds something that HTTP does not allow; correct it.", code="denied"
        ) from None
    try:
        async with asyncio.timeout(timeout_s):
            for _ in range(_MAX_REDIRECTS + 1):
                response = await client.send(request, stream=True, follow_redirects=False)
                try:
                    if response.next_request is None:
                        return await _read(response, max_bytes)
                    request = _redirected(response, response.next_request.url, content)
                finally:
                    await response.aclose()
    except (TimeoutError, httpx.RequestError) as error:
        raise _as_ours(error, request.url.host) from None
    raise IntegrationInvalidResponseException(
        f"{request.url.host} redirects more than {_MAX_REDIRECTS} times; give the address it leads to.",
        code="too_many_redirects",
    )


async def _read(response: httpx.Response, max_bytes: int) -> Fetched:
    content = bytearray()
    declared = response.headers.get("content-length", "")
    too_large = declared.isdecimal() and int(declared) > max_bytes and response.request.method != "HEAD"
    if not too_large:
        async for part in response.aiter_bytes():
            content += part
            if too_large := len(content) > max_bytes:
                break
    if too_large:
        raise IntegrationInvalidResponseException(
            f"{response.url.host} sends more than {max_bytes} bytes; ask it for less.", code="too_large"
        )
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Fetched(str(response.url), response.status_code, media_type, response.encoding or "utf-8", bytes(content))


def _redirected(response: httpx.Response, target: httpx.URL, content: bytes | None) -> httpx.Request:
    """The next request by RFC 9110, 15.4: what becomes a GET loses its body, another origin gets no secrets."""
    before = response.request
    to_get = (response.status_code == 303 and before.method != "HEAD") or (
        response.status_code in (301, 302) and before.method == "POST"
    )
    dropped = _OF_THE_MESSAGE | (_OF_THE_BODY if to_get else frozenset())
    same = _same_origin(before.url, target)
    headers = [
        (name, value)
        for name, value in before.headers.items()
        if name not in dropped and (same or name in _FOR_ANY_HOST)
    ]
    return httpx.Request(
        "GET" if to_get else before.method,
        target,
        headers=headers,
        content=None if to_get else content,
        extensions=before.extensions,
    )


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether secrets may go along: the same scheme, host and port, or the step from http to https."""
    upgrade = (one.scheme, one.port, other.scheme, other.port) == ("http", None, "https", None)
    return one.host == other.host and ((one.scheme, one.port) == (other.scheme, other.port) or upgrade)


def _as_ours(error: Exception, host: str) -> IntegrationException:
    """The error as one of ours. Its own words are left out where they may repeat what the peer sent."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return IntegrationUnavailableException(f"{host} takes too long; try again later.", code="timeout")
    if isinstance(error, httpx.ConnectError):
        return IntegrationUnavailableException(
            f"{host} cannot be reached ({error}); check the URL and the network.", code="connect"
        )
    if isinstance(error, httpx.NetworkError):
        return IntegrationUnavailableException(f"{host} broke the connection; try again.", code="connection_lost")
    if isinstance(error, httpx.DecodingError | httpx.RemoteProtocolError):
        return IntegrationInvalidResponseException(
            f"{host} sent something that is no valid HTTP; check that the URL leads to a web service."
        )
    return IntegrationInvalidRequestException(
        f"The request to {host} holds something that HTTP does not allow; correct the method and headers."
    )
