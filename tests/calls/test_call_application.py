"""What an application may ask of a call beside the caller: to commit, answer, fall silent, forget, and be told."""

from __future__ import annotations

from phone import calling

from antiphon.calls.events import AgentSpeechInterrupted, SessionManners, UserTurnCompleted
from antiphon.calls.policy import TurnPolicy
from antiphon.calls.reply import ReplyTerms
from antiphon.calls.watcher import ReplyWatcher
from antiphon.clock import VirtualClock
from antiphon.models.llm.messages import Message

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
