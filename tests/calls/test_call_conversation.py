"""Whole calls that go well: who speaks when, and what the model is told."""

from __future__ import annotations

import asyncio

from invariants import check, check_nothing_left
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechStarted,
    AgentTextSpoken,
    SessionError,
    SessionUsage,
    ToolCalled,
    ToolExecuted,
    TurnCompleted,
    TurnMetrics,
    UserTranscription,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.turn.scripted import ScriptedTurn
from antiphon.tools.prebuilt import end_call
from antiphon.tools.tool import FunctionTool


def spoken(call: CallUnderTest) -> list[tuple[str, str]]:
    """The history as (role, text)."""
    return [(message.role, message.text) for message in call.call.history.messages]


def test_the_greeting_comes_first_and_unasked() -> None:
    clock = VirtualClock()
    agent = Agent("tester", "Answer.", greeting="Hello {{ name }}, how can I help?")

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, parameters={"name": "Ann"}) as call:
            await call.quiet(3)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    agents = [name for name in call.names() if name.startswith("agent.speech") or name == "agent.text"]
    assert call.names()[0] == "session.started"
    assert agents[:2] == ["agent.speech_created", "agent.text"]
    assert agents[-2:] == ["agent.speech_started", "agent.speech_completed"]
    assert call.at(AgentSpeechStarted) < 0.05
    assert call.events(TurnCompleted)[0].agent_first
    assert spoken(call) == [("assistant", "Hello Ann, how can I help?")]
    assert call.models.llm.opened == 0


def test_a_greeting_that_cannot_be_rendered_is_told_and_left_out() -> None:
    clock = VirtualClock()
    agent = Agent("tester", "Answer.", greeting="Hello {{ 1 / 0 }}.")

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, stt=["Hello?"], llm=["Good morning."]) as call:
            await call.quiet(1)
            await call.speak(1)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert "template" in call.events(SessionError)[0].message
    assert spoken(call) == [("user", "Hello?"), ("assistant", "Good morning.")]


def test_a_question_is_answered_and_the_model_is_told_all_of_it() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        stt, llm = ["What time do you open?", "And on Sundays?"], ["We open at nine.", "We are closed then."]
        async with calling(clock, stt=stt, llm=llm) as call:
            for _ in range(2):
                await call.speak(1)
                await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert spoken(call) == [
        ("user", "What time do you open?"),
        ("assistant", "We open at nine."),
        ("user", "And on Sundays?"),
        ("assistant", "We are closed then."),
    ]
    asked = call.models.llm.requests[-1].messages
    assert [message.role for message in asked] == ["system", "user", "assistant", "user"]
    metrics = call.events(TurnMetrics)[0]
    assert metrics.turn == 1
    assert metrics.end_of_turn_ms == 350.0
    assert metrics.first_audio_ms is not None
    assert metrics.first_audio_ms <= 400
    usage = call.events(SessionUsage)[0]
    assert usage.llm_output_tokens == 8
    assert usage.tts_characters == len("We open at nine.We are closed then.")
    assert usage.stt_audio_s > 2


def test_every_clause_that_is_voiced_is_told() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        llm = ["We open at nine in the morning. We close at five in the afternoon."]
        async with calling(clock, stt=["When?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    told = [event.text.strip() for event in call.events(AgentTextSpoken)]
    assert told == ["We open at nine in the morning.", "We close at five in the afternoon."]


def test_r22_a_tool_runs_and_its_result_stands_behind_its_call() -> None:
    clock = VirtualClock()
    asked: list[str] = []

    async def opening_hours(day: str) -> str:
        """When we are open."""
        asked.append(day)
        await asyncio.sleep(0.5)
        return "nine to five"

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(opening_hours)])
        llm = [Reply("Let me look. ", calls=(tool_call("opening_hours", day="monday"),)), "From nine to five."]
        async with calling(clock, agent=agent, stt=["When on Monday?"], llm=llm) as call:
            await call.speak(1)
            await call.quiet(4)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert asked == ["monday"]
    assert [m.role for m in call.call.history.messages] == ["user", "assistant", "tool", "assistant"]
    assert call.call.history.messages[2].text == "nine to five"
    assert call.call.history.messages[3].text == "Let me look. From nine to five."
    assert call.events(ToolCalled)[0].arguments == {"day": "monday"}
    assert call.events(ToolExecuted)[0].duration_ms == 500.0
    assert len(call.events(AgentSpeechStarted)) == 1


