"""Who answers a call that the server makes: a person who speaks first, a machine; and the same over Plivo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from antiphon.agents.agent import Agent
from antiphon.agents.manners import Manners, Voicemail
from antiphon.audio.tones import sine
from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.server.run import Running
from antiphon.transports.carriers.loopback import Exchange, Recorded, machine, person, serving
from antiphon.transports.client import phone_call
from tests.ports import free_port
from tests.server.harness import HEADERS, Serve, until
from tests.telephony.lines import BILLING, OURS
from tests.telephony.test_outgoing import office

pytestmark = pytest.mark.timeout(60)

GREETING = "This is the clinic."
MACHINE = "Hi, you have reached Bob. Please leave a message after the tone."
MESSAGE = "Please call the clinic back."
ACCOUNT = {"plivo_auth_id": "MA1", "plivo_auth_token": "a token of plivo", "caller_id": OURS}


def words(seconds: float) -> Recorded:
    return sine(220, seconds * 1000, rate_hz=8_000, amplitude=0.3), 8_000


def models(*heard: str) -> Models:
    return Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(list(heard)),
        llm=ScriptedChatClient(lambda _messages, _options: "On Monday at nine."),
        tts=ScriptedTTS(seconds=0.3),
        turn=None,
    )


def agent() -> Agent:
    return Agent("caller", "Remind.", greeting=GREETING, manners=Manners(voicemail=Voicemail(message=MESSAGE)))


def said(told: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [each["transcript"] for _, each in told if each.get("type") == "agent.speech_completed"]


async def test_a_person_is_greeted_behind_the_hello_and_hangs_up(serve: Serve) -> None:
    answers = person(words(0.6), words(1.0))
    heard = models("Hello?", "When is it?")
    async with office(serve, exchange=Exchange(ring_s=0.1, answers=answers), agents=[agent()], models=heard) as of:
        made = (await of.call(voicemail_detect=True)).json()
        told = await of.told(made["call_id"])
    assert said(told) == [GREETING, "On Monday at nine."]
    assert told[-1][1]["reason"] == "user_hangup"


async def test_a_machine_gets_the_message_behind_its_beep_and_is_hung_up_once(serve: Serve) -> None:
    exchange = Exchange(ring_s=0.1, answers=machine(words(3.0)))
    async with office(serve, exchange=exchange, agents=[agent()], models=models(MACHINE)) as of:
        made = (await of.call(voicemail_detect="audio")).json()
        told = await of.told(made["call_id"])
        await of.up.board.all_over()
        assert exchange.commands == [f"dial {BILLING}", "end CA_leg_1"]
    kinds = [each["type"] for name, each in told if name == "entry"]
    assert kinds.index("voicemail.detected") < kinds.index("voicemail.beep")
    assert said(told) == [MESSAGE]
    assert told[-1][1]["reason"] == "voicemail"


@dataclass
class Plivo:
    """Plivo's side: it rings, fetches the document when somebody answers, and streams to its address."""

    status: str = "in-progress"
    dialled: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    heard: np.ndarray | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> Starlette:
        root = "/v1/Account/MA1/Call"
        return Starlette(
            routes=[
                Route(f"{root}/", self._dial, methods=["POST"]),
                Route(f"{root}/{{call_id}}/", self._end, methods=["DELETE"]),
            ]
        )

    async def _dial(self, request: Request) -> Response:
        self.dialled.append(await request.json())
        task = asyncio.create_task(self._ring(self.dialled[-1]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return JSONResponse({"message": "call fired", "request_uuid": "uuid-1"}, 201)

    async def _ring(self, body: dict[str, Any]) -> None:
        async with httpx.AsyncClient() as http:
            await http.post(body["ring_url"], data={"CallStatus": "ringing"})
            if self.status == "in-progress":
                document = ElementTree.fromstring((await http.post(body["answer_url"])).text)
                stream = document.findtext("Stream") or ""
                async with phone_call(stream, carrier="plivo", call_id="uuid-1") as phone:
                    await phone.greeted(10)
                    await phone.agent_quiet(10)
                await http.post(body["hangup_url"], data={"CallStatus": "completed"})
            elif self.status != "ringing":
                await http.post(body["hangup_url"], data={"CallStatus": self.status})

    async def _end(self, request: Request) -> Response:
        self.ended.append(request.path_params["call_id"])
        return Response(status_code=204)


@asynccontextmanager
async def over_plivo(serve: Serve, plivo: Plivo) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    port = free_port()
    async with serving(plivo.app()) as url:
        where = {"public_url": f"http://127.0.0.1:{port}", "carrier_urls": {"plivo": url}}
        async with (
            serve(port=port, agents=[agent()], models=models(), **ACCOUNT, **where) as up,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as http,
        ):
            yield up, http


async def test_plivo_calls_and_streams_who_answers(serve: Serve) -> None:
    plivo = Plivo()
    async with over_plivo(serve, plivo) as (up, http):
        made = (await http.post("/v1/calls", json={"target_number": BILLING})).json()
        assert made["carrier"] == "plivo"  # the one that is set up
        await until(lambda: up.board.metrics.calls_ended == {"user_hangup": 1})
        state = up.board.outgoing.get(made["call_id"])
        assert state is not None
        assert (state.state.status, state.state.reason) == ("disconnected", "user_hangup")
        await up.board.all_over()
        assert up.board.admission.live == 0
    (body,) = plivo.dialled
    assert (body["from"], body["to"], body["ring_timeout"]) == (OURS[1:], BILLING[1:], 30)
    assert plivo.ended == []


@pytest.mark.parametrize(
    ("status", "reason"), [("busy", "busy"), ("timeout", "no_answer"), ("rejected", "rejected"), ("odd", "unreachable")]
)
async def test_plivo_tells_why_nobody_was_reached(serve: Serve, status: str, reason: str) -> None:
    async with over_plivo(serve, Plivo(status)) as (up, http):
        made = (await http.post("/v1/calls", json={"target_number": BILLING})).json()
        await until(lambda: up.board.admission.live == 0)
        assert (await http.get(f"/v1/calls/{made['call_id']}")).json()["call"]["reason"] == reason


async def test_a_call_that_rings_at_plivo_is_called_off_once(serve: Serve) -> None:
    plivo = Plivo("ringing")
    async with over_plivo(serve, plivo) as (up, http):
        made = (await http.post("/v1/calls", json={"target_number": BILLING})).json()
        path = f"/v1/calls/{made['call_id']}"
        assert (await http.post(f"{path}/terminate")).status_code == 202
        await up.board.all_over()
        assert (await http.get(path)).json()["call"]["reason"] == "canceled"
    assert plivo.ended == ["uuid-1"]
