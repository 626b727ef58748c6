"""``/v1/calls``: the calls that go on and those that are over, their entries and their sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from antiphon.calls.contract import AnyCall
from antiphon.calls.events import TurnMetrics
from antiphon.calls.log import Entry
from antiphon.errors import IntegrationInvalidRequestException
from antiphon.server import sse
from antiphon.server.access import require_key
from antiphon.server.live import LiveCall
from antiphon.server.outgoing import OutgoingCall
from antiphon.server.outgoing_api import progress, state_of
from antiphon.server.switchboard import Switchboard
from antiphon.store.calls import PastCalls, StoredEntry, Wanted
from antiphon.store.report import Report, report_of
from antiphon.store.scrub import EntryScrubber
from antiphon.store.summary import CallSummary
from antiphon.tools.transfer import Transfer, TransferKind, checked_destination

READ_TIMEOUT_S = 20.0
CHUNK = 1 << 18
REPLAY_FRAMES = 200
"""Frames of a replay that are sent at once; then others have their turn on the loop."""

P = ParamSpec("P")
T = TypeVar("T")

router = APIRouter(prefix="/v1/calls", dependencies=[Depends(require_key)])


class Wish(BaseModel, extra="forbid"):
    """To whom a caller is to be brought; ``type`` may also be ``cold``, which is ``blind``."""

    destination: str = Field(max_length=256)
    type: Literal["blind", "warm", "cold"] = "blind"
    reason: str = Field(default="", max_length=1000)
    context_summary: str = Field(default="", max_length=1000)

    def transfer(self) -> Transfer:
        """As the call takes it.

        Raises:
            ValueError: The destination cannot be dialled.
        """
        kind: TransferKind = "warm" if self.type == "warm" else "blind"
        return Transfer(checked_destination(self.destination), kind, "", self.reason, self.context_summary)


# As the log's files are written, so that an entry reads the same live and later.
_encoder = msgspec.json.Encoder(enc_hook=str)


@router.get("")
async def calls(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str | None, Query(max_length=240)] = None,
    q: Annotated[str, Query(max_length=200)] = "",
    agent: Annotated[str, Query(max_length=100)] = "",
    carrier: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """A page of calls. The first one begins with all that go on; ``next`` leads to the next one.

    ``outgoing`` has the calls that are made now and that nobody has answered yet.
    """
    board: Switchboard = request.app.state.board
    wanted = Wanted(q, agent, carrier)
    current = board.live.all()
    names = frozenset(call.id for call in current)
    shown = [] if before else [summary for call in current if wanted.fits(summary := call.summary(), call.said)]
    try:
        page = await _read(board.past.page, limit, before or None, wanted=wanted, without=names)
    except ValueError as exc:
        raise HTTPException(400, str(exc)) from None
    shown.sort(key=lambda summary: summary.state == "ended")
    outgoing = [] if before else [each.state for each in board.outgoing.pending()]
    return _json({"calls": [*shown, *page.calls], "next": page.next, "outgoing": outgoing})


@router.get("/stream")
async def stream(request: Request) -> StreamingResponse:
    """Server-sent events ``call``: a call's summary at its start, after each turn and at its end."""
    board: Switchboard = request.app.state.board
    _check_room(board)

    async def chunks() -> AsyncIterator[bytes]:
        with board.live.summaries() as box:
            async for chunk in sse.told(box, _call_frame):
                yield chunk

    return sse.response(chunks())


@router.get("/providers")
async def providers(request: Request) -> Response:
    """The carriers that take commands about calls, and the settings that each still needs for that."""
    carriers = request.app.state.board.carriers
    missing = {name: carriers.missing(name) for name in carriers.names}
    told = [{"carrier": name, "configured": not lacks, "missing": lacks} for name, lacks in missing.items()]
    return _json({"providers": told})


@router.post("/{call}/transfer", status_code=202)
async def transfer(request: Request, call: str, wish: Wish) -> Response:
    """Bring the caller to somebody else, behind what is being said; the call's events tell what comes of it."""
    current = call_on_now(request.app.state.board, call)
    try:
        current.transfer(wish.transfer())
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    except IntegrationInvalidRequestException as error:
        raise HTTPException(409, str(error)) from None
    return _json({"call": call, "status": "transferring"}, 202)


