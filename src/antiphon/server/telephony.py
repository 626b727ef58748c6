"""Where carriers come in: the webhook that answers with a document, and the media socket that the document opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from fastapi import APIRouter, Request, Response, WebSocket
from starlette.requests import HTTPConnection

from antiphon.errors import ConfigurationError
from antiphon.server.session import Session
from antiphon.server.signatures import is_acs, is_audiohook, is_plivo, is_twilio
from antiphon.server.sockets import EXTENSION
from antiphon.server.switchboard import Switchboard
from antiphon.transports.phone import Answer, PhoneLine
from antiphon.transports.socket import MessageSocket
from antiphon.wire import documents
from antiphon.wire.acs import AcsCodec
from antiphon.wire.audiohook import SUBPROTOCOL, AudioHookCodec
from antiphon.wire.contract import MediaCodec, Started
from antiphon.wire.table import CODECS

MAX_BODY = 1 << 20

_log = structlog.get_logger(__name__)

router = APIRouter(prefix="/telephony")


@router.websocket("/{carrier}")
async def media_socket(websocket: WebSocket, carrier: str) -> None:
    """A carrier's media stream: one phone call."""
    board: Switchboard = websocket.app.state.board
    query = websocket.query_params
    if carrier not in CODECS:
        await _refuse(websocket, board, 404, "unknown_carrier", f"There is no carrier {carrier}.")
        return
    authorized = await _may_connect(websocket, board, carrier)
    if not authorized and carrier == "audiohook" and websocket.headers.get("x-api-key"):
        await _turn_away(websocket, board)
        return
    # Twilio passes no query on, so its token comes with the stream's start. Nobody waits for one: nobody gets in.
    if not authorized and not (carrier == "twilio" and board.tokens.expected):
        await _refuse(websocket, board, 401, "unauthorized", "Send an API key as 'Authorization: Bearer KEY'.")
        return
    agent_name, scenario = query.get("agent"), query.get("scenario")
    if scenario and board.agents.find(scenario) is None:
        await _refuse(websocket, board, 404, "unknown_scenario", "There is no scenario of this name.")
        return
    if agent_name and board.agents.pick(agent_name, scenario=scenario) is None:
        await _refuse(websocket, board, 404, "unknown_agent", "There is no agent of this name.")
        return
    refusal = board.admission.enter()
    if refusal is not None:
        await _refuse(websocket, board, 503, refusal, f"No call can be taken now: {refusal}.")
        return
    board.tokens.redeem(query.get("token"))  # Used now, and not by a call that was refused.
    session = board.open_session(carrier, agent_name=agent_name, scenario=scenario, authorized=authorized)
    await _serve(websocket, board, session)


@router.websocket("/{carrier}/calls/{token}")
async def outgoing_socket(websocket: WebSocket, carrier: str, token: str) -> None:
    """The media stream of a call that we have made; it has a slot already."""
    board: Switchboard = websocket.app.state.board
    call = board.outgoing.take(carrier, token)
    if call is None:
        await _refuse(websocket, board, 401, "unauthorized", "No call is expected here: it is over, or has come.")
        return
    order = call.order
    session = board.open_session(
        carrier, agent_name=order.agent, scenario=order.scenario or None, authorized=True, outgoing=call
    )
    try:
        await _serve(websocket, board, session)
    finally:
        call.fail("no_media")  # unless there was a conversation


async def _serve(websocket: WebSocket, board: Switchboard, session: Session) -> None:
    """Be the call."""
    try:
        line = await _line(websocket, board, session.carrier, _answer(websocket, session, session.carrier))
        ended = await line.run()
        if ended is not None:
            _log.info("call_ended", session_id=session.id, reason=ended.reason, duration_s=ended.duration_s)
        await session.hang_up(ended, is_over=line.carrier_ended)
    finally:
        await board.close_session(session)


@router.api_route("/{carrier}/voice", methods=["GET", "POST"])
async def voice(request: Request, carrier: str) -> Response:
    """A call comes in at the carrier: connect it to our stream, or refuse it while there is no slot."""
    board: Switchboard = request.app.state.board
    if carrier not in DOCUMENTS:
        return Response(f"There is no carrier {carrier} that asks for a document.", 404)
    body = await _body(request)
    if body is None:
        return Response("The body is too large.", 413)
    form = [*parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)]
    if not (_is_signed(request, board, carrier, form) or board.keys.accepts(request.headers)):
        board.metrics.refused["unauthorized"] += 1
        return Response("The request has no good signature.", 401)
    told = {**dict(request.query_params), **dict(form)}
    if _was_transferred(told):
        return Response(DOCUMENTS[carrier][2](), media_type="application/xml")
    if not board.admission.is_open:
        return Response(DOCUMENTS[carrier][1](), media_type="application/xml")
    try:
        board.ringing(told.get("CallSid") or told.get("CallUUID") or "", told)
        document = DOCUMENTS[carrier][0](board, _stream_url(request, board, carrier), told)
    except ConfigurationError as exc:
        return Response(str(exc), 400)
    return Response(document, media_type="application/xml")


