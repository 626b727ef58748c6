"""Connections to public addresses only, for URLs that users, models, agents or YAML give.

A name is resolved once, all its addresses are judged, and the connection goes to one of those: nothing can change
between check and connect. TLS is put on top by the caller, who still knows the host name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpcore
import httpx

from antiphon.errors import ConfigurationError, IntegrationInvalidRequestException
from antiphon.settings import load_settings

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host and port to its addresses, as text."""

_REACH_S = 3.0
_MAX_TRIES = 3
"""Addresses that are tried; all are judged."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Python releases differ in what they call private, and some public addresses lead to the host's own platform.
_ALSO_REFUSED = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("168.63.129.16/32"),  # Azure's host
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("3fff::/20"),  # documentation
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address may be reached: global unicast, also where it is an IPv4 address inside an IPv6 one."""
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    refused = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or not address.is_global
    )
    return not refused and not any(address in network for network in _ALSO_REFUSED)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped, 6to4 or NAT64 address leads to."""
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's own resolver, which also reads odd forms such as ``0x7f000001`` as the system would."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class NetworkGuard(httpcore.AsyncNetworkBackend):
    """Resolves, judges and connects in one step; a network backend of ``httpcore``.

    Args:
        allow_hosts: Hosts that may be reached wherever they are: ``host`` for all its ports, or ``host:port``; those of
            the settings may be, too.
        resolve: Finds the addresses of a host; the system's resolver unless given.
        network: Makes the connection to a judged address.

    Raises:
        ConfigurationError: An entry of ``allow_hosts`` is no host.
    """

    def __init__(
        self,
        *,
        allow_hosts: Iterable[str] = (),
        resolve: Resolve = system_resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        entries = (*allow_hosts, *load_settings().url_allow_hosts)
        self._allowed = frozenset(_host_and_port(entry) for entry in entries)
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the backend's signature; the time here is the guard's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses if all of them may be reached.

        Raises:
            IntegrationInvalidRequestException: One of the addresses is refused.
            httpcore.ConnectError: The host has no address, or none that answers.
            httpcore.ConnectTimeout: No connection within 3 s.
        """
        try:
            async with asyncio.timeout(_REACH_S):
                addresses = (await self._judged(host, port))[:_MAX_TRIES]
                return await self._connect(addresses, port, local_address, socket_options)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection within {_REACH_S:g} s") from None

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            raise httpcore.ConnectError("the name has no address")
        judged = [ip_address(address) for address in addresses]
        name = host.rstrip(".").lower()
        allowed = (name, port) in self._allowed or (name, None) in self._allowed
        if not allowed and not all(map(is_public, judged)):
            raise IntegrationInvalidRequestException(
                f"{host} is not on the public network and is refused; if it is yours, name it in "
                "ANTIPHON_URL_ALLOW_HOSTS.",
                code="denied",
            )
        return [str(address) for address in judged]

    async def _connect(
        self,
        addresses: Sequence[str],
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        """To the first address that answers; each has its share of the time, so that a dead one costs no more."""
        share_s = _REACH_S / len(addresses)
        fault: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, share_s, local_address, socket_options)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                fault = error
        raise fault or httpcore.ConnectError("the name has no address")


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """The name and port of an entry of ``allow_hosts``, written as the connection pool writes them."""
    text = entry.strip()
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    try:
        # A scheme without a port of its own: with http, ":80" would be lost.
        url = httpx.URL(f"host://{text}")
    except httpx.InvalidURL:
        url = httpx.URL()
    name = url.raw_host.decode("ascii").rstrip(".")
    more = url.userinfo or url.path not in ("", "/") or url.query or url.fragment
    if not name or "%" in name or more or not 0 < (url.port or 1) <= 65_535:
        raise ConfigurationError(
            f"{entry!r} is no host; write the allowed hosts as host or host:port, comma separated."
        )
    return name, url.port
