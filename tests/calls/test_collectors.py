"""A caller who is asked for something by a collector, in whole calls."""

from __future__ import annotations

from typing import Any

from invariants import check
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.level import rms
from antiphon.calls.events import (
    AgentHandoff,
    AgentSpeechCompleted,
    AgentToolCompleted,
    AgentToolFailed,
    AgentToolStarted,
    FloorDecision,
    RecordingPaused,
    RecordingResumed,
    TurnCompleted,
    UserTurnCompleted,
)
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.tools.collect import collect_credit_card, collect_digits, collect_email
from antiphon.tools.context import ToolContext
from antiphon.tools.tool import tool

CARD = "4111111111111111"


def use(name: str, /, words: str = "", **arguments: Any) -> Reply:
    return Reply(words, calls=(asks(name, **arguments),))


async def say(call: CallUnderTest, seconds: float = 1.0, *, wait_s: float = 4.0) -> None:
    await call.speak(seconds)
    await call.quiet(wait_s)


async def type_keys(call: CallUnderTest, keys: str) -> None:
    for key in keys:
        call.call.digit(key)
        await call.quiet(0.3)
    await call.quiet(4.0)


def told(call: CallUnderTest) -> str:
    return "\n".join(str(entry.to_dict()) for entry in call.entries)


def said(call: CallUnderTest) -> list[str]:
    return [event.transcript for event in call.events(AgentSpeechCompleted)]


def test_a_spoken_address_is_collected_and_the_agent_goes_on() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient(
        [
            use("collect_email", "Gladly."),
            "What is your e-mail address?",
            use("record", email_address="john dot smith at example dot com"),
            "John dot smith at example dot com, is that right?",
            use("confirm"),
            "It is on its way.",
        ],
        clock=clock,
    )
    agent = Agent("desk", "You are the desk.", tools=[collect_email()])
    heard = ["Send me the form.", "John dot smith at example dot com.", "Yes."]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, llm=model, stt=heard) as call:
            for _ in heard:
                await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    assert said(call) == [
        "Gladly.",
        "What is your e-mail address?",
        "John dot smith at example dot com, is that right?",
        "It is on its way.",
    ]
    [started] = call.events(AgentToolStarted)
    [completed] = call.events(AgentToolCompleted)
    assert started.agent_tool_type == completed.agent_tool_type == "collect_email"
    assert started.agent_tool_id == completed.agent_tool_id
    assert completed.result == {"email_address": "john.smith@example.com"}
    assert not call.events(AgentToolFailed, AgentHandoff)
    assert [turn.agent_tool_id for turn in call.events(TurnCompleted)] == [started.agent_tool_id] * 3
    assert [message.text.strip() for message in model.requests[-1].messages][1:] == [
        "Send me the form.",
        "Gladly.",
        '{"email_address":"john.smith@example.com"}',
    ]
    assert call.call.agent is agent
    assert not call.loop_errors


def test_typed_digits_go_to_the_collector_and_into_no_log() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient(
        [
            use("collect_digits"),
            "Your booking number?",
            use("record", digits="[keypad: 471183]"),
            "Thanks, found.",
        ],
        clock=clock,
    )
    agent = Agent("desk", tools=[collect_digits(num_digits=6, label="booking number", require_confirmation=False)])

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, llm=model, stt=["My booking."]) as call:
            await say(call)
            await type_keys(call, "471183#")
        return call

    call = clock.run(scenario())
    check(call)
    assert model.requests[2].messages[-1].text == "[keypad: 471183]"
    assert said(call)[-1] == "Thanks, found."
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"digits": "••••••"}
    assert call.call.session.private["collect_digits"] == {"digits": "471183"}
    assert "471183" not in told(call)


def test_number_and_code_of_a_card_are_nowhere_in_the_log() -> None:
    clock = VirtualClock()
    charged: list[Any] = []

    @tool
    async def charge(context: ToolContext) -> str:
        """Charge the card."""
        charged.append(context.private["collect_credit_card"])
        return f"charged {charged[0]['card_number']}"

    model = ScriptedChatClient(
        [
            use("collect_credit_card", "Gladly."),
            "Please say the number.",
            use("record", card_number=CARD),
            "And the month, the code and the name?",
            use("record", expiration_date="12/39", security_code="737", cardholder_name="Ann Lee"),
            "The card that ends in one one one one, valid until 12/39?",
            use("confirm"),
            use("charge"),
            "It is paid.",
            "Until then.",
        ],
        clock=clock,
    )
    agent = Agent("desk", tools=[collect_credit_card(), charge])
    heard = [
        "I want to pay.",
        "four one one one, one one one one, one one one one, one one one one",
        "December thirty nine, seven three seven, Ann Lee.",
        "Yes.",
        "Goodbye then, see you on May 5.",
    ]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, llm=model, stt=heard) as call:
            for words in heard:
                await say(call, 3.0 if words.startswith("four") else 1.0, wait_s=6.0)
        return call

    call = clock.run(scenario())
    check(call)
    assert charged[0]["card_number"] == CARD
    assert said(call)[-2:] == ["It is paid.", "Until then."]
    log = told(call).lower()
    for secret in (CARD, "four one", "one one one", "737", "seven three", "thirty nine"):
        assert secret not in log, secret
    assert "charged ••••" in log
    kept = [message.text for message in call.call.history.messages if message.role == "user"]
    assert kept == ["I want to pay.", "•••", "•••", "•••", "Goodbye then, see you on May 5."]
    arguments = str([message.calls for message in call.call.history.messages])
    assert CARD not in arguments
    assert "737" not in arguments
    texts = [event.text for event in call.events(UserTurnCompleted)]
    assert texts == ["I want to pay.", "•••", "•••", "•••", "Goodbye then, see you on May 5."]
    [completed] = call.events(AgentToolCompleted)
    assert completed.result["issuer"] == "Visa"
    assert completed.result["card_number"] == "••••••••••••1111"
    assert any(isinstance(event, FloorDecision) for event in call.events())


