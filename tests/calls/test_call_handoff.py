"""Calls that one agent passes on to another: who is heard in which voice, and what the model is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants import check, check_nothing_left
from phone import CallUnderTest, calling
from providers import NotingTTS

from antiphon.agents.agent import Agent
from antiphon.agents.context import RunContext
from antiphon.agents.handoff import Handoff
from antiphon.calls.events import (
    AgentHandoff,
    AgentSpeechCompleted,
    AgentSpeechInterrupted,
    AgentSpeechStarted,
    ToolExecuted,
    TurnCompleted,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.tools.tool import FunctionTool

PASS_ON = tool_call("handoff_to_billing", reason="An invoice.")
PASSING = Reply("I will put you through. ", calls=(PASS_ON,))


class LanguageSTT(ScriptedSTT):
    """Notes in which language it is to listen."""

    def __init__(self, *texts: str, clock: VirtualClock, **options: Any) -> None:
        super().__init__(texts, clock=clock, **options)
        self.languages: list[str | None] = []

    def open(self, *args: Any, language: str | None = None, **options: Any) -> Any:
        self.languages.append(language)
        return super().open(*args, language=language, **options)


def billing(**changes: Any) -> Agent:
    options: dict[str, Any] = {"voice": "eva", "language": "de", "fillers": ("Moment bitte.",), **changes}
    return Agent("billing", "You do invoices.", **options)


def desk(target: Agent | str, handoff_type: Any = "announced", **changes: Any) -> Agent:
    options: dict[str, Any] = {
        "voice": "ann",
        "language": "en",
        "handoffs": [Handoff(target, handoff_type=handoff_type)],
    }
    return Agent("desk", "You are the desk.", **{**options, **changes})


def spoken(call: CallUnderTest) -> list[tuple[str, str | None, str]]:
    """The history as (role, author, text), without tool calls and results."""
    return [
        (message.role, message.author_name, message.text)
        for message in call.call.history.messages
        if message.text and message.role != "tool"
    ]


def one_question(agent: Agent, llm: Sequence[Any] | ScriptedChatClient, **parts: Any) -> CallUnderTest:
    clock = VirtualClock()
    tts = NotingTTS(clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, stt=["My invoice is wrong."], llm=llm, tts=tts, **parts) as call:
            await call.speak(1)
            await call.quiet(6)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    return call


def test_the_old_agents_words_are_heard_before_the_new_one_speaks_in_its_own_voice() -> None:
    call = one_question(desk(billing()), [PASSING, "Welche Nummer hat sie?"])
    assert call.models.tts.voices == [
        ("I will put you through.", "ann", "en"),
        ("Welche Nummer hat sie?", "eva", "de"),
    ]
    assert call.models.tts.heard(call.phone.sound) == ["I will put you through.", "Welche Nummer hat sie?"]
    assert spoken(call) == [
        ("user", None, "My invoice is wrong."),
        ("assistant", "desk", "I will put you through."),
        ("assistant", "billing", "Welche Nummer hat sie?"),
    ]


def test_everything_of_the_call_is_the_new_agents_afterwards() -> None:
    own = ScriptedChatClient(["Welche Nummer hat sie?"])
    target = billing(model=own, tools=[FunctionTool(lambda: "paid", name="look_up", description="Look up.")])
    shared = ScriptedChatClient([PASSING])
    call = one_question(desk(target), shared, client_for=lambda agent: own if agent is target else shared)
    assert call.call.agent is target
    assert call.events(AgentHandoff) == [AgentHandoff("billing", "desk", "announced", "An invoice.")]
    asked = own.requests[-1]
    assert asked.messages[0].text.startswith("You do invoices.")
    assert [spec.name for spec in asked.options.tools] == ["look_up"]
    (turn,) = call.events(TurnCompleted)
    assert turn.agent_text == "I will put you through. Welche Nummer hat sie?"
    assert not turn.interrupted


def test_a_silent_handoff_drops_what_was_made_of_the_old_agents_words() -> None:
    """Of a long sentence only the beginning has sounded when the other agent takes over."""

    async def slow() -> str:
        """Take a second."""
        await clock.sleep(1.0)
        return "done"

    clock = VirtualClock()
    tts = NotingTTS(clock)
    words = "Let me see what I can find out about this invoice of yours from last month."
    llm = ScriptedChatClient(
        [
            Reply(words, calls=(tool_call("slow"),)),
            Reply("So. ", calls=(tool_call("handoff_to_billing", reason="An invoice."),)),
            "It is paid.",
        ],
        clock=clock,
    )
    agent = desk(billing(), "discrete", tools=[FunctionTool(slow)])

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, stt=["My invoice?"], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(5)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.phone.clears, "sound that was on its way was not taken back"
    (cut,) = call.events(AgentSpeechInterrupted)
    assert cut.spoken == words
    assert words.startswith(cut.heard)
    assert 0 < len(cut.heard) < len(words) / 2
    assert [text for text, *_ in tts.voices] == [words, "It is paid."]  # "So." is never made
    assert spoken(call)[1:] == [("assistant", "desk", cut.heard), ("assistant", "billing", "It is paid.")]
    assert call.at(AgentSpeechStarted, 1) < call.at(AgentSpeechStarted) + 1.5
    assert len(call.events(TurnCompleted)) == 1
    assert not call.events(TurnCompleted)[0].interrupted


def test_a_silent_handoff_before_any_sound_leaves_nothing_of_the_old_agent() -> None:
    call = one_question(desk(billing(), "discrete"), [Reply("Well", calls=(PASS_ON,)), "It is paid."])
    assert call.models.tts.voices == [("It is paid.", "eva", "de")]
    assert spoken(call)[1:] == [("assistant", "billing", "It is paid.")]
    assert call.events(AgentSpeechInterrupted) == []
    assert len(call.events(AgentSpeechCompleted)) == 1


def test_a_silent_handoff_drops_sound_that_was_made_and_not_heard() -> None:
    call = one_question(desk(billing(), "discrete"), [PASSING, "It is paid."])
    assert [text for text, *_ in call.models.tts.voices] == ["I will put you through.", "It is paid."]
    assert call.models.tts.heard(call.phone.sound) == ["It is paid."]
    assert spoken(call)[1:] == [("assistant", "billing", "It is paid.")]


def test_a_silent_handoff_that_is_refused_lets_the_words_be_heard() -> None:
    call = one_question(desk("nobody", "discrete"), [Reply("So. ", calls=(tool_call("handoff_to_nobody"),)), "Sorry."])
    assert spoken(call)[1:] == [("assistant", "desk", "So. Sorry.")]
    assert call.events(AgentHandoff) == []
    assert call.events(ToolExecuted)[0].is_error


def test_the_next_turn_goes_to_the_new_agent_and_it_can_hand_back_by_name() -> None:
    clock = VirtualClock()
    llm = ScriptedChatClient(
        [
            PASSING,
            "Which number?",
            Reply("One moment.", calls=(tool_call("handoff_to_desk", reason="Done."),)),
            "The desk again.",
        ],
        clock=clock,
    )
    start = desk(billing(handoffs=["desk"]))

    async def scenario() -> CallUnderTest:
        async with calling(
            clock, agent=start, stt=["My invoice.", "It is paid."], llm=llm, tts=NotingTTS(clock)
        ) as call:
            await call.speak(1)
            await call.quiet(5)
            await call.speak(1)
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    asked = [request.messages[0].text for request in llm.requests]
    assert asked == ["You are the desk.", "You do invoices.", "You do invoices.", "You are the desk."]
    assert [(event.previous_agent, event.new_agent) for event in call.events(AgentHandoff)] == [
        ("desk", "billing"),
        ("billing", "desk"),
    ]
    assert call.call.agent is start
    assert [(text, voice) for text, voice, _ in call.models.tts.voices] == [
        ("I will put you through.", "ann"),
        ("Which number?", "eva"),
        ("One moment.", "eva"),
        ("Welcome back.", "ann"),
        ("The desk again.", "ann"),
    ]


def test_the_callers_next_words_are_heard_in_the_new_agents_language() -> None:
    clock = VirtualClock()
    stt = LanguageSTT("My invoice.", "Die von Mai.", clock=clock)
    llm = [PASSING, "Welche?", "Gut."]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=desk(billing()), stt=stt, llm=llm, tts=NotingTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(5)
            stt.texts = ("Die von Mai.",)  # each stream begins its list anew
            await call.speak(1)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert stt.languages == ["en", "de"]
    assert [event.text for event in call.events(UserTurnCompleted)] == ["My invoice.", "Die von Mai."]
    assert spoken(call)[-2:] == [("user", None, "Die von Mai."), ("assistant", "billing", "Gut.")]


def test_a_caller_who_interrupts_the_old_agents_last_words_speaks_to_the_new_one() -> None:
    clock = VirtualClock()
    words = "I will put you through to my colleague, who knows all about invoices and payments."
    llm = ScriptedChatClient(
        [Reply(words, calls=(PASS_ON,)), Reply("Hello, billing here.", first_token_s=0.5), "Yes?"], clock=clock
    )
    stt = ["My invoice is wrong.", "Wait, stop please."]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=desk(billing(language="en")), stt=stt, llm=llm, tts=NotingTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(2)
            await call.speak(1.2)
            await call.quiet(4)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    (cut,) = call.events(AgentSpeechInterrupted)
    assert words.startswith(cut.heard)
    assert cut.heard
    assert spoken(call) == [
        ("user", None, "My invoice is wrong."),
        ("assistant", "desk", cut.heard),
        ("user", None, "Wait, stop please."),
        ("assistant", "billing", "Yes?"),
    ]
    assert len(call.events(AgentHandoff)) == 1
    assert call.events(TurnCompleted)[0].interrupted


def test_an_agent_that_is_cut_on_the_way_in_answers_the_next_turn() -> None:
    """The target's instructions take a while; the caller goes on meanwhile, and nothing is told of the handoff yet."""
    clock = VirtualClock()

    async def instructions(context: RunContext) -> str:
        await clock.sleep(1.0)
        return "You do invoices."

    target = Agent("billing", instructions)
    start = Agent("desk", "You are the desk.", handoffs=[Handoff(target, handoff_type="discrete")])
    llm = ScriptedChatClient([Reply(calls=(PASS_ON,)), "Hello.", "Hello again."], clock=clock)
    stt = ["My invoice is wrong.", "The one of May."]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=start, stt=stt, llm=llm) as call:
            await call.speak(1)
            await call.quiet(0.6)
            await call.speak(1)
            await call.quiet(5)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.call.agent is target
    assert len(call.events(AgentHandoff)) == 1
    assert llm.requests[-1].messages[0].text == "You do invoices."
    assert spoken(call)[-1][1] == "billing"


