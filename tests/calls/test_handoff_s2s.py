"""One agent passes a call on that a model holds: greetings, voices, other models, and what each of them may know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from invariants import check, check_nothing_left
from phone import CallUnderTest
from s2s_phone import Puppet, calling

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.calls.events import (
    AgentHandoff,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    SessionError,
    ToolExecuted,
    TurnCompleted,
)
from antiphon.clock import VirtualClock
from antiphon.errors import ConfigurationError
from antiphon.models.s2s.contract import (
    AnswerDone,
    AnswerText,
    FunctionCalled,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.tools.tool import FunctionTool

GREETING = "Hello, {{ agent_name }} here: {{ handoff_reason }}"
GREETED = "Hello, billing here: A bill."
ANSWER = "Which number does it have?"
SAID = "(the greeting takes an answer's place in the script)"
TO_BILLING = Calls("handoff_to_billing", '{"reason": "A bill."}')
TO_DESK = Calls("handoff_to_desk", '{"reason": "Done."}')


def billing(**changes: Any) -> Agent:
    return Agent("billing", "You do bills.", **{"greeting": GREETING, **changes})


def desk(target: Agent, **edge: Any) -> Agent:
    return Agent("desk", "The desk.", handoffs=[Handoff(target, **edge)], return_greeting="The desk again.")


def talk(clock: VirtualClock, model: Any, *, turns: int = 1, hear_s: float = 8.0, **parts: Any) -> CallUnderTest:
    """A call of some turns, each of which the caller lets the agent end."""

    async def scenario() -> CallUnderTest:
        async with calling(clock, model, **parts) as call:
            for _ in range(turns):
                await call.speak(1)
                await call.quiet(hear_s)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    return call


def spoken(call: CallUnderTest) -> list[tuple[str | None, str]]:
    """The history as (author, words), of the agents alone."""
    return [
        (message.author_name, message.text)
        for message in call.call.history.messages
        if message.text and message.role == "assistant"
    ]


def kinds(call: CallUnderTest) -> list[str]:
    heard = {event.speech for event in call.events(AgentSpeechCompleted)}
    return [event.kind for event in call.events(AgentSpeechCreated) if event.speech in heard]


def test_a_first_visit_is_announced_and_the_question_is_answered_behind_the_greeting() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([TO_BILLING, SAID, ANSWER], heard=["My bill?"], delay_s=0.2, clock=clock)
    call = talk(clock, model, agent=desk(billing()))
    assert spoken(call) == [("billing", GREETED), ("billing", ANSWER)]
    assert kinds(call) == ["greeting", "reply"]
    (session,) = model.sessions
    assert session.brief.instructions == "You do bills."
    (result,) = session.results.values()
    assert json.loads(result) == {"handoff": "accepted", "target": "billing", "said_already": GREETED}
    (turn,) = call.events(TurnCompleted)
    assert turn.agent_text == f"{GREETED} {ANSWER}"
    assert len(call.events(AgentHandoff)) == 1


def test_a_later_visit_has_its_own_greeting() -> None:
    clock = VirtualClock()
    target = billing(handoffs=["desk"], return_greeting="Billing once more.")
    model = ScriptedS2S([TO_BILLING, SAID, ANSWER, TO_DESK, SAID, "Yes?", TO_BILLING, SAID, ANSWER], clock=clock)
    call = talk(clock, model, agent=desk(target), turns=3)
    texts = [text for _, text in spoken(call)]
    assert texts == [GREETED, ANSWER, "The desk again.", "Yes?", "Billing once more.", ANSWER]
    assert call.call.session.visits == {"desk": 2, "billing": 2}


def test_nobody_notices_a_discrete_handoff() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([TO_BILLING, ANSWER], clock=clock)
    call = talk(clock, model, agent=desk(billing(), handoff_type="discrete"))
    assert spoken(call) == [("billing", ANSWER)]
    assert kinds(call) == ["reply"]


def test_a_tools_result_hands_over_with_a_greeting_of_its_own() -> None:
    clock = VirtualClock()
    result = {
        "handoff": True,
        "target_agent": "Billing",
        "handoff_summary": "A bill.",
        "session_overrides": {"greeting": "So it is a bill."},
    }
    tool = FunctionTool(lambda: result, name="route", description="Route.")
    model = ScriptedS2S([Calls("route"), SAID, ANSWER], clock=clock)
    call = talk(clock, model, agent=desk(billing(), handoff_type="discrete").replace(tools=[tool]))
    assert spoken(call) == [("billing", "So it is a bill."), ("billing", ANSWER)]
    assert call.events(AgentHandoff) == [AgentHandoff("billing", "desk", "discrete", "A bill.")]


def test_a_refused_target_leaves_the_same_agent_speaking() -> None:
    clock = VirtualClock()
    tool = FunctionTool(lambda: {"handoff": True, "target_agent": "nobody"}, name="route", description="Route.")
    model = ScriptedS2S([Calls("route"), "I will answer that."], clock=clock)
    call = talk(clock, model, agent=desk(billing()).replace(tools=[tool]))
    assert spoken(call) == [("desk", "I will answer that.")]
    assert json.loads(call.events(ToolExecuted)[0].output)["success"] is False
    assert call.events(AgentHandoff) == []


# Other voices and models.


@pytest.mark.parametrize("greeting", [GREETING, ""])
def test_another_voice_has_a_connection_of_its_own_that_knows_what_was_said(greeting: str) -> None:
    clock = VirtualClock()
    first = ScriptedS2S(["Good morning.", TO_BILLING], heard=["Hello.", "My bill?"], clock=clock)
    second = ScriptedS2S([SAID, ANSWER] if greeting else [ANSWER], heard=["My bill?"], clock=clock)
    target = billing(voice="eva", model="second", greeting=greeting, language="de", phrases=["crown"], speed=1.2)
    parts = {"model_for": lambda agent: second if agent.model == "second" else None}
    call = talk(clock, first, agent=desk(target), turns=2, hear_s=5.0, **parts)
    said = [("billing", GREETED)] if greeting else []
    assert spoken(call) == [("desk", "Good morning."), *said, ("billing", ANSWER)]
    (old,), (new,) = first.sessions, second.sessions
    assert old.is_closed
    brief = new.brief
    assert (brief.voice, brief.language, brief.phrases, brief.speed) == ("eva", "de", ("crown",), 1.2)
    assert new.history == (("user", "Hello."), ("assistant", "Good morning."), ("user", "My bill?"))
    assert (old.results, new.results) == ({}, {})
    assert call.events(SessionError) == []
    assert len(call.events(TurnCompleted)) == 2


def test_the_same_voice_and_model_keep_the_connection() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([TO_BILLING, ANSWER], clock=clock)
    target = billing(greeting="", voice="ann", language="de")
    call = talk(clock, model, agent=desk(target).replace(voice="ann"))
    (session,) = model.sessions
    assert (session.brief.voice, session.brief.language) == ("ann", "de")
    assert spoken(call) == [("billing", ANSWER)]


def test_words_of_the_old_agent_are_heard_out_while_another_connection_opens() -> None:
    clock = VirtualClock()
    puppet, second = Puppet(), ScriptedS2S([SAID, ANSWER], clock=clock)
    target = billing(voice="eva", model="second")
    words = "I will put you through to my colleague."

    async def scenario() -> CallUnderTest:
        parts = {"model_for": lambda agent: second if agent.model == "second" else None}
        async with calling(clock, puppet, agent=desk(target), **parts) as call:
            puppet.turn("My bill?")
            puppet.answer("a1", words, 2.0, is_done=False)
            puppet.tell(FunctionCalled("c1", TO_BILLING.name, TO_BILLING.arguments))
            puppet.tell(AnswerDone("completed"))
            await call.quiet(0.5)
            assert ("close",) in puppet.did
            puppet.tell(AnswerText("a1", " And this comes too late."))
            await call.quiet(8)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert spoken(call) == [("desk", words), ("billing", GREETED), ("billing", ANSWER)]
    assert call.events(AgentSpeechInterrupted) == []
    assert not [deed for deed in puppet.did if deed[0] == "interrupt"]


def test_an_agent_that_does_not_share_the_context_has_a_connection_that_knows_the_reason_alone() -> None:
    clock = VirtualClock()
    first = ScriptedS2S(["Good morning.", TO_BILLING], heard=["Hello.", "My secret."], clock=clock)
    second = ScriptedS2S([SAID, ANSWER], clock=clock)
    models = iter([first, first, second])  # asked whether the session will do, and then for the other one
    agent = desk(billing(), share_context=False)
    call = talk(clock, first, agent=agent, model_for=lambda _: next(models), turns=2, hear_s=5.0)
    (old,), (new,) = first.sessions, second.sessions
    assert old.is_closed
    assert new.history == (("user", "A bill."),)
    assert call.call.agent.name == "billing"


def test_who_follows_an_agent_that_knew_little_knows_all_again() -> None:
    clock = VirtualClock()
    first = ScriptedS2S([TO_BILLING, ANSWER], heard=["My secret."], clock=clock)
    second = ScriptedS2S([TO_DESK], call_ids="other", clock=clock)
    target = billing(handoffs=["desk"], greeting="", model="second")
    parts = {"model_for": lambda agent: second if agent.model == "second" else first}
    call = talk(clock, first, agent=desk(target, share_context=False), turns=1, hear_s=4.0, **parts)
    (_, back), (alone,) = first.sessions, second.sessions
    assert alone.history == (("user", "A bill."),)
    assert ("user", "My secret.") in back.history
    assert spoken(call) == [("desk", "The desk again."), ("desk", ANSWER)]


# What must not happen.


def test_r41_an_update_that_changes_the_tools_cuts_nothing_and_asks_for_nothing() -> None:
    clock = VirtualClock()
    puppet = Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, puppet, agent=Agent("desk")) as call:
            puppet.turn("When?")
            puppet.answer("a1", "We open at nine in the morning.", 2.0)
            await call.quiet(0.5)
            call.call._dialogue.functions._add_tools([FunctionTool(lambda: "", name="more", description="More.")])
            await call.quiet(3)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert [deed for deed in puppet.did if deed[0] != "close"] == [("rebrief", "", ["more"])]
    assert call.events(AgentSpeechInterrupted) == []
    assert spoken(call) == [("desk", "We open at nine in the morning.")]


def test_r41_the_answer_is_asked_for_when_the_greeting_was_made_and_not_before() -> None:
    clock = VirtualClock()
    puppet = Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, puppet, agent=desk(billing())) as call:
            puppet.turn("My bill?")
            puppet.tell(FunctionCalled("c1", TO_BILLING.name, TO_BILLING.arguments))
            puppet.tell(AnswerDone("completed"))
            await call.quiet(0.5)
            assert [deed[0] for deed in puppet.did] == ["rebrief", "say"]
            puppet.answer("a1", GREETED, 1.0)
            assert [deed[0] for deed in puppet.did] == ["rebrief", "say", "result"]
            await call.quiet(0.2)
            puppet.answer("a2", ANSWER, 1.0)
            await call.quiet(3)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert spoken(call) == [("billing", GREETED), ("billing", ANSWER)]


def test_a_caller_who_interrupts_the_greeting_is_answered_by_the_new_agent() -> None:
    clock = VirtualClock()
    puppet = Puppet()

    async def scenario() -> CallUnderTest:
        async with calling(clock, puppet, agent=desk(billing())) as call:
            puppet.turn("My bill?")
            puppet.tell(FunctionCalled("c1", TO_BILLING.name, TO_BILLING.arguments))
            puppet.tell(AnswerDone("completed"))
            await call.quiet(0.3)
            puppet.answer("a1", GREETED, 2.0, is_done=False)
            await call.quiet(1)
            puppet.turn("Wait.", "u2")
            puppet.tell(AnswerDone("cancelled"))
            puppet.answer("a2", "Of course.", 1.0)
            await call.quiet(3)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    (cut,) = call.events(AgentSpeechInterrupted)
    assert cut.heard
    assert GREETED.startswith(cut.heard)
    assert spoken(call)[-1] == ("billing", "Of course.")
    assert [deed[0] for deed in puppet.did].count("result") == 1, "the model is told that the call was answered"


def test_an_answer_that_fails_leaves_the_greeting_and_no_apology() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([TO_BILLING, SAID, ANSWER, "Yes, I hear you."], faults={2: "fail"}, clock=clock)
    call = talk(clock, model, agent=desk(billing()), turns=2)
    assert kinds(call) == ["greeting", "reply"]
    assert spoken(call) == [("billing", GREETED), ("billing", "Yes, I hear you.")]
    assert [event.code for event in call.events(SessionError)] == ["s2s_unavailable"]


@pytest.mark.parametrize("says", [True, False])
def test_another_connection_waits_for_words_that_are_late_and_not_for_ever(says: bool) -> None:
    clock = VirtualClock()
    puppet, second = Puppet(), ScriptedS2S([ANSWER], clock=clock)
    target = billing(greeting="", model="second")

    async def scenario() -> CallUnderTest:
        parts = {"model_for": lambda agent: second if agent.model == "second" else None}
        async with calling(clock, puppet, agent=desk(target), **parts) as call:
            puppet.tell(SpeechStarted("u1"))
            puppet.tell(SpeechStopped("u1"))
            puppet.tell(FunctionCalled("c1", TO_BILLING.name, TO_BILLING.arguments))
            puppet.tell(AnswerDone("completed"))
            await call.quiet(0.8)
            assert not second.sessions
            if says:
                puppet.tell(UserTranscript("u1", "My bill?", is_final=True))
            await call.quiet(6)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    (session,) = second.sessions
    assert session.history == ((("user", "My bill?"),) if says else ())
    assert spoken(call) == [("billing", ANSWER)]


def test_another_connection_waits_for_no_words_where_keys_were_pressed() -> None:
    clock = VirtualClock()
    first, second = ScriptedS2S([TO_BILLING], clock=clock), ScriptedS2S([ANSWER], clock=clock)
    target = billing(greeting="", model="second")

    async def scenario() -> CallUnderTest:
        parts = {"model_for": lambda agent: second if agent.model == "second" else None}
        async with calling(clock, first, agent=desk(target), **parts) as call:
            call.call.digit("1")
            call.call.digit("#")
            await call.quiet(0.5)
            assert second.sessions
            await call.quiet(4)
        check_nothing_left()
        return call

    check(clock.run(scenario()))


def test_an_agent_whose_model_is_not_there_is_refused() -> None:
    clock = VirtualClock()
    model = ScriptedS2S([TO_BILLING, "I will answer that."], clock=clock)

    def model_for(agent: Agent) -> ScriptedS2S | None:
        if agent.name == "billing":
            raise ConfigurationError("There is no key; set one.")
        return None

    call = talk(clock, model, agent=desk(billing()), model_for=model_for)
    assert spoken(call) == [("desk", "I will answer that.")]
    assert (call.call.agent.name, call.events(AgentHandoff)) == ("desk", [])
    assert call.events(ToolExecuted)[0].is_error
