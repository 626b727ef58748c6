"""Random handoffs, random callers: who has the call, who is heard and how often it changes hands is told right."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from invariants import check, check_nothing_left
from phone import CallUnderTest, calling
from providers import NotingTTS
from s2s_phone import calling as calling_model

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.calls.events import AgentHandoff, AgentSpeechCreated, UserSpeechStarted
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.s2s.scripted import Calls, ScriptedS2S

NAMES = ("desk", "billing", "service")
LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend."
WORDS = st.sampled_from(["", "Yes.", "Which number does it have?", LONG])
EDGES = st.fixed_dictionaries(
    {
        "handoff_type": st.sampled_from(["announced", "discrete"]),
        "share_context": st.booleans(),
    }
)
TEAM = st.fixed_dictionaries({(a, b): EDGES for a in NAMES for b in NAMES if a != b})
GREETINGS = st.fixed_dictionaries({name: st.sampled_from(["", "Hello, {{ agent_name }} here."]) for name in NAMES})
STEPS = st.lists(st.tuples(WORDS, st.sampled_from(["", *NAMES])), min_size=1, max_size=8)
"""What the model writes, and to whom it hands over."""
CALLER = st.lists(st.sampled_from([0.6, 1.5, 4.0, 9.0]), min_size=1, max_size=4)
"""Seconds that the caller listens between questions; in short ones the agents are interrupted."""

APART = {(a, b): {"handoff_type": "announced", "share_context": False} for a in NAMES for b in NAMES if a != b}
"""Each handoff has a session of its own, and closes the one before."""
SILENT = dict.fromkeys(NAMES, "")
ROUND = [("", "service"), ("", "billing")]
"""Agents that only hand over: the model gives no answer, and the caller an apology."""


def team_of(edges: Any, greetings: dict[str, str], *, voices: bool = True) -> list[Agent]:
    """Three agents of three voices, each with an edge to both others."""
    return [
        Agent(
            name,
            f"You are {name}.",
            voice=name if voices else None,
            greeting=greetings[name],
            handoffs=[Handoff(other, **edges[name, other]) for other in NAMES if other != name],
        )
        for name in NAMES
    ]


def check_hands(call: CallUnderTest) -> None:
    """Each handoff follows the one before, and no more than three of them answer one question."""
    handoffs = call.events(AgentHandoff)
    assert [event.previous_agent for event in handoffs] == ["desk", *[event.new_agent for event in handoffs]][
        : len(handoffs)
    ]
    assert call.call.agent.name == (handoffs[-1].new_agent if handoffs else "desk")
    told = [entry.at for entry in call.entries if isinstance(entry.event, AgentHandoff)]
    asked = [entry.at for entry in call.entries if isinstance(entry.event, UserSpeechStarted)]
    for begin, end in pairwise([0.0, *asked, float("inf")]):
        assert sum(begin <= at < end for at in told) <= 3
    visits = call.call.session.visits
    assert sum(visits.values()) == len(handoffs) + bool(handoffs)


@settings(max_examples=40, deadline=None)
@given(edges=TEAM, greetings=GREETINGS, steps=STEPS, caller=CALLER)
def test_in_a_cascade(edges: Any, greetings: dict[str, str], steps: Any, caller: list[float]) -> None:
    clock = VirtualClock()
    replies = [
        Reply(words, calls=(tool_call(f"handoff_to_{target}", reason="x"),) if target else ())
        for words, target in steps
    ]
    team, tts = team_of(edges, greetings), NotingTTS(clock)
    llm = ScriptedChatClient(replies * 20, clock=clock)

    async def scenario() -> CallUnderTest:
        stt = [f"Question number {number}, please?" for number in range(len(caller))]
        async with calling(clock, agent=team[0], team=team, stt=stt, llm=llm, tts=tts) as call:
            for seconds in caller:
                await call.speak(1)
                await call.quiet(seconds)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    check_hands(call)
    authors = {message.author_name for message in call.call.history.messages if message.role == "assistant"}
    assert authors <= {*NAMES}
    for text, voice, _ in tts.voices:
        for name in NAMES:
            assert text != f"Hello, {name} here." or voice == name, "a greeting has its agent's voice"


@settings(max_examples=40, deadline=None)
@given(edges=TEAM, greetings=GREETINGS, steps=STEPS, caller=CALLER, voices=st.booleans())
@example(edges=APART, greetings=SILENT, steps=ROUND, caller=[9.0], voices=False)
@example(edges=APART, greetings=SILENT, steps=ROUND, caller=[0.6], voices=False)
def test_where_a_model_holds_the_call(
    edges: Any, greetings: dict[str, str], steps: Any, caller: list[float], voices: bool
) -> None:
    clock = VirtualClock()
    answers: list[str | Calls] = []
    for words, target in steps:
        answers += [Calls(f"handoff_to_{target}", '{"reason": "x"}')] if target else []
        answers += [words] if words else []
    model = CountingS2S(answers or ["Yes."], clock=clock, delay_s=0.1)
    team = team_of(edges, greetings, voices=voices)

    async def scenario() -> CallUnderTest:
        async with calling_model(clock, model, agent=team[0], team=team) as call:
            for seconds in caller:
                await call.speak(1)
                await call.quiet(seconds)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    check_hands(call)
    assert sum(not session.is_closed for session in model.sessions) == 0
    kinds = [event.kind for event in call.events(AgentSpeechCreated)]
    assert kinds.count("greeting") <= len(call.events(AgentHandoff)) + bool(greetings["desk"])


class CountingS2S(ScriptedS2S):
    """Names the calls of each session apart, as a service does."""

    def open(self, *args: Any, **options: Any) -> Any:
        self.call_ids = f"call{len(self.sessions)}"
        return super().open(*args, **options)
