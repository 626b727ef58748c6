"""A call that we make, while it is found out who has answered: the other side may speak first."""

from __future__ import annotations

from typing import Any

import pytest
from invariants import check_nothing_left
from phone import CallUnderTest, calling
from s2s_phone import Puppet
from s2s_phone import calling as calling_s2s

from antiphon import Agent
from antiphon.agents.manners import Manners, Voicemail
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechStarted,
    AgentTextSpoken,
    SessionError,
    SessionStarted,
    TurnCompleted,
    TurnMetrics,
    VoicemailDetected,
)
from antiphon.calls.opening import WAIT_S
from antiphon.clock import VirtualClock
from antiphon.evals.replay import replay_decisions
from antiphon.models.tts.scripted import ScriptedTTS

GREETING = "This is the clinic."
MACHINE = "Hi, you have reached Bob. Please leave a message after the tone."
MESSAGE = "Please call back."


def agent(detect: str = "audio") -> Agent:
    voicemail = Voicemail(detect, MESSAGE)  # type: ignore[arg-type]
    return Agent("caller", "Remind people.", greeting=GREETING, manners=Manners(voicemail=voicemail))


def run(*steps: tuple[str, float], called: str = "+493023125012", voice: Any = None, **parts: Any) -> CallUnderTest:
    """The other side speaks (``says``), is ``quiet``, or sounds a ``beep``, each for so many seconds."""
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        tts = ScriptedTTS(clock=clock, **(voice or {}))
        async with calling(clock, called=called, tts=tts, **{"agent": agent(), **parts}) as call:
            for what, seconds in steps:
                if what == "beep":
                    await call.tone(1000, seconds)
                else:
                    await (call.speak if what == "says" else call.quiet)(seconds)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    assert call.loop_errors == []
    assert bool(call.events(SessionError)) is ("faults" in (voice or {}))
    return call


def said(call: CallUnderTest) -> list[str]:
    return [event.text for event in call.events(AgentTextSpoken)]


def test_a_call_tells_that_we_have_made_it() -> None:
    (started,) = run(("quiet", 1)).events(SessionStarted)
    assert (started.direction, started.called) == ("outbound", "+493023125012")


@pytest.mark.parametrize(("called", "detect"), [("", "audio"), ("+493023125012", "off")])
def test_who_calls_us_is_greeted_at_once_and_so_is_who_is_no_machine_for_sure(called: str, detect: str) -> None:
    call = run(("quiet", 2), called=called, agent=agent(detect))
    assert call.at(AgentSpeechStarted) < 0.2
    assert said(call) == [GREETING]


def test_where_nobody_speaks_the_agent_greets() -> None:
    call = run(("quiet", 5))
    assert WAIT_S <= call.at(AgentSpeechStarted) < WAIT_S + 0.2
    assert said(call) == [GREETING]
    (turn,) = call.events(TurnCompleted)
    assert turn.agent_first


def test_the_greeting_answers_a_hello() -> None:
    """Within a turn of the other side, and not by the model; after that the model answers."""
    steps = [("quiet", 0.5), ("says", 0.6), ("quiet", 4), ("says", 1), ("quiet", 4)]
    call = run(*steps, stt=["Hello?", "What is it?"], llm=["Your appointment is on Monday."])
    assert said(call) == [GREETING, "Your appointment is on Monday."]
    assert 1.1 < call.at(AgentSpeechStarted) < 2.5
    assert call.models.llm.opened >= 1
    turns = [(turn.user_text, turn.agent_text) for turn in call.events(TurnCompleted)]
    assert turns == [("Hello?", GREETING), ("What is it?", "Your appointment is on Monday.")]
    assert call.events(TurnMetrics)[0].first_audio_ms is not None
    roles = [(message.role, message.text) for message in call.call.history.messages]
    assert roles[:2] == [("user", "Hello?"), ("assistant", GREETING)]


def test_a_sound_without_words_only_delays_the_greeting() -> None:
    call = run(("quiet", 1), ("says", 0.4), ("quiet", 6), stt=[""])
    assert said(call) == [GREETING]
    assert 1.4 + WAIT_S <= call.at(AgentSpeechStarted) < 2 + WAIT_S