@router.post("/{call}/terminate", status_code=202)
async def terminate(request: Request, call: str) -> Response:
    """End the call as soon as what is being said is said; one that still rings at once."""
    board: Switchboard = request.app.state.board
    outgoing = board.outgoing.get(call)
    if outgoing is not None and outgoing.is_ringing:
        outgoing.fail("canceled")
    else:
        call_on_now(board, call).end("agent_hangup")
    return _json({"call": call, "status": "disconnecting"}, 202)


@router.get("/{call}")
async def call(request: Request, call: str) -> Response:
    """A call with all its entries."""
    board: Switchboard = request.app.state.board
    current = board.live.get(call)
    if current is not None:
        summary, models = current.summary(), current.models
        entries = await _current_entries(board, current, _scrubber(board))
    else:
        found = await _read(board.past.summary, call)
        if found is None:
            outgoing = board.outgoing.get(call)
            if outgoing is not None:
                return state_of(outgoing)
            raise _no_such_call()
        summary, models = found
        entries = await _read(board.past.entries, call)
    if summary.state == "ended":
        summary = replace(summary, has_recording=await _has_recording(board.past, call))
    raw = [msgspec.Raw(entry.json) for entry in entries]
    return _json({"call": summary, "models": models, "entries": raw})


@router.get("/{call}/report")
async def report(request: Request, call: str, include_turns: bool = False) -> Response:
    """How long each stage of a call took, what it used, and what deserves a look; of a live call, so far.

    With ``include_turns`` also the figures of each turn.
    """
    board: Switchboard = request.app.state.board
    current = board.live.get(call)
    stored = await (_current_entries(board, current, None) if current is not None else _read(board.past.entries, call))
    if not stored:
        raise _no_such_call()
    told, turns = await _read(_report, stored)
    return _json({"call": call, "report": told, **({"turns": turns} if include_turns else {})})


def _report(stored: Sequence[StoredEntry]) -> tuple[Report, list[TurnMetrics]]:
    lines = (msgspec.json.decode(entry.json) for entry in stored)
    entries = [entry for line in lines if (entry := Entry.from_dict(line)) is not None]
    return report_of(entries), [entry.event for entry in entries if isinstance(entry.event, TurnMetrics)]


