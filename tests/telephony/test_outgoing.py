"""``POST /v1/calls``: whole calls that the server makes, over the exchange of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from antiphon.agents.agent import Agent
from antiphon.server.run import Running
from antiphon.transports.carriers.loopback import Exchange, serving
from antiphon.transports.client import PhoneClient
from tests.ports import free_port
from tests.server.harness import HEADERS, Serve, phone, scripted_models, until
from tests.server.test_telephony import twilio_signature
from tests.telephony.lines import BILLING, OURS

pytestmark = pytest.mark.timeout(60)

CALLS = "/v1/calls"
GREETING = "Hello {{ name }}, this is {{ clinic.name }}, I call {{ to }}."


@dataclass
class Office:
    """A server that makes calls, and the exchange that it calls over."""

    up: Running
    exchange: Exchange
    http: httpx.AsyncClient

    async def call(self, **wanted: Any) -> httpx.Response:
        return await self.http.post(CALLS, json={"target_number": BILLING, **wanted})

    async def state(self, call_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get(f"{CALLS}/{call_id}")).json()
        return found

    async def told(self, call_id: str) -> list[tuple[str, dict[str, Any]]]:
        """All events of a call, to its end."""
        told, name = [], ""
        async with self.http.stream("GET", f"{CALLS}/{call_id}/events") as events:
            async for line in events.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    told.append((name, msgspec.json.decode(line.removeprefix("data: "))))
        return told


@asynccontextmanager
async def office(serve: Serve, *, exchange: Exchange | None = None, **options: Any) -> AsyncIterator[Office]:
    exchange = exchange or Exchange(ring_s=0.1)
    port = free_port()
    options.setdefault("agents", [Agent("desk", greeting=GREETING)])
    options.setdefault("models", scripted_models())
    account = {"twilio_account_sid": exchange.account, "twilio_auth_token": exchange.token, "caller_id": OURS}
    async with serving(exchange.app()) as url:
        settings = {**account, "carrier_urls": {"twilio": url}, "public_url": f"http://127.0.0.1:{port}", **options}
        async with (
            serve(port=port, **settings) as up,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=30) as http,
        ):
            try:
                yield Office(up, exchange, http)
            finally:
                exchange.close()


async def hangs_up(line: PhoneClient) -> None:
    """Who answers listens to the greeting, and hangs up."""
    await line.greeted(10)
    await line.agent_quiet(10)


async def test_a_call_is_made_answered_and_over(serve: Serve) -> None:
    """It has one id from the command to its files, knows its context, and tells how far it is."""
    async with office(serve, exchange=Exchange(ring_s=0.2, answers=hangs_up), keep_files=True) as of:
        context = {"name": "Ms Doe", "clinic": {"name": "the clinic"}, "to": "somebody else", "agent": "nobody"}
        answer = await of.call(context=context)
        made = answer.json()
        assert answer.status_code == 202
        assert answer.headers["location"] == f"{CALLS}/{made['call_id']}"
        assert (made["status"], made["target_number"], made["caller_id"]) == ("initiating", BILLING, OURS)
        assert (made["agent"], made["carrier"]) == ("desk", "twilio")
        told = await of.told(made["call_id"])
        statuses = [each["status"] for name, each in told if name == "status"]
        assert statuses == sorted(set(statuses), key=["initiating", "ringing", "connected"].index)
        assert {"ringing", "connected"} <= set(statuses)
        entries = [each for name, each in told if name == "entry"]
        started = entries[0]
        assert (started["type"], started["direction"], started["called"]) == ("session.started", "outbound", BILLING)
        (said,) = [each["transcript"] for each in entries if each["type"] == "agent.speech_completed"]
        assert said == f"Hello Ms Doe, this is the clinic, I call {BILLING}."
        assert (entries[-1]["type"], entries[-1]["reason"]) == ("session.ended", "user_hangup")
        await of.up.board.all_over()
        assert (await of.state(made["call_id"]))["call"]["state"] == "ended"
        assert (await of.http.get(f"{CALLS}/{made['call_id']}/report")).status_code == 200
        assert of.exchange.commands == [f"dial {BILLING}"]
        assert of.up.board.admission.live == 0


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "unreachable"), ("canceled", "canceled")],
)
async def test_a_call_that_nobody_takes_tells_why(serve: Serve, outcome: Any, reason: str) -> None:
    async with office(serve, exchange=Exchange(outcome=outcome, ring_s=0.1)) as of:
        made = (await of.call()).json()
        assert [call["call_id"] for call in (await of.http.get(CALLS)).json()["outgoing"]] == [made["call_id"]]
        told = await of.told(made["call_id"])
        assert (told[-1][1]["status"], told[-1][1]["reason"]) == ("failed", reason)
        await until(lambda: of.up.board.admission.live == 0)
        found = await of.state(made["call_id"])
        assert (found["call"]["reason"], found["entries"]) == (reason, [])
        assert (await of.http.get(CALLS)).json() == {"calls": [], "next": None, "outgoing": []}
        assert f'antiphon_calls_not_reached_total{{reason="{reason}"}} 1.0' in (await of.http.get("/metrics")).text
        assert [name for name, _ in await of.told(made["call_id"])] == ["status"]
        assert (await of.http.post(f"{CALLS}/{made['call_id']}/terminate")).status_code == 404
        assert of.exchange.commands == [f"dial {BILLING}"]


async def test_a_ringing_call_is_called_off_once(serve: Serve) -> None:
    async with office(serve, exchange=Exchange(ring_s=30)) as of:
        made = (await of.call()).json()
        assert (await of.http.post(f"{CALLS}/{made['call_id']}/terminate")).status_code == 202
        assert (await of.http.post(f"{CALLS}/{made['call_id']}/terminate")).status_code == 404
        await of.up.board.all_over()
        assert (await of.state(made["call_id"]))["call"]["reason"] == "canceled"
        assert of.exchange.commands == [f"dial {BILLING}", "end CA_leg_1"]
        assert of.up.board.admission.live == 0


async def test_a_call_that_is_answered_is_ended_by_the_api_with_one_hang_up(serve: Serve) -> None:
    async with office(serve) as of:
        made = (await of.call()).json()
        await until(lambda: bool(of.up.board.live.all()))
        assert (await of.http.post(f"{CALLS}/{made['call_id']}/terminate")).status_code == 202
        told = await of.told(made["call_id"])
        assert told[-1][1]["reason"] == "agent_hangup"
        await of.up.board.all_over()
        assert of.exchange.commands == [f"dial {BILLING}", "end CA_leg_1"]


async def test_who_answers_finds_room_on_a_server_that_is_full(serve: Serve) -> None:
    """The slot is held from the command on, and nobody else gets it."""
    async with office(serve, exchange=Exchange(ring_s=0.5, answers=hangs_up), max_calls=1) as of:
        made = (await of.call()).json()
        second = await of.call()
        assert (second.status_code, second.headers["retry-after"]) == (503, "1")
        assert "full" in second.json()["detail"]
        with pytest.raises(Exception, match="503"):
            async with phone(of.up):
                pass
        told = await of.told(made["call_id"])
        assert told[-1][1]["type"] == "session.ended"
        await of.up.board.all_over()
        assert (await of.call()).status_code == 202


async def test_a_stream_with_another_token_or_a_used_one_is_refused(serve: Serve) -> None:
    async with office(serve) as of:
        await of.call()
        await until(lambda: bool(of.up.board.live.all()))
        (leg,) = of.exchange.legs.values()
        for url in (leg.stream, leg.stream[:-1]):
            path = url.removeprefix(f"ws://127.0.0.1:{of.up.port}")
            with pytest.raises(Exception, match="401"):
                async with phone(of.up, path):
                    pass
        assert of.up.board.admission.live == 1


async def test_a_server_that_drains_rings_nowhere(serve: Serve) -> None:
    async with office(serve, exchange=Exchange(ring_s=30)) as of:
        made = (await of.call()).json()
        of.up.board.drain()
        await of.up.board.all_over()
        assert (await of.state(made["call_id"]))["call"]["reason"] == "draining"
        assert of.exchange.commands == [f"dial {BILLING}", "end CA_leg_1"]
        assert (await of.call()).status_code == 503


async def test_what_the_carrier_refuses_is_told(serve: Serve) -> None:
    async with office(serve, twilio_auth_token="another token") as of:
        answer = await of.call()
        assert (answer.status_code, answer.json()["detail"]) == (
            502,
            "Twilio refused the credentials (401); check the account's id and key.",
        )
        assert of.up.board.admission.live == 0


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"target_number": "030 123456"}, 422, "target_number"),
        ({"target_number": "+0301234"}, 422, "target_number"),
        ({"target_number": "+12345678901234567"}, 422, "target_number"),
        ({"target_number": "+1\u0663\u0664"}, 422, "target_number"),
        ({"target_number": "+493023125012\n"}, 422, "target_number"),
        ({"caller_id": "anonymous"}, 422, "caller_id"),
        ({"agent": "nobody"}, 422, "no agent"),
        ({"scenario": "none"}, 422, "no scenario"),
        ({"carrier": "acs"}, 422, "your own application"),
        ({"carrier": "audiohook"}, 422, "Genesys"),
        ({"carrier": "pigeon"}, 422, "no carrier pigeon"),
        ({"carrier": "plivo"}, 409, "ANTIPHON_PLIVO_AUTH_ID, ANTIPHON_PLIVO_AUTH_TOKEN."),
        ({"context": {"text": "x" * 16_400}}, 422, "16384 bytes"),
        ({"context": {"greeting": 5}}, 422, "greeting"),
        ({"context": []}, 422, "context"),
        ({"voicemail_detect": "maybe"}, 422, "voicemail_detect"),
        ({"to": BILLING}, 422, "to"),
    ],
)
async def test_what_cannot_be_called_is_refused_with_the_reason(
    serve: Serve, wanted: dict[str, Any], status: int, words: str
) -> None:
    async with office(serve) as of:
        answer = await of.call(**wanted)
        assert answer.status_code == status
        assert words in str(answer.json()["detail"])
        assert of.exchange.commands == []
        assert of.up.board.admission.live == 0
        assert (await of.http.post(CALLS, json={}, headers={"Authorization": ""})).status_code == 401


async def test_a_number_to_call_from_is_needed(serve: Serve) -> None:
    async with office(serve, caller_id=None) as of:
        assert "ANTIPHON_CALLER_ID" in (await of.call()).json()["detail"]
        assert (await of.call(caller_id=OURS)).json()["caller_id"] == OURS


async def test_record_call_wins_over_the_servers_way(serve: Serve, tmp_path: Path) -> None:
    for record, kept in ((True, True), (False, False)):
        async with office(
            serve, exchange=Exchange(ring_s=0.1, answers=hangs_up), keep_files=True, record=not kept
        ) as of:
            made = (await of.call(record_call=record)).json()
            await until(lambda of=of: bool(of.up.board.live.all()))  # type: ignore[misc]
            assert (await of.state(made["call_id"]))["call"]["has_recording"] is kept
            await of.told(made["call_id"])
            await of.up.board.all_over()
            found = await of.http.get(f"{CALLS}/{made['call_id']}/recording")
            assert found.status_code == (200 if kept else 404)


async def test_what_the_carrier_tells_too_late_is_taken_when_it_has_signed_it(serve: Serve) -> None:
    """Of a long call the last news come when nobody waits for them any more: no fault of the carrier's."""
    async with office(serve) as of:
        url = f"{of.up.board.settings.public_url}/telephony/twilio/callback/{'0' * 64}"
        form = {"CallSid": "CA1", "CallStatus": "completed"}
        for signature, status in ((twilio_signature(of.exchange.token, url, form), 204), ("bm8=", 404)):
            answer = await of.http.post(url, data=form, headers={"X-Twilio-Signature": signature})
            assert answer.status_code == status
