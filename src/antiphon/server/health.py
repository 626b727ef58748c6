"""Whether the process lives, whether it takes calls, and its numbers."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from antiphon.server.switchboard import Switchboard

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """200 as long as the process lives, also while it drains."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """200 when calls are taken, else 503 with what is missing and why."""
    board: Switchboard = request.app.state.board
    return JSONResponse(board.waiting_for, 503 if board.waiting_for else 200)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text; needs an API key."""
    board: Switchboard = request.app.state.board
    if not board.keys.accepts(request.headers):
        return Response("Send an API key as 'Authorization: Bearer KEY'.\n", 401, media_type="text/plain")
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
