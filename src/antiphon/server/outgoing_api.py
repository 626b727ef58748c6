"""``POST /v1/calls``: have somebody called, and follow how far that is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from antiphon.agents.agent import Agent
from antiphon.errors import AntiphonException
from antiphon.server import sse
from antiphon.server.access import require_key
from antiphon.server.carriers import NO_DIALLING
from antiphon.server.outgoing import CallState, Order, OutgoingCall
from antiphon.server.switchboard import Switchboard

MAX_CONTEXT = 16 << 10
"""Bytes of a call's context, as JSON."""
TEXTS = ("greeting", "record_consent")
"""What of a context the call itself reads."""

router = APIRouter(prefix="/v1/calls", dependencies=[Depends(require_key)])

_encoder = msgspec.json.Encoder()


def _wrong(text: str) -> PydanticCustomError:
    """An error whose text is ours alone: that of a ``ValueError`` gets words of the library in front."""
    return PydanticCustomError("wrong", "{text}", {"text": text})


def _checked_context(context: dict[str, Any]) -> dict[str, Any]:
    if len(_encoder.encode(context)) > MAX_CONTEXT:
        raise _wrong(f"the context may have {MAX_CONTEXT} bytes as JSON: leave out what the agent does not need")
    for name in TEXTS:
        if not isinstance(context.get(name, ""), str):
            raise _wrong(f"{name} in the context must be a text")
    return context


def _checked_number(number: str) -> str:
    if not re.fullmatch(r"\+[1-9][0-9]{1,14}", number):
        raise _wrong("a number is + and up to 15 digits, the country's code first, such as +493023125012")
    return number


Number = Annotated[str, AfterValidator(_checked_number)]


class Wanted(BaseModel, extra="forbid"):
    """Whom to call, and who speaks. Numbers are in E.164."""

    target_number: Number
    caller_id: Number | None = None
    carrier: str | None = Field(default=None, max_length=40)
    agent: str | None = Field(default=None, max_length=100)
    scenario: str | None = Field(default=None, max_length=100)
    context: Annotated[dict[str, Any], AfterValidator(_checked_context)] = {}
    record_call: bool | None = None
    voicemail_detect: bool | Literal["audio", "llm", "off"] | None = None


@router.post("", status_code=202)
async def make(request: Request, wanted: Wanted) -> Response:
    """Call somebody. The answer comes when the carrier has taken the command, before it rings."""
    board: Switchboard = request.app.state.board
    order = _order(board, wanted)
    dialler = board.carriers.dialler(order.carrier)
    assert dialler is not None  # since the order is good
    refusal = board.admission.enter()
    if refusal is not None:
        board.metrics.refused[refusal] += 1
        raise HTTPException(503, f"No call can be made now: {refusal.replace('_', ' ')}.", {"Retry-After": "1"})
    call = board.outgoing.place(order, dialler, lambda token: board.carriers.stream_url(order.carrier, token))
    await call.placed()
    if call.state.reason == "refused":
        raise HTTPException(502, call.state.message)
    board.ringing(call.carrier_id, {"agent": order.agent, "scenario": order.scenario})
    return _json(call.state, 202)


def state_of(call: OutgoingCall) -> Response:
    """How far a call is that nobody has answered yet, in the form of a call that has."""
    body = {"call": call.state, "models": {}, "entries": []}
    return Response(_encoder.encode(body), media_type="application/json", headers={"Cache-Control": "no-store"})


async def progress(call: OutgoingCall) -> AsyncIterator[bytes]:
    """Events ``status``: how far a call is, until it talks or has failed."""
    with call.follow() as box:
        async for chunk in sse.told(box, lambda state: sse.frame("status", _encoder.encode(state))):
            yield chunk


def _order(board: Switchboard, wanted: Wanted) -> Order:
    """What is wanted, with all that is not said.

    Raises:
        HTTPException: It cannot be.
    """
    carrier = wanted.carrier or board.carriers.dialling
    if carrier in NO_DIALLING:
        raise HTTPException(422, NO_DIALLING[carrier])
    if carrier not in board.carriers.names:
        raise HTTPException(422, f"There is no carrier {carrier}: twilio and plivo make calls.")
    missing = board.carriers.missing_to_dial(carrier)
    if missing:
        raise HTTPException(409, f"No call can be made over {carrier}: set {', '.join(missing)}.")
    caller_id = wanted.caller_id or board.settings.caller_id
    if caller_id is None:
        raise HTTPException(422, "There is no number to call from: give caller_id, or set ANTIPHON_CALLER_ID.")
    if wanted.scenario and board.agents.find(wanted.scenario) is None:
        raise HTTPException(422, "There is no scenario of this name.")
    agent = board.agents.pick(wanted.agent, scenario=wanted.scenario)
    if agent is None:
        raise HTTPException(422, "There is no agent of this name.")
    _check_model(board, agent)
    detect = wanted.voicemail_detect
    return Order(
        target=wanted.target_number,
        caller_id=caller_id,
        carrier=carrier,
        agent=agent.name,
        scenario=wanted.scenario or "",
        context=wanted.context,
        record=wanted.record_call,
        voicemail={True: "true", False: "off", None: ""}[detect] if not isinstance(detect, str) else detect,
    )


def _check_model(board: Switchboard, agent: Agent) -> None:
    """A model that is to hold the call is there."""
    try:
        speech = board.speech_model(agent)
    except AntiphonException as error:
        raise HTTPException(409, str(error)) from None
    if not getattr(speech, "has_room", True):
        raise HTTPException(503, f"{agent.name}'s model holds as many calls as it may.", {"Retry-After": "1"})


def _json(state: CallState, status: int) -> Response:
    message = "The carrier has been asked to call; follow the events of the call."
    body = {**msgspec.to_builtins(state), "message": state.message or message}
    headers = {"Cache-Control": "no-store", "Location": f"/v1/calls/{state.call_id}"}
    return Response(_encoder.encode(body), status, media_type="application/json", headers=headers)
