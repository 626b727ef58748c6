"""Who looks on at a call reads what its stored log will have: with ``ANTIPHON_REDACT=store`` nobody's number."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from antiphon.agents.agent import Agent
from antiphon.models.stt.scripted import ScriptedSTT
from tests.server.harness import HEADERS, SILENCE, SPEECH, Serve, phone, scripted_models, start_stream, until

EMAIL, PHONE, STREET = "ann.miller@example.com", "+1 415 555 0199", "12 Elm Street"
# The number stands in two clauses: it is whole in none of them.
GREETING = f"Write to {EMAIL} or come to {STREET}, or call us at +1 415, 555 0199. Thank you."
pytestmark = pytest.mark.timeout(60)


async def seen(serve: Serve, redact: str) -> tuple[str, list[dict[str, Any]]]:
    """All that viewers read of a call while it goes on, and the entries of its stream of events."""
    models = scripted_models()
    models.stt = ScriptedSTT([f"It is {PHONE}."])
    read: list[str] = []
    entries: list[dict[str, Any]] = []

    async def look_on(http: httpx.AsyncClient, call: str) -> None:
        async with http.stream("GET", f"/v1/calls/{call}/events") as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    read.append(line)
                    entries.append(json.loads(line.removeprefix("data:")))

    async with (
        asyncio.timeout(40),
        serve(agents=[Agent("desk", greeting=GREETING)], models=models, redact=redact, keep_files=True) as up,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}", headers=HEADERS) as http,
        asyncio.TaskGroup() as tasks,
    ):
        async with phone(up, max_queue=None) as socket:
            caller = await start_stream(socket)
            await until(lambda: bool(up.board.live.all()))
            call = up.board.live.all()[0].id
            tasks.create_task(look_on(http, call))
            for frame in [SILENCE] * 150 + [SPEECH] * 40 + [SILENCE] * 80:
                await socket.send(caller.media(frame))
                await asyncio.sleep(0.01)
            await until(lambda: up.board.metrics.turns > 0)
            read += [(await http.get(path)).text for path in (f"/v1/calls/{call}", "/v1/calls")]
        await up.board.all_over()
    return "\n".join(read), entries


async def test_viewers_of_a_call_read_no_personal_data_where_its_log_has_none(serve: Serve) -> None:
    text, entries = await seen(serve, "store")
    for planted in (EMAIL, PHONE, STREET, "ann.miller", "555 0199"):
        assert planted not in text
    assert {"[REDACTED_EMAIL]", "[REDACTED_PHONE]", "[REDACTED_ADDRESS]"} <= {
        word.strip(".,\"'") for word in text.replace("\\", " ").split()
    }
    assert entries[-1]["type"] == "session.ended"
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))


async def test_viewers_read_everything_unless_the_store_is_scrubbed(serve: Serve) -> None:
    text, entries = await seen(serve, "logs")
    assert EMAIL in text
    assert PHONE in text
    assert entries[-1]["type"] == "session.ended"