def test_end_call_hangs_up_only_after_the_goodbye_was_heard() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[end_call])
        llm = [Reply(calls=(tool_call("end_call", goodbye="Thank you for calling, goodbye."),))]
        async with calling(clock, agent=agent, stt=["That is all, bye."], llm=llm, hang_up=False) as call:
            await call.speak(1)
            await call.quiet(6)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "agent_hangup"
    assert spoken(call)[-1] == ("assistant", "Thank you for calling, goodbye.")
    assert call.phone.hung_up_at is not None
    assert call.phone.hung_up_at >= call.at(AgentSpeechCompleted)
    assert call.phone.heard_s >= 30 * 0.06


def test_end_call_without_more_words_hangs_up_after_those_before_it() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[end_call])
        llm = [Reply("Goodbye and thank you.", calls=(tool_call("end_call"),))]
        async with calling(clock, agent=agent, stt=["That is all, bye."], llm=llm, hang_up=False) as call:
            await call.speak(1)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "agent_hangup"
    assert call.events(SessionError) == []
    assert spoken(call)[-1] == ("assistant", "Goodbye and thank you.")


def test_a_speculative_answer_is_used_when_the_words_stay() -> None:
    clock = VirtualClock()
    llm = ScriptedChatClient([Reply("We open at nine.", first_token_s=0.2)], clock=clock)
    policy = CallPolicy(turn=TurnPolicy(complete_delay_s=0.6))

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When do you open?"], llm=llm, policy=policy) as call:
            await call.speak(1)
            await call.quiet(0.5)
            assert llm.opened == 1
            assert not call.phone.frames  # nothing is said before the turn is sure
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert llm.opened == llm.completed == 1
    metrics = call.events(TurnMetrics)[0]
    assert metrics.speculative
    assert metrics.first_audio_ms == metrics.end_of_turn_ms  # it was ready


def test_a_speculative_answer_is_dropped_when_the_caller_goes_on() -> None:
    clock = VirtualClock()
    stt = ["I would like an appointment.", "On Monday please."]
    llm = ScriptedChatClient(
        lambda messages, _: Reply(f"You said: {messages[-1].text}", token_s=0.2, first_token_s=0.1), clock=clock
    )
    policy = CallPolicy(turn=TurnPolicy(complete_delay_s=0.8))

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=stt, llm=llm, policy=policy) as call:
            await call.speak(1)
            await call.quiet(0.5)
            assert (llm.opened, llm.closed) == (1, 0)
            await call.speak(0.12)
            assert (llm.opened, llm.closed) == (1, 1)
            await call.speak(1)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    whole = "I would like an appointment. On Monday please."
    assert [event.text for event in call.events(UserTurnCompleted)] == [whole]
    assert spoken(call) == [("user", whole), ("assistant", f"You said: {whole}")]
    assert len(call.events(AgentSpeechStarted)) == 1


def test_a_speculative_answer_runs_no_tool_before_the_turn_is_sure() -> None:
    clock = VirtualClock()
    runs: list[float] = []

    async def book() -> str:
        """Book."""
        runs.append(clock.now())
        return "booked"

    llm = ScriptedChatClient(
        lambda messages, _: "Done." if messages[-1].role == "tool" else Reply(calls=(tool_call("book"),)), clock=clock
    )
    policy = CallPolicy(turn=TurnPolicy(complete_delay_s=0.8))

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(book)])
        async with calling(clock, agent=agent, stt=["Book it.", "Now."], llm=llm, policy=policy) as call:
            await call.speak(1)
            await call.quiet(0.6)
            assert llm.opened == 1
            await call.speak(1)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert len(runs) == 1
    assert runs[0] >= call.at(UserTurnCompleted)
    assert spoken(call)[0] == ("user", "Book it. Now.")


