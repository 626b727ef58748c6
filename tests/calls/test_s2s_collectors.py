"""A collector in a call that one model holds."""

from __future__ import annotations

import json

from invariants import check
from phone import CallUnderTest
from s2s_phone import calling, session_of

from antiphon.agents.agent import Agent
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentToolCompleted,
    AgentToolFailed,
    AgentToolStarted,
    ToolExecuted,
    TurnCompleted,
    UserTurnCompleted,
)
from antiphon.clock import VirtualClock
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.tools.collect import collect_credit_card, collect_digits, collect_email


def use(name: str, **arguments: str) -> Calls:
    return Calls(name, json.dumps(arguments))


async def say(call: CallUnderTest, *, wait_s: float = 6.0) -> None:
    await call.speak(0.8)
    await call.quiet(wait_s)


def said(call: CallUnderTest) -> list[str]:
    return [event.transcript for event in call.events(AgentSpeechCompleted)]


def told(call: CallUnderTest) -> str:
    return "\n".join(str(entry.to_dict()) for entry in call.entries)


def test_the_model_asks_reads_back_and_is_then_the_agent_again() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(
        [
            use("collect_email"),
            "Your e-mail address?",
            use("record", email_address="ann at example dot com"),
            "Ann at example dot com?",
            use("confirm"),
            "It is on its way.",
            "Goodbye.",
        ],
        heard=["Send me the form.", "Ann at example dot com.", "Yes.", "Thanks."],
        clock=clock,
    )
    agent = Agent("desk", "You are the desk.", tools=[collect_email()])

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=agent) as call:
            await say(call)
            session = session_of(model)
            assert "You take down the caller's e-mail address" in session.brief.instructions
            assert [tool.name for tool in session.brief.tools] == ["record", "decline", "confirm"]
            for _ in range(3):
                await say(call)
            assert session.brief.instructions == "You are the desk."
            assert [tool.name for tool in session.brief.tools] == ["collect_email"]
        return call

    call = clock.run(scenario())
    check(call)
    assert said(call) == ["Your e-mail address?", "Ann at example dot com?", "It is on its way.", "Goodbye."]
    [started] = call.events(AgentToolStarted)
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"email_address": "ann@example.com"}
    assert completed.agent_tool_id == started.agent_tool_id
    assert not call.events(AgentToolFailed)
    results = list(session_of(model).results.values())
    assert "you are the one who asks" in results[0]
    assert results[1] == "Recorded. Read it back: ann at example dot com."
    assert 'You are again who you were before, and get the result of collect_email: {"email_address"' in results[2]
    executed = {event.name: event.output for event in call.events(ToolExecuted)}
    assert executed["collect_email"] == '{"email_address":"ann@example.com"}'
    assert [turn.agent_tool_id is not None for turn in call.events(TurnCompleted)] == [True, True, True, False]
    assert call.call.agent is agent


def test_keys_go_to_the_collector_and_a_value_without_confirmation_is_enough() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(
        [use("collect_digits"), "Your number?", use("record", digits="[keypad: 4711]"), "Found."], clock=clock
    )
    tool = collect_digits(require_confirmation=False, on_enter_message="Type your number, please.")

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[tool])) as call:
            await say(call)
            for key in "4711#":
                call.call.digit(key)
                await call.quiet(0.2)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    session = session_of(model)
    assert session.written == ["[keypad: 4711]"]
    assert next(iter(session.results.values())).endswith("nothing else: Type your number, please.")
    assert said(call)[-1] == "Found."
    assert call.call.session.private["collect_digits"] == {"digits": "4711"}
    assert "4711" not in told(call)


def test_what_is_said_in_confidence_is_in_no_log_and_a_refusal_goes_back_to_the_agent() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(
        [
            use("collect_credit_card"),
            "The number?",
            use("record", card_number="4111111111111111"),
            "Until when?",
            use("decline", reason="changed my mind"),
            "As you like.",
            "Bye.",
        ],
        heard=["I pay.", "four one one one and so on", "No, I changed my mind.", "Bye then."],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[collect_credit_card()])) as call:
            for _ in range(4):
                await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"declined": True, "decline_reason": "changed my mind"}
    texts = [event.text for event in call.events(UserTurnCompleted)]
    assert texts == ["I pay.", "•••", "•••", "Bye then."]
    assert "four one" not in told(call)
    assert "4111111111111111" not in told(call)


def test_after_its_time_the_model_is_the_agent_again_and_speaks() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([use("collect_email"), "Your e-mail address?", "Let us go on."], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", "Desk.", tools=[collect_email(timeout_s=10)])) as call:
            await say(call, wait_s=16)
            assert session_of(model).brief.instructions == "Desk."
        return call

    call = clock.run(scenario())
    check(call)
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"timed_out": True}
    assert said(call)[-1] == "Let us go on."
    assert session_of(model).written == ['[Result of collect_email: {"timed_out":true}] Go on.']


def test_a_call_that_ends_meanwhile_tells_that_it_failed() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([use("collect_email"), "Your e-mail address?"], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[collect_email()])) as call:
            await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    assert [event.error for event in call.events(AgentToolFailed)] == ["The call ended."]


def test_the_model_cannot_confirm_before_the_caller_has_spoken() -> None:
    clock = VirtualClock()
    model = ScriptedS2S(
        [
            use("collect_email"),
            "Your e-mail address?",
            use("record", email_address="ann@example.com"),
            use("confirm"),
            "Ann at example dot com?",
            use("confirm"),
            "Thanks.",
        ],
        heard=["Hello.", "Ann at example dot com.", "Yes."],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, agent=Agent("desk", tools=[collect_email()])) as call:
            for _ in range(3):
                await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    confirmed = [event.is_error for event in call.events(ToolExecuted) if event.name == "confirm"]
    assert confirmed == [True, False]
    assert said(call)[-1] == "Thanks."
