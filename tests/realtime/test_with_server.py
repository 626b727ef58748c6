"""The client, and speech to speech, against Antiphon's own Realtime server over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.agents.agent import Agent
from antiphon.audio.tones import sine
from antiphon.cli.voice.stage import Wire
from antiphon.errors import IntegrationInvalidAuthException, IntegrationInvalidRequestException
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.s2s.contract import (
    AnswerAudioDone,
    AnswerDone,
    AnswerText,
    Brief,
    FunctionCalled,
    FunctionTool,
    Ready,
    S2SEvent,
    UserTranscript,
)
from antiphon.models.s2s.realtime import RealtimeS2S
from antiphon.realtime.calls import FunctionCalls
from antiphon.realtime.client import CONNECTED, RealtimeClient
from antiphon.realtime.endpoint import Dialect, Endpoint, endpoint_for
from antiphon.realtime.incoming import ServerEvent
from antiphon.server.agents import AgentBook
from antiphon.server.run import running
from antiphon.settings import Settings
from tests.server.harness import KEY, scripted_models

SPEECH = sine(220, 700, rate_hz=24_000, amplitude=0.3).tobytes()
QUIET = np.zeros(36_000, np.int16).tobytes()  # 1.5 s
SESSION = {"audio": {"input": {"transcription": {"model": "whisper"}, "turn_detection": {"type": "server_vad"}}}}
TOOL = {"type": "function", "name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}}

Script = Callable[[Sequence[Message], ChatOptions], str | Reply]


@dataclass(frozen=True)
class There:
    """A server, a wire to it that can be cut, and its model."""

    wire: Wire
    model: ScriptedChatClient

    def endpoint(self, *, model: str = "desk", key: str = KEY) -> Endpoint:
        return endpoint_for("antiphon", model, api_key=key, base_url=f"http://127.0.0.1:{self.wire.port}")


@asynccontextmanager
async def server(tmp_path: Path, script: Script | None = None, **settings: Any) -> AsyncIterator[There]:
    models = scripted_models()
    models.llm = model = ScriptedChatClient(script or (lambda _messages, _options: "Good morning to you."))
    options = {"port": 0, "api_keys": KEY, "data_dir": tmp_path, "max_loop_lag_ms": 10_000, **settings}
    book = AgentBook([Agent("desk")])
    up_settings = Settings(_env_file=None, **options)
    async with asyncio.timeout(50), running(book, up_settings, models=models) as up, Wire(up.port).opened() as wire:
        yield There(wire, model)


def frames(sound: bytes) -> list[bytes]:
    return [sound[start : start + 1_920] for start in range(0, len(sound), 1_920)]


async def speak(client: RealtimeClient) -> None:
    """Say something, and be silent until it counts as a turn."""
    for frame in frames(SPEECH + QUIET):
        await client.append_audio(frame)


async def done(client: RealtimeClient) -> ServerEvent:
    return await client.wait_for("response.done", 20)


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_spoken_turns_in_both_dialects(tmp_path: Path, dialect: Dialect) -> None:
    sound: list[bytes] = []
    async with server(tmp_path) as there:
        endpoint = there.endpoint()
        if dialect == "beta":
            endpoint = replace(endpoint, dialect=dialect, url=endpoint.url + "&beta=1")
        async with RealtimeClient(endpoint, SESSION) as client:
            client.on("response.output_audio.delta", lambda event: sound.append(event.audio))
            assert client.session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
            for _ in range(2):
                waiting = asyncio.create_task(done(client))
                await speak(client)
                assert (await waiting).part("response")["status"] == "completed"
            words = [(turn.role, turn.text) for turn in client.conversation.turns]
            assert words == [("user", "Hello there."), ("assistant", "Good morning to you.")] * 2
            assert len(b"".join(sound)) == pytest.approx(2 * 24_000, rel=0.05)
            assert client.metrics.histogram("eos_to_first_delta_ms").count == 2
            assert client.metrics.total("unknown_events_total") == 0
            assert client.metrics.total("errors_total") == 0


async def test_text_turn_without_a_sound(tmp_path: Path) -> None:
    async with server(tmp_path) as there, RealtimeClient(there.endpoint(), {"output_modalities": ["text"]}) as client:
        content = [{"type": "input_text", "text": "Hello."}]
        await client.create_item({"type": "message", "role": "user", "content": content})
        waiting = asyncio.create_task(done(client))
        await client.create_response()
        await waiting
        words = [(turn.role, turn.text) for turn in client.conversation.turns]
        assert words == [("user", "Hello."), ("assistant", "Good morning to you.")]
        assert client.metrics.total("errors_total") == 0


class Adder:
    def definitions(self) -> Sequence[dict[str, Any]]:
        return [TOOL]

    async def run(self, name: str, arguments: Any) -> Any:
        assert name == "add"
        return arguments["a"] + arguments["b"]


def adds(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
    if messages[-1].role == "tool":
        return "I have added them."
    return Reply(calls=(tool_call("add", a=2, b=3), tool_call("add", a=4, b=5)))


async def test_functions_of_the_client_are_called_and_followed_up_once(tmp_path: Path) -> None:
    async with (
        server(tmp_path, adds) as there,
        RealtimeClient(there.endpoint(), {**SESSION, "tools": [TOOL]}) as client,
    ):
        calls = asyncio.create_task(FunctionCalls(client, Adder()).run())
        said = asyncio.create_task(client.wait_for("response.output_audio_transcript.done", 20))
        await speak(client)
        assert (await said).body["transcript"] == "I have added them."
        made = [call for turn in client.conversation.turns for call in turn.calls]
        assert [(call.output, call.status) for call in made] == [("5", "done"), ("9", "done")]
        assert client.metrics.total("tool_calls_total", name="add", outcome="ok") == 2
        calls.cancel()


async def test_broken_in_answer_is_kept_on_both_sides_as_far_as_it_was_heard(tmp_path: Path) -> None:
    long = "one two three four five six seven eight nine ten " * 4
    async with (
        server(tmp_path, lambda _messages, _options: long) as there,
        RealtimeClient(there.endpoint(), SESSION) as client,
    ):
        first = asyncio.create_task(client.wait_for("response.output_audio.delta", 20))
        await speak(client)
        item_id = (await first).item_id
        while client.received_ms(item_id) < 300:
            await client.wait_for("response.output_audio.delta", 20)
        truncated = asyncio.create_task(client.wait_for("conversation.item.truncated", 20))
        await client.interrupt(item_id, 250)
        assert (await truncated).body["audio_end_ms"] == 250
        turn = client.conversation.turn(item_id)
        assert turn is not None
        assert turn.interrupted
        assert long.startswith(turn.text or "")
        assert len(turn.text or "") < len(turn.text_generated or "")


async def test_cut_wire_brings_everything_back_and_the_agent_remembers(tmp_path: Path) -> None:
    async with (
        server(tmp_path) as there,
        RealtimeClient(there.endpoint(), {**SESSION, "instructions": "Remember."}) as client,
    ):
        for number in range(3):
            waiting = asyncio.create_task(done(client))
            await speak(client)
            await waiting
            if number < 2:
                there.wire.cut()
                await client.wait_for(CONNECTED, 20)
        words = [turn.text for turn in client.conversation.turns]
        assert words == ["Hello there.", "Good morning to you."] * 3
        told = [message.text for message in there.model.requests[-1].messages if message.role != "system"]
        assert told == ["Hello there.", "Good morning to you."] * 2 + ["Hello there."]
        assert client.session["instructions"] == "Remember."
        assert client.metrics.total("turns_total") == 6
        assert client.metrics.total("reconnections_total") == 2
        assert client.metrics.total("errors_total") == 0


async def test_wrong_key_and_unknown_agent_are_told_at_once(tmp_path: Path) -> None:
    async with server(tmp_path) as there:
        with pytest.raises(IntegrationInvalidAuthException) as refused:
            await RealtimeClient(there.endpoint(key="wrong")).connect()
        assert refused.value.code == "invalid_api_key"
        with pytest.raises(IntegrationInvalidRequestException) as unknown:
            await RealtimeClient(there.endpoint(model="nobody")).connect()
        assert unknown.value.code == "model_not_found"


async def test_speech_to_speech_answers_a_call_and_calls_its_functions(tmp_path: Path) -> None:
    events: list[S2SEvent] = []
    news = asyncio.Event()

    def told(event: S2SEvent) -> None:
        events.append(event)
        news.set()

    async def until(kind: type[S2SEvent], number: int = 1) -> None:
        while len([event for event in events if isinstance(event, kind)]) < number:
            news.clear()
            await news.wait()

    tool = FunctionTool("add", "Add.", {"type": "object", "properties": {}})
    tone, quiet = sine(220, 20, rate_hz=8_000, amplitude=0.3), np.zeros(160, np.int16)
    async with server(tmp_path, adds) as there:
        s2s = RealtimeS2S(there.endpoint(), transcribe="whisper")
        await s2s.warm()
        session = s2s.open(Brief("You answer the phone.", (tool,)), 8_000, told)
        await until(Ready)
        for frame in [tone] * 35 + [quiet] * 75:
            session.feed(frame)
        await until(FunctionCalled, 2)
        calls = [event for event in events if isinstance(event, FunctionCalled)]
        for call, output in zip(calls, ("5", "9"), strict=True):
            session.tool_result(call.call_id, output)
        await until(AnswerAudioDone)
        await until(AnswerDone, 2)
        assert [event.text for event in events if isinstance(event, UserTranscript) and event.is_final] == [
            "Hello there."
        ]
        assert "".join(event.delta for event in events if isinstance(event, AnswerText)) == "I have added them."
        assert session.client.session["audio"]["input"]["format"]["type"] == "audio/pcmu"
        assert session.dropped == 0
        await session.aclose()
