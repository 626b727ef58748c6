"""Faults that other systems were seen to have, each kept out by a test of its number."""

from __future__ import annotations

from phone import CallUnderTest, calling
from providers import CodedTTS

from antiphon.calls.events import AgentSpeechInterrupted, AgentSpeechStarted, TurnCompleted, TurnMetrics
from antiphon.clock import VirtualClock

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend"


def test_r4_every_turn_has_its_figures_also_one_that_is_cut() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        stt = ["When?", "Stop, please.", "And on Sunday?"]
        async with calling(clock, stt=stt, llm=[f"{LONG}. {LONG}.", "Yes.", "No."], tts=CodedTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(3)
            for _ in range(2):
                await call.speak(1.2)
                await call.quiet(4)
        return call

    call = clock.run(scenario())
    told = call.events(TurnCompleted, TurnMetrics)
    assert [type(event) for event in told] == [TurnCompleted, TurnMetrics] * 3
    figures = call.events(TurnMetrics)
    assert [each.turn for each in figures] == [1, 2, 3]
    assert [each.interrupted for each in figures] == [True, False, False]
    assert all(each.first_audio_ms is not None and each.end_of_turn_ms is not None for each in figures)


def test_r39_the_next_answer_waits_for_no_sound_of_the_one_that_was_cut() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        stt = ["When?", "Stop, please."]
        llm = [f"{LONG}. " * 6, "All right."]
        async with calling(clock, stt=stt, llm=llm, tts=CodedTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(3)
            await call.speak(1.2)
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    assert len(call.events(AgentSpeechInterrupted)) == 1  # 30 s before its end
    first_audio_ms = call.events(TurnMetrics)[1].first_audio_ms
    assert first_audio_ms is not None
    assert first_audio_ms <= 500
    assert call.at(AgentSpeechStarted, 1) < call.at(TurnCompleted, 1)
