"""``/v1/realtime/calls``: a call over WebRTC begins with an SDP offer and is answered with one; and how it ends."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import HTTPConnection

from antiphon.server.realtime.faults import RealtimeFault, body_of, json_object
from antiphon.server.realtime.opening import (
    BETA_OFF,
    RTC_CARRIER,
    Opening,
    authorize,
    check_enabled,
    codec_for,
    dialect_of,
    open_for,
    secret_of,
    take_slot,
)
from antiphon.server.realtime.rtc import RtcCall
from antiphon.server.switchboard import Switchboard
from antiphon.wire.realtime.refusal import Refusal

_PEER = "antiphon.transports.webrtc.peer"
_NO_PHONE = "This is no telephone call: only incoming telephone calls are accepted, rejected or referred."
_SDP = "application/sdp"
_FORM = "multipart/form-data"

router = APIRouter()


@router.post("/v1/realtime/calls")
@router.post("/v1/realtime")  # Where the beta had it.
async def create_call(request: Request) -> Response:
    """Answer an offer; the call lives on its own from then on."""
    board: Switchboard = request.app.state.board
    try:
        check_enabled(board)
        given = authorize(board, request)
        offer, session = await _read(request)
        given = {**given, **session}
        opening = await open_for(board, request, model=request.query_params.get("model"), given=given)
        answer, call = await _open(board, request, opening, offer)
    except RealtimeFault as fault:
        return _refused(board, fault)
    except Refusal as refusal:
        return _refused(board, RealtimeFault(400, refusal.code, refusal.message, refusal.param))
    location = f"/v1/realtime/calls/{call.id}"
    return Response(answer, 201, headers={"Location": location}, media_type=_SDP)


@router.post("/v1/realtime/calls/{call_id}/hangup")
async def hang_up(request: Request, call_id: str) -> Response:
    """End a call."""
    try:
        find_call(request, call_id).hang_up()
    except RealtimeFault as fault:
        return fault.response()
    return Response(status_code=200)


@router.post("/v1/realtime/calls/{call_id}/accept")
@router.post("/v1/realtime/calls/{call_id}/reject")
@router.post("/v1/realtime/calls/{call_id}/refer")
async def decide(request: Request, call_id: str) -> Response:
    """What is decided about incoming telephone calls is refused for calls over WebRTC, which need no decision."""
    try:
        find_call(request, call_id)
        raise RealtimeFault(400, "invalid_value", _NO_PHONE, "call_id")
    except RealtimeFault as fault:
        return fault.response()


def find_call(connection: HTTPConnection, call_id: str) -> RtcCall:
    """The call that a request names; a client secret reaches the calls alone that it has opened.

    Raises:
        RealtimeFault: There is none, or the key is not good.
    """
    board: Switchboard = connection.app.state.board
    check_enabled(board)
    authorize(board, connection)
    call = board.rtc_calls.find(call_id)
    secret = secret_of(board, connection)
    if call is None or secret not in ("", call.opened_by):
        raise RealtimeFault(404, "call_id_not_found", "There is no call with this id.", "call_id")
    return call


def _refused(board: Switchboard, fault: RealtimeFault) -> Response:
    board.metrics.refused[fault.code] += 1
    return fault.response()


async def _read(request: Request) -> tuple[str, dict[str, Any]]:
    """The offer of a request, and the session that comes with it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_SDP, _FORM):
        message = f"Send the offer as {_SDP}, or as {_FORM} with the parts sdp and session."
        raise RealtimeFault(415, "unsupported_media_type", message)
    body = await body_of(request)
    if kind == _SDP:
        return _text(body), {}
    parts = await _parts(request, body)
    return parts.get("sdp", ""), json_object(parts.get("session", ""), "The part session")


async def _parts(request: Request, body: bytes) -> dict[str, str]:
    """The parts of a form, whether they come as fields or as files."""

    async def stream() -> AsyncGenerator[bytes]:
        yield body

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=4, max_fields=4).parse()
    except (MultiPartException, KeyError) as error:  # A form without a boundary is a KeyError.
        raise RealtimeFault(400, "invalid_value", "The form cannot be read.") from error
    try:
        return {name: part if isinstance(part, str) else _text(await part.read()) for name, part in form.items()}
    finally:
        await form.close()


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RealtimeFault(400, "invalid_offer", "The offer is no text.", "sdp") from error


async def _open(board: Switchboard, request: Request, opening: Opening, text: str) -> tuple[str, RtcCall]:
    """Answer an offer and begin its call.

    Raises:
        RealtimeFault: There is no slot, or WebRTC is not installed.
        Refusal: The offer cannot be answered.
    """
    await _load_webrtc()
    from antiphon.transports.webrtc.offer import read_offer
    from antiphon.transports.webrtc.peer import Peer

    dialect = dialect_of(request)
    if dialect == "beta" and board.settings.realtime_beta == "off":
        raise RealtimeFault(400, "beta_api_shape_disabled", BETA_OFF)
    offer = read_offer(text)
    take_slot(board)
    session = board.open_session(RTC_CARRIER, agent_name=opening.agent.name, scenario=opening.scenario, authorized=True)
    max_unsent = board.settings.realtime_max_send_bytes
    peer = Peer(
        offer,
        clock=board.clock,
        traffic=board.metrics.traffic,
        max_unsent=max_unsent,
        helpers=[address.get_secret_value() for address in board.settings.webrtc_ice_servers],
    )
    secret = secret_of(board, request)
    try:
        answer = await peer.answer()
        call = RtcCall(board, session, opening, peer=peer, codec=codec_for(board, dialect), opened_by=secret)
    except BaseException:
        await peer.aclose()
        await board.close_session(session)
        raise
    board.rtc_calls.begin(call)
    return answer, call


async def _load_webrtc() -> None:
    """Load the codecs off the loop, which the first call of a process pays for.

    Raises:
        RealtimeFault: They are not installed.
    """
    try:
        await asyncio.to_thread(importlib.import_module, _PEER)
    except ImportError as error:
        message = "Calls over WebRTC need the extra webrtc on the server: pip install 'antiphon[webrtc]'."
        raise RealtimeFault(501, "not_implemented", message) from error
