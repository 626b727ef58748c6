"""Whatever fails, wherever: it costs an utterance, a clause or a turn. The call goes on, and others feel nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest
from invariants import TICK_S, check, check_nothing_left
from phone import CallUnderTest, Phone, calling
from providers import CodedTTS, WrongTTS

from antiphon.agents.agent import Agent
from antiphon.calls.events import SessionError, ToolExecuted, UserTurnCompleted
from antiphon.calls.log import Entry
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.calls.speech import Speech
from antiphon.clock import VirtualClock
from antiphon.errors import (
    ChatClientContentFilterException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
    IntegrationUnavailableException,
    ToolException,
)
from antiphon.models.llm.content import FunctionCall
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.turn.scripted import ScriptedTurn
from antiphon.tools.tool import FunctionTool

TWO_CLAUSES = "We open at nine in the morning. We close at five in the afternoon."
FAULTY = pytest.mark.parametrize("faulty", [0, 1], ids=["first turn", "second turn"])


async def turns(call: CallUnderTest, count: int = 3) -> None:
    """Questions, each with enough time for the worst."""
    for _ in range(count):
        await call.speak(1)
        await call.quiet(13)


def run(count: int = 3, **parts: Any) -> CallUnderTest:
    """A call of some turns; checked."""
    clock = parts.pop("clock")

    async def scenario() -> CallUnderTest:
        async with calling(clock, **parts) as call:
            await turns(call, count)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    return call


def answers(call: CallUnderTest) -> list[str]:
    """What was heard of the agent's replies."""
    return [message.text for message in call.call.history.messages if message.role == "assistant"]


def numbered(replies: Mapping[int, Any], clock: VirtualClock) -> ScriptedChatClient:
    """A model that answers question n by ``replies[n]``, however often it is asked, else by "Answer n."."""

    def reply(messages: Any, _options: Any) -> Any:
        number = "".join(message.text for message in messages if message.role == "user").count("Question")
        made = replies.get(number, f"This is answer {number}.")
        return made(messages) if callable(made) else made

    return ScriptedChatClient(reply, clock=clock)


# The recogniser.


@FAULTY
@pytest.mark.parametrize("fault", ["fail", "stall", "empty", "long", "close"])
def test_a_recogniser_at_fault_costs_its_utterance(fault: Any, faulty: int) -> None:
    clock = VirtualClock()
    stt = ScriptedSTT(["Question."], faults={faulty: fault}, clock=clock)
    call = run(clock=clock, stt=stt, llm=numbered({}, clock))
    told = [event.code for event in call.events(SessionError)]
    if fault == "close":
        assert told == ["stt_unavailable"] * (3 - faulty)
        assert len(answers(call)) == faulty
    else:
        assert told == (["stt_unavailable"] if fault == "fail" else [])
        assert len(call.events(UserTurnCompleted)) == (3 if fault == "long" else 2)
        assert answers(call)[-1].startswith("This is answer")


def test_words_that_are_late_because_earlier_ones_failed_are_not_lost() -> None:
    clock = VirtualClock()
    stt = ScriptedSTT(["My name is", "Ann Smith."], faults={0: "fail"}, delay_s=0.9, clock=clock)
    heard: list[str] = []

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(lambda messages, _: heard.append(messages[-1].text) or "Hello.", clock=clock)
        async with calling(clock, stt=stt, llm=llm) as call:
            await call.speak(0.8)
            await call.quiet(0.4)
            await call.speak(0.24)
            await call.quiet(6)
        return call

    check(clock.run(scenario()))
    assert heard[-1] == "Ann Smith."


@pytest.mark.parametrize("text", ["\x00\x07\ud800", "?!…", "<b>{{ drop }}</b>", "   "])
def test_garbage_from_the_recogniser_is_only_words(text: str) -> None:
    clock = VirtualClock()
    call = run(clock=clock, stt=["Question.", text, "Question."], llm=numbered({}, clock))
    assert answers(call)[0] == "This is answer 1."
    assert answers(call)[-1].startswith("This is answer 2.")


# The model.

LEAVES = [
    ChatClientInvalidAuthException("The key is wrong."),
    ChatClientInvalidRequestException("The request is wrong."),
    ChatClientInvalidResponseException("The answer is wrong."),
    ChatClientContentFilterException("The answer was withheld."),
    ChatClientUnavailableException("Overloaded."),
    ChatClientUnavailableException("Overloaded.", retry_after_s=0.5),
]


