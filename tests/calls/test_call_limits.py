"""Ends that nobody asked for in words: silence, the longest call, an emptied server; and what others have said."""

from __future__ import annotations

from typing import Any

import pytest
from invariants import check, check_nothing_left
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.calls.events import (
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    AgentSpeechStarted,
    EndReason,
    UserIdle,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.context import ToolContext
from antiphon.tools.prebuilt import HANG_UP

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend."
POLICY = CallPolicy(turn=TurnPolicy(idle_s=5))


def kinds(call: CallUnderTest) -> list[str]:
    """The kinds of the speeches that sounded, in order."""
    kind = {event.speech: event.kind for event in call.events(AgentSpeechCreated)}
    return [kind[event.speech] for event in call.events(AgentSpeechStarted)]


def test_a_caller_who_says_nothing_is_reminded_and_then_let_go() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Hello.")
        async with calling(clock, agent=agent, policy=POLICY, hang_up=False) as call:
            await call.quiet(40)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call) == ["greeting", "reminder", "reminder", "goodbye"]
    assert [event.retry_count for event in call.events(UserIdle)] == [1, 2, 2]
    assert call.events(UserIdle)[-1].reason == "max_retries_exhausted"
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"
    assert call.call.history.messages[-1].text == POLICY.idle_goodbye


def test_a_word_or_a_key_is_a_sign_of_life() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(lambda messages, _: "We open at nine.", clock=clock)
        async with calling(clock, stt=["When?"], llm=llm, policy=POLICY) as call:
            for _ in range(4):
                await call.quiet(7)
                call.call.digit("1")
                await call.quiet(7)
                await call.speak(1)
                await call.quiet(2)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"
    assert set(kinds(call)) == {"reminder", "reply"}


def test_no_reminder_is_given_where_none_is_wanted() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, policy=CallPolicy(turn=TurnPolicy(idle_s=0))) as call:
            await call.quiet(60)
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call) == []


@pytest.mark.parametrize("doing", ["nothing", "listening", "thinking", "speaking"])
@pytest.mark.parametrize("reason", ["time_limit", "drained"])
def test_a_call_that_must_end_says_goodbye_first(reason: EndReason, doing: str) -> None:
    clock = VirtualClock()
    end_at = {"nothing": 1.0, "listening": 2.5, "thinking": 3.6, "speaking": 5.0}[doing]
    policy = CallPolicy(max_call_s=end_at if reason == "time_limit" else 3600)

    async def scenario() -> CallUnderTest:
        if reason == "drained":
            clock.call_at(end_at, lambda: call.call.end("drained"))
        llm = ScriptedChatClient(lambda messages, _: Reply(LONG, first_token_s=1), clock=clock)
        async with calling(clock, stt=["When?"], llm=llm, policy=policy, hang_up=False) as call:
            await call.quiet(2)
            await call.speak(1)
            await call.quiet(20)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == reason
    assert kinds(call)[-1] == "goodbye"
    last = call.call.history.messages[-1]
    assert (last.text, last.interrupted) == (policy.limit_goodbye, False)
    if doing in {"thinking", "speaking"}:
        assert call.call.history.messages[-2].text == LONG  # what was under way is said first


def test_a_second_reason_to_end_adds_no_second_goodbye() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(lambda messages, _: LONG, clock=clock)
        async with calling(clock, stt=["When?"], llm=llm, hang_up=False) as call:
            await call.speak(1)
            await call.quiet(2)
            call.call.end("drained")
            await call.quiet(0.5)
            call.call.end("time_limit")
            await call.quiet(20)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "drained"
    assert kinds(call) == ["reply", "goodbye"]


@pytest.mark.parametrize("fault", ["fail", "stall", "empty"])
def test_a_goodbye_that_cannot_be_said_does_not_keep_the_call(fault: Any) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        tts = ScriptedTTS(faults=dict.fromkeys(range(9), fault), clock=clock)
        async with calling(clock, tts=tts, hang_up=False) as call:
            await call.quiet(1)
            call.call.end("drained")
            await call.quiet(10)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "drained"
    assert call.ended.duration_s < 5


def test_a_call_that_was_to_end_ends_although_the_model_hangs() -> None:
    clock = VirtualClock()

    async def leave(context: ToolContext) -> str:
        """End the call."""
        context.request(HANG_UP, {})
        return "Say goodbye now."

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[leave])
        replies = iter([Reply(calls=(tool_call("leave"),)), Reply(fault="stall")])
        llm = ScriptedChatClient(lambda messages, _: next(replies), clock=clock)
        async with calling(clock, agent=agent, stt=["Bye."], llm=llm, hang_up=False) as call:
            await call.speak(1)
            await call.quiet(30)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "agent_hangup"
    assert call.ended.duration_s < 15


def test_what_the_application_says_is_said_and_remembered() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(lambda messages, _: "You are welcome.", clock=clock)
        async with calling(clock, stt=["Thanks."], llm=llm) as call:
            await call.quiet(1)
            call.call.say("The doctor is ten minutes late. Please bear with us.")
            await call.quiet(6)
            await call.speak(1)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call) == ["say", "reply"]
    assert call.call.history.messages[0].text == "The doctor is ten minutes late. Please bear with us."
    assert [m.role for m in call.models.llm.requests[-1].messages] == ["system", "assistant", "user"]


def test_what_the_application_says_can_be_interrupted() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(lambda messages, _: "All right.", clock=clock)
        async with calling(clock, stt=["Stop it."], llm=llm) as call:
            call.call.say(LONG)
            await call.quiet(2)
            await call.speak(1)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    cut = call.events(AgentSpeechInterrupted)[0]
    assert LONG.startswith(cut.heard)
    assert call.call.history.messages[0].text == cut.heard
    assert call.call.history.messages[-1].text == "All right."


def test_a_turn_that_does_not_end_is_answered_at_its_limit() -> None:
    clock = VirtualClock()
    policy = CallPolicy(turn=TurnPolicy(max_turn_s=6))

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(lambda messages, _: "I see, thank you.", clock=clock)
        async with calling(clock, stt=["Well, you see"], llm=llm, policy=policy) as call:
            await call.speak(20)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(UserTurnCompleted)[0].trigger == "max_duration"
    assert call.at(UserTurnCompleted) == pytest.approx(6, abs=0.2)
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"
