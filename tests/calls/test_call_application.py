"""What an application may ask of a call beside the caller: to commit, answer, fall silent, forget, and be told."""

from __future__ import annotations

from phone import calling

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.manners import Manners
from antiphon.calls.events import (
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    AgentTextSpoken,
    SessionManners,
    UserIdle,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.calls.reply import ReplyTerms
from antiphon.calls.watcher import ReplyWatcher
from antiphon.clock import VirtualClock
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as tool_call

MANUAL = TurnPolicy(answers=False, interruption="off", keeps_turns=True, speculate=False, idle_s=0.0)


class Watcher(ReplyWatcher):
    """Counts turns that were none."""

    def __init__(self) -> None:
        self.dropped = 0

    def turn_dropped(self) -> None:
        self.dropped += 1


def test_without_a_detector_the_application_ends_turns_and_asks_for_answers() -> None:
    clock = VirtualClock()

    async def conversation() -> None:
        async with calling(clock, stt=["When?", "And?"], llm=["At nine."]) as call:
            call.call.adopt(MANUAL, detects=False)
            await call.speak(1.0)
            await call.quiet(3.0)
            assert call.events(UserTurnCompleted) == []
            call.call.commit()
            await clock.sleep(1.0)
            assert [event.text for event in call.events(UserTurnCompleted)] == ["When?"]
            assert call.phone.frames == []
            call.call.respond()
            await clock.sleep(2.0)
            assert [message.text for message in call.call.history.messages] == ["When?", "At nine."]
            assert not call.events(SessionManners)[-1].detects

    clock.run(conversation())


def test_an_answer_may_have_terms_of_its_own() -> None:
    clock = VirtualClock()

    async def conversation() -> None:
        async with calling(clock, llm=["Yes.", "No."]) as call:
            context = (Message("user", "Aside?"),)
            call.call.respond(ReplyTerms(instructions="Be brief.", context=context))
            await clock.sleep(2.0)
            call.call.respond()
            await clock.sleep(2.0)
            first, second = call.models.llm.requests
            assert [message.text for message in first.messages] == ["Be brief.", "Aside?"]
            assert [message.text for message in second.messages] == ["Answer.", "Yes."]

    clock.run(conversation())


def test_a_silent_answer_is_remembered_and_makes_no_sound() -> None:
    clock = VirtualClock()

    async def conversation() -> None:
        async with calling(clock, llm=["It is written."]) as call:
            call.call.respond(ReplyTerms(is_silent=True))
            await clock.sleep(2.0)
            assert call.phone.frames == []
            assert [message.text for message in call.call.history.messages] == ["It is written."]

    clock.run(conversation())


def test_a_cancelled_answer_is_remembered_as_far_as_it_was_heard() -> None:
    clock = VirtualClock()

    async def conversation() -> None:
        async with calling(clock, llm=["One two three four five six seven eight nine ten eleven twelve."]) as call:
            call.call.respond()
            await clock.sleep(1.0)
            call.call.cancel()
            await clock.sleep(3.0)
            heard = call.events(AgentSpeechInterrupted)[0].heard
            assert 0 < len(heard) < 30
            assert [message.text for message in call.call.history.messages] == [heard]
            assert call.phone.heard_s <= 1.05
            assert call.call.agent_is_silent

    clock.run(conversation())


def test_turns_that_are_none_are_told_once() -> None:
    clock = VirtualClock()
    watcher = Watcher()

    async def noise_and_words() -> None:
        async with calling(clock, stt=["", "When?", "Never mind."], llm=["At nine."], watcher=watcher) as call:
            await call.speak(0.5)
            await call.quiet(2.0)
            assert watcher.dropped == 1  # a noise
            await call.speak(0.5)
            await call.quiet(3.0)
            assert watcher.dropped == 1  # a turn
            await call.speak(0.5)
            call.call.clear_input()
            await call.quiet(2.0)
            assert watcher.dropped == 2

    clock.run(noise_and_words())


def test_manners_that_give_the_caller_all_the_time_hold_at_once() -> None:
    clock = VirtualClock()

    async def conversation() -> None:
        async with calling(clock, policy=CallPolicy(turn=TurnPolicy(idle_s=5.0))) as call:
            await call.quiet(2.0)
            call.call.adopt(TurnPolicy(idle_s=0.0))
            await call.quiet(20.0)
            assert not call.events(UserIdle, AgentSpeechCreated)

    clock.run(conversation())


def test_another_agent_says_its_own_phrases_although_the_application_has_set_the_manners() -> None:
    clock = VirtualClock()
    billing = Agent("billing", "You do bills.", manners=Manners(goodbye="Billing says goodbye."))
    desk = Agent("desk", "You are the desk.", handoffs=[Handoff(billing, handoff_type="discrete")])
    llm = [Reply(calls=(tool_call("handoff_to_billing", reason="a bill"),)), "Billing here."]

    async def conversation() -> None:
        async with calling(clock, agent=desk, stt=["My bill.", "Goodbye."], llm=llm, hang_up=False) as call:
            call.call.adopt(TurnPolicy(stop_words=frozenset({"goodbye"})))
            for _ in range(2):
                await call.speak(1.0)
                await call.quiet(5.0)
        assert [event.text for event in call.events(AgentTextSpoken)] == ["Billing here.", "Billing says goodbye."]

    clock.run(conversation())
