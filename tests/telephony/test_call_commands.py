"""``/v1/calls``: transfer and end a call that goes on."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from antiphon.transports.carriers.loopback import Exchange, serving
from tests.server.harness import HEADERS, Serve
from tests.telephony.lines import BILLING, OURS, desk, on_the_line

pytestmark = pytest.mark.timeout(60)

CALLS = "/v1/calls"


def api(port: int, **options: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, **options)  # type: ignore[arg-type]


async def test_a_call_is_transferred_by_the_api(serve: Serve) -> None:
    exchange = Exchange(ring_s=0.2, listen_s=0.2)
    agent, models = desk()
    exchange.live = {"CA1"}
    async with serving(exchange.app()) as url:
        account = {"twilio_account_sid": exchange.account, "twilio_auth_token": exchange.token}
        async with (
            serve(agents=[agent], models=models, **account, carrier_urls={"twilio": url}) as up,
            on_the_line(up, "twilio", to=OURS) as caller,
            api(up.port) as http,
        ):
            loop = asyncio.get_running_loop()
            exchange.on_moved = lambda *_: loop.create_task(caller.leave())  # type: ignore[assignment, return-value]
            [current] = (await http.get(CALLS)).json()["calls"]
            wish = {"destination": "+49 30 23125012", "type": "warm", "context_summary": "Ms Doe."}
            answer = await http.post(f"{CALLS}/{current['id']}/transfer", json=wish)
            assert (answer.status_code, answer.json()["status"]) == (202, "transferring")
            again = await http.post(f"{CALLS}/{current['id']}/transfer", json=wish)
            assert (again.status_code, again.json()["detail"]) == (
                409,
                "A transfer of this call is under way already.",
            )
            ended = await caller.until("session.ended")
            assert (await http.post(f"{CALLS}/{current['id']}/transfer", json=wish)).status_code == 404
    assert ended["reason"] == "transferred"
    assert exchange.commands == [f"dial {BILLING}", "move CA1"]


async def test_what_cannot_be_is_refused_with_the_reason(serve: Serve) -> None:
    agent, models = desk()
    async with serve(agents=[agent], models=models) as up, on_the_line(up, "twilio"), api(up.port) as http:
        [current] = (await http.get(CALLS)).json()["calls"]
        path = f"{CALLS}/{current['id']}/transfer"
        for body, status in (
            ({}, 422),
            ({"destination": "911"}, 422),
            ({"destination": BILLING, "type": "hot"}, 422),
            ({"destination": BILLING, "to": "x"}, 422),
            ({"destination": BILLING}, 409),
        ):
            assert (await http.post(path, json=body)).status_code == status
        assert (await http.post(f"{CALLS}/unknown/transfer", json={"destination": BILLING})).status_code == 404
        assert (await http.post(path, json={}, headers={"Authorization": ""})).status_code == 401
        assert (await http.post(f"{CALLS}/unknown/terminate")).status_code == 404
        providers = {each["carrier"]: each for each in (await http.get(f"{CALLS}/providers")).json()["providers"]}
        assert providers["audiohook"]["configured"] is True
        assert providers["twilio"] == {
            "carrier": "twilio",
            "configured": False,
            "missing": ["ANTIPHON_TWILIO_ACCOUNT_SID", "ANTIPHON_TWILIO_AUTH_TOKEN"],
        }


async def test_a_call_is_ended_by_the_api(serve: Serve) -> None:
    agent, models = desk()
    async with serve(agents=[agent], models=models) as up, on_the_line(up, "twilio") as caller, api(up.port) as http:
        [current] = (await http.get(CALLS)).json()["calls"]
        assert (await http.post(f"{CALLS}/{current['id']}/terminate")).status_code == 202
        ended = await caller.until("session.ended")
        assert ended["reason"] == "agent_hangup"
