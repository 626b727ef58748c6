"""The caller speaks while the agent does: stop at once, know to the word what was heard, or go on as if nothing was."""

from __future__ import annotations

from typing import Any

import pytest
from invariants import check, check_nothing_left
from phone import CallUnderTest, calling
from providers import CodedTTS

from antiphon.agents.agent import Agent
from antiphon.calls.events import (
    AgentFalseInterruption,
    AgentSpeechCompleted,
    AgentSpeechInterrupted,
    AgentSpeechStarted,
    TurnCompleted,
    UserBackchannel,
)
from antiphon.calls.log import Entry
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.tool import FunctionTool

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend"


def expected_words(text: str, heard_s: float) -> str:
    """The words of a text that are whole within ``heard_s`` at 60 ms a character."""
    words, at = [], 0
    for word in text.split():
        at += len(word)
        if at * 0.06 > heard_s + 1e-6:
            break
        words.append(word)
        at += 1
    return " ".join(words)


async def interrupt_at(call: CallUnderTest, seconds: float) -> None:
    """A question, and ``seconds`` into the answer the caller speaks for 1.2 s; then silence."""
    await call.speak(1)
    await call.quiet(0.36 + seconds)
    await call.speak(1.2)
    await call.quiet(2)


def test_no_sound_leaves_after_the_stop_whatever_the_voice_still_gives() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, pace=0.9)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?", "Stop, please."], llm=[f"{LONG}. {LONG}.", "Yes."], tts=tts) as call:
            await interrupt_at(call, 2)
            await call.quiet(3)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    pause = call.phone.clears[0]
    answered = call.at(AgentSpeechStarted, 1)
    assert not [at for at, _ in call.phone.frames if pause < at < answered]
    assert tts.open == []


def test_r38_the_streams_of_model_and_voice_are_closed_within_50_ms() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, pace=0.9)
    llm = ScriptedChatClient([Reply(f"{LONG}. " * 4, token_s=0.3), "Yes."], clock=clock)
    still_open: list[tuple[int, bool]] = []

    def watch(entry: Entry) -> None:
        if isinstance(entry.event, AgentSpeechInterrupted):
            clock.call_at(
                clock.now() + 0.05, lambda: still_open.append((llm.opened - llm.closed, f"{LONG}." in tts.open))
            )

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?", "Stop, please."], llm=llm, tts=tts) as call:
            call.call.log.subscribe(watch)
            await interrupt_at(call, 7)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert still_open == [(0, False)]
    assert llm.completed == 1  # the second


def test_the_voice_of_an_announcement_is_closed_as_well() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, pace=0.9)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["Stop."], llm=["Yes."], tts=tts) as call:
            call.call.say(f"{LONG}.")
            await call.quiet(2)
            await call.speak(0.8)
            await call.quiet(0.35)
            assert call.events(AgentSpeechInterrupted)
            assert f"{LONG}." not in tts.open
            await call.quiet(2)
        return call

    check(clock.run(scenario()))


@pytest.mark.parametrize("timings", [True, False])
@pytest.mark.parametrize(
    "line",
    [
        {},
        {"has_marks": False},
        {"can_clear": False},
        {"has_marks": False, "can_clear": False},
        {"delay_s": 0.15},
    ],
)
@pytest.mark.parametrize("seconds", [0.45, 1.9, 3.33])
def test_the_heard_words_are_exact(seconds: float, line: dict[str, Any], timings: bool) -> None:
    clock = VirtualClock()
    tts = ScriptedTTS(clock=clock, word_timings=timings)
    greeting_s = len("Good morning.") * 0.06

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Good morning.")
        stt = ["When?", "Stop, please."]
        async with calling(clock, agent=agent, stt=stt, llm=[LONG, "Yes."], tts=tts, **line) as call:
            await call.quiet(2)
            await call.speak(1)
            await call.quiet(0.36 + seconds)
            await call.speak(1.0)
            await call.quiet(0.1)
            call.models.heard_s = call.phone.heard_s - greeting_s
            await call.quiet(2)
        return call

    call = clock.run(scenario())
    check(call)
    cut = call.events(AgentSpeechInterrupted)[0]
    assert cut.heard == expected_words(LONG, call.models.heard_s)
    assert cut.playback_position_s == pytest.approx(call.models.heard_s, abs=0.021)
    heard = [message for message in call.call.history.messages if message.role == "assistant"][1]
    assert (heard.text, heard.interrupted) == (cut.heard, True)
    told = call.models.llm.requests[-1].messages
    assert [message.text for message in told if message.role == "assistant"][1] == cut.heard
    assert call.events(TurnCompleted)[1].interrupted


def test_a_reply_that_was_sent_whole_to_a_line_that_cannot_clear_is_remembered() -> None:
    """All of it will be heard, so all of it goes into the history although the caller took the floor."""
    clock = VirtualClock()
    text = "We open at nine o'clock."

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?", "Stop, please."], llm=[text, "Yes."], can_clear=False) as call:
            await interrupt_at(call, len(text) * 0.06 - 0.6)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.call.history.messages[1] == Message("assistant", text, author_name="tester")
    assert call.events(AgentSpeechInterrupted) == []
    assert call.events(AgentSpeechCompleted)[0].transcript == text


