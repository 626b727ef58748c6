"""A telephone exchange on this machine: as much of Twilio's REST API as a server needs to make, transfer and end calls.

For tests, and for whoever wants to see calls without an account. Nobody is called: who answers is a phone of ours.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import httpx
import numpy as np
import structlog
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from antiphon.audio.tones import sine
from antiphon.clock import Clock, WallClock
from antiphon.errors import AntiphonException
from antiphon.transports.client import PhoneClient, phone_call

Outcome = Literal["answered", "busy", "no-answer", "failed", "canceled", "completed"]

_ROOT = "/2010-04-01/Accounts/{account}"
_NOT_FOUND = {"code": 20404, "message": "The requested resource was not found", "status": 404}
_NOT_LIVE = {"code": 21220, "message": "Call is not in-progress. Cannot redirect.", "status": 400}
_NO_ENTRY = {"code": 20003, "message": "Authenticate", "status": 401}
_START_S = 10.0
_BEEP_MS = 400
_BEEP_LEVEL = 0.3
_OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})

_log = structlog.get_logger(__name__)


Answers = Callable[[PhoneClient], Awaitable[None]]
"""What somebody does with the phone; the call is over when that is."""
Recorded = tuple[NDArray[np.int16], int]
"""Mono sound, shape (n,), and its rate in Hz."""


async def listen(phone: PhoneClient) -> None:
    """Pick up, and say nothing."""
    await phone.over.wait()


def person(*lines: Recorded, patience_s: float = 20.0) -> Answers:
    """Somebody who says a line at once, each next one behind the answer, and then hangs up.

    Args:
        lines: What is said.
        patience_s: Longest wait for an answer.
    """

    async def answer(phone: PhoneClient) -> None:
        for pcm, rate_hz in lines:
            await phone.answer_over(await phone.say(pcm, rate_hz), patience_s)

    return answer


def machine(words: Recorded, *, beep_hz: float = 1000.0) -> Answers:
    """An answering machine: its words, a beep, and then it records.

    Args:
        words: What it says.
        beep_hz: The pitch of its beep.
    """

    async def answer(phone: PhoneClient) -> None:
        await phone.say(*words)
        beep = sine(beep_hz, _BEEP_MS, rate_hz=phone.rate_hz, amplitude=_BEEP_LEVEL)
        await phone.say(np.concatenate([np.zeros(phone.rate_hz // 2, np.int16), beep]), phone.rate_hz)
        await phone.over.wait()

    return answer


@dataclass(slots=True)
class Leg:
    """A call to somebody.

    Attributes:
        to: Whom.
        says: What is said to them alone.
        room: Where they wait then.
        status: As Twilio names it.
        stream: Where the call is streamed when it is answered; empty where they wait in a room.
        told_at: Where each new status is told; empty for nowhere.
        phone: The phone of who has answered.
    """

    to: str
    says: str
    room: str
    status: str = "queued"
    stream: str = ""
    told_at: str = ""
    phone: PhoneClient | None = None


@dataclass
class Exchange:
    """The exchange, with the calls that it knows.

    Attributes:
        account: The only account's id.
        token: Its token.
        outcome: What becomes of those who are called.
        ring_s: How long it rings at theirs.
        listen_s: How long the summary takes.
        answers: What who answers a call does.
        clock: Time.
        on_moved: Told a call and its new document: whom it dials, and which room it joins; one of them is empty.
        on_ended: Told a call that was ended by command.
        live: The calls that may be moved and ended.
        knows_all: Whether any call may, that is none to another party.
        legs: The calls to other parties, by id.
        commands: What was asked, as ``move CA1``, ``end CA1`` or ``dial +493023125012``, in order.
    """

    account: str = "AC_loopback"
    token: str = "loopback"
    outcome: Outcome = "answered"
    ring_s: float = 1.0
    listen_s: float = 2.0
    answers: Answers = listen
    clock: Clock = field(default_factory=WallClock)
    on_moved: Callable[[str, str, str], None] = lambda call_id, number, room: None
    on_ended: Callable[[str], None] = lambda call_id: None
    live: set[str] = field(default_factory=set)
    knows_all: bool = False
    legs: dict[str, Leg] = field(default_factory=dict)
    rooms: dict[str, list[str]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> Starlette:
        """The API."""
        return Starlette(
            routes=[
                Route(f"{_ROOT}/Calls.json", self._dial, methods=["POST"]),
                Route(f"{_ROOT}/Calls/{{call_id}}.json", self._call, methods=["GET", "POST"]),
                Route(f"{_ROOT}/Conferences.json", self._conferences, methods=["GET"]),
            ]
        )

    def close(self) -> None:
        """Let nothing happen any more."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def _dial(self, request: Request) -> Response:
        if not self._is_known(request):
            return JSONResponse(_NO_ENTRY, 401)
        form = await _form(request)
        document = ElementTree.fromstring(form["Twiml"])
        leg_id = f"CA_leg_{len(self.legs) + 1}"
        stream = document.find(".//Stream")
        self.legs[leg_id] = Leg(
            form["To"],
            document.findtext("Say") or "",
            document.findtext(".//Conference") or "",
            stream="" if stream is None else stream.attrib["url"],
            told_at=form.get("StatusCallback", ""),
        )
        self.commands.append(f"dial {form['To']}")
        self._later(self.ring_s / 2, self._ring, leg_id)
        self._later(self.ring_s, self._pick_up, leg_id)
        return JSONResponse({"sid": leg_id, "status": "queued"}, 201)

    def _ring(self, leg_id: str) -> None:
        self._set(leg_id, "ringing")

    def _pick_up(self, leg_id: str) -> None:
        leg = self.legs[leg_id]
        if leg.status in _OVER:
            return
        is_answered = self.outcome in ("answered", "completed")
        self._set(leg_id, "in-progress" if is_answered else self.outcome)
        if self.outcome == "answered" and leg.stream:
            self._spawn(self._talk(leg_id, leg))
        elif self.outcome == "answered":
            self._later(self.listen_s, self._enter, leg_id)
        elif self.outcome == "completed":
            self._later(self.listen_s / 2, self._set, leg_id, "completed")

    def _enter(self, leg_id: str) -> None:
        leg = self.legs[leg_id]
        if leg.status == "in-progress":
            self.rooms.setdefault(leg.room, []).append(leg_id)

    async def _talk(self, leg_id: str, leg: Leg) -> None:
        try:
            async with phone_call(leg.stream, clock=self.clock, carrier="twilio", call_id=leg_id) as leg.phone:
                await self.answers(leg.phone)
        except AntiphonException as error:
            _log.warning("no_stream", leg=leg_id, error=str(error))
        self._set(leg_id, "completed")

    def _set(self, leg_id: str, status: str) -> None:
        leg = self.legs[leg_id]
        if leg.status in _OVER:
            return
        leg.status = status
        if leg.told_at:
            self._spawn(self._tell(leg.told_at, {"CallSid": leg_id, "CallStatus": status, "To": leg.to}))

    async def _tell(self, url: str, told: Mapping[str, str]) -> None:
        # The authorities take longer to load than a call takes to ring, and there is no TLS on this machine.
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            try:
                await http.post(url, data={**told})
            except httpx.HTTPError as error:
                _log.warning("nobody_to_tell", error=type(error).__name__)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="loopback exchange")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, request: Request) -> Response:
        call_id = request.path_params["call_id"]
        if not self._is_known(request):
            return JSONResponse(_NO_ENTRY, 401)
        leg = self.legs.get(call_id)
        if leg is None and call_id not in self.live and not self.knows_all:
            return JSONResponse(_NOT_FOUND, 404)
        if request.method == "GET":
            return JSONResponse({"sid": call_id, "status": "in-progress" if leg is None else leg.status})
        form = await _form(request)
        self.commands.append(f"{'end' if form.get('Status') == 'completed' else 'move'} {call_id}")
        if leg is not None and leg.status in _OVER:
            return JSONResponse(_NOT_LIVE, 400)
        if form.get("Status") == "completed":
            self._end(call_id, leg)
        else:
            self._move(call_id, form["Twiml"])
        return JSONResponse({"sid": call_id, "status": "completed" if form.get("Status") else "in-progress"})

    def _end(self, call_id: str, leg: Leg | None) -> None:
        if leg is not None:
            self._set(call_id, "completed" if leg.status == "in-progress" else "canceled")
            if leg.phone is not None:
                self._spawn(leg.phone.hang_up())
        else:
            self.live.discard(call_id)
            self.on_ended(call_id)

    def _move(self, call_id: str, document: str) -> None:
        dial = ElementTree.fromstring(document).find("Dial")
        assert dial is not None
        room = dial.findtext("Conference") or ""
        if room:
            self.rooms.setdefault(room, []).append(call_id)
        self.on_moved(call_id, dial.findtext("Number") or dial.findtext("Sip") or "", room)

    async def _conferences(self, request: Request) -> Response:
        if not self._is_known(request):
            return JSONResponse(_NO_ENTRY, 401)
        name = request.query_params.get("FriendlyName", "")
        members = self.rooms.get(name, [])
        found = [{"friendly_name": name, "status": "in-progress" if len(members) > 1 else "init"}] if members else []
        return JSONResponse({"conferences": found})

    def _is_known(self, request: Request) -> bool:
        basic = b64encode(f"{self.account}:{self.token}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {basic}"

    def _later(self, seconds: float, deed: Callable[..., None], *details: str) -> None:
        self._timers.append(self.clock.call_at(self.clock.now() + seconds, deed, *details))


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))


class _Server(uvicorn.Server):
    """Leaves the signals to the program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(app: Starlette, *, port: int = 0) -> AsyncIterator[str]:
    """Serve an API on the loopback address; gives what its paths begin with."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off", access_log=False)
    server = _Server(config)
    served = asyncio.create_task(server.serve(), name="loopback carrier")
    try:
        async with asyncio.timeout(_START_S):
            while not server.started:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.005)
        bound = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{bound}"
    finally:
        server.should_exit = True
        await served
