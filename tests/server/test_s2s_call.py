"""A server whose agent speaks by a model answers phones; the model is another Antiphon server, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from antiphon.agents.agent import Agent
from antiphon.audio.tones import sine
from antiphon.audio.wav import read_wav
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechInterrupted,
    SessionEnded,
    SessionError,
    SessionStarted,
    SessionUsage,
    ToolExecuted,
    TurnMetrics,
    UserTranscription,
    UserTurnCompleted,
)
from antiphon.calls.log import CallLog, Entry
from antiphon.errors import IntegrationException
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.server.run import Running
from antiphon.transports.client import PhoneClient, phone_call
from tests.server.harness import KEY, phone, scripted_models, server, until

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend."
SAY = "word for word, and nothing else: "
HUMAN = Path(__file__).parents[1] / "data" / "human"


def tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return sine(220, seconds * 1000, rate_hz=8_000, amplitude=0.3)


@dataclass
class Both:
    """The server that answers the phone, and the one that is its model."""

    phones: Running
    model: Running
    llm: ScriptedChatClient
    entries: list[Entry]

    def of(self, *kinds: type) -> list[Any]:
        return [entry.event for entry in self.entries if isinstance(entry.event, kinds)]

    def call(self, carrier: str = "twilio") -> Any:
        return phone_call(f"ws://127.0.0.1:{self.phones.port}/telephony/{carrier}", key=KEY)


@asynccontextmanager
async def both(tmp_path: Path, agent: Agent, answers: Sequence[str | Reply], heard: Sequence[str]) -> AsyncIterator[Both]:
    """Two servers; the model's answers follow each other, but for what it is told to say."""
    rest = iter(answers)

    def script(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        told = messages[0].text if messages and messages[0].role == "system" else ""
        return told.partition(SAY)[2] if SAY in told else next(rest)

    models = scripted_models()
    models.llm = llm = ScriptedChatClient(script)
    models.stt = ScriptedSTT(heard)
    models.tts = ScriptedTTS()
    async with (
        asyncio.timeout(55),
        server(tmp_path / "model", agents=[Agent("upstream")], models=models) as model,
        server(
            tmp_path / "phones",
            agents=[agent],
            openai_base_url=f"http://127.0.0.1:{model.port}",
            openai_api_key=KEY,
            keep_files=True,
            record=True,
        ) as phones,
    ):
        entries: list[Entry] = []

        def watch(log: CallLog) -> None:
            log.subscribe(entries.append)

        phones.board.watchers.append(watch)
        yield Both(phones, model, llm, entries)


async def heard_out(there: Both, number: int) -> None:
    """Wait until so many speeches were heard to their end."""
    await until(lambda: len(there.of(AgentSpeechCompleted)) >= number)


async def say(line: PhoneClient, seconds: float = 0.8) -> None:
    await line.say(tone(seconds), 8_000)


@pytest.mark.parametrize("carrier", ["twilio", "plivo"])
async def test_phone_call_through_another_server(tmp_path: Path, carrier: str) -> None:
    asked: list[str] = []

    def opening(day: str) -> str:
        """When the clinic opens.

        Args:
            day: The day.
        """
        asked.append(day)
        return "nine"

    agent = Agent("front", "You answer.", model="s2s:openai/upstream", tools=[opening], greeting="Good morning.")
    answers = ["At your service.", Reply(calls=(tool_call("opening", day="Monday"),)), "At nine.", LONG, "Fine."]
    heard = ["Hello there.", "When on Monday?", "And else?", "Stop."]
    async with both(tmp_path, agent, answers, heard) as there, there.call(carrier) as line:
        await heard_out(there, 1)
        await say(line)
        await heard_out(there, 2)
        await say(line)
        await heard_out(there, 3)
        await say(line)
        assert await line.answer_begun(line.utterances[-1], 10)
        await asyncio.sleep(1.5)  # into the long answer
        await say(line)
        await heard_out(there, 4)
        await line.hang_up()
        await until(lambda: bool(there.of(SessionEnded)))
    assert [event.transcript for event in there.of(AgentSpeechCompleted)] == [
        *("Good morning.", "At your service.", "At nine.", "Fine.")
    ]
    assert asked == ["Monday"]
    assert [(event.name, event.output, event.is_error) for event in there.of(ToolExecuted)] == [("opening", "nine", False)]
    assert [event.text for event in there.of(UserTurnCompleted)] == heard
    [cut] = there.of(AgentSpeechInterrupted)
    assert cut.generated.strip() == LONG
    assert LONG.startswith(cut.heard)
    assert 1.0 < cut.playback_position_s < 3.5
    requests = there.llm.requests
    [said] = [message.text for message in requests[-1].messages if message.text and LONG.startswith(message.text)]
    assert abs(len(said.split()) - len(cut.heard.split())) <= 1  # both sides know where it was cut
    assert there.of(SessionEnded)[0].reason == "user_hangup"
    assert there.of(SessionStarted)[0].models["s2s"] == "realtime/antiphon"
    assert all(event.first_audio_ms is not None for event in there.of(TurnMetrics))
    assert there.of(SessionUsage)[0].llm_output_tokens > 0
    assert there.of(SessionError) == []
    [recording] = (tmp_path / "phones").rglob("recording.wav")
    assert read_wav(recording)[1] == 8_000
