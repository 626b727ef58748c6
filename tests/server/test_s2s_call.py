"""A server whose agent speaks by a model answers phones; the model is another Antiphon server, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
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
    AgentHandoff,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    SessionEnded,
    SessionError,
    SessionStarted,
    SessionUsage,
    ToolExecuted,
    TurnMetrics,
    UserTurnCompleted,
)
from antiphon.calls.log import CallLog, Entry
from antiphon.cli.voice.stage import Wire
from antiphon.clock import WallClock
from antiphon.errors import IntegrationException
from antiphon.models import catalog
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.s2s.realtime import RealtimeS2S
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.server.run import Running
from antiphon.settings import Settings, load_settings
from antiphon.tools.prebuilt import end_call
from antiphon.transports.client import PhoneClient, phone_call
from tests.realtime.server import greets, service
from tests.server.harness import HEADERS, KEY, phone, scripted_models, server, start_stream, until

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend."
SAY = "word for word, and nothing else: "
HUMAN = Path(__file__).parents[1] / "data" / "human"


def tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return sine(220, seconds * 1000, rate_hz=8_000, amplitude=0.3)


def follow(log: CallLog, entries: list[Entry]) -> None:
    """Keep all that a call tells."""
    log.subscribe(entries.append)


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
async def both(
    tmp_path: Path, agent: Agent, answers: Sequence[str | Reply], heard: Sequence[str]
) -> AsyncIterator[Both]:
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
        phones.board.watchers.append(lambda log: follow(log, entries))
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
    assert [(event.name, event.output, event.is_error) for event in there.of(ToolExecuted)] == [
        ("opening", "nine", False)
    ]
    assert [event.text for event in there.of(UserTurnCompleted)] == heard
    [cut] = there.of(AgentSpeechInterrupted)
    assert cut.generated.strip() == LONG
    assert LONG.startswith(cut.heard)
    assert 1.0 < cut.playback_position_s < 3.5
    requests = there.llm.requests
    [said] = [message.text for message in requests[-1].messages if message.text and LONG.startswith(message.text)]
    assert abs(len(said.split()) - len(cut.heard.split())) <= 1  # both sides know where it was cut
    assert there.of(SessionEnded)[0].reason == "user_hangup"
    assert there.of(SessionStarted)[0].models["s2s"] == "openai/upstream"
    assert all(event.first_audio_ms is not None for event in there.of(TurnMetrics))
    assert there.of(SessionUsage)[0].llm_output_tokens > 0
    assert there.of(SessionError) == []
    [recording] = (tmp_path / "phones").rglob("recording.wav")
    assert read_wav(recording)[1] == 8_000


async def test_agent_ends_the_call_behind_its_last_words(tmp_path: Path) -> None:
    agent = Agent("front", model="s2s:openai/upstream", tools=[end_call])
    goodbye = "Goodbye then."
    answers = [Reply(calls=(tool_call("end_call", goodbye=goodbye),)), goodbye]
    async with both(tmp_path, agent, answers, ["Bye."]) as there, there.call() as line:
        await say(line)
        await until(lambda: bool(there.of(SessionEnded)))
        async with asyncio.timeout(5):
            await line.over.wait()
    assert there.of(SessionEnded)[0].reason == "agent_hangup"
    assert there.of(AgentSpeechCompleted)[-1].transcript == goodbye
    said = there.llm.requests[-1].messages[-1].result
    assert said is not None
    assert said.text.endswith(SAY + goodbye)


async def test_model_that_goes_away_ends_the_call_with_spoken_words(tmp_path: Path) -> None:
    agent = Agent("front", model="s2s:openai/upstream", greeting="Good morning.")
    async with both(tmp_path, agent, [], []) as there, there.call() as line:
        await heard_out(there, 1)
        there.model.server.should_exit = True
        await until(lambda: bool(there.of(SessionEnded)))
        async with asyncio.timeout(5):
            await line.over.wait()
    assert there.of(SessionEnded)[0].reason == "error"
    assert [event.code for event in there.of(SessionError)] == ["s2s_unavailable"]
    assert there.of(AgentSpeechCompleted)[-1].transcript == there.phones.board.policy.failure_goodbye


async def test_model_that_is_lost_for_a_moment_costs_one_turn(tmp_path: Path) -> None:
    models = scripted_models()
    models.llm = ScriptedChatClient(lambda messages, _options: f"{messages[-1].text} {LONG}")
    models.tts = ScriptedTTS()
    models.stt = ScriptedSTT(["One.", "Two."])
    agent = Agent("front", model="s2s:openai/upstream")
    entries: list[Entry] = []

    def of(kind: type) -> list[Any]:
        return [entry.event for entry in entries if isinstance(entry.event, kind)]

    async with (
        asyncio.timeout(55),
        server(tmp_path / "model", agents=[Agent("upstream")], models=models) as model,
        Wire(model.port).opened() as wire,
        server(
            tmp_path / "phones", agents=[agent], openai_base_url=f"http://127.0.0.1:{wire.port}", openai_api_key=KEY
        ) as phones,
    ):
        phones.board.watchers.append(lambda log: follow(log, entries))
        async with phone_call(f"ws://127.0.0.1:{phones.port}/telephony/twilio", key=KEY) as line:
            await say(line)
            assert await line.answer_begun(line.utterances[-1], 10)
            wire.cut()
            await until(lambda: [event.kind for event in of(AgentSpeechCreated)][-1:] == ["apology"])
            assert await line.agent_quiet(10)
            await say(line)
            assert await line.answer_begun(line.utterances[-1], 10)
    assert next(event.text for event in of(UserTurnCompleted)) == "One."
    assert [event.kind for event in of(AgentSpeechCreated)] == ["reply", "apology", "reply"]
    assert [event.code for event in of(SessionError)] == ["s2s_unavailable"]
    assert of(SessionEnded)[0].reason == "user_hangup"


async def test_handoff_changes_who_the_model_is(tmp_path: Path) -> None:
    billing = Agent("billing", "You know bills.")
    agent = Agent("front", "You greet.", model="s2s:openai/upstream", handoffs=[billing])
    answers = [Reply(calls=(tool_call("handoff_to_billing", reason="a bill"),)), "Your bill is paid."]
    async with both(tmp_path, agent, answers, ["My bill?"]) as there, there.call() as line:
        await say(line)
        await heard_out(there, 1)
    assert [event.new_agent for event in there.of(AgentHandoff)] == ["billing"]
    before, after = (request.messages[0].text for request in list(there.llm.requests)[-2:])
    assert (before, after) == ("You greet.", "You know bills.")


async def test_server_does_not_start_without_its_model(tmp_path: Path) -> None:
    agent = Agent("front", model="s2s:openai/upstream")
    with pytest.raises(IntegrationException):
        async with server(tmp_path, agents=[agent], openai_base_url="http://127.0.0.1:9", openai_api_key=KEY):
            pytest.fail("It is ready without its model.")


async def test_realtime_clients_are_told_to_pick_another_agent(tmp_path: Path) -> None:
    agents = [Agent("front", model="s2s:scripted"), Agent("writes", model="s2s:scripted|scripted")]
    async with server(tmp_path, agents=agents) as up:
        with pytest.raises(InvalidStatus) as refused:
            await phone(up, "/v1/realtime?model=front")
        assert refused.value.response.status_code == 400
        assert b"answers phone calls only" in refused.value.response.body
        async with phone(up, "/v1/realtime?model=writes") as socket:
            assert '"session.created"' in str(await socket.recv())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
            assert (await http.get("/ready")).status_code == 200


@pytest.mark.models
async def test_a_person_is_understood_through_two_servers(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, port=0, api_keys=KEY, data_dir=load_settings(env_file=None).data_dir)
    models = await catalog.load(settings.model_copy(update={"llm": "scripted"}), clock=WallClock())
    models.llm = ScriptedChatClient(lambda messages, _options: f"You said {messages[-1].text}")
    agent = Agent("front", model="s2s:openai/upstream")
    pcm, rate_hz = read_wav(HUMAN / "goforward.wav")
    entries: list[Entry] = []
    async with (
        asyncio.timeout(55),
        server(tmp_path / "model", agents=[Agent("upstream")], models=models) as model,
        server(
            tmp_path / "phones",
            agents=[agent],
            openai_base_url=f"http://127.0.0.1:{model.port}",
            openai_api_key=KEY,
        ) as phones,
    ):
        phones.board.watchers.append(lambda log: follow(log, entries))
        async with phone_call(f"ws://127.0.0.1:{phones.port}/telephony/twilio", key=KEY) as line:
            utterance = await line.say(pcm, rate_hz)
            assert await line.answer_over(utterance, 30)
    [turn] = [entry.event for entry in entries if isinstance(entry.event, UserTurnCompleted)]
    assert "forward" in turn.text.lower()
    [said] = [entry.event for entry in entries if isinstance(entry.event, AgentSpeechCompleted)]
    assert said.transcript.startswith("You said")
    assert "forward" in said.transcript.lower()


@pytest.mark.parametrize(("carrier", "name"), [("twilio", "CallSid"), ("plivo", "CallUUID")])
async def test_model_connects_while_the_telephone_rings(tmp_path: Path, carrier: str, name: str) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(40))
        there = await stack.enter_async_context(service(greets))
        up = await stack.enter_async_context(server(tmp_path, agents=[Agent("desk", model="s2s:scripted")]))
        model = RealtimeS2S(replace(there.endpoint(), provider="openai"))
        up.board._speech_models["scripted"] = model
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}"))
        answer = await http.post(f"/telephony/{carrier}/voice", data={name: "CA9"}, headers=HEADERS)
        assert answer.status_code == 200
        rung = await there.connection(1)
        pools = (await http.get("/v1/pools", headers=HEADERS)).json()["pools"]
        assert [(pool["name"], pool["active"], pool["dedicated"]) for pool in pools] == [("realtime/openai", 0, 1)]
        async with phone(up, f"/telephony/{carrier}") as socket:
            await start_stream(socket, "CA9", carrier)
            await rung.until("session.update")
        await up.board.all_over()
        assert len(there.connections) == 1
        assert (model.pool.active, model.pool.dedicated) == (0, 0)
