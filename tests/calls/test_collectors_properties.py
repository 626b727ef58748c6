"""Calls in which a model calls collectors as it pleases, and callers who speak, type and cut in as they please."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.calls.events import AgentToolCompleted, AgentToolFailed, AgentToolStarted
from antiphon.clock import VirtualClock
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.tools.collect import collect_credit_card, collect_digits

CARD = "4111111111111111"
DEEDS = {
    "words": "Well, let me see what there is.",
    "long": "This is a long story that somebody may well cut short, since nobody wants to hear all of it, do they?",
    "fault": Reply(fault="garbage"),
    "digits": Reply("Gladly.", calls=(asks("collect_digits"),)),
    "card": Reply(calls=(asks("collect_credit_card"),)),
    "wrong": Reply(calls=(asks("record", digits="x", card_number="1"),)),
    "right": Reply("One moment.", calls=(asks("record", digits="12"),)),
    "number": Reply("One moment.", calls=(asks("record", card_number=CARD),)),
    "confirm": Reply(calls=(asks("confirm"),)),
    "decline": Reply(calls=(asks("decline", reason="no"),)),
}
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), st.sampled_from([0.4, 1.0, 2.0])),
        st.tuples(st.just("quiet"), st.sampled_from([0.5, 2.0, 5.0, 12.0])),
        st.tuples(st.just("type"), st.just(0.3)),
    ),
    min_size=2,
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["digits", "card"]), st.lists(st.sampled_from(sorted(DEEDS)), max_size=10), MOVES)
def test_every_collector_that_begins_ends_once_and_no_promise_is_broken(
    first: str, deeds: list[str], moves: list[tuple[str, float]]
) -> None:
    clock, left = VirtualClock(), [first, *deeds]

    def reply(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        return DEEDS[left.pop(0)] if left and options.tool_choice != "none" else "Go on, please."

    tools = [collect_digits(timeout_s=15), collect_credit_card(require_confirmation=False)]
    agent = Agent("desk", tools=tools, greeting="Hello.")

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(reply, clock=clock)
        async with calling(clock, agent=agent, llm=llm, stt=["I have something to say."] * 10) as call:
            await call.quiet(2.0)
            await call.speak(1.0)
            for kind, seconds in moves:
                if kind == "type":
                    for key in "12":
                        call.call.digit(key)
                        await call.quiet(seconds)
                else:
                    await getattr(call, kind)(seconds)
            await call.quiet(4.0)
        return call

    call = clock.run(scenario())
    check(call)
    begun = [event.agent_tool_id for event in call.events(AgentToolStarted)]
    assert begun == [event.agent_tool_id for event in call.events(AgentToolCompleted, AgentToolFailed)]
    if first == "card" and "digits" not in deeds and len(begun) == 1:
        assert CARD not in str([entry.to_dict() for entry in call.entries])
    assert not call.loop_errors