@FAULTY
@pytest.mark.parametrize("after", [0, 1, 9], ids=["at once", "in the first clause", "in the second clause"])
@pytest.mark.parametrize("fault", [*LEAVES, "stall", "garbage", "close", RuntimeError("bug")], ids=repr)
def test_a_model_at_fault_costs_its_turn(fault: Any, after: int, faulty: int) -> None:
    clock = VirtualClock()
    llm = numbered({faulty + 1: Reply(TWO_CLAUSES, fault=fault, fault_after=after)}, clock)
    call = run(clock=clock, stt=["Question."], llm=llm)
    assert answers(call)[-1] == "This is answer 3."
    assert bool(after == 9) == ("We open at nine in the morning." in answers(call))
    assert llm.opened == llm.closed
    if fault != "stall":
        assert {event.code for event in call.events(SessionError)} == {"llm_unavailable"}


@FAULTY
@pytest.mark.parametrize("text", ["", "   \n", "```\nx = 1\n```", "***", "\x00\x01\ufffd"])
def test_an_answer_of_nothing_costs_its_turn(text: str, faulty: int) -> None:
    clock = VirtualClock()
    call = run(clock=clock, stt=["Question."], llm=numbered({faulty + 1: text}, clock))
    assert answers(call)[-1] == "This is answer 3."


def test_a_very_long_answer_is_voiced_only_a_little_ahead_and_can_be_interrupted() -> None:
    clock = VirtualClock()
    long = "This is a sentence of an answer that does not end. " * 400
    tts = CodedTTS(clock)

    async def scenario() -> CallUnderTest:
        llm = numbered({1: long}, clock)
        async with calling(clock, stt=["Question.", "Stop. Question."], llm=llm, tts=tts) as call:
            await call.speak(1)
            await call.quiet(60)
            assert llm.closed == llm.completed  # it was read to its end at once
            assert 60 / 3 <= len(tts.said) <= 85 / 3 + 1
            await call.speak(1)
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert answers(call)[-1] == "This is answer 2."
    assert long.startswith(answers(call)[0])
    assert call.call.history.replies[0].generated == long


def test_a_long_answer_is_said_to_its_end() -> None:
    clock = VirtualClock()
    long = "This is a sentence of an answer that takes its time. " * 12

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["Question."], llm=numbered({1: long}, clock)) as call:
            await call.speak(1)
            await call.quiet(50)
        return call

    call = clock.run(scenario())
    check(call)
    assert answers(call) == [long.strip()]


@pytest.mark.parametrize("instructions", ["Hello {{ 1 / 0 }}", lambda context: 1 / 0])
def test_instructions_that_cannot_be_made_cost_each_turn(instructions: Any) -> None:
    clock = VirtualClock()
    call = run(clock=clock, agent=Agent("tester", instructions), stt=["Question."], llm=numbered({}, clock))
    assert [event.code for event in call.events(SessionError)] == ["llm_unavailable"] * 3


# Tools.


async def raise_for_model() -> str:
    """Fail in words."""
    raise ToolException("The calendar is closed.")


async def raise_anything() -> str:
    """Fail."""
    raise ZeroDivisionError


async def hang() -> str:
    """Hang."""
    await asyncio.Event().wait()
    return ""


async def give_bytes() -> Any:
    """Give what cannot be shown."""
    return b"bytes"


def block() -> str:
    """Raise in a thread."""
    raise OSError("no disk")


TOOLS: list[Callable[..., Any]] = [raise_for_model, raise_anything, hang, give_bytes, block]
CALLS = [
    *(tool_call(function.__name__) for function in TOOLS),
    tool_call("unknown"),
    tool_call("raise_anything", surplus=1),
    FunctionCall("", "raise_anything", "{not json"),
    FunctionCall("", "raise_anything", "[1]"),
    FunctionCall("", "", ""),
]


