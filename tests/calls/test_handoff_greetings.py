"""What an agent says as it takes over: at the first visit, later, when nobody is to notice, when it was asked to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from invariants import check, check_nothing_left
from phone import CallUnderTest, calling
from providers import NotingTTS

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.audio.formats import PHONE
from antiphon.calls.events import (
    AgentHandoff,
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    SessionError,
    ToolExecuted,
    TurnCompleted,
)
from antiphon.calls.speech import Speaker
from antiphon.calls.voice import Phrases
from antiphon.clock import VirtualClock
from antiphon.errors import ChatClientContentFilterException
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.tools.tool import FunctionTool

TO_BILLING = Reply("I will put you through.", calls=(tool_call("handoff_to_billing", reason="An invoice."),))
TO_DESK = Reply(calls=(tool_call("handoff_to_desk", reason="Done."),))
GREETING = "Hello, {{ agent_name }} here. {{ previous_agent }} tells me: {{ handoff_reason }}"
GREETED = "Hello, billing here. desk tells me: An invoice."
ANSWER = "Which number does it have?"


def billing(**changes: Any) -> Agent:
    return Agent("billing", "You do invoices.", **{"voice": "eva", "greeting": GREETING, **changes})


def desk(target: Agent, **edge: Any) -> Agent:
    return Agent(
        "desk", "The desk.", voice="ann", return_greeting="The desk again.", handoffs=[Handoff(target, **edge)]
    )


def talk(agent: Agent, llm: Sequence[Any], *, turns: int = 1, hear_s: float = 8.0, **parts: Any) -> CallUnderTest:
    """A call of some turns, each of which the caller lets the agent end."""
    clock = VirtualClock()
    client = ScriptedChatClient(llm, clock=clock)

    async def scenario() -> CallUnderTest:
        stt = [f"Question {number}." for number in range(1, turns + 1)]
        async with calling(clock, agent=agent, stt=stt, llm=client, tts=NotingTTS(clock), **parts) as call:
            for _ in range(turns):
                await call.speak(1)
                await call.quiet(hear_s)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    return call


def said(call: CallUnderTest) -> list[tuple[str, str | None]]:
    """All that was spoken, with its voice."""
    return [(text, voice) for text, voice, _ in call.models.tts.voices]


def kinds(call: CallUnderTest) -> list[str]:
    return [event.kind for event in call.events(AgentSpeechCreated)]


def result_of(call: CallUnderTest, tool: str) -> dict[str, Any]:
    """The last result of a tool, as the model reads it."""
    found = [event.output for event in call.events(ToolExecuted) if event.name == tool]
    answer: dict[str, Any] = json.loads(found[-1])
    return answer


def test_a_first_visit_is_announced_by_the_agents_greeting_and_the_question_is_answered_behind_it() -> None:
    call = talk(desk(billing()), [TO_BILLING, ANSWER])
    assert said(call) == [
        ("I will put you through.", "ann"),
        ("Hello, billing here.", "eva"),
        ("desk tells me: An invoice.", "eva"),
        (ANSWER, "eva"),
    ]
    assert kinds(call) == ["reply", "greeting", "reply"]
    assert [(message.author_name, message.text) for message in call.call.history.messages if message.text][-3:] == [
        ("desk", "I will put you through."),
        ("billing", GREETED),
        ("billing", ANSWER),
    ]
    (turn,) = call.events(TurnCompleted)
    assert turn.agent_text == f"I will put you through. {GREETED} {ANSWER}"
    assert result_of(call, "handoff_to_billing")["said_already"] == GREETED
    assert len(call.events(AgentHandoff)) == 1


def test_a_later_visit_has_its_own_greeting() -> None:
    target = billing(return_greeting="Billing once more.", handoffs=["desk"])
    call = talk(desk(target), [TO_BILLING, ANSWER, TO_DESK, "Anything else for you?", TO_BILLING, ANSWER], turns=3)
    texts = [text for text, _ in said(call)]
    assert texts.count("Billing once more.") == 1
    assert texts.index("Billing once more.") > texts.index("The desk again.") > texts.index("Hello, billing here.")
    assert texts.count("Hello, billing here.") == 1


@pytest.mark.parametrize(("language", "words"), [(None, "Welcome back."), ("de-AT", "Willkommen zurück."), ("xx", "")])
def test_a_later_visit_without_words_of_its_own_is_welcomed_back_in_its_language(language: Any, words: str) -> None:
    target = billing(handoffs=["desk"])
    start = desk(target).replace(return_greeting="", language=language)
    call = talk(start, [TO_BILLING, ANSWER, TO_DESK, "Anything else for you?"], turns=2)
    of_desk = [text for text, voice in said(call) if voice == "ann"]
    assert of_desk == ["I will put you through.", *([words] if words else []), "Anything else for you?"]


def test_nobody_notices_a_discrete_handoff() -> None:
    call = talk(desk(billing(), handoff_type="discrete"), [TO_BILLING, ANSWER])
    assert said(call)[-1] == (ANSWER, "eva")
    assert call.models.tts.heard(call.phone.sound) == [ANSWER]
    assert "greeting" not in kinds(call)
    assert "said_already" not in result_of(call, "handoff_to_billing")


@pytest.mark.parametrize("handoff_type", ["announced", "discrete"])
def test_a_greeting_that_a_tool_asks_for_comes_first(handoff_type: Any) -> None:
    result = {
        "handoff": True,
        "target_agent": "Billing",
        "handoff_summary": "An invoice.",
        "session_overrides": {"greeting": "So it is {{ handoff_reason }}.", "voice": {"name": "zoe", "rate": "+20%"}},
    }
    tool = FunctionTool(lambda: result, name="route", description="Route.")
    start = desk(billing(), handoff_type=handoff_type).replace(tools=[tool])
    call = talk(start, [Reply(calls=(tool_call("route"),)), ANSWER])
    assert said(call) == [("So it is {{ handoff_reason }}.", "zoe"), (ANSWER, "zoe")], "a tool's words are no template"
    assert call.call.agent.speed == 1.2
    assert (start.routes[0].target_name, billing().voice) == ("billing", "eva")
    assert call.events(AgentHandoff) == [AgentHandoff("billing", "desk", handoff_type, "An invoice.")]


def test_a_greeting_among_the_values_of_the_edge_comes_first_too() -> None:
    call = talk(desk(billing(), context_vars={"greeting": "About {{ user_last_utterance }}"}), [TO_BILLING, ANSWER])
    assert said(call)[1:] == [("About Question 1.", "eva"), (ANSWER, "eva")]


def test_an_answer_of_less_than_ten_characters_is_left_out_behind_the_greeting() -> None:
    call = talk(desk(billing()), [TO_BILLING, "Yes? So."])
    assert [text for text, _ in said(call)][-1] == "desk tells me: An invoice."
    assert len(call.events(TurnCompleted)) == 1
    assert call.events(SessionError) == []


def test_an_answer_that_begins_short_is_said_whole() -> None:
    call = talk(desk(billing()), [TO_BILLING, "Yes? So, which number does it have?"])
    assert "".join(text for text, _ in said(call)[3:]).replace(" ", "") == "Yes?So,whichnumberdoesithave?"


@pytest.mark.parametrize("answer", ["", Reply(fault=ChatClientContentFilterException("No."))])
def test_an_answer_that_fails_leaves_the_greeting_and_no_apology(answer: Any) -> None:
    script = [TO_BILLING, *([answer] * 4), "And now?"]
    call = talk(desk(billing()), script)
    assert said(call)[-1] == ("desk tells me: An invoice.", "eva")
    assert "apology" not in kinds(call)
    assert call.call.agent.name == "billing"


def test_a_caller_who_interrupts_the_greeting_is_answered_by_the_new_agent() -> None:
    clock = VirtualClock()
    client = ScriptedChatClient([TO_BILLING, ANSWER, "Yes, of course."], clock=clock)

    async def scenario() -> CallUnderTest:
        stt = ["My invoice.", "Wait, one moment please."]
        async with calling(clock, agent=desk(billing()), stt=stt, llm=client, tts=NotingTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(3.5)
            await call.speak(1.2)
            await call.quiet(5)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    (cut,) = call.events(AgentSpeechInterrupted)
    assert cut.heard
    assert GREETED.startswith(cut.heard)
    assert said(call)[-1] == ("Yes, of course.", "eva")
    assert len(call.events(AgentHandoff)) == 1


def test_at_most_three_handoffs_in_a_turn_and_each_is_told_once() -> None:
    names = ["a", "b", "c", "d", "e"]
    agents: list[Agent] = []
    for name in reversed(names):
        agents.append(Agent(name, f"You are {name}.", handoffs=[Handoff(agents[-1])] if agents else []))
    script = [Reply(calls=(tool_call(f"handoff_to_{name}", reason="x"),)) for name in names[1:]]
    call = talk(agents[-1], [*script, "I am the one who answers."])
    assert [event.new_agent for event in call.events(AgentHandoff)] == ["b", "c", "d"]
    assert result_of(call, "handoff_to_e")["success"] is False
    assert said(call)[-1][0] == "I am the one who answers."


def test_an_agent_that_does_not_share_the_context_does_not_see_it_in_later_turns_either() -> None:
    script = ["Good morning.", TO_BILLING, ANSWER, "That one is paid."]
    call = talk(desk(billing(), share_context=False), script, turns=3)
    asked = [(m.role, m.text) for m in call.models.llm.requests[-1].messages if m.text and m.role != "tool"]
    assert asked == [
        ("system", "You do invoices."),
        ("user", "An invoice."),
        ("assistant", f"{GREETED} {ANSWER}"),
        ("user", "Question 3."),
    ]


def test_the_agents_of_the_book_are_the_same_afterwards() -> None:
    target = billing()
    start = desk(target)
    before = start.version, target.version
    talk(start, [TO_BILLING, ANSWER])
    assert (start.version, target.version) == before


def test_a_greeting_whose_sound_was_made_before_needs_no_voice() -> None:
    clock = VirtualClock()
    phrases, tts = Phrases(), NotingTTS(clock)
    target = billing(greeting="Billing, how can I help?")

    async def scenario() -> CallUnderTest:
        await phrases.prepare(tts, PHONE, ["Billing, how can I help?"], speaker=Speaker.of(target))
        tts.voices.clear()
        llm = ScriptedChatClient([TO_BILLING, ANSWER], clock=clock)
        parts = {"agent": desk(target), "stt": ["My invoice."], "llm": llm, "tts": tts, "phrases": phrases}
        async with calling(clock, **parts) as call:
            await call.speak(1)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert [text for text, *_ in tts.voices] == ["I will put you through.", ANSWER]
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reply", "greeting", "reply"]
    (turn,) = call.events(TurnCompleted)
    assert turn.agent_text == f"I will put you through. Billing, how can I help? {ANSWER}"


def test_the_callers_words_in_a_greeting_are_no_template() -> None:
    edge = {"context_vars": {"greeting": "About {{ user_last_utterance }}"}}
    clock = VirtualClock()
    llm = ScriptedChatClient([TO_BILLING, ANSWER], clock=clock)

    async def scenario() -> CallUnderTest:
        stt = ["My {{ 7 * 7 }} bills."]
        async with calling(clock, agent=desk(billing(), **edge), stt=stt, llm=llm, tts=NotingTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert said(call)[1][0].startswith("About My {{ 7 * 7 }}")


def test_a_call_may_bring_the_words_that_it_begins_with() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        parameters = {"greeting": "This is about {{ your }} appointment."}
        agent = Agent("desk", greeting="Good morning.")
        async with calling(clock, agent=agent, tts=NotingTTS(clock), parameters=parameters) as call:
            await call.quiet(5)
        return call

    assert said(clock.run(scenario())) == [("This is about {{ your }} appointment.", None)]
