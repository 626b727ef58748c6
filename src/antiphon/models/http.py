"""What all providers over HTTP need: a client for many streams, times to wait, and words without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

import httpx

CONNECT_S = 3.0
NETWORK_ERRORS = (TimeoutError, httpx.TransportError)

_SHORTEST_SECRET = 6


def new_http_client() -> httpx.AsyncClient:
    """An HTTP client as models need it: many streams at once, connections that stay."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(60.0, connect=CONNECT_S),
        limits=httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30.0),
    )


def public_url(url: str) -> str:
    """An address without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets; what is too short to be one stays, so that words stay readable."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait: ``retry-after-ms``, else ``retry-after`` in seconds or as a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        wish = headers.get("retry-after", "")
        if not wish or wish.replace(".", "", 1).isdigit():
            return float(wish) if wish else None
        # The server's own clock says how far away the date is.
        return max(0.0, (parsedate_to_datetime(wish) - parsedate_to_datetime(headers["date"])).total_seconds())
    except (ValueError, KeyError, TypeError):
        return None