def test_a_handoff_in_an_answer_that_was_tried_early_waits_for_the_end_of_the_turn() -> None:
    clock = VirtualClock()
    llm = ScriptedChatClient([PASSING, PASSING, "Which number?"], clock=clock)
    policy = CallPolicy(turn=TurnPolicy(complete_delay_s=0.8))

    async def scenario() -> CallUnderTest:
        stt = ["My invoice is wrong.", "The one of May."]
        async with calling(clock, agent=desk(billing()), stt=stt, llm=llm, tts=NotingTTS(clock), policy=policy) as call:
            await call.speak(1)
            await call.quiet(0.5)
            assert llm.opened == 1
            assert call.call.agent.name == "desk"
            await call.speak(1)
            assert call.events(AgentHandoff) == []
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert len(call.events(AgentHandoff)) == 1
    assert call.at(AgentHandoff) >= call.at(UserTurnCompleted)
    assert spoken(call)[-1] == ("assistant", "billing", "Which number?")


def test_a_new_agent_that_says_nothing_is_announced_by_its_greeting() -> None:
    call = one_question(desk(billing(greeting="Hier ist {{ agent_name }}.")), [PASSING, ""])
    assert spoken(call)[-1] == ("assistant", "billing", "Hier ist billing.")
    assert call.models.tts.voices[-1] == ("Hier ist billing.", "eva", "de")


