"""A caller who types: numbers for the model, that nobody else reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from invariants import check
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.agents.keypad import KeypadManner
from antiphon.agents.observability.content import input_messages
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.tones import dtmf
from antiphon.calls.events import (
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    SessionEnded,
    SessionError,
    TurnCompleted,
    TurnMetrics,
    UserDtmf,
    UserTurnCompleted,
)
from antiphon.calls.keypad import Keypad, TypedNumbers, keys_in
from antiphon.clock import VirtualClock
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.tools.context import ToolContext
from antiphon.tools.keypad import is_open, pin_gate, send_dtmf
from antiphon.tools.tool import tool

SAY_NUMBER = "Please type your customer number on the keypad, all of it, and then the pound key."


async def type_keys(call: CallUnderTest, keys: str, *, every_s: float = 0.3) -> None:
    for key in keys:
        call.call.digit(key)
        await call.quiet(every_s)


def told(call: CallUnderTest) -> str:
    return " ".join(str(entry.to_dict()) for entry in call.entries)


@pytest.mark.parametrize(
    ("pressed", "keys"),
    [
        *(("7", "7"), (7, "7"), ("seven", "7"), ("ZERO", "0"), ("*", "*"), ("star", "*"), ("asterisk", "*")),
        *(("#", "#"), ("pound", "#"), ("hash", "#"), ("a", "A"), ("D", "D"), ("12#", "12#")),
        *(("", ""), ("x", ""), ("\u0663", "")),
    ],
)
def test_keys_are_read_by_sign_number_or_word(pressed: str | int, keys: str) -> None:
    assert keys_in(pressed) == keys


def test_numbers_end_by_the_sharp_sign_or_by_silence_and_the_star_forgets() -> None:
    clock = VirtualClock()
    numbers: list[tuple[float, str]] = []
    refused: list[float] = []

    def typed(keys: str) -> bool:
        numbers.append((clock.now(), keys))
        return True

    async def scenario() -> None:
        keypad = Keypad(clock, typed, refused=lambda: refused.append(clock.now()))
        manner = KeypadManner()
        keypad.press("12#", manner)
        keypad.press("#", manner)  # nothing is no number
        keypad.press("34", manner)
        await clock.sleep(1.4)
        keypad.press("5", manner)
        await clock.sleep(1.6)
        keypad.press("99*7", manner)
        await clock.sleep(1.6)
        keypad.press("1" * 20, manner)
        keypad.press("#", manner)
        keypad.press("1" * 21, manner)
        keypad.press("2#", manner)
        keypad.press("3333", manner, length=4)
        assert keypad.is_empty
        keypad.press("8", manner)
        keypad.clear()
        await clock.sleep(5)

    clock.run(scenario())
    assert [keys for _, keys in numbers] == ["12", "345", "7", "1" * 20, "3333"]
    assert numbers[1][0] == pytest.approx(2.9)
    assert len(refused) == 1


def test_masked_numbers_are_put_back_in_order() -> None:
    typed = TypedNumbers()
    assert typed.mask("12", "12") == "••"
    assert typed.mask("345", "345") == "•••"
    assert typed.reveal("•• and •••") == "[keypad: 12] and [keypad: 345]"
    assert typed.reveal("It is •••.") == "It is [keypad: 345]."
    assert typed.reveal("No key.") == "No key."


def test_the_model_gets_the_number_and_nobody_else() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Welcome.")
        async with calling(clock, agent=agent, llm=["Thank you.", "Goodbye."]) as call:
            await call.quiet(3)
            await type_keys(call, "80417#")
            await call.quiet(4)
            await type_keys(call, "62")
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert [(event.text, event.trigger) for event in call.events(UserTurnCompleted)] == [
        ("•••••", "dtmf"),
        ("••", "dtmf"),
    ]
    assert [event.digit for event in call.events(UserDtmf)] == ["•"] * 8
    asked = [message.text for message in call.call.history.messages if message.role == "user"]
    assert asked == ["[keypad: 80417]", "[keypad: 62]"]
    assert "80417" not in told(call)


def test_a_number_behind_an_older_turn_has_no_time_of_a_recogniser() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, llm=["We do.", "Thank you."], stt=["Do you open on Sunday?"]) as call:
            await call.speak(1.0)
            await call.quiet(6)
            await type_keys(call, "80417#")
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    spoken, typed = call.events(TurnMetrics)
    assert (spoken.anchor, typed.anchor) == ("vad_end", "turn_start")
    assert spoken.transcript_ms is not None
    assert typed.transcript_ms is None
    assert typed.end_of_turn_ms == pytest.approx(0, abs=20)


def test_a_key_stops_the_answer() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting=SAY_NUMBER)
        async with calling(clock, agent=agent, llm=["Thank you."]) as call:
            await call.quiet(2)
            await type_keys(call, "1234#")
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.at(AgentSpeechInterrupted) == pytest.approx(2.0, abs=0.05)
    assert call.at(UserTurnCompleted) == pytest.approx(3.2, abs=0.05)


def test_an_agent_may_say_that_a_key_stops_nothing() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting=SAY_NUMBER, keypad=KeypadManner(interrupts=False))
        async with calling(clock, agent=agent, llm=["Thank you."]) as call:
            await call.quiet(2)
            await type_keys(call, "1234#")
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(AgentSpeechInterrupted) == []
    assert [event.text for event in call.events(UserTurnCompleted)] == ["••••"]


def test_a_number_that_is_too_long_is_refused_with_a_hint() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, llm=[]) as call:
            await type_keys(call, "1" * 21 + "#", every_s=0.2)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(UserTurnCompleted) == []
    assert "That was too many keys" in told(call)


@tool
async def order(number: str) -> str:
    """Where the order is."""
    return f"Order {number} is on its way."


def test_a_number_that_a_tool_gets_and_the_agent_reads_back_is_in_no_event() -> None:
    clock = VirtualClock()
    answers = [Reply(calls=(asks("order", number="80417"),)), "Your order 8 0 4 1 7 costs 17 euros."]

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[order])
        async with calling(clock, agent=agent, llm=answers) as call:
            await type_keys(call, "80417#")
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert results(call) == ["Order ••••• is on its way."]
    assert "80417" not in told(call)
    assert "8 0 4 1 7" not in told(call)
    assert "17 euros" in told(call)
    assert call.models.llm.requests[1].messages[-1].text == "Order 80417 is on its way."


def test_r26_what_was_typed_is_in_no_span() -> None:
    request = [Message("user", "My number is [keypad: 80417] and [keypad: 62].")]
    written = input_messages(request, {})
    assert "[keypad: •] and [keypad: •]" in written
    assert "80417" not in written


# The gate.


@tool
async def balance(context: ToolContext) -> str:
    """The balance of the account."""
    return "The balance is nine euros." if is_open(context) else "The caller is not known."


def gate_call(
    clock: VirtualClock,
    keys: Sequence[tuple[float, str]],
    gate: Any,
    *,
    keypad: KeypadManner | None = None,
    hang_up: bool = True,
    answers: list[Any] | None = None,
) -> CallUnderTest:
    """The agent opens with the gate; the caller types these after these silences."""
    agent = Agent("bank", "Check the caller.", tools=[gate, balance], keypad=keypad or KeypadManner())
    script: list[str | Reply] = [
        Reply(calls=(asks("pin_gate"),)),
        "Please type your number.",
        *(answers if answers is not None else [Reply(calls=(asks("balance"),)), "Thank you."]),
    ]

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(script, clock=clock)
        async with calling(clock, agent=agent, llm=llm, stt=["My balance, please."], hang_up=hang_up) as call:
            await call.speak(1.0)
            await call.quiet(5)
            for silence, typed in keys:
                await call.quiet(silence)
                await type_keys(call, typed)
            await call.quiet(12)
        return call

    return clock.run(scenario())


def results(call: CallUnderTest) -> list[str]:
    return [event.output for event in call.events() if event.type == "tool.executed"]


def test_r25_the_gate_opens_on_the_right_number_only() -> None:
    call = gate_call(VirtualClock(), [(0, "222229#"), (4, "471147#")], pin_gate("471147"))
    check(call)
    assert "The caller has typed the right number." in results(call)
    assert "The balance is nine euros." in results(call)
    assert call.call.session.state == {"open:pin_gate": True}
    seen = told(call) + str(call.call.history.messages) + str(call.models.llm.requests)
    assert "471147" not in seen
    assert "222229" not in seen


def test_the_gate_of_a_known_length_needs_no_sharp_sign() -> None:
    call = gate_call(VirtualClock(), [(0, "4711")], pin_gate("4711", length=4))
    check(call)
    assert "The caller has typed the right number." in results(call)


def test_a_sharp_sign_out_of_habit_stops_nothing() -> None:
    call = gate_call(VirtualClock(), [(0, "2222#"), (6, "4711#")], pin_gate("4711", length=4))
    check(call)
    assert call.events(AgentSpeechInterrupted) == []
    assert "The caller has typed the right number." in results(call)
    assert len(call.events(UserDtmf)) == 10


def test_only_the_first_sharp_sign_right_behind_a_whole_number_is_spare() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        keypad, manner = Keypad(clock, lambda keys: True, refused=lambda: None), KeypadManner()
        keypad.press("4711", manner, length=4)
        assert [keypad.is_spare(key) for key in ("#", "5", "*")] == [True, False, False]
        await clock.sleep(manner.submit_after_s + 0.1)
        assert not keypad.is_spare("#")
        keypad.press("4711", manner, length=4)
        keypad.press("5", manner)
        assert not keypad.is_spare("#")
        keypad.press("#", manner)
        assert not keypad.is_spare("#")

    clock.run(scenario())


@pytest.mark.parametrize(
    "gate",
    [
        lambda: pin_gate(lambda context: context.values.get("pin")),
        lambda: pin_gate(lambda context: ""),
        lambda: pin_gate(check=lambda digits, context: cast(Any, 1)),
        lambda: pin_gate(check=_fails),
    ],
)
def test_a_gate_without_a_right_number_stays_closed(gate: Callable[[], Any]) -> None:
    keys = [(0, "4711#"), (4, "4711#"), (4, "4711#")]
    call = gate_call(VirtualClock(), keys, gate(), hang_up=False, answers=["Goodbye."])
    check(call)
    assert call.call.session.state == {}
    assert call.ended == SessionEnded("error", call.ended.duration_s, call.ended.turns)  # type: ignore[union-attr]
    assert "4711" not in told(call)


async def _fails(digits: str, _context: ToolContext) -> bool:
    raise ValueError(f"no such PIN: {digits}")


def test_after_the_last_attempt_the_call_ends_with_a_goodbye() -> None:
    keys = [(0, "1#"), (4, "2#")]
    call = gate_call(VirtualClock(), keys, pin_gate("4711", attempts=2), hang_up=False, answers=["Goodbye."])
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "error"
    assert "I cannot go on with this call" in told(call)
    assert call.call.session.state == {}


def test_r25_a_gate_that_asks_once_more_gives_no_more_attempts() -> None:
    again = [Reply(calls=(asks("pin_gate"),)), "Please type it again.", "Goodbye."]
    clock = VirtualClock()
    agent = Agent("bank", "Check the caller.", tools=[pin_gate("4711", attempts=2, timeout_s=60)])
    script: list[str | Reply] = [Reply(calls=(asks("pin_gate"),)), "Please type your number.", *again]

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(script, clock=clock)
        heard = ["My balance, please.", "Ask me once more."]
        async with calling(clock, agent=agent, llm=llm, stt=heard, hang_up=False) as call:
            await call.speak(1.0)
            await call.quiet(5)
            await type_keys(call, "1#")
            await call.quiet(5)
            await call.speak(1.0)
            await call.quiet(5)
            await type_keys(call, "2#")
            await call.quiet(12)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "error"
    assert call.call.session.state == {}


def test_who_types_nothing_has_so_many_attempts_as_the_agent_gives() -> None:
    manner = KeypadManner(attempts=2, timeout_s=4.0)
    call = gate_call(VirtualClock(), [(4, "")], pin_gate("4711"), keypad=manner, hang_up=False, answers=["Goodbye."])
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "error"
    assert told(call).count("That was not right.") >= 1


EARLY: list[tuple[str, str, str | None]] = [
    ("471147#", "[keypad: ••••••, kept for pin_gate]", "The caller has typed the right number."),
    ("222229#", "[keypad: ••••••, kept for pin_gate]", None),
    ("47#", "[keypad: 47]", None),  # a choice, and no secret
    ("4711478#", "[keypad: 4711478]", None),  # longer than the secret is
]


@pytest.mark.parametrize(("keys", "shown", "result"), EARLY)
def test_digits_before_the_gate_asks_go_to_the_gate_and_not_to_the_model(
    keys: str, shown: str, result: str | None
) -> None:
    clock = VirtualClock()
    agent = Agent("bank", "Check the caller.", tools=[pin_gate("471147", length=6, attempts=1)])
    script: list[str | Reply] = [Reply(calls=(asks("pin_gate"),)), "Please type your number.", "Thank you."]

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, llm=ScriptedChatClient(script, clock=clock)) as call:
            await type_keys(call, keys)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    asked = [message.text for message in call.call.history.messages if message.role == "user"]
    assert asked == [shown]
    assert results(call) == ([result] if result else [])  # a wrong one is no attempt
    if "•" in shown:
        assert keys[:-1] not in str(call.models.llm.requests) + told(call)


def test_digits_behind_an_open_gate_are_the_models() -> None:
    clock = VirtualClock()
    agent = Agent("bank", "Check the caller.", tools=[pin_gate("471147")])

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=agent, llm=["Thank you."]) as call:
            call.call.session.state["open:pin_gate"] = True
            await type_keys(call, "80417#")
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    assert call.call.history.messages[0].text == "[keypad: 80417]"


def test_an_open_gate_is_not_asked_again() -> None:
    again = [Reply(calls=(asks("pin_gate"),)), "You are known.", "Fine."]
    call = gate_call(VirtualClock(), [(0, "4711#")], pin_gate("4711"), answers=again)
    check(call)
    assert "The caller has typed the right number before." in results(call)


@pytest.mark.parametrize("options", [{}, {"expected": "1", "check": lambda digits, context: True}])
def test_a_gate_needs_one_way_to_know_the_number(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs expected= or check="):
        pin_gate(**options)


# Keys that the agent presses.


def pressing() -> CallUnderTest:
    """The agent presses keys in its turn."""
    clock = VirtualClock()
    agent = Agent("dialler", "Press keys.", tools=[send_dtmf])
    script: list[str | Reply] = [Reply("One moment.", calls=(asks("send_dtmf", keys="4 0#"),)), "It is pressed."]

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(script, clock=clock)
        async with calling(clock, agent=agent, llm=llm, stt=["Press four."]) as call:
            await call.speak(1.0)
            await call.quiet(1.0)
            await call.quiet(8)
        return call

    return clock.run(scenario())


TONES = from_pcm(dtmf("40#", tone_ms=100, gap_ms=100, amplitude=0.28), PHONE)


def test_keys_sound_on_the_line_whole_and_are_in_no_log() -> None:
    call = pressing()
    check(call)
    assert TONES in call.phone.sound
    kinds = [event.kind for event in call.events(AgentSpeechCreated)]
    assert "tones" in kinds
    assert "40#" not in told(call)
    assert "4 0#" not in told(call)


def test_keys_without_a_word_are_an_answer() -> None:
    clock = VirtualClock()
    agent = Agent("dialler", "Press keys.", tools=[send_dtmf])

    async def scenario() -> CallUnderTest:
        script: list[str | Reply] = [Reply(calls=(asks("send_dtmf", keys="40#"),)), "", "It is pressed."]
        llm = ScriptedChatClient(script, clock=clock)
        async with calling(clock, agent=agent, llm=llm, stt=["For sales press four.", "Hello?"]) as call:
            await call.speak(1.0)
            await call.quiet(6)
            await call.speak(1.0)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert TONES in call.phone.sound
    assert not call.events(SessionError)
    assert [event.kind for event in call.events(AgentSpeechCreated)] == ["reply", "tones", "reply"]
    assert [(turn.user_text, turn.agent_text) for turn in call.events(TurnCompleted)] == [
        ("For sales press four.", ""),
        ("Hello?", "It is pressed."),
    ]


def test_keys_are_not_cut_by_who_speaks_over_them() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["For the opening hours press one."], llm=["Yes."]) as call:
            await call.quiet(1)
            call.call.press("1234567890")
            await call.speak(2.5)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert from_pcm(dtmf("1234567890", tone_ms=100, gap_ms=100, amplitude=0.28), PHONE) in call.phone.sound
    assert call.events(AgentSpeechInterrupted) == []
    assert [event.text for event in call.events(UserTurnCompleted)] == ["For the opening hours press one."]


def test_pauses_among_keys_are_heard() -> None:
    clock = VirtualClock()
    asked: list[Any] = []
    context = ToolContext(request=lambda name, details: asked.append(details["keys"]))
    assert VirtualClock().run(send_dtmf(context, "1 w2W a")) == "The keys are pressed."
    assert asked == ["1w2WA"]

    async def scenario() -> CallUnderTest:
        async with calling(clock) as call:
            await call.quiet(1)
            call.call.press("1w2W")
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert from_pcm(dtmf("1w2W", tone_ms=100, gap_ms=100, amplitude=0.28), PHONE) in call.phone.sound
    assert call.phone.heard_s == pytest.approx(2 * 0.2 + 0.5 + 1.0, abs=0.02)


@pytest.mark.parametrize("keys", ["", "12x", "1" * 65])
def test_what_is_no_key_is_not_pressed(keys: str) -> None:
    asked: list[str] = []
    context = ToolContext(request=lambda name, details: asked.append(name))
    answer = VirtualClock().run(send_dtmf(context, keys))
    assert answer.startswith(("No keys", "These keys cannot"))
    assert asked == []
