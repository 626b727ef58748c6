"""Loudness alone is no sign of life: a noisy line does not keep a call that nobody speaks in."""

from __future__ import annotations

import pytest
import s2s_phone
from invariants import check
from phone import CallUnderTest, calling
from s2s_phone import Puppet

from antiphon.agents.agent import Agent
from antiphon.agents.manners import Idle, Manners
from antiphon.calls import floor as f
from antiphon.calls.events import UserIdle
from antiphon.clock import VirtualClock
from antiphon.models.s2s.contract import SpeechStarted, SpeechStopped, UserTranscript
from tests.calls.script import Answer, Script, asked, manners

AGENT = Agent("desk", "Answer.", manners=Manners(idle=Idle(12, ("Hello?", "Anybody?"), "Goodbye then.")))


def idle_times(script: Script) -> list[float]:
    return [when for when, _ in script.timed(f.NoteIdle)]


def test_noise_does_not_put_a_reminder_off() -> None:
    quiet = Script(manners(idle_s=6)).run(12)
    noisy = Script(manners(idle_s=6)).at(2.0).voice(until=3.0).at(4.0).voice(until=4.5).run(12)
    assert idle_times(quiet)[0] == idle_times(noisy)[0] == 6.0


def test_a_reminder_that_was_held_up_by_noise_follows_it() -> None:
    script = Script(manners(idle_s=6)).at(2.0).voice(until=7.0).run(12)
    assert idle_times(script)[0] == pytest.approx(7.4)


def test_noise_does_not_bring_the_reminders_back() -> None:
    script = Script(manners(idle_s=4, idle_reminders=1))
    for at in range(1, 30):
        script.at(at).voice(until=at + 0.3)
    script.run(30)
    assert [action.exhausted for action in script.acts(f.NoteIdle) if isinstance(action, f.NoteIdle)] == [False, True]
    assert script.only(f.HangUp).reason == "idle_timeout"


def test_words_put_it_off() -> None:
    script = Script(manners(idle_s=6), answers=[Answer(seconds=1.0)]).at(4.0).voice(until=5.0, words="Well.").run(20)
    assert idle_times(script)[0] > 11.0


def test_the_agent_s_speech_puts_it_off() -> None:
    """The answer is heard until 5.7; noise over its end counts from there."""
    script = asked(manners(idle_s=6)).at(5.5).voice(until=5.9).run(30)
    assert idle_times(script)[0] == pytest.approx(11.7, abs=0.1)


def test_who_interrupts_with_noise_is_waited_for_all_the_same() -> None:
    script = asked(manners(idle_s=6)).at(3.5).voice(until=6.0).run(30)
    assert script.acts(f.Interrupt)
    assert idle_times(script)[0] == pytest.approx(5.0 + 6.0, abs=0.3)


def test_a_noisy_call_ends() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=AGENT, stt=[""], hang_up=False) as call:
            for _ in range(16):
                await call.quiet(0.7)
                await call.speak(0.3)
        return call

    call = clock.run(scenario())
    check(call)
    assert len(call.events(UserIdle)) == 3
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"


def test_a_noisy_call_that_one_model_holds_ends() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with s2s_phone.calling(clock, model, agent=AGENT, hang_up=False) as call:
            for number in range(24):
                if model.did and model.did[-1][0] == "say":
                    model.answer(f"a{number}", str(model.did.pop()[1]), 0.3)
                await call.quiet(0.7)
                model.tell(SpeechStarted(f"u{number}"))
                await call.quiet(0.3)
                model.tell(SpeechStopped(f"u{number}"))
                model.tell(UserTranscript(f"u{number}", "", is_final=True))
        return call

    call = clock.run(scenario())
    assert len(call.events(UserIdle)) == 3
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"


def test_words_bring_the_reminders_back_in_a_call_that_one_model_holds() -> None:
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with s2s_phone.calling(clock, model, agent=AGENT) as call:
            await call.quiet(4.5)
            model.answer("a1", "Hello?", 0.3)
            await call.quiet(1)
            model.turn("I am here.", "u1")
            model.answer("a2", "Good.", 0.3)
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    assert [event.retry_count for event in call.events(UserIdle)] == [1, 1]
