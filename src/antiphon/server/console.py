"""The web page at ``/``: its files, with the headers that keep it safe and fast."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

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

_NOT_PAGES = ("/v1/", "/telephony/")
_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Antiphon</title>
<h1>Antiphon is running</h1>
<p>Calls are taken. The page is not built in this source tree: run <code>make console</code> and start again.</p>
</html>
"""


def page_router(folder: Path) -> APIRouter:
    """The routes of the page; they come after all others.

    Args:
        folder: The built page. Where it is missing, ``/`` says how to build it.
    """
    router = APIRouter(dependencies=[Depends(_page_headers)])
    if (folder / "index.html").is_file():
        router.frontend("/", directory=folder, fallback="index.html")
    else:
        router.add_api_route("/", _not_built, response_class=HTMLResponse)
    return router


async def _page_headers(request: Request, response: Response) -> None:
    path = request.url.path
    if path.startswith(_NOT_PAGES):
        raise HTTPException(404, "There is no such address.")
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = IMMUTABLE if path.startswith("/assets/") else "no-cache"


async def _not_built() -> str:
    return _NOT_BUILT
