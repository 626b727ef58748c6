"""A Realtime session over a WebSocket."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, WebSocket

from antiphon.server.realtime.faults import RealtimeFault
from antiphon.server.realtime.opening import CARRIER, Opening, authorize, call_opener, make_session, open_for, take_slot
from antiphon.server.sockets import EXTENSION
from antiphon.server.switchboard import Switchboard
from antiphon.transports.realtime.socket import SocketChannel
from antiphon.transports.socket import MessageSocket, SocketLimits
from antiphon.wire.realtime import events
from antiphon.wire.realtime.codec import Dialect, RealtimeCodec
from antiphon.wire.realtime.refusal import Refusal

_log = structlog.get_logger(__name__)

SUBPROTOCOL = "realtime"
MESSAGES = 40_000
"""A client may send in 4 s what was recorded in minutes."""
_BETA_OFF = "The beta shape of the Realtime API is switched off here: leave out the header OpenAI-Beta."

router = APIRouter()


@router.websocket("/v1/realtime")
@router.websocket("/openai/v1/realtime")
async def realtime_socket(websocket: WebSocket) -> None:
    """A session, in the dialect that the client asks for."""
    is_beta = websocket.query_params.get("beta") == "1" or websocket.headers.get("openai-beta") == "realtime=v1"
    await _serve(websocket, websocket.query_params.get("model"), "beta" if is_beta else "ga")


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
        board.metrics.refused[fault.code] += 1
        await websocket.send_denial_response(fault.response())
        return
    session = board.open_session(CARRIER, agent_name=opening.agent.name, authorized=True)
    try:
        offered = websocket.scope.get("subprotocols", ())
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        socket: MessageSocket = websocket.scope["extensions"][EXTENSION]
        settings = board.settings
        if settings.realtime_beta == "on":
            dialect = "beta"
        codec = RealtimeCodec(dialect, strict=settings.realtime_strict, item_created=settings.realtime_item_created)
        limits = SocketLimits(
            frame_bytes=settings.realtime_max_frame_bytes,
            messages=MESSAGES,
            unsent_bytes=settings.realtime_max_send_bytes,
            slow_code=1013,
        )
        channel = SocketChannel(socket, codec, traffic=board.metrics.traffic, limits=limits)
        if dialect == "beta" and settings.realtime_beta == "off":
            channel.send(events.error(Refusal("beta_api_shape_disabled", _BETA_OFF)))
            channel.close(4000, "beta_api_shape_disabled")
            return
        realtime = make_session(board, session, channel, opening=opening)
        ended = await realtime.run(call_opener(session, opening), lambda: channel.attach(realtime))
        _log.info("call_ended", session_id=session.id, reason=ended.reason, duration_s=ended.duration_s)
    finally:
        await board.close_session(session)


async def _opening(board: Switchboard, websocket: WebSocket, model: str | None) -> Opening:
    if not board.settings.realtime_enabled:
        raise RealtimeFault(404, "not_found", "The Realtime API is switched off here.")
    given = authorize(board, websocket)
    if websocket.query_params.get("call_id") is not None:
        if model is not None:
            raise RealtimeFault(400, "invalid_value", "Give call_id or model, not both.", "model")
        raise RealtimeFault(404, "call_id_not_found", "There is no call with this id.", "call_id")
    return await open_for(board, websocket, model=model, given=given)
