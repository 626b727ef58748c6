"""R46: a model that does not speak the protocol that is configured is an error at once, and never a silent agent."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from antiphon.agents.agent import Agent
from antiphon.calls.events import AgentSpeechStarted, SessionEnded, SessionError
from antiphon.calls.log import Entry
from antiphon.errors import IntegrationException
from antiphon.transports.client import phone_call
from tests.realtime.server import Connection, greets, service
from tests.server.harness import KEY, server
from tests.server.test_s2s_call import follow

pytestmark = pytest.mark.timeout(60)
AGENT = Agent("desk", model="s2s:openai/upstream", greeting="Hello.")


async def babble(connection: Connection) -> None:
    """A socket, but not of a Realtime service."""
    await connection.raw('{"hello": 1}')
    await asyncio.sleep(60)


async def test_r46_a_server_does_not_start_with_a_model_of_another_protocol(tmp_path: Path) -> None:
    async with service(babble) as there:
        begun_s = time.monotonic()
        with pytest.raises(IntegrationException, match="check that the address and the model"):
            async with server(tmp_path, agents=[AGENT], openai_base_url=there.url, openai_api_key=KEY):
                pytest.fail("It is ready without its model.")
        assert time.monotonic() - begun_s < 15  # most of it for what else the server warms


async def test_r46_a_call_whose_model_stops_speaking_the_protocol_is_told_and_ends_with_words(tmp_path: Path) -> None:
    entries: list[Entry] = []
    async with (
        asyncio.timeout(40),
        service(greets, babble) as there,
        server(tmp_path, agents=[AGENT], openai_base_url=there.url, openai_api_key=KEY) as up,
    ):
        up.board.watchers.append(lambda log: follow(log, entries))
        async with phone_call(f"ws://127.0.0.1:{up.port}/telephony/twilio", key=KEY) as client:
            await client.over.wait()
    [error] = [entry for entry in entries if isinstance(entry.event, SessionError)]
    assert isinstance(error.event, SessionError)
    assert error.event.code == "s2s_unavailable"
    assert error.at < 5
    assert any(isinstance(entry.event, AgentSpeechStarted) and entry.at < 5.5 for entry in entries)
    assert isinstance(entries[-1].event, SessionEnded)
    assert entries[-1].event.reason == "error"
