"""The caller is never left in silence: a filler, then an apology, then the end; a chime where no voice is left."""

from __future__ import annotations

from typing import Any

import pytest
from invariants import agent_turns, check, check_nothing_left
from phone import CallUnderTest, calling
from providers import CodedTTS, WrongTTS

from antiphon.agents.agent import Agent
from antiphon.calls.events import AgentSpeechCreated, AgentSpeechStarted, SessionError
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.tool import FunctionTool


def kinds(call: CallUnderTest) -> list[str]:
    """The kinds of the speeches that sounded, in order."""
    kind = {event.speech: event.kind for event in call.events(AgentSpeechCreated)}
    return [kind[event.speech] for event in call.events(AgentSpeechStarted)]


async def three_turns(call: CallUnderTest) -> None:
    """Three questions, each with much time for an answer."""
    for _ in range(3):
        await call.speak(1)
        await call.quiet(14)


def stalled_llm(clock: VirtualClock) -> ScriptedChatClient:
    return ScriptedChatClient(lambda messages, _: Reply("Well", fault="stall"), clock=clock)


@pytest.mark.parametrize("max_dead_air_s", [4.0, 2.0])
def test_a_model_that_stalls_costs_fillers_apologies_and_in_the_end_the_call(max_dead_air_s: float) -> None:
    clock = VirtualClock()
    policy = CallPolicy(turn=TurnPolicy(max_dead_air_s=max_dead_air_s))

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=stalled_llm(clock), policy=policy) as call:
            await three_turns(call)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call, max_dead_air_s=max_dead_air_s)
    assert kinds(call) == ["filler", "apology", "filler", "apology", "filler", "goodbye"]
    assert call.ended is not None
    assert call.ended.reason == "error"
    assert call.models.llm.opened == call.models.llm.closed


def test_a_model_that_comes_back_is_forgiven() -> None:
    clock = VirtualClock()
    replies = iter([Reply(fault="stall"), Reply("We open at nine."), Reply(fault="stall"), Reply("At nine.")])
    llm = ScriptedChatClient(lambda messages, _: next(replies), clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=llm) as call:
            for _ in range(4):
                await call.speak(1)
                await call.quiet(14)
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call) == ["filler", "apology", "reply", "filler", "apology", "reply"]


def test_a_slow_tool_is_bridged_and_its_result_is_said() -> None:
    clock = VirtualClock()

    async def look_up() -> str:
        """Look up."""
        await clock.sleep(6.5)
        return "free"

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(look_up)])
        llm = [Reply(calls=(tool_call("look_up"),)), "Monday is free."]
        async with calling(clock, agent=agent, stt=["When?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(14)
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call)[-1] == "reply"
    assert set(kinds(call)[:-1]) == {"filler"}
    assert call.call.history.messages[-1].text == "Monday is free."


def test_a_tool_that_hangs_costs_its_turn() -> None:
    clock = VirtualClock()

    async def hang() -> str:
        """Hang."""
        await clock.sleep(3600)
        return "never"

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(hang, timeout_s=60)])
        llm = [Reply(calls=(tool_call("hang"),)), "Yes."]
        async with calling(clock, agent=agent, stt=["When?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(20)
            await call.speak(1)
            await call.quiet(3)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call)[-2:] == ["apology", "reply"]
    assert "interrupted" in next(m.text for m in call.call.history.messages if m.role == "tool")


VOICES: dict[str, Any] = {
    "fails": lambda clock: WrongTTS(IntegrationUnavailableException("No voice today.")),
    "raises what it must not": lambda clock: WrongTTS(ZeroDivisionError("oops")),
    "is empty": lambda clock: ScriptedTTS(clock=clock, faults=dict.fromkeys(range(99), "empty")),
    "never begins": lambda clock: CodedTTS(clock, first_s=3600),
    "stalls after a second": lambda clock: ScriptedTTS(clock=clock, faults=dict.fromkeys(range(99), "stall")),
    "breaks off after a second": lambda clock: ScriptedTTS(clock=clock, faults=dict.fromkeys(range(99), "break")),
    "is very slow": lambda clock: CodedTTS(clock, first_s=2.5, pace=3),
}


@pytest.mark.parametrize("greeting", ["", "Good morning, how can I help?"])
@pytest.mark.parametrize("voice", VOICES)
def test_no_voice_at_all_is_no_silence(voice: str, greeting: str) -> None:
    clock = VirtualClock()
    tts = VOICES[voice](clock)
    llm = ScriptedChatClient(lambda messages, _: "We open at nine in the morning. We close at five.", clock=clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting=greeting)
        async with calling(clock, agent=agent, stt=["When?"], llm=llm, tts=tts) as call:
            if greeting:
                await call.quiet(16)
            await three_turns(call)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.phone.heard_s > 0.3 * len(agent_turns(call))
    if voice != "is very slow":
        assert call.events(SessionError)


def test_where_no_phrase_can_be_voiced_a_chime_sounds_and_counts_as_no_words() -> None:
    clock = VirtualClock()
    tts = WrongTTS(IntegrationUnavailableException("No voice today."))

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Good morning.")
        async with calling(clock, agent=agent, tts=tts) as call:
            await call.quiet(3)
            call.call.say("We close now.")
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.phone.heard_s == pytest.approx(2 * 0.36)
    assert call.call.history.messages == []


def test_a_phrase_that_was_made_once_needs_no_voice_any_more() -> None:
    clock = VirtualClock()
    tts = WrongTTS(
        IntegrationUnavailableException("No voice today."), clauses=lambda number: number != 0 and number > 2
    )
    llm = ScriptedChatClient(lambda messages, _: "We open at nine.", clock=clock)
    policy = CallPolicy(apology="I am sorry.")

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=llm, tts=tts, policy=policy) as call:
            call.call.say("I am sorry.")
            await call.quiet(3)
            tts_asked = tts.asked
            for _ in range(3):
                await call.speak(1)
                await call.quiet(3)
            assert tts.asked > tts_asked
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call) == ["say", "reply", "reply", "apology"]
    assert call.phone.heard_s == pytest.approx(
        2 * len("I am sorry.") * 0.06 + 2 * len("We open at nine.") * 0.06, abs=0.05
    )


@pytest.mark.parametrize("max_dead_air_s", [1.0, 4.0, 8.0])
@pytest.mark.parametrize("words", ["I would like to", "When?"])
def test_slow_turn_ends_and_slow_models_together_stay_within_the_limit(words: str, max_dead_air_s: float) -> None:
    clock = VirtualClock()
    policy = CallPolicy(turn=TurnPolicy(max_dead_air_s=max_dead_air_s))
    llm = ScriptedChatClient(
        lambda messages, _: Reply("We open at nine.", first_token_s=0.97 * max_dead_air_s), clock=clock
    )

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=[words], llm=llm, policy=policy) as call:
            await three_turns(call)
        return call

    call = clock.run(scenario())
    check(call, max_dead_air_s=max_dead_air_s)
    assert "reply" in kinds(call)


def test_the_last_goodbye_does_not_wait_behind_words_that_have_no_voice() -> None:
    clock = VirtualClock()
    llm = ScriptedChatClient(lambda messages, _: Reply(fault="close"), clock=clock)
    tts = CodedTTS(clock, first_s=3600.0)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=llm, tts=tts, hang_up=False) as call:
            for number in range(3):
                await call.speak(1)
                if number == 2:
                    call.call.say("This call is recorded.")  # waits for the end of the caller's turn
                await call.quiet(5)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "error"
    assert kinds(call)[-1] == "goodbye"
