"""What clients of the Realtime protocol ask over HTTP: which models there are, and a short-lived key."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from antiphon.server.realtime.faults import RealtimeFault, body_of, json_object
from antiphon.server.realtime.opening import authorize, key_of, open_for
from antiphon.server.realtime.secrets import DEFAULT_LIFE_S, LIVES_S
from antiphon.server.switchboard import Switchboard
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.session import session_object

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> JSONResponse:
    """The agents, as a list of models."""
    board: Switchboard = request.app.state.board
    try:
        _check_key(board, request)
    except RealtimeFault as fault:
        return fault.response()
    created = int(board.started_at.timestamp())
    models = [
        {"id": agent.name, "object": "model", "created": created, "owned_by": "antiphon"}
        for agent in board.agents.agents
    ]
    return JSONResponse({"object": "list", "data": models})


@router.post("/v1/realtime/client_secrets")
async def create_client_secret(request: Request) -> JSONResponse:
    """A short-lived key, with the session that it opens."""
    board: Switchboard = request.app.state.board
    try:
        _check_key(board, request)
        body = json_object(await body_of(request))
        life_s = _life_s(body.get("expires_after"))
        given = body.get("session") or {}
        if not isinstance(given, dict):
            raise RealtimeFault(400, "invalid_value", "A session is an object.", "session")
        return JSONResponse(await _secret(board, request, given, life_s=life_s))
    except RealtimeFault as fault:
        return fault.response()


@router.post("/v1/realtime/sessions")
@router.post("/v1/realtime/transcription_sessions")
async def create_session(request: Request) -> JSONResponse:
    """The older form of the same: the session, with its secret inside."""
    board: Switchboard = request.app.state.board
    try:
        _check_key(board, request)
        given = json_object(await body_of(request))
        if request.url.path.endswith("transcription_sessions"):
            given = {**given, "type": "transcription"}
        made = await _secret(board, request, given, life_s=DEFAULT_LIFE_S)
    except RealtimeFault as fault:
        return fault.response()
    secret = {"value": made["value"], "expires_at": made["expires_at"]}
    return JSONResponse({**made["session"], "client_secret": secret})


def _check_key(board: Switchboard, request: Request) -> None:
    """A client secret opens sessions and nothing else."""
    authorize(board, request)
    if key_of(request).startswith("ek_") and not board.keys.dev:
        raise RealtimeFault(403, "permission_denied", "A client secret opens sessions only: use an API key here.")


def _life_s(expires_after: Any) -> int:
    if expires_after is None:
        return DEFAULT_LIFE_S
    seconds = expires_after.get("seconds", DEFAULT_LIFE_S) if isinstance(expires_after, dict) else None
    shortest, longest = LIVES_S
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not shortest <= seconds <= longest:
        message = f"A client secret lives {shortest} to {longest} seconds."
        raise RealtimeFault(400, "invalid_value", message, "expires_after.seconds")
    return seconds


async def _secret(board: Switchboard, request: Request, given: dict[str, Any], *, life_s: int) -> dict[str, Any]:
    opening = await open_for(board, request, model=None, given=given)
    value = board.client_secrets.issue(given, life_s)
    expires_at = int(board.clock.utc().timestamp()) + life_s
    session = session_object(opening.config, session_id=new_id("sess"), expires_at=expires_at)
    return {"value": value, "expires_at": expires_at, "session": session}
