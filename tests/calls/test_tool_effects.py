"""Results of tools that ask for a transfer or for the end of the call."""

from __future__ import annotations

from typing import Any

import pytest
from invariants import check
from phone import CallUnderTest, calling
from s2s_phone import calling as calling_one_model

from antiphon.agents.agent import Agent
from antiphon.calls.events import CallTransferring, SessionEnded, TurnCompleted
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.tools.tool import FunctionTool
from tests.calls.test_transferring import BILLING, Exchange

GIVEN = {"perform_transfer": True, "transfer_destination": BILLING, "transfer_reason": "a bill"}


def tool_that_gives(result: dict[str, Any], **options: Any) -> FunctionTool:
    async def look_up() -> dict[str, Any]:
        """Look something up."""
        return result

    return FunctionTool(look_up, **options)


def talk(
    result: dict[str, Any], *, is_cascade: bool = True, exchange: Exchange | None = None, **options: Any
) -> CallUnderTest:
    clock = exchange.clock if exchange is not None else VirtualClock()
    agent = Agent("desk", "Answer.", tools=[tool_that_gives(result, **options)])
    parts: dict[str, Any] = {"agent": agent, "control": exchange}

    async def scenario() -> CallUnderTest:
        script = [Reply(calls=(asks("look_up"),)), "I connect you.", "Well."]
        one = ScriptedS2S([Calls("look_up"), "I connect you.", "Well."], clock=clock)
        stt = {"stt": ["A bill."], "llm": ScriptedChatClient(script, clock=clock)}
        async with calling(clock, **stt, **parts) if is_cascade else calling_one_model(clock, one, **parts) as call:
            await call.speak(1.0)
            await call.quiet(12)
        return call

    call = clock.run(scenario())
    check(call)
    return call


@pytest.mark.parametrize("is_cascade", [True, False])
def test_a_function_may_have_the_caller_transferred(is_cascade: bool) -> None:
    exchange = Exchange(VirtualClock())
    call = talk(GIVEN, is_cascade=is_cascade, exchange=exchange)
    assert call.events(CallTransferring) == [CallTransferring(BILLING, "", "blind", "a bill")]
    assert call.events(SessionEnded)[0].reason == "transferred"
    assert [turn.agent_text for turn in call.events(TurnCompleted)] == ["I connect you."]


def test_a_transfer_that_cannot_be_is_told_as_the_tools_error() -> None:
    call = talk(GIVEN)
    results = [message.result for message in call.call.history.messages if message.result is not None]
    assert [(result.status, result.text) for result in results] == [
        ("error", "This call cannot be transferred: no account of its carrier is set up here.")
    ]
    assert call.events(SessionEnded)[0].reason == "user_hangup"


def test_a_number_that_cannot_be_dialled_is_told_so() -> None:
    call = talk({**GIVEN, "transfer_destination": "12"}, exchange=Exchange(VirtualClock()))
    [result] = [message.result for message in call.call.history.messages if message.result is not None]
    assert "'12' cannot be dialled" in result.text
    assert not call.events(CallTransferring)


@pytest.mark.parametrize("kind", ["http", "mcp"])
def test_what_comes_from_a_network_transfers_nobody(kind: str) -> None:
    call = talk(GIVEN, exchange=Exchange(VirtualClock()), kind=kind)
    assert not call.events(CallTransferring)
    assert call.events(SessionEnded)[0].reason == "user_hangup"


def test_a_function_may_end_the_call_behind_the_agents_words() -> None:
    call = talk({"end_call": True, "message": "done"})
    assert call.events(SessionEnded)[0].reason == "agent_hangup"
    assert [turn.agent_text for turn in call.events(TurnCompleted)] == ["I connect you."]


async def test_in_text_nothing_is_transferred() -> None:
    llm = ScriptedChatClient([Reply(calls=(asks("look_up"),)), "That is not possible."])
    response = await Agent("desk", "Answer.", model=llm, tools=[tool_that_gives(GIVEN)]).run("A bill.")
    assert "it cannot be transferred" in str([message.result for message in response.messages])
