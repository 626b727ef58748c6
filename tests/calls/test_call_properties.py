"""Random callers, random answers, random faults: what must be true of every call is true."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check, check_nothing_left
from phone import CallUnderTest, calling
from providers import CodedTTS

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import AgentInvalidRequestException, ChatClientInvalidAuthException, ChatClientUnavailableException
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.turn.scripted import ScriptedTurn
from antiphon.tools.prebuilt import end_call
from antiphon.tools.tool import FunctionTool

WORDS = st.sampled_from(
    ["", "When do you open?", "Uh-huh.", "Stop.", "I would like to", "and my number is 030 123", "No.", "Okay, right."]
)
TEXTS = st.sampled_from(
    [
        "",
        "Yes.",
        "We open at nine in the morning. We close at five.",
        "The clinic opens every morning at nine and closes every afternoon at five except on the weekend. " * 3,
        "What is your phone number?",
    ]
)
SHORT_S = st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.4, 1.5, 5.0])


@dataclass(frozen=True)
class Model:
    """One answer of the model."""

    text: str
    fault: Any
    fault_after: int
    first_token_s: float
    token_s: float
    tool: str

    def reply(self) -> Reply:
        calls = (tool_call(self.tool),) if self.tool else ()
        return Reply(
            self.text,
            calls,
            first_token_s=self.first_token_s,
            token_s=self.token_s,
            fault=self.fault,
            fault_after=self.fault_after,
        )


LLM_FAULTS = st.sampled_from(
    [
        *(None,) * 6,
        *("stall", "garbage", "close"),
        ChatClientInvalidAuthException("The key is wrong."),
        ChatClientUnavailableException("Overloaded.", retry_after_s=0.5),
        RuntimeError("bug"),
    ]
)
MODELS = st.builds(
    Model,
    text=TEXTS,
    fault=LLM_FAULTS,
    fault_after=st.integers(0, 12),
    first_token_s=SHORT_S,
    token_s=st.sampled_from([0.0, 0.0, 0.05, 0.4]),
    tool=st.sampled_from(
        [
            *("", "", "", "", "", "quick", "slow", "hanging", "failing", "unknown", "end_call", "later", "guarded"),
            *("handoff_to_loud", "handoff_to_silent", "handoff_to_tester"),
        ]
    ),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), st.integers(1, 150)),
        st.tuples(st.just("quiet"), st.integers(1, 300)),
        st.tuples(st.just("quiet"), st.integers(20, 60)),
        st.tuples(st.just("nothing"), st.integers(1, 150)),
        st.tuples(st.sampled_from(["digit", "say", "say nothing", "decide", "end"]), st.just(0)),
    ),
    min_size=2,
    max_size=20,
)


async def quick() -> str:
    """Do it."""
    return "done"


async def failing() -> str:
    """Fail."""
    raise ValueError("bug")


def tools(clock: VirtualClock) -> list[Any]:
    async def slow() -> str:
        """Take long."""
        await clock.sleep(3)
        return "done"

    async def hanging() -> str:
        """Hang."""
        await clock.sleep(3600)
        return "never"

    async def later() -> str:
        """Take long behind the conversation."""
        await clock.sleep(2.5)
        return "done"

    return [
        *(quick, failing, slow, end_call),
        FunctionTool(hanging, timeout_s=20, filler="I am still looking."),
        FunctionTool(later, wait="later"),
        FunctionTool(slow, name="guarded", approval_mode="always_require"),
    ]


def team(clock: VirtualClock, greeting: str) -> Agent:
    """An agent with two others that it may hand over to, and that hand back."""
    able = tools(clock)
    loud = Agent("loud", "Be loud.", tools=able, handoffs=["tester"], language="de", greeting="Guten Tag.")
    silent = Agent("silent", "Be silent.", tools=able, handoffs=["tester", loud], voice="eva")
    routes = [Handoff(loud), Handoff(silent, handoff_type="discrete")]
    return Agent("tester", "Answer.", greeting=greeting, tools=able, handoffs=routes)


def some_faults(names: list[str]) -> st.SearchStrategy[dict[int, Any]]:
    return st.dictionaries(st.integers(0, 6), st.sampled_from(names), max_size=3)


@settings(max_examples=150)
@given(
    steps=STEPS,
    words=st.lists(WORDS, min_size=1, max_size=6),
    models=st.lists(MODELS, min_size=1, max_size=6),
    stt_faults=some_faults(["fail", "stall", "empty", "close"]),
    stt_delay_s=st.sampled_from([0.0, 0.1, 0.6, 1.5]),
    partials=st.booleans(),
    tts_faults=some_faults(["fail", "break", "stall", "empty", "odd"]),
    slow_voice=st.sampled_from([None, None, None, (0.3, 0.5), (0.6, 1.3), (3600.0, 0.0)]),
    turn=st.none() | st.tuples(st.lists(st.floats(0, 1), min_size=1, max_size=4), some_faults(["fail", "stall"])),
    line=st.fixed_dictionaries(
        {"has_marks": st.booleans(), "can_clear": st.booleans(), "delay_s": st.sampled_from([0.0, 0.0, 0.12])}
    ),
    greeting=st.sampled_from(["", "", "Hello, this is the clinic. How can I help?"]),
    interruption=st.sampled_from(["vad", "vad", "words", "off"]),
)
def test_no_script_and_no_fault_breaks_a_promise(
    steps: list[tuple[str, int]],
    words: list[str],
    models: list[Model],
    stt_faults: dict[int, Any],
    stt_delay_s: float,
    partials: bool,
    tts_faults: dict[int, Any],
    slow_voice: tuple[float, float] | None,
    turn: tuple[list[float], dict[int, Any]] | None,
    line: dict[str, Any],
    greeting: str,
    interruption: Any,
) -> None:
    clock = VirtualClock()
    policy = CallPolicy(turn=TurnPolicy(idle_s=6, interruption=interruption))
    answers = [model.reply() for model in models]
    asked = 0

    def answer(_messages: Any, _options: Any) -> Reply:
        nonlocal asked
        asked += 1
        return answers[asked % len(answers)]

    async def scenario() -> CallUnderTest:
        stt = ScriptedSTT(
            words, faults=stt_faults, delay_s=stt_delay_s, words_per_partial=2 if partials else 0, clock=clock
        )
        scripted = ScriptedTTS(faults=tts_faults, word_timings=partials, clock=clock)
        tts = scripted if slow_voice is None else CodedTTS(clock, first_s=slow_voice[0], pace=slow_voice[1])
        model = None if turn is None else ScriptedTurn(turn[0], faults=turn[1], delay_s=0.05, clock=clock)
        agent = team(clock, greeting)
        llm = ScriptedChatClient(answer, clock=clock)
        async with calling(clock, agent=agent, stt=stt, llm=llm, tts=tts, turn=model, policy=policy, **line) as call:
            for step, ticks in steps:
                await do(call, step, ticks * 0.02)
        check_nothing_left()
        assert llm.opened == llm.closed
        return call

    check(clock.run(scenario()))


async def do(call: CallUnderTest, step: str, seconds: float) -> None:
    """One step of the caller, or of an application."""
    if step == "speak":
        await call.speak(seconds)
    elif step == "quiet":
        await call.quiet(seconds)
    elif step == "nothing":
        await call.clock.sleep(seconds)
    elif step == "digit":
        call.call.digit("5")
    elif step == "decide":
        for number, request in enumerate(tuple(call.call.session.approvals.open.values())):
            with suppress(AgentInvalidRequestException):  # the call may be over
                call.call.decide(request.reject("No.") if number % 2 else request.approve())
    elif step == "end":
        call.call.end("drained")
    else:
        call.call.say("" if step == "say nothing" else "Your call is recorded.")
