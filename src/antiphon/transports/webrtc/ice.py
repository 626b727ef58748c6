"""Servers that help a connection through address translation: where they are, and with what credentials."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from aiortc import RTCIceServer

from antiphon.errors import ConfigurationError

_KINDS = ("stun", "stuns", "turn", "turns")


def ice_servers(addresses: Sequence[str]) -> list[RTCIceServer]:
    """The servers that are named.

    Args:
        addresses: ``stun:HOST:PORT``, or ``turn:USER:PASSWORD@HOST:PORT`` with ``%`` codes for signs of its own; what
            the address says behind it, such as ``?transport=tcp``, stays.

    Raises:
        ConfigurationError: One is no such address; it is not repeated, since it may hold a password.
    """
    return [_server(address) for address in addresses]


def _server(address: str) -> RTCIceServer:
    kind, _, rest = address.partition(":")
    credentials, _, place = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    is_turn = kind.startswith("turn")
    if kind not in _KINDS or not place or is_turn != bool(user and password):
        raise ConfigurationError(
            "ANTIPHON_WEBRTC_ICE_SERVERS cannot be used: write stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT, with "
            "commas between."
        )
    if not is_turn:
        return RTCIceServer(urls=f"{kind}:{place}")
    return RTCIceServer(urls=f"{kind}:{place}", username=unquote(user), credential=unquote(password))