def test_who_declines_is_served_by_the_agent_that_waits() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient(
        [use("collect_email"), "Your address?", use("decline", reason="no e-mail"), "By post, then."], clock=clock
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_email()])
        async with calling(clock, agent=agent, llm=model, stt=["Send it.", "I have none."]) as call:
            await say(call)
            await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"declined": True, "decline_reason": "no e-mail"}
    assert said(call)[-1] == "By post, then."


def test_after_its_time_the_agent_speaks_by_itself() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient([use("collect_email"), "Your address?", "Let us go on without."], clock=clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_email(timeout_s=10)])
        async with calling(clock, agent=agent, llm=model, stt=["Send it."]) as call:
            await say(call, wait_s=20.0)
        return call

    call = clock.run(scenario())
    check(call)
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"timed_out": True}
    assert 9.9 < call.at(AgentToolCompleted) - call.at(AgentToolStarted) < 11
    assert said(call)[-1] == "Let us go on without."
    assert [message.text for message in model.requests[-1].messages][-2:] == ["", '{"timed_out":true}']


def test_a_caller_who_speaks_after_the_time_is_answered_by_the_agent_that_waits() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient([use("collect_email"), "Your address?", "Until six."], clock=clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_email(timeout_s=10)])
        async with calling(clock, agent=agent, llm=model, stt=["Send it.", "When do you close?"]) as call:
            await say(call, wait_s=7.5)
            await say(call, 3.5)
        return call

    call = clock.run(scenario())
    check(call)
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"timed_out": True}
    assert said(call)[-1] == "Until six."
    assert model.requests[-1].messages[-1].text == "When do you close?"
    assert len(model.requests) == 3


def test_a_call_that_ends_in_the_middle_of_it_tells_that_it_failed() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient([use("collect_credit_card"), "The number?"], clock=clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_credit_card()])
        async with calling(clock, agent=agent, llm=model, stt=["I pay."]) as call:
            await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    [failed] = call.events(AgentToolFailed)
    assert failed.error == "The call ended."
    assert not call.events(AgentToolCompleted)


def test_a_collector_whose_model_fails_twice_gives_the_caller_back() -> None:
    clock = VirtualClock()
    broken = Reply(fault="garbage")
    model = ScriptedChatClient([use("collect_email"), "Your address?", broken, broken, "Never mind that."], clock=clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_email()])
        async with calling(clock, agent=agent, llm=model, stt=["Send it.", "Ann.", "Ann Lee.", "Hello?"]) as call:
            for _ in range(4):
                await say(call, wait_s=7.0)
        return call

    call = clock.run(scenario())
    check(call)
    assert [event.error for event in call.events(AgentToolFailed)] == ["It could not be asked for: the model failed."]
    assert said(call)[-1] == "Never mind that."
    assert model.requests[-1].messages[-1].text == "Ann.\nAnn Lee.\nHello?"  # which nobody has answered


def test_a_caller_may_cut_in_on_the_question() -> None:
    clock = VirtualClock()
    question = "Please tell me your e-mail address, slowly, and spell what is unusual in it, so that I get it right."
    model = ScriptedChatClient(
        [
            use("collect_email"),
            question,
            use("record", email_address="ann@example.com"),
            "Ann at example dot com?",
            use("confirm"),
            "Good.",
        ],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_email()])
        heard = ["Send it.", "Ann at example dot com.", "Yes."]
        async with calling(clock, agent=agent, llm=model, stt=heard) as call:
            await say(call, wait_s=2.5)
            await say(call, 1.5)
            await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    assert said(call)[-1] == "Good."
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"email_address": "ann@example.com"}


def test_the_line_is_patient_with_what_is_asked_for_and_not_with_a_yes() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient(
        [
            use("collect_email", "One thing first."),
            "Where shall I write to?",
            use("record", email_address="ann@example.com"),
            "Ann at example dot com?",
            use("confirm"),
            "Good.",
        ],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_email()])
        heard = ["Send it.", "ann", "at example dot com", "Yes."]
        async with calling(clock, agent=agent, llm=model, stt=heard) as call:
            await say(call, wait_s=5)
            await say(call, 0.6, wait_s=1.2)
            await say(call)
            await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    assert [event.text for event in call.events(UserTurnCompleted)] == ["Send it.", "ann at example dot com", "Yes."]
    expected = [e.event["what"] for e in call.events(FloorDecision) if e.event.get("type") == "InputExpected"]
    assert set(expected) <= {"email"}


