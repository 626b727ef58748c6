"""One agent passes a phone call on to another; the model of both is another Antiphon server, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.calls.events import (
    AgentHandoff,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    SessionError,
)
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.scripted import ScriptedTTS
from tests.server.test_s2s_call import Both, both, heard_out, say

GREETED = "Hello, billing here about a bill."
ANSWER = "Which number does it have?"
PASSING = Reply("I will put you through.", calls=(tool_call("handoff_to_billing", reason="a bill"),))


class VoicedTTS(ScriptedTTS):
    """Notes who speaks."""

    def __init__(self) -> None:
        super().__init__()
        self.voices: list[tuple[str, str | None]] = []

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        self.voices.append((text, voice))
        async for chunk in super().synthesize(text, voice=voice, language=language, speed=speed):
            yield chunk


def desk(**billing: Any) -> Agent:
    edge = {name: billing.pop(name) for name in ("handoff_type", "share_context") if name in billing}
    target = Agent("billing", "You know bills.", greeting="Hello, billing here about {{ handoff_reason }}.", **billing)
    return Agent("front", "You greet.", model="s2s:openai/upstream", handoffs=[Handoff(target, **edge)])


def listen(there: Both) -> VoicedTTS:
    """The model's server speaks by this from now on."""
    assert there.model.board.models is not None
    there.model.board.models.tts = tts = VoicedTTS()
    return tts


def said(there: Both) -> list[tuple[str, str]]:
    kinds = {event.speech: event.kind for event in there.of(AgentSpeechCreated)}
    return [(kinds[event.speech], event.transcript) for event in there.of(AgentSpeechCompleted)]


async def test_an_announced_handoff_greets_and_then_answers(tmp_path: Path) -> None:
    async with both(tmp_path, desk(), [PASSING, ANSWER], ["My bill?"]) as there, there.call() as line:
        await say(line)
        await heard_out(there, 3)
    assert said(there) == [("reply", "I will put you through."), ("greeting", GREETED), ("reply", ANSWER)]
    assert [event.new_agent for event in there.of(AgentHandoff)] == ["billing"]
    assert there.of(SessionError) == []
    asked = list(there.llm.requests)[-1]
    assert asked.messages[0].text == "You know bills."
    results = [message.result for message in asked.messages if message.result is not None]
    assert GREETED in results[0].text


@pytest.mark.parametrize("handoff_type", ["announced", "discrete"])
async def test_r41_another_voice_is_another_connection_and_cuts_nothing(tmp_path: Path, handoff_type: Any) -> None:
    agent = desk(voice="eva", handoff_type=handoff_type).replace(voice="ann")
    heard = ["Hello there.", "My bill?"]
    async with both(tmp_path, agent, ["At your service.", PASSING, ANSWER], heard) as there:
        tts = listen(there)
        async with there.call() as line:
            await say(line)
            await heard_out(there, 1)
            await say(line)
            await heard_out(there, 4 if handoff_type == "announced" else 2)
    last = [("reply", ANSWER)]
    announced = [("reply", "I will put you through."), ("greeting", GREETED)]
    assert said(there)[1:] == (announced if handoff_type == "announced" else []) + last
    assert dict(tts.voices)["At your service."] == "ann"
    assert dict(tts.voices)[ANSWER] == "eva"
    assert there.of(SessionError) == []
    if handoff_type == "announced":
        assert there.of(AgentSpeechInterrupted) == []
    asked = [(message.role, message.text) for message in list(there.llm.requests)[-1].messages if message.text]
    assert asked[:4] == [
        ("system", "You know bills."),
        ("user", "Hello there."),
        ("assistant", "At your service."),
        ("user", "My bill?"),
    ]
    assert all(message.calls == () for message in list(there.llm.requests)[-1].messages)


async def test_an_agent_that_does_not_share_the_context_is_told_the_reason_alone(tmp_path: Path) -> None:
    agent = desk(share_context=False)
    heard = ["My secret.", "My bill?"]
    async with both(tmp_path, agent, ["I see.", PASSING, ANSWER], heard) as there, there.call() as line:
        await say(line)
        await heard_out(there, 1)
        await say(line)
        await heard_out(there, 4)
    asked = [(message.role, message.text) for message in list(there.llm.requests)[-1].messages if message.text]
    assert ("user", "a bill") in asked
    assert "secret" not in str(asked)
