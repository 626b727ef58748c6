"""Transfers of calls over Twilio's socket, by its REST API on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.server.run import Running
from antiphon.transports.carriers.loopback import Exchange, serving
from tests.server.harness import Serve, until
from tests.telephony.lines import BILLING, OURS, Caller, desk, on_the_line

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def twilio(
    serve: Serve, exchange: Exchange, *, moves: bool = True, **more: Any
) -> AsyncIterator[tuple[Running, Caller]]:
    """A server with an account, and a call whose stream ends when the exchange moves the call."""
    exchange.ring_s, exchange.listen_s = 0.2, 0.2
    agent, models = desk(**{name: more.pop(name) for name in ("kind", "ends") if name in more})
    async with serving(exchange.app()) as url:
        account = {"twilio_account_sid": exchange.account, "twilio_auth_token": exchange.token}
        settings = {**account, "carrier_urls": {"twilio": url}, **more}
        async with serve(agents=[agent], models=models, **settings) as up:
            exchange.live = {"CA1"}
            async with on_the_line(up, "twilio", **{"from": "+15550100", "to": OURS}) as caller:
                loop = asyncio.get_running_loop()
                exchange.on_moved = lambda *_: loop.create_task(caller.leave())
                yield up, caller
            await up.board.all_over()
    exchange.close()


async def test_a_blind_transfer_is_dialled_by_the_carrier_behind_the_last_words(serve: Serve) -> None:
    exchange = Exchange()
    moved: list[tuple[str, str, str]] = []
    async with twilio(serve, exchange) as (_, caller):
        leave = exchange.on_moved
        exchange.on_moved = lambda *told: (moved.append(told), leave(*told))[1]
        await caller.speak()
        ended = await caller.until("session.ended")
    assert moved == [("CA1", BILLING, "")]
    assert ended["reason"] == "transferred"
    assert exchange.commands == ["move CA1"]
    names = [
        entry.event.type
        for entry in caller.told
        if entry.event.type.startswith(("call.", "agent.speech_c", "session."))
    ]
    spoken, transferring = names.index("agent.speech_completed"), names.index("call.transferring")
    assert spoken < transferring < names.index("call.transferred") < names.index("session.ended")
    assert caller.events("call.transferred")[0]["destination"] == BILLING
    assert not caller.events("session.error")


async def test_r10_a_warm_transfer_bridges_three_parties(serve: Serve) -> None:
    exchange = Exchange()
    async with twilio(serve, exchange, kind="warm") as (_, caller):
        await caller.speak()
        ended = await caller.until("session.ended")
    assert ended["reason"] == "transferred"
    [(leg_id, leg)] = exchange.legs.items()
    assert (leg.to, leg.says) == (BILLING, "Ms Doe has a bill.")
    assert exchange.rooms == {leg.room: [leg_id, "CA1"]}
    assert exchange.commands == [f"dial {BILLING}", "move CA1"]


@pytest.mark.parametrize(("outcome", "code"), [("busy", "busy"), ("no-answer", "no_answer"), ("completed", "rejected")])
async def test_a_party_that_is_not_reached_leaves_the_caller_with_the_agent(
    serve: Serve, outcome: Any, code: str
) -> None:
    exchange = Exchange(outcome=outcome)
    async with twilio(serve, exchange, kind="warm") as (_, caller):
        await caller.speak()
        failed = await caller.until("call.transfer_failed")
        await until(lambda: any("I was told" in event["agent_text"] for event in caller.events("turn.completed")))
        assert not caller.closed.is_set()
    assert failed["code"] == code
    assert [error["code"] for error in caller.events("session.error")] == ["transfer_failed"]
    assert "The transfer to billing failed" in caller.events("turn.completed")[-1]["agent_text"]
    assert "move CA1" not in exchange.commands


async def test_a_caller_who_hangs_up_meanwhile_ends_the_call_to_the_other_party(serve: Serve) -> None:
    exchange = Exchange()
    async with twilio(serve, exchange, kind="warm") as (up, caller):
        exchange.ring_s = 30
        await caller.speak()
        await until(lambda: bool(exchange.legs))
        await caller.leave()
        ended = await caller.until("session.ended")
        await up.board.all_over()
    assert ended["reason"] == "user_hangup"
    assert exchange.commands == [f"dial {BILLING}", "end CA_leg_1"]


async def test_the_carrier_sees_one_hang_up_when_the_agent_ends_the_call(serve: Serve) -> None:
    exchange = Exchange()
    async with twilio(serve, exchange, ends=True) as (up, caller):
        await caller.speak()
        await caller.until("session.ended")
        await up.board.all_over()
    assert exchange.commands == ["end CA1"]


async def test_a_call_that_the_carrier_does_not_know_any_more_counts_as_hung_up(serve: Serve) -> None:
    exchange = Exchange()
    async with twilio(serve, exchange, ends=True) as (up, caller):
        exchange.live = set()
        await caller.speak()
        await caller.until("session.ended")
        await up.board.all_over()
    assert exchange.commands == []


async def test_wrong_credentials_cost_the_transfer_and_not_the_call(serve: Serve) -> None:
    exchange = Exchange()
    async with twilio(serve, exchange, twilio_auth_token="wrong") as (_, caller):
        await caller.speak()
        await caller.until("call.transfer_failed")
        await until(lambda: any("I was told" in event["agent_text"] for event in caller.events("turn.completed")))
    [error] = caller.events("session.error")
    assert error["message"] == "Twilio refused the credentials (401); check the account's id and key."
    assert "Twilio" not in caller.events("turn.completed")[-1]["agent_text"]


async def test_without_an_account_the_agent_is_told_in_one_sentence(serve: Serve) -> None:
    agent, models = desk()
    async with serve(agents=[agent], models=models) as up, on_the_line(up, "twilio") as caller:
        await caller.speak()
        await until(lambda: bool(caller.events("turn.completed")))
        [turn] = caller.events("turn.completed")
        assert turn["agent_text"] == (
            "I was told: This call cannot be transferred: no account of its carrier is set up here."
        )
        await caller.leave()