def test_a_caller_who_cuts_the_agent_off_before_the_question_is_with_the_collector() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient(
        [
            use("collect_email", "Gladly, and while I am at it let me tell you that it will take some days to arrive."),
            "So what is your address?",
            use("record", email_address="ann@example.com"),
            "Ann at example dot com?",
            use("confirm"),
            "Good. It will be there on Friday at the latest, and if it is not, then please call us again.",
            "Thursday, then.",
        ],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_email()])
        heard = ["Send it.", "Ann at example dot com.", "Yes.", "No, earlier.", "Please."]
        async with calling(clock, agent=agent, llm=model, stt=heard) as call:
            await say(call, wait_s=2.0)
            await say(call, 1.5)
            await say(call, wait_s=2.5)
            await say(call, 1.5)
        return call

    call = clock.run(scenario())
    check(call)
    [completed] = call.events(AgentToolCompleted)
    assert completed.result == {"email_address": "ann@example.com"}
    assert said(call)[-1] == "Thursday, then."
    last = [message.text.strip() for message in model.requests[-1].messages]
    assert last[0] == "Send it."
    assert last[-1] == "No, earlier."
    assert last[-3] == '{"email_address":"ann@example.com"}'
    assert last[-2].startswith("Good. It will")
    assert not call.loop_errors


def test_news_of_a_slow_tool_wait_for_the_agent_that_wants_them() -> None:
    clock = VirtualClock()

    @tool(wait="later", timeout_s=30)
    async def look_up() -> str:
        """Look something up."""
        await clock.sleep(6)
        return "It is in stock."

    model = ScriptedChatClient(
        [
            Reply(calls=(asks("look_up"), asks("collect_digits"))),
            "Your number?",
            use("record", digits="12"),
            "Thanks, and it is in stock.",
        ],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[look_up, collect_digits(require_confirmation=False)])
        async with calling(clock, agent=agent, llm=model, stt=["Is it there?", "One two."]) as call:
            await say(call, wait_s=9)
            await say(call, wait_s=9)
        return call

    call = clock.run(scenario())
    check(call)
    assert said(call) == ["Your number?", "Thanks, and it is in stock."]
    assert "It is in stock." not in [message.text for message in model.requests[2].messages]
    assert "It is in stock." in [message.text for message in model.requests[3].messages]


class Tape:
    """A tap that keeps when the caller was loud."""

    def __init__(self) -> None:
        self.loud: list[float] = []

    def caller(self, at_s: float, payload: bytes) -> None:
        if rms(to_pcm(payload, PHONE)) > 0.01:
            self.loud.append(at_s)

    def agent(self, at_s: float, payload: bytes) -> None: ...

    def cut(self, at_s: float) -> None: ...


def test_nothing_is_recorded_while_a_card_is_asked_for() -> None:
    clock = VirtualClock()
    tape = Tape()
    model = ScriptedChatClient(
        [use("collect_credit_card"), "The number?", use("decline", reason="no card"), "As you like.", "Yes?"],
        clock=clock,
    )

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", tools=[collect_credit_card()])
        async with calling(clock, agent=agent, llm=model, stt=["I pay.", "No.", "Well."], tap=tape) as call:
            for _ in range(3):
                await say(call)
        return call

    call = clock.run(scenario())
    check(call)
    began, ended = call.at(AgentToolStarted), call.at(AgentToolCompleted)
    assert call.events(RecordingPaused, RecordingResumed) == [
        RecordingPaused("collector"),
        RecordingResumed("collector"),
    ]
    assert not [at for at in tape.loud if began < at < ended]
    assert min(tape.loud) < began < ended < max(tape.loud)


def test_a_card_may_be_typed() -> None:
    clock = VirtualClock()
    model = ScriptedChatClient(
        [
            use("collect_credit_card"),
            "Please type the number.",
            use("record", card_number=f"[keypad: {CARD}]"),
            "And the month?",
            use("record", expiration_date="[keypad: 1239]"),
            "And the code?",
            use("record", security_code="[keypad: 737]", cardholder_name="ann lee"),
            "Thanks.",
        ],
        clock=clock,
    )
    agent = Agent("desk", tools=[collect_credit_card(require_confirmation=False)])

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, llm=model, stt=["I pay."]) as call:
            await say(call)
            for keys in (f"{CARD}#", "1239#", "737#"):
                await type_keys(call, keys)
        return call

    call = clock.run(scenario())
    check(call)
    assert said(call)[-1] == "Thanks."
    assert call.call.session.private["collect_credit_card"] == {
        "card_number": CARD,
        "expiration_date": "12/39",
        "security_code": "737",
        "cardholder_name": "Ann Lee",
        "issuer": "Visa",
    }
    for secret in (CARD, "'737'", "keypad: 7"):
        assert secret not in told(call)