def test_a_reply_of_which_no_word_was_heard_is_not_told_to_the_model() -> None:
    clock = VirtualClock()
    policy = CallPolicy(turn=TurnPolicy(min_interruption_s=0.1))

    async def scenario() -> CallUnderTest:
        llm = ["Internationally acclaimed dentists work here.", "Yes."]
        async with calling(clock, stt=["Who?", "Wait, stop."], llm=llm, policy=policy) as call:
            await interrupt_at(call, 0.2)
            await call.quiet(2)
        return call

    call = clock.run(scenario())
    check(call)
    cut = call.events(AgentSpeechInterrupted)[0]
    assert cut.heard == ""
    assert cut.playback_position_s > 0
    assert [message.role for message in call.models.llm.requests[-1].messages] == ["system", "user"]
    assert call.call.history.replies[0].heard == ""


@pytest.mark.parametrize("line", [{}, {"has_marks": False}, {"can_clear": False}, {"delay_s": 0.15}])
def test_a_pause_that_was_no_interruption_loses_and_repeats_nothing(line: dict[str, Any]) -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, coded=True)

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Good morning.")
        stt = ["When?", "Uh-huh, okay."]
        async with calling(clock, agent=agent, stt=stt, llm=[LONG], tts=tts, **line) as call:
            await call.quiet(2)
            await call.speak(1)
            await call.quiet(2.33)
            await call.speak(0.8)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    sound = call.phone.sound[len(tts.sound_of("Good morning.")) :].rstrip(b"\xff")
    whole = tts.sound_of(LONG)
    same = next((at for at, (a, b) in enumerate(zip(sound, whole, strict=False)) if a != b), len(whole))
    rest = len(sound) - same
    assert abs(len(sound) - len(whole)) <= 160
    assert sound[same:] == whole[len(whole) - rest :]
    assert call.phone.clears or not call.phone.can_clear
    resumed = call.events(AgentFalseInterruption)
    assert [event.speech for event in resumed] == [call.events(AgentSpeechStarted)[1].speech]
    assert call.events(UserBackchannel)[0].is_interruption is False
    assert call.events(AgentSpeechCompleted)[1].transcript == LONG


def test_a_false_interruption_is_told_of_the_speech_that_sounded() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?", "Uh-huh, okay."], llm=[LONG]) as call:
            await call.speak(1)
            await call.quiet(2)
            call.call.say("Your call is recorded.")
            await call.speak(0.8)
            await call.quiet(10)
        return call

    call = clock.run(scenario())
    check(call)
    reply, announcement = (event.speech for event in call.events(AgentSpeechStarted))
    assert [event.speech for event in call.events(AgentFalseInterruption)] == [reply]
    assert reply < announcement


def test_a_short_uh_huh_is_not_even_a_pause() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock, coded=True)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?", "Uh-huh."], llm=[LONG], tts=tts) as call:
            await call.speak(1)
            await call.quiet(2)
            await call.speak(0.3)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.phone.sound == tts.sound_of(LONG)
    assert call.phone.clears == []
    assert call.call.history.messages[-1].text == LONG
    assert call.models.llm.opened == 1


@pytest.mark.parametrize("word", ["No.", "Stop.", "Wait a second."])
def test_r37_a_short_command_interrupts(word: str) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?", word], llm=[LONG, "Okay."]) as call:
            await call.speak(1)
            await call.quiet(2)
            await call.speak(0.3)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(AgentSpeechInterrupted)[0].speech == call.events(AgentSpeechStarted)[0].speech
    assert call.call.history.messages[-1].text == "Okay."


def test_what_is_said_over_an_uninterruptible_agent_is_answered_afterwards() -> None:
    clock = VirtualClock()
    policy = CallPolicy(turn=TurnPolicy(interruption="off"))

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?", "And on Sunday?"], llm=[LONG, "Never."], policy=policy) as call:
            await call.speak(1)
            await call.quiet(2)
            await call.speak(1)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.phone.clears == []
    assert [message.text for message in call.call.history.messages] == ["When?", LONG, "And on Sunday?", "Never."]


def test_r40_an_interruption_keeps_only_what_was_heard_and_the_rest_is_never_said() -> None:
    clock = VirtualClock()
    tts = CodedTTS(clock)

    async def scenario() -> CallUnderTest:
        llm = ["We open at nine in the morning. We close at five in the afternoon.", "Yes of course."]
        async with calling(clock, stt=["When?", "And on Sunday?"], llm=llm, tts=tts) as call:
            await interrupt_at(call, 0.8)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert tts.heard(call.phone.sound) == ["We open at nine in the morning.", "Yes of course."]
    assert [message.role for message in call.call.history.messages] == ["user", "assistant", "user", "assistant"]


def test_a_tool_that_runs_on_after_an_interruption_has_its_result_in_the_history() -> None:
    clock = VirtualClock()

    async def book() -> str:
        """Book."""
        await clock.sleep(2.5)
        return "booked"

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(book, filler_after_s=9)])
        llm = [Reply(f"{LONG}. ", calls=(tool_call("book"),)), "All right.", "It is booked."]
        stt = ["Book it.", "Wait, stop.", "And now?"]
        async with calling(clock, agent=agent, stt=stt, llm=llm) as call:
            await interrupt_at(call, 0.6)
            await call.quiet(2)
            await call.speak(1)
            await call.quiet(3)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    told = {message.role: message.text for message in call.models.llm.requests[-1].messages}
    assert told["tool"] == "booked"
    interrupted = {message.role: message.text for message in call.models.llm.requests[1].messages}
    assert "interrupted" in interrupted["tool"]