@FAULTY
@pytest.mark.parametrize("made", CALLS, ids=lambda made: f"{made.name or 'nameless'} {made.arguments}")
def test_a_tool_at_fault_is_told_to_the_model(made: FunctionCall, faulty: int) -> None:
    clock = VirtualClock()
    agent = Agent("tester", "Answer.", tools=[FunctionTool(function, timeout_s=2) for function in TOOLS])

    def reply(messages: Any) -> Any:
        return "That did not work." if messages[-1].role == "tool" else Reply(calls=(made,))

    call = run(clock=clock, agent=agent, stt=["Question."], llm=numbered({faulty + 1: reply}, clock))
    assert answers(call)[faulty:] == ["", "That did not work.", *answers(call)[faulty + 2 :]]
    assert answers(call)[-1].startswith(("This is answer 3.", "That did not"))
    assert [event.is_error for event in call.events(ToolExecuted)] == [True]


# The voice.


def odd(pcm: Any) -> SpeechChunk:
    return SpeechChunk(pcm)


CHUNKS = {
    "float samples": odd(np.zeros(800, np.float32)),
    "stereo": odd(np.zeros((800, 2), np.int16)),
    "bytes": odd(b"\0" * 800),
    "nothing": odd(None),
    "no chunk": "sound",
    "no samples": odd(np.zeros(0, np.int16)),
    "a failure": IntegrationUnavailableException("The voice is gone."),
    "a bug": KeyError("voice"),
}


@pytest.mark.parametrize("clause", [0, 1, 2, 3])
@pytest.mark.parametrize("wrong", CHUNKS)
def test_a_voice_that_gives_garbage_costs_its_turn(wrong: str, clause: int) -> None:
    clock = VirtualClock()
    tts = WrongTTS(CHUNKS[wrong], lambda number: number == clause)
    call = run(clock=clock, stt=["Question."], llm=numbered({1: TWO_CLAUSES, 2: TWO_CLAUSES}, clock), tts=tts)
    assert answers(call)[-1] == "This is answer 3."
    tried_in_vain = clause in {0, 2}  # the first clause of a turn is made before the turn is sure, and then anew
    assert len(call.events(SessionError)) == (0 if tried_in_vain else 1)


@pytest.mark.parametrize("clause", [0, 1, 2, 3])
@pytest.mark.parametrize("fault", ["fail", "break", "stall", "empty", "odd"])
def test_a_voice_at_fault_costs_its_turn(fault: Any, clause: int) -> None:
    clock = VirtualClock()
    tts = ScriptedTTS(faults={clause: fault}, clock=clock)
    call = run(clock=clock, stt=["Question."], llm=numbered({1: TWO_CLAUSES, 2: TWO_CLAUSES}, clock), tts=tts)
    assert answers(call)[-1] == "This is answer 3."
    if fault == "odd":
        assert answers(call)[:2] == [TWO_CLAUSES, TWO_CLAUSES]


class EndlessTTS(CodedTTS):
    """A voice that does not stop."""

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        while True:
            await self._clock.sleep(0.01)
            yield SpeechChunk(np.full(8000, 1000, np.int16))


def test_a_voice_without_an_end_can_be_interrupted_and_is_bounded() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["Question.", "Stop!"], llm=numbered({}, clock), tts=EndlessTTS(clock)) as call:
            await call.speak(1)
            await call.quiet(10)
            await call.speak(1)
            await call.quiet(80)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert "does not stop" in call.events(SessionError)[0].message


# The end-of-turn model.


class WrongTurn(ScriptedTurn):
    """A model that raises, or gives what is no probability."""

    def __init__(self, wrong: Any) -> None:
        super().__init__()
        self._wrong = wrong

    async def score(self, pcm: Any, text: str) -> float:
        if isinstance(self._wrong, Exception):
            raise self._wrong
        value: float = self._wrong
        return value


@pytest.mark.parametrize(
    "make",
    [
        lambda clock: ScriptedTurn(faults={0: "fail", 1: "fail"}, clock=clock),
        lambda clock: ScriptedTurn(faults={0: "stall", 1: "stall", 2: "stall"}, clock=clock),
        lambda clock: ScriptedTurn(delay_s=30, clock=clock),
        lambda clock: WrongTurn(ValueError("bug")),
        lambda clock: WrongTurn(float("nan")),
        lambda clock: WrongTurn(17.0),
    ],
    ids=["fails", "stalls", "is slow", "has a bug", "is not a number", "is too much"],
)
def test_a_turn_model_at_fault_leaves_silence_and_words_to_decide(make: Any) -> None:
    clock = VirtualClock()
    call = run(clock=clock, stt=["Question."], llm=numbered({}, clock), turn=make(clock))
    assert answers(call) == ["This is answer 1.", "This is answer 2.", "This is answer 3."]


