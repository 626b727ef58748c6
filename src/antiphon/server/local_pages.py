"""The open mode's fence: what asks no key answers this machine's own programs and pages alone.

A browser on this machine runs other people's pages too. Such a page could open a WebSocket to a server that asks no
key, or make its own name point to this machine and then read everything; both give themselves away in the headers.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from antiphon.server.auth import is_loopback

_REFUSAL = (
    "With --dev this server is open to this machine alone, and to the address of ANTIPHON_PUBLIC_URL: leave --dev out "
    "and set ANTIPHON_API_KEYS to be reached by others.\n"
)


class LocalPagesOnly:
    """Middleware that refuses requests by another name than this machine's, and those that other sites' pages make.

    Args:
        app: What answers the rest.
        public_url: How the server is reached through a tunnel, where it is.
    """

    def __init__(self, app: ASGIApp, public_url: str | None = None) -> None:
        self._app = app
        self._public = urlsplit(public_url or "").hostname

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in ("http", "websocket") or self._is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(_REFUSAL, 403)
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)

    def _is_ours(self, headers: Headers) -> bool:
        # Only browsers send an origin.
        origin = headers.get("origin")
        return self._is_local(f"//{headers.get('host', '')}") and (origin is None or self._is_local(origin))

    def _is_local(self, url: str) -> bool:
        try:
            host = urlsplit(url).hostname
        except ValueError:
            return False
        return host is not None and (host == self._public or is_loopback(host))
