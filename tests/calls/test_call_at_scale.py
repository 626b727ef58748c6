"""Long calls, the same call twice, and many calls at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from invariants import check, check_nothing_left
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.calls.events import AgentSpeechInterrupted, ToolExecuted, UserBackchannel, UserTurnCompleted
from antiphon.calls.pacer import Pacer
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.tool import FunctionTool

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend."


def ten_minutes() -> CallUnderTest:
    """Twenty rounds of a question, an "uh-huh", an interruption, a tool and a pause; half a minute each."""
    clock = VirtualClock()

    async def look_up() -> str:
        """Look up."""
        await clock.sleep(0.7)
        return "free"

    def reply(messages: Any, _options: Any) -> Reply | str:
        last = messages[-1]
        if last.role == "tool":
            return "Monday is free."
        return Reply(calls=(tool_call("look_up"),)) if "Monday" in last.text else Reply(LONG, first_token_s=0.3)

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Hello.", tools=[FunctionTool(look_up)])
        stt = ScriptedSTT(
            ["When do you open?", "Uh-huh.", "Stop, wait.", "Is Monday free?"],
            words_per_partial=1,
            delay_s=0.1,
            clock=clock,
        )
        tts = ScriptedTTS(first_chunk_delay_s=0.05, word_timings=True, clock=clock)
        llm = ScriptedChatClient(reply, clock=clock)
        async with calling(clock, agent=agent, stt=stt, llm=llm, tts=tts) as call:
            for _ in range(20):
                await call.quiet(3)
                await call.speak(1.2)
                await call.quiet(2)
                await call.speak(0.3)
                await call.quiet(1.5)
                await call.speak(0.9)
                await call.quiet(8.1)
                await call.speak(1)
                await call.quiet(12)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    return call


def test_a_call_of_ten_minutes_is_the_same_each_time() -> None:
    first, second = ten_minutes(), ten_minutes()
    assert first.ended is not None
    assert first.ended.duration_s >= 600
    assert len(first.events(UserTurnCompleted)) == 60
    assert len(first.events(AgentSpeechInterrupted)) == 20
    assert len(first.events(ToolExecuted)) == 20
    assert len([event for event in first.events(UserBackchannel) if not event.is_interruption]) == 20
    assert first.entries == second.entries
    assert first.phone.frames == second.phone.frames


def test_a_hundred_calls_at_once_are_all_right() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock)

    async def one(call: CallUnderTest, number: int) -> None:
        await clock.sleep(number * 0.0137)
        await call.quiet(0.5)
        await call.speak(1)
        await call.quiet(3)
        await call.speak(1)
        await call.quiet(7)

    async def scenario() -> list[CallUnderTest]:
        shared = ScriptedTTS(clock=clock, first_chunk_delay_s=0.02)
        llm = ScriptedChatClient(lambda messages, _: f"{messages[-1].text} {LONG}", clock=clock)
        async with AsyncExitStack() as stack:
            calls = [
                await stack.enter_async_context(
                    calling(
                        clock,
                        stt=[f"I am number {number}.", f"Stop, {number} again."],
                        llm=llm,
                        tts=shared,
                        pacer=pacer,
                        name=f"call-{number}",
                    )
                )
                for number in range(100)
            ]
            await asyncio.gather(*(one(call, number) for number, call in enumerate(calls)))
        check_nothing_left()
        return calls

    for number, call in enumerate(clock.run(scenario())):
        check(call)
        user, cut, again, answer = (message.text for message in call.call.history.messages)
        assert user == f"I am number {number}."
        assert f"{user} {LONG}".startswith(cut)
        assert len(cut) > len(user)
        assert answer == f"{again} {LONG}" == f"Stop, {number} again. {LONG}"
