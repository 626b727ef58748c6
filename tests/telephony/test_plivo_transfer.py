"""Transfers of calls over Plivo's socket: its API on this machine fetches documents and tells what happened."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from antiphon.server.run import Running
from antiphon.transports.carriers.loopback import serving
from tests.ports import free_port
from tests.server.harness import Serve, until
from tests.telephony.lines import BILLING, OURS, Caller, desk, on_the_line

pytestmark = pytest.mark.timeout(60)

ACCOUNT, TOKEN = "MA1", "a token of plivo"
ENTRY = f"Basic {b64encode(f'{ACCOUNT}:{TOKEN}'.encode()).decode()}"


@dataclass
class Plivo:
    """Plivo's side. ``status`` is what becomes of those who are called."""

    status: str = "in-progress"
    fetches: bool = True
    commands: list[str] = field(default_factory=list)
    documents: dict[str, ElementTree.Element] = field(default_factory=dict)
    dialled: list[dict[str, Any]] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> Starlette:
        root = f"/v1/Account/{ACCOUNT}/Call"
        return Starlette(
            routes=[
                Route(f"{root}/", self._dial, methods=["POST"]),
                Route(f"{root}/{{call_id}}/", self._move, methods=["POST"]),
                Route(f"{root}/{{call_id}}/", self._end, methods=["DELETE"]),
            ]
        )

    async def _dial(self, request: Request) -> Response:
        assert request.headers["authorization"] == ENTRY
        body = await request.json()
        self.commands.append(f"dial {body['to']}")
        self.dialled.append(body)
        self._later(self._pick_up(body))
        return JSONResponse({"message": "call fired", "request_uuid": "leg-1"}, 201)

    async def _pick_up(self, body: dict[str, Any]) -> None:
        await asyncio.sleep(0.1)
        async with httpx.AsyncClient() as http:
            if self.status == "in-progress":
                document = ElementTree.fromstring((await http.post(body["answer_url"])).text)
                self.documents["leg-1"] = document
                conference = document.find("Conference")
                assert conference is not None
                told = {"ConferenceAction": "enter", "ConferenceName": conference.text}
                await http.post(conference.attrib["callbackUrl"], data=told)
            elif self.status != "ringing":
                await http.post(body["hangup_url"], data={"CallStatus": self.status})

    async def _move(self, request: Request) -> Response:
        body = await request.json()
        call_id = request.path_params["call_id"]
        self.commands.append(f"move {call_id}")
        assert (body["legs"], body["aleg_method"]) == ("aleg", "POST")
        self._later(self._fetch(call_id, body["aleg_url"]))
        return JSONResponse({"message": "call transferred"}, 202)

    async def _fetch(self, call_id: str, url: str) -> None:
        if self.fetches:
            async with httpx.AsyncClient() as http:
                self.documents[call_id] = ElementTree.fromstring((await http.post(url)).text)
            self.moved.set()

    async def _end(self, request: Request) -> Response:
        self.commands.append(f"end {request.path_params['call_id']}")
        return Response(status_code=204)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def calling(serve: Serve, plivo: Plivo, **how: Any) -> AsyncIterator[tuple[Running, Caller]]:
    agent, models = desk(**how)
    port = free_port()
    async with serving(plivo.app()) as url:
        account = {"plivo_auth_id": ACCOUNT, "plivo_auth_token": TOKEN, "carrier_urls": {"plivo": url}}
        settings = {**account, "port": port, "public_url": f"http://127.0.0.1:{port}"}
        async with serve(agents=[agent], models=models, **settings) as up:
            async with on_the_line(up, "plivo", to=OURS.removeprefix("+")) as caller:
                yield up, caller
            await up.board.all_over()


async def test_a_blind_transfer_is_dialled_by_the_document_that_plivo_fetches(serve: Serve) -> None:
    plivo = Plivo()
    async with calling(serve, plivo) as (_, caller):
        await caller.speak()
        await plivo.moved.wait()
        ended = await caller.until("session.ended")
    assert ended["reason"] == "transferred"
    assert plivo.commands == ["move CA1"]
    assert plivo.documents["CA1"].findtext("Dial/Number") == BILLING.removeprefix("+")


async def test_r10_a_warm_transfer_bridges_three_parties(serve: Serve) -> None:
    plivo = Plivo()
    async with calling(serve, plivo, kind="warm") as (_, caller):
        await caller.speak()
        ended = await caller.until("session.ended")
    assert ended["reason"] == "transferred"
    assert plivo.commands == [f"dial {BILLING.removeprefix('+')}", "move CA1"]
    assert plivo.dialled[0]["from"] == OURS
    assert plivo.documents["leg-1"].findtext("Speak") == "Ms Doe has a bill."
    room = plivo.documents["leg-1"].findtext("Conference")
    assert room
    assert room == plivo.documents["CA1"].findtext("Conference")
    assert plivo.documents["CA1"].find("Speak") is None


async def test_a_party_that_is_not_reached_leaves_the_caller_with_the_agent(serve: Serve) -> None:
    plivo = Plivo(status="busy")
    async with calling(serve, plivo, kind="warm") as (_, caller):
        await caller.speak()
        failed = await caller.until("call.transfer_failed")
        await until(lambda: any("line is busy" in event["agent_text"] for event in caller.events("turn.completed")))
        assert not caller.closed.is_set()
    assert failed["code"] == "busy"
    assert "move CA1" not in plivo.commands


async def test_the_carrier_sees_one_hang_up_when_the_agent_ends_the_call(serve: Serve) -> None:
    plivo = Plivo()
    async with calling(serve, plivo, ends=True) as (up, caller):
        await caller.speak()
        await caller.until("session.ended")
        await up.board.all_over()
    assert plivo.commands == ["end CA1"]


async def test_a_callback_is_open_only_while_its_transfer_is_and_to_nobody_who_guesses(serve: Serve) -> None:
    plivo = Plivo()
    async with calling(serve, plivo, kind="warm") as (up, caller), httpx.AsyncClient() as http:
        address = f"http://127.0.0.1:{up.port}/telephony/plivo/callback"
        assert (await http.post(f"{address}/{'0' * 64}")).status_code == 404
        await caller.speak()
        await caller.until("session.ended")
        assert (await http.post(plivo.dialled[0]["answer_url"])).status_code == 404