def test_speech_that_goes_on_before_the_answer_is_heard_becomes_one_message() -> None:
    clock = VirtualClock()
    stt = ["Can I come on Monday?", "Or on Tuesday?"]
    llm = ScriptedChatClient([Reply("Yes.", first_token_s=2.0), "Both are fine."], clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=stt, llm=llm) as call:
            await call.speak(1)
            await call.quiet(0.6)
            assert len(call.events(UserTurnCompleted)) == 1
            await call.speak(0.8)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    whole = "Can I come on Monday? Or on Tuesday?"
    assert spoken(call) == [("user", whole), ("assistant", "Both are fine.")]
    assert llm.requests[-1].messages[-1] == Message("user", whole)
    assert [event.turn for event in call.events(UserTurnCompleted)] == [1, 1]
    assert len(call.events(TurnCompleted)) == 1
    assert llm.opened == llm.closed


def test_a_cough_after_the_turn_leaves_the_answer_and_the_history_as_they_are() -> None:
    clock = VirtualClock()
    stt = ["Can I come on Monday?", "", ""]
    llm = ScriptedChatClient([Reply("Yes you can.", first_token_s=1.5)] * 2, clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=stt, llm=llm) as call:
            await call.speak(1)
            await call.quiet(0.6)
            await call.speak(0.2)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert spoken(call) == [("user", "Can I come on Monday?"), ("assistant", "Yes you can.")]
    assert llm.opened == 1


def test_a_long_noise_after_a_tool_has_run_does_not_repeat_the_question() -> None:
    clock = VirtualClock()

    async def look_up() -> str:
        """Look up."""
        return "free"

    llm = ScriptedChatClient(
        lambda messages, _: (
            Reply("It is free.", first_token_s=1.5)
            if messages[-1].role == "tool"
            else Reply(calls=(tool_call("look_up"),))
        ),
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(look_up)])
        async with calling(clock, agent=agent, stt=["Is Monday free?", ""], llm=llm) as call:
            await call.speak(1)
            await call.quiet(0.6)
            await call.speak(2)  # a lorry passes
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert [message.role for message in call.call.history.messages].count("user") == 1
    assert spoken(call)[-1] == ("assistant", "It is free.")


def test_partial_words_are_told_as_they_come() -> None:
    clock = VirtualClock()
    stt = ScriptedSTT(["one two three four"], words_per_partial=1, clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=stt, llm=["Fine."]) as call:
            await call.speak(1.2)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    told = call.events(UserTranscription)
    assert told[0].text == "one"
    assert not told[0].is_final
    assert told[-1].text == "one two three four"
    assert told[-1].is_final


def test_an_end_of_turn_model_shortens_and_lengthens_the_pause() -> None:
    ends: list[float] = []
    for score in (0.95, 0.05):
        clock = VirtualClock()

        async def scenario(clock: VirtualClock = clock, score: float = score) -> CallUnderTest:
            turn = ScriptedTurn([score], delay_s=0.02, clock=clock)
            async with calling(clock, stt=["my name is Ann Smith"], llm=["Hello."], turn=turn) as call:
                await call.speak(1)
                await call.quiet(4)
            return call

        call = clock.run(scenario())
        check(call)
        ended = call.events(UserTurnCompleted)[0]
        assert (ended.trigger, ended.probability) == ("model", score)
        ends.append(call.at(UserTurnCompleted))
    assert ends[0] < ends[1] - 0.5


def test_three_records_are_kept_of_each_reply() -> None:
    clock = VirtualClock()
    text = "We open at **nine** in the morning. We close at five in the afternoon. Shall I book you a visit?"

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient([text, "Sorry."], clock=clock)
        tts = ScriptedTTS(clock=clock, first_chunk_delay_s=0.9)
        async with calling(clock, stt=["When?", "Wait, stop!"], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(2.3)
            await call.speak(1)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    record = call.call.history.replies[0]
    assert record.interrupted
    assert text.startswith(record.generated)
    assert record.generated.startswith(record.spoken)
    assert "We open at nine in the morning.".startswith(record.heard)
    assert 0 < len(record.heard) < len(record.spoken)
