"""A machine answers: it is found out, gets no reply, and gets its message behind its beep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from invariants import check_nothing_left
from phone import CallUnderTest, calling
from s2s_phone import Puppet
from s2s_phone import calling as calling_s2s

from antiphon import Agent
from antiphon.agents.manners import Manners, Voicemail
from antiphon.calls.events import (
    AgentSpeechStarted,
    AgentTextSpoken,
    SessionEnded,
    SessionError,
    UserIdle,
    VoicemailBeep,
    VoicemailDetected,
)
from antiphon.calls.voicemail import is_machine, voicemail_for
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.s2s.contract import AnswerDone, FunctionCalled, SpeechStarted, SpeechStopped, UserTranscript
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.tools.tool import tool
from antiphon.tools.voicemail import confirm_voicemail_and_end_call

GREETING = "Hi, you have reached Bob. Please leave a message after the tone."
MESSAGE = "Please call the clinic back."


def agent(detect: str = "audio", message: str = MESSAGE, *, hang_up: bool = True, **more: Any) -> Agent:
    voicemail = Voicemail(detect, message, hang_up)  # type: ignore[arg-type]
    return Agent("caller", "Remind people of their appointments.", manners=Manners(voicemail=voicemail), **more)


def run(script: Callable[[CallUnderTest], Any], **parts: Any) -> CallUnderTest:
    """A call that must end by itself, unless ``hang_up``."""
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        parts.setdefault("hang_up", False)
        async with calling(clock, **parts) as call:
            await script(call)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    assert call.loop_errors == []
    assert call.events(SessionError) == []
    assert len(call.events(SessionEnded)) == 1
    assert call.phone.frames_after_end == 0
    return call


def said(call: CallUnderTest) -> list[str]:
    return [event.text for event in call.events(AgentTextSpoken)]


# What is a machine's.


@pytest.mark.parametrize(
    "text",
    [
        GREETING,
        "Your call has been forwarded to an automatic voice messaging system.",
        "Leave a message.",
        "Hi, John speaking, I can't take your call, leave a message after the beep.",
        "Hinterlassen Sie nach dem Signalton eine Nachricht.",
        "Deje su mensaje después de la señal.",
        "Laissez un message après le bip sonore.",
        "Lasciate un messaggio dopo il segnale acustico.",
        "Deixe o seu recado após o sinal.",
        "Spreek een bericht in na de piep.",
        "Proszę zostawić wiadomość po sygnale.",
    ],
)
def test_words_of_machines(text: str) -> None:
    assert is_machine(text, 2.0, at_once=True)


@pytest.mark.parametrize(
    "text",
    [
        "Hello?",
        "Bob speaking.",
        "Good morning, Harper and Lowe, how can I help you?",
        "She is not available, would you like to leave a message?",
        "He is not here. Can I take a message? Who is calling?",
        "You have reached the clinic, what can I do for you?",
        "Yes, this is Maria, I was waiting for your call.",
        "¿Diga?",
        "Müller am Apparat, guten Tag.",
    ],
)
def test_words_of_people(text: str) -> None:
    assert not is_machine(text, 3.5, at_once=True)


@pytest.mark.parametrize(
    ("text", "spoke_s", "at_once", "expected"),
    [
        ("We are here from nine to five", 8.0, True, True),
        ("We are here from nine to five", 7.9, True, False),
        ("We are here from nine to five", 8.0, False, False),
        ("You have reached Bob", 5.0, True, True),
        ("You have reached Bob", 4.9, True, False),
        ("You have reached Bob, who will get back to you", 4.0, False, True),
        ("You have reached Bob, who will get back to you", 3.9, False, False),
        ("", 9.0, True, True),
    ],
)
def test_the_length_of_the_first_monologue_tells_too(text: str, spoke_s: float, at_once: bool, expected: bool) -> None:
    assert is_machine(text, spoke_s, at_once=at_once) is expected


@pytest.mark.parametrize(
    ("detect", "parameter", "expected"),
    [
        *[("off", "", "off"), ("off", "true", "audio"), ("off", "audio", "audio"), ("off", "LLM", "llm")],
        *[("llm", "true", "llm"), ("audio", "false", "off"), ("audio", "nonsense", "audio")],
    ],
)
def test_a_parameter_of_the_call_switches_detection(detect: str, parameter: str, expected: str) -> None:
    given = {"voicemail_detect": parameter} if parameter else {}
    made = voicemail_for(Voicemail(detect, MESSAGE), given)  # type: ignore[arg-type]
    assert (made.detect, made.message) == (expected, MESSAGE)


# Calls.


def test_a_machine_gets_its_message_behind_the_beep() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    call = run(script, agent=agent(), stt=[GREETING])
    assert call.events(VoicemailDetected) == [VoicemailDetected("machine", "audio", GREETING)]
    (told,) = call.events(VoicemailBeep)
    assert (told.frequency_hz, told.duration_ms) == (pytest.approx(1000, abs=3), pytest.approx(400, abs=30))
    assert 4.4 <= call.at(VoicemailBeep) <= 4.6
    assert said(call) == [MESSAGE]
    assert call.at(AgentSpeechStarted) >= call.at(VoicemailBeep)
    assert call.models.llm.opened == 0  # nothing was answered
    assert call.ended is not None
    assert call.ended.reason == call.phone.hung_up == "voicemail"


def test_a_machine_is_known_by_words_that_may_still_change() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(6)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    call = run(script, agent=agent(), stt=ScriptedSTT([GREETING], words_per_partial=1))
    assert call.at(VoicemailDetected) < 3
    assert said(call) == [MESSAGE]


def test_the_answer_to_a_machine_is_cut() -> None:
    """Its first words pass for a person's: "Hi, you have reached Bob", and a pause."""

    async def script(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(1.6)
        await call.speak(2)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    stt = ["Hi, you have reached Bob.", "Please leave a message after the tone."]
    call = run(script, agent=agent(), stt=stt, llm=["Hello Bob, this is the clinic, about your appointment."])
    assert call.events(VoicemailDetected)[0].result == "machine"
    assert said(call)[-1] == MESSAGE
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


def test_a_pause_in_an_announcement_is_not_answered() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(1)
        await call.quiet(0.6)
        await call.speak(2)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    stt = ["Hi, this is Bob.", "I am away. Please leave a message after the tone."]
    call = run(script, agent=agent(), stt=stt, llm=["Hello Bob, this is the clinic."])
    assert said(call) == [MESSAGE]


def test_a_person_is_answered_at_once_and_told_to_be_one() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(0.6)
        await call.quiet(5)

    call = run(script, agent=agent(), stt=["Hello?"], llm=["Hello, this is the clinic."], hang_up=True)
    assert call.events(VoicemailDetected) == [VoicemailDetected("human", "audio", "Hello?")]
    assert call.at(AgentSpeechStarted) < 1.4
    assert call.at(VoicemailDetected) == pytest.approx(0.6 + 1.8, abs=0.1)
    assert call.events(VoicemailBeep) == []
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"


def test_a_machine_that_is_answered_in_its_pauses_is_found() -> None:
    async def script(call: CallUnderTest) -> None:
        for _ in range(3):
            await call.speak(1.6)
            await call.quiet(1.4)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    stt = [
        "Thank you for calling Harper and Lowe.",
        "Our office is currently closed.",
        "We are here from nine to five.",
    ]
    call = run(script, agent=agent(), stt=stt, llm=["Hello.", "Pardon?"])
    assert [event.result for event in call.events(VoicemailDetected)] == ["machine"]
    assert said(call)[-1] == MESSAGE
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


def test_a_quick_conversation_is_a_person_s() -> None:
    """Question and answer without a pause that is long enough to tell: together they are longer than any hello."""

    async def script(call: CallUnderTest) -> None:
        for _ in range(6):
            await call.speak(0.8)
            await call.quiet(1.6)
        await call.speak(1.5)
        await call.quiet(5)

    stt = ["Hello?", "Yes, speaking.", "Right.", "Okay.", "And then?", "I see what you mean."]
    stt += ["Shall I leave a message after the tone?"]
    call = run(script, agent=agent(), stt=stt, llm=["Is this Bob?", *["Good."] * 6], hang_up=True)
    assert call.events(VoicemailDetected) == [VoicemailDetected("human", "audio", "Hello? Yes, speaking.")]
    assert said(call)[-1] == "Good."


def test_without_a_message_the_call_ends_at_once() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(3)

    call = run(script, agent=agent(message=""), stt=[GREETING])
    assert said(call) == []
    assert call.ended is not None
    assert (call.ended.reason, call.ended.turns) == ("voicemail", 0)
    assert call.ended.duration_s < 3.5


def test_an_application_may_decide_what_becomes_of_a_machine() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(90)
        call.call.say("It is about your tooth.")
        await call.quiet(4)

    call = run(script, agent=agent(message="", hang_up=False), stt=[GREETING], hang_up=True)
    assert len(call.events(VoicemailBeep)) == 1
    assert call.events(UserIdle) == []  # a machine is not asked whether it is still there
    assert said(call) == ["It is about your tooth."]


def test_silence_takes_the_place_of_a_beep_that_does_not_come() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(40)

    call = run(script, agent=agent(), stt=[GREETING])
    assert call.events(VoicemailBeep) == [VoicemailBeep(0.0, 0)]
    assert call.at(VoicemailBeep) == pytest.approx(call.at(VoicemailDetected) + 30, abs=0.1)
    assert said(call) == [MESSAGE]


def test_two_seconds_of_silence_are_waited_for() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(1)
        await call.speak(34)
        await call.quiet(10)

    call = run(script, agent=agent(), stt=[GREETING, "la la la"])
    assert call.events(VoicemailBeep) == [VoicemailBeep(0.0, 0)]
    assert call.at(VoicemailBeep) == pytest.approx(38 + 2, abs=0.1)


def test_a_beep_before_the_last_words_are_known_counts() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(2)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    call = run(script, agent=agent(), stt=ScriptedSTT([GREETING], delay_s=1.0))
    assert [event.result for event in call.events(VoicemailDetected)] == ["machine"]
    assert len(call.events(VoicemailBeep)) == 1
    assert said(call) == [MESSAGE]


def test_a_beep_behind_speech_that_nobody_understood_is_a_machine_s() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(2)
        await call.quiet(0.2)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    call = run(script, agent=agent(), stt=["", ""])
    assert call.events(VoicemailDetected) == [VoicemailDetected("machine", "audio", "")]
    assert said(call) == [MESSAGE]


def test_nothing_is_detected_unless_it_is_asked_for() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(3)

    call = run(script, agent=agent("off"), stt=[GREETING, ""], llm=["Hello."], hang_up=True)
    assert call.events(VoicemailDetected, VoicemailBeep) == []
    assert said(call) == ["Hello."]


def test_a_call_may_ask_for_it_by_its_parameter() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    call = run(script, agent=agent("off"), stt=[GREETING], parameters={"voicemail_detect": "true"})
    assert said(call) == [MESSAGE]


def test_a_model_may_find_the_machine_by_its_tool() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(2)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    llm = [Reply(calls=(tool_call("detect_voicemail_and_end_call", heard="after the tone"),))]
    call = run(script, agent=agent("llm"), stt=[GREETING], llm=llm)
    assert call.events(VoicemailDetected) == [VoicemailDetected("machine", "llm", "after the tone")]
    assert len(call.events(VoicemailBeep)) == 1
    assert said(call) == [MESSAGE]
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


def test_a_model_may_confirm_that_no_message_is_to_be_left() -> None:
    async def script(call: CallUnderTest) -> None:
        await call.speak(3)
        await call.quiet(4)

    llm = [Reply(calls=(tool_call("confirm_voicemail_and_end_call"),))]
    call = run(script, agent=agent("off", tools=[confirm_voicemail_and_end_call]), stt=[GREETING], llm=llm)
    assert [event.method for event in call.events(VoicemailDetected)] == ["llm"]
    assert said(call) == []
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


def test_a_model_may_know_better_than_the_ears() -> None:
    """The verdict is told once; what follows from the new one holds all the same."""

    async def script(call: CallUnderTest) -> None:
        await call.speak(0.8)
        await call.quiet(6)
        await call.speak(2)
        await call.quiet(1)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    call = run(
        script,
        agent=agent("llm"),
        stt=["Hello there.", "You are through to my recorder."],
        llm=["Hello.", Reply(calls=(tool_call("detect_voicemail_and_end_call", heard="recorder"),))],
        parameters={"voicemail_detect": "audio"},
    )
    assert [event.result for event in call.events(VoicemailDetected)] == ["human"]
    assert said(call) == ["Hello.", MESSAGE]
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


def test_a_machine_is_told_no_late_results() -> None:
    @tool(wait="later")
    async def look_up() -> str:
        """Look something up."""
        await asyncio.sleep(3)
        return "Tuesday"

    async def script(call: CallUnderTest) -> None:
        await call.speak(0.6)
        await call.quiet(1.4)
        await call.speak(2)
        await call.quiet(12)
        await call.tone(1000, 0.4)
        await call.quiet(6)

    llm = [Reply(calls=(tool_call("look_up"),)), "One moment.", "It is Tuesday."]
    call = run(script, agent=agent(tools=[look_up]), stt=["Hello.", "Leave a message after the tone."], llm=llm)
    assert said(call) == ["One moment.", MESSAGE]


# Calls that one model holds.


def run_s2s(script: Callable[[CallUnderTest, Puppet], Any], **parts: Any) -> tuple[CallUnderTest, Puppet]:
    clock, puppet = VirtualClock(), Puppet()

    async def scenario() -> CallUnderTest:
        parts.setdefault("hang_up", False)
        async with calling_s2s(clock, puppet, **parts) as call:
            await script(call, puppet)
        return call

    call = clock.run(scenario())
    assert call.loop_errors == []
    assert len(call.events(SessionEnded)) == 1
    return call, puppet


def test_a_machine_gets_its_message_from_a_call_that_one_model_holds() -> None:
    async def script(call: CallUnderTest, puppet: Puppet) -> None:
        puppet.tell(SpeechStarted("u1"))
        await call.speak(3)
        await call.quiet(0.4)
        puppet.tell(SpeechStopped("u1"))
        puppet.answer("a1", "Hello Bob.", 1.0)
        puppet.tell(UserTranscript("u1", GREETING, is_final=True))
        await call.quiet(0.5)
        await call.tone(1000, 0.4)
        puppet.answer("a2", "Are you there?", 1.0)
        await call.quiet(8)

    call, puppet = run_s2s(script, agent=agent())
    assert call.events(VoicemailDetected) == [VoicemailDetected("machine", "audio", GREETING)]
    assert len(call.events(VoicemailBeep)) == 1
    assert said(call)[-1] == MESSAGE
    assert "Are you there?" not in said(call)
    assert [did[0] for did in puppet.did][-1] == "close"
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


def test_a_person_goes_on_talking_with_the_model() -> None:
    async def script(call: CallUnderTest, puppet: Puppet) -> None:
        puppet.tell(SpeechStarted("u1"))
        await call.speak(0.6)
        puppet.turn("Hello?", "u1")
        puppet.answer("a1", "Hello Bob.", 1.0)
        await call.quiet(4)

    call, _ = run_s2s(script, agent=agent(), hang_up=True)
    assert call.events(VoicemailDetected) == [VoicemailDetected("human", "audio", "Hello?")]
    assert said(call) == ["Hello Bob."]


def test_r28_a_model_says_its_goodbye_before_the_call_ends_for_a_stop_word() -> None:
    async def script(call: CallUnderTest, puppet: Puppet) -> None:
        puppet.turn("Goodbye.", "u1")
        puppet.answer("a1", "Have a good day.", 1.0)
        await call.quiet(4)

    call, _ = run_s2s(script)
    assert said(call) == ["Have a good day."]
    assert call.ended is not None
    assert call.ended.reason == "agent_hangup"
    assert call.ended.duration_s == pytest.approx(1.0, abs=0.3)


def test_a_model_that_says_nothing_to_a_goodbye_does_not_keep_the_caller() -> None:
    async def script(call: CallUnderTest, puppet: Puppet) -> None:
        puppet.turn("Bye.", "u1")
        await asyncio.sleep(0)
        await call.quiet(6)

    call, _ = run_s2s(script)
    assert call.ended is not None
    assert call.ended.reason == "agent_hangup"
    assert call.ended.duration_s < 5


def test_a_model_that_holds_the_call_may_find_the_machine_itself() -> None:
    async def script(call: CallUnderTest, puppet: Puppet) -> None:
        puppet.turn(GREETING, "u1")
        puppet.tell(FunctionCalled("c1", "detect_voicemail_and_end_call", '{"heard": "after the tone"}'))
        puppet.tell(AnswerDone("completed", "", 10, 5))
        await call.quiet(1)
        puppet.answer("a1", "Nobody hears this.", 1.0)
        await call.tone(1000, 0.4)
        await call.quiet(8)

    call, _ = run_s2s(script, agent=agent("llm"))
    assert call.events(VoicemailDetected) == [VoicemailDetected("machine", "llm", "after the tone")]
    assert said(call) == [MESSAGE]
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


def test_a_model_that_holds_the_call_may_leave_without_a_message() -> None:
    async def script(call: CallUnderTest, puppet: Puppet) -> None:
        puppet.turn(GREETING, "u1")
        puppet.tell(FunctionCalled("c1", "confirm_voicemail_and_end_call", "{}"))
        puppet.tell(AnswerDone("completed", "", 10, 5))
        await call.quiet(3)

    call, _ = run_s2s(script, agent=agent("llm", tools=[confirm_voicemail_and_end_call]))
    assert said(call) == []
    assert call.ended is not None
    assert call.ended.reason == "voicemail"
