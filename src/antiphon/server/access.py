"""The door of the REST routes: an API key, or 401."""

from __future__ import annotations

from fastapi import HTTPException, Request

from antiphon.server.switchboard import Switchboard


async def require_key(request: Request) -> None:
    """A dependency that lets holders of a key in.

    Raises:
        HTTPException: 401.
    """
    board: Switchboard = request.app.state.board
    if not board.keys.accepts(request.headers):
        raise HTTPException(
            401,
            "Send an API key as 'Authorization: Bearer KEY'.",
            {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"},
        )