def test_a_machine_is_not_greeted() -> None:
    call = run(("quiet", 1), ("says", 4), ("quiet", 1), ("beep", 0.4), ("quiet", 6), stt=[MACHINE])
    assert call.events(VoicemailDetected)[0].result == "machine"
    assert said(call) == [MESSAGE]
    assert call.models.llm.opened == 0


def test_the_greeting_can_be_interrupted_and_is_heard_once() -> None:
    steps = [("says", 0.6), ("quiet", 2), ("says", 1.5), ("quiet", 5)]
    call = run(*steps, stt=["Hello?", "No, stop, who is this?"], llm=["The clinic."])
    assert said(call).count(GREETING) == 1
    assert said(call)[-1] == "The clinic."


def test_who_says_hello_twice_is_greeted_behind_the_second_one() -> None:
    """Nothing was heard of the greeting yet; the model does not answer in its place."""
    steps = [("says", 0.6), ("quiet", 1.0), ("says", 0.6), ("quiet", 5), ("says", 1), ("quiet", 3)]
    slow = {"first_chunk_delay_s": 1.0}
    call = run(*steps, stt=["Hello?", "Hello?", "Yes."], llm=["On Monday."], voice=slow)
    heard = [event.transcript for event in call.events(AgentSpeechCompleted)]
    assert heard == [GREETING, "On Monday."]


def test_an_impatient_side_is_answered_in_the_end() -> None:
    """The greeting is not made for ever."""
    hellos = [("says", 0.6), ("quiet", 1.0)] * 6
    slow = {"first_chunk_delay_s": 1.0}
    call = run(*hellos, ("quiet", 6), stt=["Hello?"] * 6, llm=["It is the clinic."] * 6, voice=slow)
    assert [event.kind for event in call.events(AgentSpeechCreated)].count("greeting") == 2
    assert call.events(AgentSpeechCompleted)[-1].transcript == "It is the clinic."


def test_a_voice_that_fails_leaves_a_call_that_answers() -> None:
    faults = {"faults": {0: "fail"}}
    call = run(("quiet", 8), ("says", 1), ("quiet", 4), stt=["Hello?"], llm=["On Monday."] * 3, voice=faults)
    assert said(call)[-1] == "On Monday."


def test_who_hangs_up_first_is_not_greeted() -> None:
    call = run(("quiet", 1))
    assert call.events(AgentSpeechStarted, AgentSpeechCompleted) == []


def test_a_call_with_an_opening_replays_to_the_same_decisions() -> None:
    call = run(("says", 0.6), ("quiet", 4), ("says", 1), ("quiet", 4), stt=["Hello?", "Yes."], llm=["On Monday."])
    assert replay_decisions([entry.to_dict() for entry in call.entries]).differences == []


# A model that holds the call.


def run_puppet(*steps: str, detect: str = "audio") -> tuple[Puppet, CallUnderTest]:
    """A call in which a ``Puppet`` is told what it hears: ``quiet`` for a second, ``hello``, or ``machine``."""
    clock, model = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        async with calling_s2s(clock, model, agent=agent(detect), called="+493023125012") as call:
            for step in steps:
                if step == "quiet":
                    await call.quiet(1)
                else:
                    model.turn("Hello?" if step == "hello" else MACHINE)
                    await call.quiet(0.1)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    assert call.loop_errors == []
    return model, call


def greetings(model: Puppet) -> list[tuple[Any, ...]]:
    return [deed for deed in model.did if GREETING in deed]


@pytest.mark.parametrize(
    ("steps", "detect", "expected"),
    [
        (["quiet"], "off", 1),
        (["quiet"], "audio", 0),
        (["quiet", "quiet", "quiet"], "audio", 1),
        (["quiet", "hello", "quiet", "quiet", "quiet"], "audio", 0),
        (["quiet", "machine", "quiet", "quiet", "quiet"], "audio", 0),
    ],
)
def test_a_model_that_speaks_greets_where_nobody_says_anything(steps: list[str], detect: str, expected: int) -> None:
    """It answers by itself what it hears, so that nothing else is said for it then."""
    model, _ = run_puppet(*steps, detect=detect)
    assert len(greetings(model)) == expected
