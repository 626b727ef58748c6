"""The web page at ``/``: its files, with the headers that keep it safe and fast."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

HEADERS = {
    # The page needs nothing from elsewhere, and no other page may put it into a frame or make a form of it.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
IMMUTABLE = "public, max-age=31536000, immutable"
"""For files whose name changes with their content."""

_INDEX = "index.html"
_CODINGS = {"br": ".br", "gzip": ".gz"}
"""What the build leaves beside a file, the smallest first."""
_NOT_PAGES = ("/v1/", "/telephony/")
_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Antiphon</title>
<h1>Antiphon is running</h1>
<p>Calls are taken. The page is not built in this source tree: run <code>make console</code> and start again.</p>
</html>
"""


def page(folder: Path) -> ASGIApp:
    """What answers where no route does.

    Args:
        folder: The built page. Where it is missing, ``/`` says how to build it.
    """
    return _Page(directory=folder) if (folder / _INDEX).is_file() else _not_built


class _Page(StaticFiles):
    """One file for every page, since the browser finds the way; all others by their names."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["path"].startswith(_NOT_PAGES):
            raise HTTPException(404, "There is no such address.")
        headers = Headers(scope=scope)
        try:
            response = await self._smallest(_INDEX if path == "." else path, scope, headers)
        except HTTPException as missing:
            if missing.status_code != 404 or "text/html" not in headers.get("accept", ""):
                raise
            response = await self._smallest(_INDEX, scope, headers)
        response.headers.update(HEADERS)
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["Cache-Control"] = IMMUTABLE if path.startswith("assets/") else "no-cache"
        return response

    async def _smallest(self, name: str, scope: Scope, headers: Headers) -> Response:
        """The file as the build has compressed it, if the browser takes that."""
        accepted = _accepted(headers.get("accept-encoding", ""))
        for coding, suffix in _CODINGS.items():
            if coding in accepted and self.lookup_path(name + suffix)[1] is not None:
                response = await super().get_response(name + suffix, scope)
                response.headers["Content-Encoding"] = coding
                return response
        return await super().get_response(name, scope)


def _accepted(header: str) -> set[str]:
    """The codings that an ``Accept-Encoding`` names and does not rule out (``;q=0``)."""
    choices = (choice.replace(" ", "").lower().partition(";q=") for choice in header.split(","))
    return {coding for coding, _, weight in choices if not weight or weight.strip("0.")}


async def _not_built(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        return await WebSocketClose()(scope, receive, send)
    if scope["path"] != "/":
        raise HTTPException(404)
    await HTMLResponse(_NOT_BUILT, headers=HEADERS)(scope, receive, send)
