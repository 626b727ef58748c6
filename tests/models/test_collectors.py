"""Callers who give an address and a date in pieces, heard by the real detector and recogniser, taken down by code.

The model hands on what was heard, word for word, and makes nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from antiphon.agents.agent import Agent
from antiphon.calls.events import AgentToolCompleted
from antiphon.clock import VirtualClock
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.models.stt.moonshine import Moonshine
from antiphon.models.vad.silero import SileroVAD
from antiphon.models.weights.store import WeightStore
from antiphon.tools.collect import CollectTool, collect_dob, collect_email
from tests.calls.phone import CallUnderTest, calling
from tests.models.test_said_in_pieces import frames

pytestmark = pytest.mark.models


def heard(weights: WeightStore, tool: CollectTool, question: str, sound: list[bytes]) -> CallUnderTest:
    clock = VirtualClock()
    (field,) = tool.form.fields

    def hand_on(messages: Sequence[Message], options: ChatOptions) -> str | Reply:
        names = [spec.name for spec in options.tools]
        if tool.name in names:
            return "Thank you." if messages[-1].role == "tool" else Reply(calls=(asks(tool.name),))
        if messages[-1].role == "tool" or len(messages) == 2:
            return question
        return Reply(calls=(asks("record", **{field.name: messages[-1].text}),))

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", tools=[tool], greeting="Hello.")
        vad, stt = SileroVAD(weights, clock=clock), Moonshine(weights)
        llm = ScriptedChatClient(hand_on, clock=clock)
        async with calling(clock, agent=agent, vad=vad, stt=stt, llm=llm) as call:
            await call.quiet(2)
            call.call.digit("1")
            await call.quiet(6)
            for frame in sound:
                await clock.sleep(0.02)
                call.call.hear(frame)
            await call.quiet(6)
        await stt.aclose()
        return call

    return clock.run(scenario())


@pytest.mark.parametrize(
    ("name", "tool", "question", "cuts", "result"),
    [
        (
            "george_email.wav",
            collect_email(require_confirmation=False),
            "Where shall I write to?",
            (1.06, 1.88, 2.40),
            {"email_address": "tom.miller@example.com"},
        ),
        (
            "george_date.wav",
            collect_dob(require_confirmation=False),
            "And when were you born?",
            (0.80, 1.78),
            {"date_of_birth": "1984-03-23"},
        ),
    ],
)
def test_what_is_said_in_pieces_is_taken_down_right(
    name: str,
    tool: CollectTool,
    question: str,
    cuts: Sequence[float],
    result: dict[str, str],
    weights: WeightStore,
) -> None:
    call = heard(weights, tool, question, frames(name, cuts))
    assert [event.result for event in call.events(AgentToolCompleted)] == [result]
