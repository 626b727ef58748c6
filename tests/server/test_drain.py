"""The end of a server: conversations go on, nobody new comes in."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from antiphon.server import drain
from tests.server.harness import Serve, close_code, next_event, phone, start_stream, until_draining


async def test_running_call_goes_on_and_the_server_ends_with_it(serve: Serve) -> None:
    async with serve() as up, httpx.AsyncClient(base_url=f"http://127.0.0.1:{up.port}") as http:
        async with phone(up) as socket:
            caller = await start_stream(socket)
            await next_event(socket)
            assert (await http.get("/ready")).status_code == 200
            up.server.drain()
            ready = await http.get("/ready")
            assert ready.status_code == 503
            assert ready.json() == {"server": "it is draining"}
            assert (await http.get("/health")).status_code == 200
            with pytest.raises(InvalidStatus) as refused:
                async with phone(up):
                    pass
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"] == "1"
            assert (await next_event(socket))["event"] in ("media", "mark")
            assert not up.serving.done()
            await socket.send(caller.closing())
            assert await close_code(socket) == 1000
        async with asyncio.timeout(20):
            await asyncio.wait([up.serving])


async def test_calls_that_are_left_at_the_deadline_get_a_goodbye_and_1001(serve: Serve) -> None:
    async with serve(drain_s=0) as up, phone(up) as socket:
        await start_stream(socket)
        await next_event(socket)
        up.server.drain()
        assert await close_code(socket) == 1001
        async with asyncio.timeout(20):
            await asyncio.wait([up.serving])
        assert up.board.metrics.calls_ended == {"drained": 1}


async def test_call_that_does_not_end_is_closed_all_the_same(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "GOODBYE_S", 0.0)
    async with serve(drain_s=0) as up, phone(up) as socket:
        await start_stream(socket)
        await next_event(socket)
        up.server.drain()
        assert await close_code(socket) == 1001
        async with asyncio.timeout(20):
            await asyncio.wait([up.serving])


async def test_second_demand_ends_at_once(serve: Serve) -> None:
    async with serve(drain_s=3600) as up, phone(up) as socket:
        await start_stream(socket)
        await next_event(socket)
        up.server.drain()
        up.server.drain()
        assert await close_code(socket) == 1001
        async with asyncio.timeout(20):
            await asyncio.wait([up.serving])


@dataclass
class Process:
    process: asyncio.subprocess.Process
    port: int


@asynccontextmanager
async def process(tmp_path: Path, *arguments: str) -> AsyncIterator[Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_")}
    environment |= {"ANTIPHON_DATA_DIR": str(tmp_path), "ANTIPHON_MAX_LOOP_LAG_MS": "10000", "COLUMNS": "200"}
    agent = tmp_path / "agent.py"
    agent.write_text("from antiphon import Agent\nagent = Agent('desk', greeting='Hello.')\n")
    command = [sys.executable, "-c", "from antiphon.cli.main import app; app()", "serve", str(agent), "--dev"]
    running = await asyncio.create_subprocess_exec(
        *command,
        *("--models", "bench", "--vad", "energy", "--port", "0", *arguments),
        env=environment,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(40):
            first = (await running.stdout.readline()).decode()
        found = re.search(r"http://127.0.0.1:(\d+)", first)
        assert found, first
        yield Process(running, int(found[1]))
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_sigterm_lets_the_call_end_and_the_process_exits_with_0(tmp_path: Path) -> None:
    async with process(tmp_path) as up:
        async with connect(f"ws://127.0.0.1:{up.port}/telephony/twilio", compression=None, proxy=None) as socket:
            caller = await start_stream(socket)
            await next_event(socket)
            up.process.send_signal(signal.SIGTERM)
            await until_draining(up.port)
            assert (await next_event(socket))["event"] in ("media", "mark")
            await socket.send(caller.closing())
            assert await close_code(socket) == 1000
        async with asyncio.timeout(20):
            assert await up.process.wait() == 0


async def test_second_signal_ends_the_process(tmp_path: Path) -> None:
    async with process(tmp_path) as up:
        async with connect(f"ws://127.0.0.1:{up.port}/telephony/twilio", compression=None, proxy=None) as socket:
            await start_stream(socket)
            await next_event(socket)
            up.process.send_signal(signal.SIGINT)
            await until_draining(up.port)
            up.process.send_signal(signal.SIGINT)
            assert await close_code(socket) == 1001
        async with asyncio.timeout(20):
            assert await up.process.wait() == 0
