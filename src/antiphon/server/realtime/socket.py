"""A Realtime session over a WebSocket, and a second connection to a call that has its own."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, WebSocket

from antiphon.server.realtime.calls import find_call
from antiphon.server.realtime.faults import RealtimeFault
from antiphon.server.realtime.opening import (
    BETA_OFF,
    CARRIER,
    Opening,
    authorize,
    call_opener,
    check_enabled,
    codec_for,
    dialect_of,
    make_session,
    open_for,
    take_slot,
)
from antiphon.server.sockets import EXTENSION
from antiphon.server.switchboard import Switchboard
from antiphon.transports.realtime.socket import SocketChannel
from antiphon.transports.socket import MessageSocket, SocketLimits
from antiphon.wire.realtime import events
from antiphon.wire.realtime.codec import Dialect
from antiphon.wire.realtime.refusal import Refusal

_log = structlog.get_logger(__name__)

SUBPROTOCOL = "realtime"
MESSAGES = 40_000
"""A client may send in 4 s what was recorded in minutes."""

router = APIRouter()


@router.websocket("/v1/realtime")
@router.websocket("/openai/v1/realtime")
async def realtime_socket(websocket: WebSocket) -> None:
    """A session, or with ``call_id`` a sideband, in the dialect that the client asks for."""
    query, dialect = websocket.query_params, dialect_of(websocket)
    if query.get("call_id") is None:
        await _serve(websocket, query.get("model"), dialect)
    else:
        await _serve_sideband(websocket, query["call_id"], dialect)


@router.websocket("/openai/realtime")
async def dated_azure_socket(websocket: WebSocket) -> None:
    """A session at Azure's older address, which speaks the older dialect."""
    await _serve(websocket, websocket.query_params.get("deployment"), "beta")


async def _serve(websocket: WebSocket, model: str | None, dialect: Dialect) -> None:
    board: Switchboard = websocket.app.state.board
    try:
        opening = await _opening(board, websocket, model)
        take_slot(board)
    except RealtimeFault as fault:
        await _deny(websocket, fault)
        return
    session = board.open_session(CARRIER, agent_name=opening.agent.name, scenario=opening.scenario, authorized=True)
    try:
        channel = await _accept(websocket, dialect)
        if channel is None:
            return
        realtime = make_session(board, session, channel, opening=opening)
        ended = await realtime.run(call_opener(session, opening), lambda: channel.attach(realtime))
        _log.info("call_ended", session_id=session.id, reason=ended.reason, duration_s=ended.duration_s)
    finally:
        await board.close_session(session)


async def _opening(board: Switchboard, websocket: WebSocket, model: str | None) -> Opening:
    check_enabled(board)
    given = authorize(board, websocket)
    return await open_for(board, websocket, model=model, given=given)


async def _serve_sideband(websocket: WebSocket, call_id: str, dialect: Dialect) -> None:
    query = websocket.query_params
    try:
        if query.get("model") is not None:
            raise RealtimeFault(400, "invalid_value", "Give call_id or model, not both.", "model")
        call = find_call(websocket, call_id)
        call.check_room()
    except RealtimeFault as fault:
        await _deny(websocket, fault)
        return
    channel = await _accept(websocket, dialect)
    if channel is not None:
        await call.look_on(channel, takes_own_events=query.get("antiphon") == "1")


async def _deny(websocket: WebSocket, fault: RealtimeFault) -> None:
    board: Switchboard = websocket.app.state.board
    board.metrics.refused[fault.code] += 1
    await websocket.send_denial_response(fault.response())


async def _accept(websocket: WebSocket, dialect: Dialect) -> SocketChannel | None:
    """Take the connection; None where the dialect is refused."""
    board: Switchboard = websocket.app.state.board
    settings = board.settings
    offered = websocket.scope.get("subprotocols", ())
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    socket: MessageSocket = websocket.scope["extensions"][EXTENSION]
    limits = SocketLimits(
        frame_bytes=settings.realtime_max_frame_bytes,
        messages=MESSAGES,
        unsent_bytes=settings.realtime_max_send_bytes,
        slow_code=1013,
    )
    channel = SocketChannel(socket, codec_for(board, dialect), traffic=board.metrics.traffic, limits=limits)
    if dialect == "beta" and settings.realtime_beta == "off":
        channel.send(events.error(Refusal("beta_api_shape_disabled", BETA_OFF)))
        channel.close(4000, "beta_api_shape_disabled")
        return None
    return channel