# Providers that do not even close.


class Unclosable:
    """Wraps a provider; closing its streams raises, or takes for ever."""

    def __init__(self, stt: ScriptedSTT, *, raises: bool) -> None:
        self.name = stt.name
        self._stt = stt
        self._raises = raises

    def open(self, *args: Any, **options: Any) -> Any:
        stream = self._stt.open(*args, **options)
        stream.aclose = self.aclose  # type: ignore[method-assign]
        return stream

    async def aclose(self) -> None:
        if self._raises:
            raise OSError("broken pipe")
        await asyncio.Event().wait()


@pytest.mark.parametrize("raises", [True, False])
def test_a_recogniser_that_does_not_close_does_not_hold_the_call(raises: bool) -> None:
    clock = VirtualClock()
    stt = Unclosable(ScriptedSTT(["Question."], clock=clock), raises=raises)
    call = run(1, clock=clock, stt=stt, llm=numbered({}, clock))
    assert answers(call) == ["This is answer 1."]


# Two calls at once.


class DeadPhone(Phone):
    """A line that breaks its contract: from some time on, sending raises."""

    def play(self, payload: bytes, speech: Speech) -> None:
        if self.clock.now() > 3:
            raise BrokenPipeError
        super().play(payload, speech)


DISASTERS: dict[str, Callable[[VirtualClock], dict[str, Any]]] = {
    "no model": lambda clock: {"llm": numbered({n: Reply(fault="stall") for n in range(9)}, clock)},
    "no voice": lambda clock: {"tts": WrongTTS(RuntimeError("bug"))},
    "a voice that hangs": lambda clock: {"tts": CodedTTS(clock, first_s=3600)},
    "no recogniser": lambda clock: {"stt": ScriptedSTT(["x"], faults={0: "close"}, clock=clock)},
    "a line that raises": lambda clock: {"phone": DeadPhone(clock)},
}


def healthy(clock: VirtualClock, beside: dict[str, Any] | None) -> list[Entry]:
    """What is told of a call without faults, beside another call or alone."""
    pacer, policy = Pacer(clock), CallPolicy(log_decisions=False)

    async def scenario() -> list[Entry]:
        async with AsyncExitStack() as stack:
            good = await stack.enter_async_context(
                calling(clock, stt=["Question."], llm=numbered({1: TWO_CLAUSES}, clock), pacer=pacer, policy=policy)
            )
            callers = [turns(good)]
            if beside is not None:
                parts = {"stt": ["Question."], "llm": numbered({}, clock), **beside}
                bad = await stack.enter_async_context(calling(clock, pacer=pacer, name="call-2", **parts))
                callers.append(turns(bad))
            await asyncio.gather(*callers)
        check(good)
        if beside is not None:
            assert bad.ended is not None
        check_nothing_left()
        return good.entries

    return clock.run(scenario())


def told(entry: Entry) -> dict[str, Any]:
    """What an entry says, without its figures."""
    return {name: value for name, value in entry.to_dict().items() if not isinstance(value, float)}


@pytest.mark.parametrize("disaster", DISASTERS)
def test_another_call_feels_nothing(disaster: str) -> None:
    alone = healthy(VirtualClock(), None)
    clock = VirtualClock()
    beside = healthy(clock, DISASTERS[disaster](clock))
    assert [told(entry) for entry in alone] == [told(entry) for entry in beside]
    # The beat of the pacer begins with the first who speaks: that much may differ.
    assert all(abs(one.at - other.at) <= TICK_S for one, other in zip(alone, beside, strict=True))


def test_a_conversation_that_the_model_refuses_goes_once_more_without_its_calls_and_that_is_told() -> None:
    def look_up() -> str:
        """Look up."""
        return "nine"

    refused = Reply(fault=ChatClientInvalidRequestException("Orphan call.", code="invalid_request"))
    llm = [Reply(calls=(tool_call("look_up"),)), refused, "At nine."]
    agent = Agent("tester", "Answer.", tools=[FunctionTool(look_up)])
    call = run(1, clock=VirtualClock(), stt=["When?"], llm=llm, agent=agent)
    assert call.call.history.messages[-1].text == "At nine."
    assert [event.code for event in call.events(SessionError)] == ["llm_history_mended"]