@router.api_route("/{carrier}/callback/{token}", methods=["GET", "POST"])
async def callback(request: Request, carrier: str, token: str) -> Response:
    """A carrier asks for a document of a transfer, or tells what came of it. Only who knows the address may."""
    board: Switchboard = request.app.state.board
    body = await _body(request)
    answer = None if body is None else board.carriers.callbacks.ask(token, body)
    if answer is None:
        form = [*parse_qsl((body or b"").decode("utf-8", "replace"), keep_blank_values=True)]
        if _is_signed(request, board, carrier, form):
            return Response(status_code=204)  # The carrier still tells about a call that nobody waits for any more.
        return Response(f"Nothing is asked here for {carrier}.", 404)
    return Response(answer, media_type="application/xml" if answer else None)


async def _line(websocket: WebSocket, board: Switchboard, carrier: str, answer: Answer | None) -> PhoneLine:
    """Accept the socket."""
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(SUBPROTOCOL if carrier == "audiohook" and SUBPROTOCOL in offered else None)
    socket: MessageSocket = websocket.scope["extensions"][EXTENSION]
    codec = _codec(websocket, board, carrier)
    return PhoneLine(socket, codec, answer, traffic=board.metrics.traffic, clock=board.clock)


def _codec(websocket: WebSocket, board: Switchboard, carrier: str) -> MediaCodec:
    if carrier == "acs":
        return AcsCodec(case=board.settings.acs_case)
    if carrier == "audiohook":
        return AudioHookCodec(session_id=websocket.headers.get("audiohook-session-id", ""))
    return CODECS[carrier]()


def _answer(websocket: WebSocket, session: Session, carrier: str) -> Answer:
    """The session's answer, told what of the call only the upgrade knows."""

    def acs(started: Started, line: PhoneLine) -> Any:
        call_id = _acs_call_id(websocket) or started.call_id or session.id
        named = websocket.query_params.get("session_id")
        parameters = {**started.parameters, **({"session_id": named} if named else {})}
        return session.answer(replace(started, call_id=call_id, parameters=parameters), line)

    def audiohook(started: Started, line: PhoneLine) -> Any:
        if started.parameters["organization_id"] != websocket.headers.get("audiohook-organization-id"):
            return "not authorized"
        return session.answer(started, line)

    return {"acs": acs, "audiohook": audiohook}.get(carrier, session.answer)


def _acs_call_id(websocket: WebSocket) -> str | None:
    query, headers = websocket.query_params, websocket.headers
    told = [query.get(name) for name in ("call_connection_id", "callConnectionId", "callConnectionID")]
    told += [headers.get(name) for name in ("x-ms-call-connection-id", "x-ms-callconnectionid")]
    return next((call_id for call_id in told if call_id), None)


async def _turn_away(websocket: WebSocket, board: Switchboard) -> None:
    """Tell AudioHook in its own words that its key or its signature is not good. It gets no session and no slot."""
    board.metrics.refused["unauthorized"] += 1
    line = await _line(websocket, board, "audiohook", None)
    await line.run()


async def _may_connect(websocket: WebSocket, board: Switchboard, carrier: str) -> bool:
    if carrier == "audiohook":
        return _is_audiohook(websocket, board)
    return (
        board.keys.accepts(websocket.headers)
        or board.tokens.knows(websocket.query_params.get("token"))
        or _is_signed(websocket, board, carrier, [])
        or (carrier == "acs" and await _is_acs(websocket, board))
    )


def _is_audiohook(websocket: WebSocket, board: Switchboard) -> bool:
    """Whether the API key is good, and the request is signed where there is a secret for the key."""
    pairs = [pair.get_secret_value().rpartition(":") for pair in board.settings.audiohook_secrets]
    secret = {key: secret for key, _, secret in pairs}.get(websocket.headers.get("x-api-key", ""))
    if secret is None:
        return board.keys.accepts(websocket.headers)
    headers, urls = websocket.headers, _outside_urls(websocket, board)
    is_signed = is_audiohook(secret, headers, urls, board.clock.utc().timestamp())
    return is_signed and board.audiohook_signatures.use(headers["signature"])


