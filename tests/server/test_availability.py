"""Models that stand in for each other: their calls and the metrics tell which ones rest, and who worked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx

from antiphon.agents.agent import Agent
from antiphon.calls.events import (
    LlmAvailabilityChanged,
    SessionEnded,
    SessionUsage,
    SttAvailabilityChanged,
    TtsAvailabilityChanged,
    TurnMetrics,
)
from antiphon.calls.log import CallLog, Entry
from antiphon.errors import ChatClientUnavailableException, IntegrationUnavailableException
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.stt.failover import FailoverSTT
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.failover import FailoverTTS
from antiphon.models.tts.scripted import ScriptedTTS
from tests.server.harness import HEADERS, SILENCE, SPEECH, Serve, phone, scripted_models, start_stream, until
from tests.server.test_numbers import sample

DOWN = ChatClientUnavailableException("It is down.", code="unavailable")


class Hoarse(ScriptedTTS):
    """A voice that cannot say the answer."""

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        if text.startswith("Good morning"):
            raise IntegrationUnavailableException("It is away.", code="rate_limited")
        async for chunk in super().synthesize(text):
            yield chunk


async def test_a_call_tells_which_of_its_models_fail_and_which_one_worked(serve: Serve) -> None:
    models = scripted_models()
    deaf, hoarse = ScriptedSTT([""], faults={0: "fail", 1: "fail"}), Hoarse()
    deaf.name, hoarse.name = "acme/deaf", "acme/hoarse"
    lost = ScriptedChatClient([Reply(fault=DOWN)], name="acme/large")
    models.llm = FailoverChatClient([lost, ScriptedChatClient(lambda *_: "Good morning.", name="acme/small")])
    models.stt = FailoverSTT([deaf, models.stt])
    models.tts = FailoverTTS([hoarse, models.tts])
    entries: list[Entry] = []

    def watch(log: CallLog) -> None:
        log.subscribe(entries.append)

    async with (
        serve(agents=[Agent("desk")], models=models) as up,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http,
    ):
        up.board.watchers.append(watch)

        async def well(role: str, model: str) -> float | None:
            text = (await http.get("/metrics", headers=HEADERS)).text
            return sample(text, "antiphon_model_available", role=role, model=model)

        assert await well("llm", "acme/large") == 1
        async with asyncio.timeout(40), phone(up) as socket:
            caller = await start_stream(socket)
            await until(lambda: bool(entries))
            for frame in [SPEECH] * 40 + [SILENCE] * 60:
                await socket.send(caller.media(frame))
            await until(lambda: any(isinstance(entry.event, TurnMetrics) for entry in entries))
            text = (await http.get("/metrics", headers=HEADERS)).text
            assert sample(text, "antiphon_connections", carrier="twilio") == 1
        await until(lambda: any(isinstance(entry.event, SessionEnded) for entry in entries))
        assert (
            await well("llm", "acme/large") == await well("stt", "acme/deaf") == await well("tts", "acme/hoarse") == 0
        )
        assert await well("llm", "acme/small") == await well("stt", "scripted") == await well("tts", "scripted") == 1
        await up.board.all_over()
    told = [entry.event for entry in entries]
    assert LlmAvailabilityChanged("acme/large", False, "unavailable") in told
    assert TtsAvailabilityChanged("acme/hoarse", False, "rate_limited") in told
    assert [(event.stt, event.available) for event in told if isinstance(event, SttAvailabilityChanged)] == [
        ("acme/deaf", False)
    ]
    (metrics,) = [event for event in told if isinstance(event, TurnMetrics)]
    assert metrics.models == {"stt": "scripted", "llm": "acme/small", "tts": "scripted"}
    (usage,) = [event for event in told if isinstance(event, SessionUsage)]
    assert {(part.role, part.model) for part in usage.parts} == {
        ("stt", "scripted"),
        ("llm", "acme/small"),
        ("tts", "scripted"),
    }
