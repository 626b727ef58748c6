"""How a call behaves by the manners of the agent that answers, also behind a handoff."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import s2s_phone
from invariants import check
from numpy.typing import NDArray
from phone import CallUnderTest, calling
from providers import LevelVAD
from s2s_phone import Puppet

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.manners import Hearing, Idle, Interruption, Manners
from antiphon.calls.events import (
    AgentSpeechInterrupted,
    AgentSpeechStarted,
    AgentTextSpoken,
    SessionManners,
    SessionStarted,
    UserBackchannel,
    UserSpeechStarted,
    UserTurnCompleted,
)
from antiphon.calls.policy import TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.s2s.contract import Brief
from antiphon.models.stt.scripted import ScriptedSTT

LONG = "We are open from nine in the morning until five in the afternoon, and on Saturdays until noon."
PASS_ON = Reply(calls=(tool_call("handoff_to_billing", reason="An invoice."),))


def over_the_answer(
    words: str, interruption: Interruption | None = None, *, seconds: float = 0.9, partials: int = 1
) -> CallUnderTest:
    """The caller asks, and says something over the answer."""
    clock = VirtualClock()
    agent = Agent("desk", "Answer.", manners=Manners(interruption=interruption or Interruption()))

    async def scenario() -> CallUnderTest:
        stt = ScriptedSTT(["When do you open?", words], words_per_partial=partials, delay_s=0.1, clock=clock)
        async with calling(clock, agent=agent, stt=stt, llm=[LONG, "All right."]) as call:
            await call.speak(1)
            await call.quiet(2)
            await call.speak(seconds)
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    return call


def test_r37_no_interrupts_and_mm_hm_does_not() -> None:
    ignores = Interruption(ignore_words=("mm-hm",))
    assert over_the_answer("No.", ignores).events(AgentSpeechInterrupted)
    call = over_the_answer("Mm-hm.", ignores)
    assert call.events(AgentSpeechInterrupted) == []
    assert [event.is_interruption for event in call.events(UserBackchannel)] == [False]


def test_r37_a_short_no_interrupts_whatever_the_number_of_words() -> None:
    assert over_the_answer("No.", Interruption(min_words=4), seconds=0.4).events(AgentSpeechInterrupted)


def test_words_of_one_s_own_do_not_interrupt() -> None:
    assert over_the_answer("Go ahead.").events(AgentSpeechInterrupted)
    assert over_the_answer("Go ahead.", Interruption(ignore_words=("go ahead",))).events(AgentSpeechInterrupted) == []


def test_an_agent_may_ask_for_more_words() -> None:
    few = Interruption("adaptive", min_words=3)
    assert over_the_answer("Saturday then", few).events(AgentSpeechInterrupted) == []
    assert over_the_answer("Is Saturday busy", few).events(AgentSpeechInterrupted)


def test_sound_alone_interrupts_where_the_agent_says_so() -> None:
    long_noise = {"words": "", "seconds": 2.5, "partials": 0}
    assert over_the_answer(**long_noise).events(AgentSpeechInterrupted)  # type: ignore[arg-type]
    adaptive = over_the_answer(interruption=Interruption("adaptive"), **long_noise)  # type: ignore[arg-type]
    assert adaptive.events(AgentSpeechInterrupted) == []


def test_an_agent_that_is_not_interrupted_answers_behind_what_it_says() -> None:
    call = over_the_answer("And what about Sunday?", Interruption("off"))
    assert call.events(AgentSpeechInterrupted) == []


def test_the_silence_that_ends_a_turn_is_the_agent_s() -> None:
    def answered(silence_ms: float | None) -> float:
        clock = VirtualClock()
        agent = Agent("desk", "Answer.", manners=Manners(hearing=Hearing(silence_ms)))

        async def scenario() -> CallUnderTest:
            async with calling(clock, agent=agent, stt=["I need an appointment"], llm=["Yes."]) as call:
                await call.speak(1)
                await call.quiet(4)
            return call

        return clock.run(scenario()).at(UserTurnCompleted) - 1

    assert answered(None) == pytest.approx(0.8, abs=0.05)
    assert answered(1500) == pytest.approx(1.5, abs=0.05)
    assert answered(300) == pytest.approx(0.3, abs=0.05)


def test_the_detector_s_threshold_is_the_agent_s() -> None:
    def heard(threshold: float | None) -> int:
        clock = VirtualClock()
        agent = Agent("desk", "Answer.", manners=Manners(hearing=Hearing(threshold=threshold)))

        async def scenario() -> CallUnderTest:
            async with calling(clock, agent=agent, vad=LevelVAD(), stt=["Hello?"], llm=["Yes."]) as call:
                await call.speak(1)  # a level of 0.21
                await call.quiet(3)
            return call

        return len(clock.run(scenario()).events(UserSpeechStarted))

    assert heard(None) == heard(0.2) == 1
    assert heard(0.3) == 0


class FedSTT(ScriptedSTT):
    """Counts the sound that it gets."""

    fed = 0

    def open(self, rate_hz: int, *args: Any, **options: Any) -> Any:
        stream, feed = (made := super().open(rate_hz, *args, **options)), made.feed

        def counted(pcm: NDArray[np.int16]) -> None:
            self.fed += len(pcm)
            feed(pcm)

        stream.feed = counted  # type: ignore[method-assign]
        return stream


def test_sound_before_speech_belongs_to_it_as_the_agent_says() -> None:
    def fed_ms(padding_ms: float) -> float:
        clock = VirtualClock()
        agent = Agent("desk", "Answer.", manners=Manners(hearing=Hearing(prefix_padding_ms=padding_ms)))
        stt = FedSTT(["Hello?"], clock=clock)

        async def scenario() -> None:
            async with calling(clock, agent=agent, stt=stt, llm=["Yes."]) as call:
                await call.quiet(2)
                await call.speak(1)
                await call.quiet(2)

        clock.run(scenario())
        return stt.fed / 8

    assert fed_ms(900) - fed_ms(100) == pytest.approx(800, abs=20)


def test_manners_follow_a_handoff() -> None:
    clock = VirtualClock()
    calm = Manners(
        interruption=Interruption("off"), idle=Idle(8, ("Anything else?",), "Bye from billing."), stop_words=("over",)
    )
    billing = Agent("billing", "You do invoices.", manners=calm)
    desk = Agent("desk", "Answer.", handoffs=[Handoff(billing, handoff_type="discrete")])

    async def scenario() -> CallUnderTest:
        parts: dict[str, Any] = {"stt": ["My invoice, please."], "llm": [PASS_ON, "This is billing."]}
        async with calling(clock, agent=desk, hang_up=False, **parts) as call:
            await call.speak(1)
            await call.quiet(20)
        return call

    call = clock.run(scenario())
    check(call)
    (started,), (changed,) = call.events(SessionStarted), call.events(SessionManners)
    assert "goodbye" in started.manners["stop_words"]
    assert (changed.manners["interruption"], changed.manners["stop_words"]) == ("off", ["over"])
    said = [event.text for event in call.events(AgentTextSpoken)]
    assert said == ["This is billing.", "Anything else?", "Bye from billing."]
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"


def test_agents_with_the_same_manners_change_nothing() -> None:
    clock = VirtualClock()
    desk = Agent("desk", "Answer.", handoffs=[Handoff(Agent("billing", "You do invoices."), handoff_type="discrete")])

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=desk, stt=["My invoice."], llm=[PASS_ON, "This is billing."]) as call:
            await call.speak(1)
            await call.quiet(4)
        return call

    assert clock.run(scenario()).events(SessionManners) == []


def test_what_the_application_has_set_up_stays_behind_a_handoff() -> None:
    clock = VirtualClock()
    billing = Agent("billing", "You do invoices.", manners=Manners(interruption=Interruption("off")))
    desk = Agent("desk", "Answer.", handoffs=[Handoff(billing, handoff_type="discrete")])

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=desk, stt=["My invoice."], llm=[PASS_ON, "This is billing."]) as call:
            call.call.adopt(TurnPolicy(min_words=2))
            await call.speak(1)
            await call.quiet(4)
        return call

    (changed,) = clock.run(scenario()).events(SessionManners)
    assert (changed.manners["min_words"], changed.manners["interruption"]) == (2, "vad")


# Calls that one model holds.


class Briefed(Puppet):
    """Keeps what it is told."""

    brief = Brief()

    def open(self, brief: Brief, *args: Any, **options: Any) -> Puppet:
        self.brief = brief
        return super().open(brief, *args, **options)


def test_r13_a_model_that_finds_turns_by_silence_is_told_the_default_or_the_agent_s() -> None:
    def told(manners: Manners) -> dict[str, float]:
        clock, model = VirtualClock(), Briefed()

        async def scenario() -> None:
            async with s2s_phone.calling(clock, model, agent=Agent("desk", "Answer.", manners=manners)) as call:
                await call.quiet(0.1)

        clock.run(scenario())
        return dict(model.brief.detection)

    assert told(Manners()) == {"silence_duration_ms": 700}
    assert told(Manners(hearing=Hearing(900, 0.4, 250))) == {
        "silence_duration_ms": 900,
        "threshold": 0.4,
        "prefix_padding_ms": 250,
    }


def test_a_call_that_one_model_holds_is_idle_as_the_agent_says() -> None:
    clock, model = VirtualClock(), Puppet()
    agent = Agent("desk", "Answer.", manners=Manners(idle=Idle(6, ("Hello?",), "I hang up now.")))

    async def scenario() -> CallUnderTest:
        async with s2s_phone.calling(clock, model, agent=agent, hang_up=False) as call:
            await call.quiet(3.1)
            assert model.did[-1] == ("say", "Hello?")
            model.answer("a1", "Hello?", 0.5)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    assert [event.text for event in call.events(AgentTextSpoken)] == ["Hello?", "I hang up now."]
    assert len(call.events(AgentSpeechStarted)) == 2
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"
    assert call.ended.duration_s == pytest.approx(3 + 0.6 + 3 + 1, abs=0.7)
