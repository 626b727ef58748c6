"""Never two voices: everything the agent says in one call comes one after the other, in an order that makes sense."""

from __future__ import annotations

from invariants import check
from phone import CallUnderTest, calling
from providers import CodedTTS

from antiphon.agents.agent import Agent
from antiphon.calls.events import AgentSpeechCreated, AgentSpeechStarted
from antiphon.calls.policy import CallPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.tools.tool import FunctionTool

FILLER = "One moment please."
POLICY = CallPolicy(fillers=(FILLER,))


def kinds(call: CallUnderTest) -> list[str]:
    """The kinds of the speeches that sounded, in order."""
    kind = {event.speech: event.kind for event in call.events(AgentSpeechCreated)}
    return [kind[event.speech] for event in call.events(AgentSpeechStarted)]


def slow_tool(clock: VirtualClock, seconds: float) -> FunctionTool:
    async def look_up() -> str:
        """Look up."""
        await clock.sleep(seconds)
        return "free"

    return FunctionTool(look_up, filler=FILLER, filler_after_s=1.0)


def test_a_filler_comes_before_the_reply_and_is_said_to_its_end() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[slow_tool(clock, 1.2)])
        llm = [Reply(calls=(tool_call("look_up"),)), "Monday is free."]
        async with calling(clock, agent=agent, stt=["When?"], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert tts.heard(call.phone.sound) == [FILLER, "Monday is free."]
    assert kinds(call) == ["filler", "reply"]
    assert "One moment" not in str(call.call.history.messages)


def test_a_filler_of_a_slow_voice_is_not_torn_apart_by_the_reply() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, pace=1.6)  # slower than it is heard

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[slow_tool(clock, 1.2)])
        llm = [Reply(calls=(tool_call("look_up"),)), "Monday is free."]
        async with calling(clock, agent=agent, stt=["When?"], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(9)
        return call

    call = clock.run(scenario())
    check(call)
    assert tts.heard(call.phone.sound) == [FILLER, "Monday is free."]


def test_a_filler_that_comes_later_than_the_reply_is_left_out() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, first_delays=(0.7, 0.0))

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[slow_tool(clock, 1.2)])
        llm = [Reply(calls=(tool_call("look_up"),)), "Monday is free. You can come at nine in the morning."]
        async with calling(clock, agent=agent, stt=["When?"], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert tts.said[0] == FILLER
    assert tts.heard(call.phone.sound) == ["Monday is free.", "You can come at nine in the morning."]
    assert kinds(call) == ["reply"]


def test_a_filler_stands_between_the_words_before_and_behind_a_slow_tool() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[slow_tool(clock, 7)])
        llm = [Reply("Let me look that up. ", calls=(tool_call("look_up"),)), "Monday is free."]
        async with calling(clock, agent=agent, stt=["When?"], llm=llm, tts=tts, policy=POLICY) as call:
            await call.speak(1)
            await call.quiet(12)
        return call

    call = clock.run(scenario())
    check(call)
    assert tts.heard(call.phone.sound) == ["Let me look that up.", FILLER, "Monday is free."]
    assert call.call.history.messages[-1].text == "Let me look that up. Monday is free."


def test_what_the_application_says_waits_for_the_end_of_the_reply() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, pace=0.5, first_s=0.3)

    async def scenario() -> CallUnderTest:
        llm = [Reply("We open at nine in the morning. We close at five.", token_s=0.25)]
        async with calling(clock, stt=["When?"], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(1.5)
            call.call.say("Your call is recorded.")
            call.call.say("Just so you know.")
            await call.quiet(12)
        return call

    call = clock.run(scenario())
    check(call)
    assert tts.heard(call.phone.sound) == [
        "We open at nine in the morning.",
        "We close at five.",
        "Your call is recorded.",
        "Just so you know.",
    ]
    assert kinds(call) == ["reply", "say", "say"]


def test_a_slow_greeting_is_not_overtaken_by_what_the_application_says() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, first_delays=(1.5, 0.0))

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Good morning, dear caller.")
        async with calling(clock, agent=agent, tts=tts) as call:
            call.call.say("Your call is recorded.")
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call) == ["greeting", "say"]
    assert [message.text for message in call.call.history.messages] == [
        "Good morning, dear caller.",
        "Your call is recorded.",
    ]


def test_an_apology_comes_behind_what_was_made_of_the_reply() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock)

    async def scenario() -> CallUnderTest:
        reply = Reply("We open at nine in the morning. We close", fault="close", fault_after=7)
        llm = ScriptedChatClient(lambda messages, _: reply, clock=clock)
        async with calling(clock, stt=["When?"], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(10)
        return call

    call = clock.run(scenario())
    check(call)
    assert kinds(call) == ["reply", "apology"]
    assert tts.heard(call.phone.sound)[0] == "We open at nine in the morning."
    assert call.call.history.messages[-1].text == "We open at nine in the morning."