def test_words_that_waited_for_the_voice_are_said_in_the_old_voice() -> None:
    """The voice is far ahead when the handoff comes: the rest of the old agent's words is made later."""
    clock = VirtualClock()
    long = " ".join(f"This is sentence number {number} of a long story." for number in range(12))
    llm = [Reply(long, calls=(PASS_ON,)), "Welche Nummer?"]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=desk(billing()), stt=["Tell me."], llm=llm, tts=NotingTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(45)
        return call

    call = clock.run(scenario())
    check(call)
    voices = [voice for _, voice, _ in call.models.tts.voices]
    assert voices == ["ann"] * (len(voices) - 1) + ["eva"]
    assert spoken(call)[1:] == [("assistant", "desk", long), ("assistant", "billing", "Welche Nummer?")]


def test_fillers_are_the_new_agents() -> None:
    clock = VirtualClock()
    llm = ScriptedChatClient([PASSING, Reply("Da ist sie.", first_token_s=6.0)], clock=clock)

    async def scenario() -> CallUnderTest:
        agent = desk(billing(), fillers=("One moment.",))
        async with calling(clock, agent=agent, stt=["My invoice."], llm=llm, tts=NotingTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(12)
        return call

    call = clock.run(scenario())
    check(call)
    assert ("Moment bitte.", "eva", "de") in call.models.tts.voices
    assert not [text for text, *_ in call.models.tts.voices if text == "One moment."]


def test_a_handoff_that_is_cut_before_it_is_carried_out_has_not_been_accepted() -> None:
    """A slow call of the same step still runs when the caller interrupts: the old agent goes on, and knows it."""
    clock = VirtualClock()

    async def slow() -> str:
        """Take long."""
        await clock.sleep(5)
        return "done"

    words = "I will put you through to my colleague now. "
    llm = ScriptedChatClient([Reply(words, calls=(PASS_ON, tool_call("slow"))), "Yes?"], clock=clock)
    agent = desk(billing(), tools=[FunctionTool(slow)])

    async def scenario() -> CallUnderTest:
        stt = ["My invoice.", "Wait, stop please."]
        async with calling(clock, agent=agent, stt=stt, llm=llm, tts=NotingTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(1)
            await call.speak(1.5)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.call.agent is agent
    assert call.events(AgentHandoff) == []
    results = [message.text for message in llm.requests[-1].messages if message.role == "tool"]
    assert len(results) == 2
    assert all("interrupted" in text for text in results)


def test_an_agent_that_gets_the_call_back_without_the_context_sees_its_own_words() -> None:
    clock = VirtualClock()
    handing_back = Reply(calls=(tool_call("handoff_to_desk", reason="Done."),))
    llm = ScriptedChatClient([PASSING, "Which number is on it?", handing_back, "The desk again."], clock=clock)
    agent = desk(billing(handoffs=[Handoff("desk", share_context=False)]))

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, stt=["My invoice.", "Seven."], llm=llm, tts=NotingTTS(clock)) as call:
            for _ in range(2):
                await call.speak(1)
                await call.quiet(5)
        return call

    check(clock.run(scenario()))
    seen = [message.text for message in llm.requests[-1].messages if message.role == "assistant" and message.text]
    assert seen == ["I will put you through."]
