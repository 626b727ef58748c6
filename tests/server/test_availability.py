"""Models that stand in for each other: their calls and the metrics tell which ones rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

from antiphon.agents.agent import Agent
from antiphon.calls.events import LlmAvailabilityChanged, SessionEnded
from antiphon.calls.log import CallLog, Entry
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.server.agents import AgentBook
from antiphon.server.run import running
from antiphon.settings import Settings
from tests.server.harness import KEY, SILENCE, SPEECH, phone, scripted_models, start_stream, until

DOWN = ChatClientUnavailableException("It is down.", code="unavailable")


async def test_a_call_tells_which_of_its_models_fails_and_the_metrics_count_it(tmp_path: Path) -> None:
    models = scripted_models()
    first = ScriptedChatClient([Reply(fault=DOWN)], name="acme/large")
    models.llm = FailoverChatClient([first, ScriptedChatClient(lambda *_: "Good morning.", name="acme/small")])
    settings = Settings(_env_file=None, port=0, api_keys=KEY, data_dir=tmp_path, max_loop_lag_ms=10_000)
    entries: list[Entry] = []

    async with running(AgentBook([Agent("desk")]), settings, models=models, keep_files=False) as up:
        gauge = up.board.metrics.gauges["llms_unavailable"]
        assert gauge() == 0

        def watch(log: CallLog) -> None:
            log.subscribe(entries.append)

        up.board.watchers.append(watch)
        async with asyncio.timeout(30), phone(up) as socket:
            caller = await start_stream(socket)
            for frame in [SPEECH] * 40 + [SILENCE] * 60:
                await socket.send(caller.media(frame))
            await until(lambda: any(isinstance(entry.event, LlmAvailabilityChanged) for entry in entries))
            assert gauge() == 1
        await until(lambda: any(isinstance(entry.event, SessionEnded) for entry in entries))
        await up.board.all_over()
        models.llm._ranking.recovered(models.llm._ranking.members[0])  # a change behind the call
        assert gauge() == 0
    told = [entry.event for entry in entries if isinstance(entry.event, LlmAvailabilityChanged)]
    assert told == [LlmAvailabilityChanged("acme/large", False, "unavailable")]
    assert isinstance(entries[-1].event, SessionEnded)