async def _is_acs(websocket: WebSocket, board: Switchboard) -> bool:
    """Whether the bearer is the service itself, calling for our resource."""
    settings = board.settings
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if settings.acs_audience is None or scheme.lower() != "bearer":
        return False
    key = await board.acs_keys.key_of(token.strip())
    return key is not None and is_acs(token.strip(), key, issuer=settings.acs_issuer, audience=settings.acs_audience)


def _is_signed(connection: HTTPConnection, board: Switchboard, carrier: str, form: Sequence[tuple[str, str]]) -> bool:
    """Whether the carrier has signed the request with the account's token."""
    settings, headers, urls = board.settings, connection.headers, _outside_urls(connection, board)
    if carrier == "twilio" and settings.twilio_auth_token is not None:
        token = settings.twilio_auth_token.get_secret_value()
        return is_twilio(token, headers.get("x-twilio-signature", ""), urls, form)
    if carrier == "plivo" and settings.plivo_auth_token is not None:
        token = settings.plivo_auth_token.get_secret_value()
        signature = headers.get("x-plivo-signature-v3", "")
        nonce = headers.get("x-plivo-signature-v3-nonce", "")
        method = connection.scope.get("method", "GET")
        return is_plivo(token, signature, nonce, method=method, urls=urls, params=form)
    return False


def _outside_urls(connection: HTTPConnection, board: Switchboard) -> list[str]:
    """The forms that this request's URL may have had on the carrier's side of the balancer."""
    url = connection.url
    if board.settings.public_url:
        outside = urlsplit(board.settings.public_url)
        scheme = url.scheme if outside.scheme == "http" else {"http": "https", "ws": "wss"}.get(url.scheme, url.scheme)
        url = url.replace(scheme=scheme, netloc=outside.netloc, path=outside.path + url.path)
    # Carriers differ in which of the two names of the scheme they sign for a socket.
    other = {"ws": "http", "wss": "https"}.get(url.scheme)
    return [str(url), str(url.replace(scheme=other))] if other else [str(url)]


def _stream_url(request: Request, board: Switchboard, carrier: str) -> str:
    base = board.settings.public_url or str(request.base_url).rstrip("/")
    return f"ws{base.removeprefix('http')}/telephony/{carrier}"


def _connect_twilio(board: Switchboard, url: str, told: Mapping[str, str]) -> str:
    parameters = {"token": board.tokens.issue(), "from": told.get("From", ""), "to": told.get("To", "")}
    return documents.twiml_connect(url, {**parameters, **_choice(told), **_back(told)})


def _connect_plivo(board: Switchboard, url: str, told: Mapping[str, str]) -> str:
    # Plivo keeps the query of the stream's address, and allows only letters and digits in its extra headers.
    query = {"token": board.tokens.issue(), **_choice(told)}
    numbers = {"from": told.get("From", ""), "to": told.get("To", "")}
    digits = {name: "".join(filter(str.isalnum, number)) for name, number in numbers.items()}
    joined = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    return documents.plivo_connect(
        f"{url}?{joined}", extra_headers={name: each for name, each in {**digits, **_back(told)}.items() if each}
    )


def _choice(told: Mapping[str, str]) -> dict[str, str]:
    """What the address of the webhook asks for."""
    return {name: told[name] for name in ("agent", "scenario") if told.get(name)}


def _dial_status(told: Mapping[str, str]) -> str:
    """What became of the transfer behind which the carrier asks how to go on; empty where there was none."""
    return told.get("DialCallStatus") or told.get("DialStatus") or ""


def _was_transferred(told: Mapping[str, str]) -> bool:
    return _dial_status(told) in ("completed", "answered")


def _back(told: Mapping[str, str]) -> dict[str, str]:
    """For templates and tools: the caller comes back, since nobody was reached: ``busy``, ``noanswer`` and so on."""
    status = "".join(filter(str.isalnum, _dial_status(told)))
    return {"unreached": status} if status else {}


DOCUMENTS: Mapping[
    str, tuple[Callable[[Switchboard, str, Mapping[str, str]], str], Callable[[], str], Callable[[], str]]
] = {
    "twilio": (_connect_twilio, documents.twiml_reject, documents.twiml_hangup),
    "plivo": (_connect_plivo, documents.plivo_hangup, lambda: documents.plivo_hangup(None)),
}
"""How the carriers that ask for a document are connected, how they are refused, and how a call is ended."""


async def _body(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return body


async def _refuse(websocket: WebSocket, board: Switchboard, status: int, reason: str, text: str) -> None:
    """Answer the upgrade with an HTTP status, so that a balancer tries another worker and a person reads why."""
    board.metrics.refused[reason] += 1
    headers = {"Retry-After": "1"} if status == 503 else None
    await websocket.send_denial_response(Response(text + "\n", status, headers=headers, media_type="text/plain"))
