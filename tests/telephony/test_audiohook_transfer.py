"""Transfers of calls over Genesys AudioHook: the wish goes to the flow with our last message."""

from __future__ import annotations

import pytest

from antiphon.wire.caller import Ending
from tests.server.harness import Serve, until
from tests.telephony.lines import BILLING, desk, on_the_line

pytestmark = pytest.mark.timeout(60)


async def test_the_flow_reads_to_whom_in_the_output_variables(serve: Serve) -> None:
    agent, models = desk()
    async with serve(agents=[agent], models=models) as up, on_the_line(up, "audiohook") as caller:
        await caller.speak()
        ended = await caller.until("session.ended")
        await caller.closed.wait()
    assert ended["reason"] == "transferred"
    [ending] = [event for event in caller.received if isinstance(event, Ending)]
    assert ending.reason == "completed"
    assert ending.variables == {
        "transfer_destination": BILLING,
        "transfer_name": "billing",
        "transfer_reason": "a bill",
        "transfer_summary": "Ms Doe has a bill.",
    }


async def test_r10_a_warm_transfer_is_refused_with_the_reason(serve: Serve) -> None:
    agent, models = desk(kind="warm")
    async with serve(agents=[agent], models=models) as up, on_the_line(up, "audiohook") as caller:
        await caller.speak()
        await until(lambda: bool(caller.events("turn.completed")))
        assert caller.events("turn.completed")[0]["agent_text"] == (
            "I was told: On this line the transfer is made when the agent has left: ask for a blind transfer."
        )
        await caller.leave()
        await caller.closed.wait()