@router.get("/{call}/recording")
async def recording(request: Request, call: str) -> Response:
    """The sound: a stereo WAV, the caller left and the agent right. Of a live call, what is there so far."""
    board: Switchboard = request.app.state.board
    path = await _read(board.past.recording, call)
    if path is None:
        raise HTTPException(404, "There is no recording of this call.")
    if "range" in request.headers:
        return FileResponse(path, media_type="audio/wav")
    size = (await _read(path.stat)).st_size
    headers = {"Content-Length": str(size), "Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    return StreamingResponse(_beginning(path, size), media_type="audio/wav", headers=headers)


@router.get("/{call}/events")
async def events(
    request: Request, call: str, last_event_id: Annotated[str, Header(max_length=20)] = ""
) -> StreamingResponse:
    """Server-sent events ``entry``: what was told so far, then what is told, to the call's end.

    Before them come events ``status``, while nobody has answered a call that we make.
    ``Last-Event-ID`` leaves out what a reader has already had.
    """
    board: Switchboard = request.app.state.board
    _check_room(board)
    after = int(last_event_id) if last_event_id.isdecimal() else 0
    outgoing = board.outgoing.get(call)
    if outgoing is not None and outgoing.is_pending:
        if not outgoing.has_room:
            raise HTTPException(503, "Too many follow this call: close a stream.", {"Retry-After": "5"})
        return sse.response(_outgoing_chunks(board, outgoing))
    current = board.live.get(call)
    if current is not None:
        return sse.response(_live_chunks(board, current, after))
    if outgoing is not None and outgoing.state.status == "failed":
        return sse.response(progress(outgoing))
    entries = await _read(board.past.entries, call)
    if not entries:
        raise _no_such_call()
    return sse.response(_replay(entries, after))


async def _outgoing_chunks(board: Switchboard, outgoing: OutgoingCall) -> AsyncIterator[bytes]:
    """How far a call is, and then, where somebody answers it, its entries."""
    async for chunk in progress(outgoing):
        yield chunk
    current = board.live.get(outgoing.id)
    if current is not None:
        async for chunk in _live_chunks(board, current, 0):
            yield chunk


async def _live_chunks(board: Switchboard, current: LiveCall, after: int) -> AsyncIterator[bytes]:
    scrubber = _scrubber(board)

    def frames(entry: Entry) -> bytes:
        bodies = [entry.to_dict()]
        return b"".join(map(_body_frame, bodies if scrubber is None else scrubber.take(bodies)))

    with board.live.follow(current) as box:
        async for chunk in _replay(await _current_entries(board, current, scrubber), after):
            yield chunk
        async for chunk in sse.told(box, frames):
            yield chunk
        if scrubber is not None and (rest := scrubber.finish()):
            yield b"".join(map(_body_frame, rest))


async def _replay(entries: Sequence[StoredEntry], after: int) -> AsyncIterator[bytes]:
    later = [entry for entry in entries if entry.seq > after]
    for start in range(0, len(later), REPLAY_FRAMES):
        part = later[start : start + REPLAY_FRAMES]
        yield b"".join(sse.frame("entry", entry.json, entry.seq) for entry in part)
        await asyncio.sleep(0)


def _scrubber(board: Switchboard) -> EntryScrubber | None:
    """Takes personal data out of what is read of a live call, where its stored log will have none either."""
    return EntryScrubber() if board.settings.redact == "store" else None


async def _current_entries(board: Switchboard, current: LiveCall, scrubber: EntryScrubber | None) -> list[StoredEntry]:
    """The entries so far: from memory, and the first ones of a long call from its file."""
    entries, is_whole = tuple(current.entries), current.is_whole

    def read() -> list[StoredEntry]:
        early = [] if is_whole else [entry for entry in board.past.entries(current.id) if entry.seq < entries[0].seq]
        bodies = [entry.to_dict() for entry in entries]
        bodies = bodies if scrubber is None else scrubber.take(bodies)
        return early + [StoredEntry(body["seq"], _encoder.encode(body)) for body in bodies]

    return await _read(read)


async def _beginning(path: Path, size: int) -> AsyncIterator[bytes]:
    """This many bytes of a file that may grow meanwhile, as the recording of a live call does."""
    with await _read(open, path, "rb") as file:
        while size > 0 and (chunk := await _read(file.read, min(size, CHUNK))):
            size -= len(chunk)
            yield chunk


async def _has_recording(past: PastCalls, call: str) -> bool:
    return await _read(past.recording, call) is not None


async def _read(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Run what reads files in a thread."""
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await asyncio.to_thread(function, *args, **options)
    except TimeoutError:
        raise HTTPException(503, "The calls' files are too slow to read now: try again.") from None


def _check_room(board: Switchboard) -> None:
    if not board.live.has_room:
        raise HTTPException(503, "Too many streams are open, or the server ends: try again.", {"Retry-After": "5"})


def call_on_now(board: Switchboard, call: str) -> AnyCall:
    """The call, which goes on.

    Raises:
        HTTPException: It does not, or there is none.
    """
    current = board.live.get(call)
    live = board.call_of(current.log) if current is not None else None
    if live is None or live.log.ended:
        raise HTTPException(404, "There is no such call, or it is over.")
    return live


def _no_such_call() -> HTTPException:
    return HTTPException(404, "There is no such call.")


def _call_frame(summary: CallSummary) -> bytes:
    return sse.frame("call", _encoder.encode(summary))


def _body_frame(body: dict[str, Any]) -> bytes:
    return sse.frame("entry", _encoder.encode(body), body["seq"])


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(_encoder.encode(body), status, media_type="application/json", headers={"Cache-Control": "no-store"})
