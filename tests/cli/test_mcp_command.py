"""``antiphon mcp``: our own server, in a process of its own, used by our own client."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.tools.mcp import MCPStdioTool, MCPStreamableHTTPTool
from tests.tools.mcp.harness import by_name, call, children, closing

pytest.importorskip("mcp", reason="the extra antiphon[mcp]")

from antiphon.cli.main import app

PROGRAM = "from antiphon.cli.main import app; app()"
AGENT = '''
from antiphon import Agent, tool
from antiphon.models.llm.scripted import ScriptedChatClient

print("a stray print must not reach the wire")

@tool
async def opening_hours(day: str) -> str:
    """When the clinic is open on a day of the week.

    Args:
        day: In English.
    """
    print("a stray print must not reach the wire")
    return {"monday": "8 to 12"}[day.lower()]

agent = Agent("front desk", "You answer.", description="Knows the clinic.", tools=[opening_hours], model=MODEL)
'''


@pytest.fixture
def agent_file(tmp_path: Path) -> Path:
    file = tmp_path / "desk.py"
    file.write_text(AGENT.replace("MODEL", 'ScriptedChatClient(["We open at eight."])'))
    return file


def over_stdio(file: Path, *arguments: str) -> MCPStdioTool:
    env = {"ANTIPHON_DATA_DIR": str(file.parent)}
    command = ["-c", PROGRAM, "mcp", str(file), *arguments]
    return MCPStdioTool("desk", sys.executable, command, env=env, cwd=file.parent, connect_timeout_s=30)


@asynccontextmanager
async def over_http(file: Path, *arguments: str, **options: Any) -> AsyncIterator[tuple[str, str | None]]:
    """The server's URL and the key that it made."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, "mcp", str(file), "--transport", "http", "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={**environment, "PYTHONUNBUFFERED": "1", "ANTIPHON_DATA_DIR": str(file.parent), **options},
        cwd=file.parent,
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().split()[-1]
        secret = "--dev" in arguments or "ANTIPHON_API_KEYS" in options
        key = None if secret else (await process.stdout.readline()).decode().split()[-1]
        yield url, key
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await process.stdout.read()


async def test_tools_over_stdio(agent_file: Path) -> None:
    before = children()
    async with closing(over_stdio(agent_file, "--tools-only")) as source:
        (tool,) = await source.list_tools()
        assert (tool.name, tool.description) == (
            "desk_opening_hours",
            "When the clinic is open on a day of the week.",
        )
        assert tool.parameters.schema["properties"] == {"day": {"type": "string", "description": "In English."}}
        assert (await call(source, "desk_opening_hours", '{"day": "Monday"}')).text == "8 to 12"
        failed = await call(source, "desk_opening_hours", '{"day": "Sunday"}')
        assert (failed.status, failed.text) == ("error", "The function failed.")
    assert children() <= before


async def test_agent_over_stdio(agent_file: Path) -> None:
    async with closing(over_stdio(agent_file)) as source:
        assert (await by_name(source))["desk_front_desk"].description == "Knows the clinic."
        assert (await call(source, "desk_front_desk", '{"task": "When do you open?"}')).text == "We open at eight."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_it_although_the_wire_stays_open(agent_file: Path, number: signal.Signals) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, "mcp", str(agent_file), "--tools-only"),
        stdin=pipe,
        stdout=pipe,
        cwd=agent_file.parent,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
    assert b'"id":1' in await process.stdout.readline()
    process.send_signal(number)
    assert await process.wait() == 128 + number
    process.stdin.close()


async def test_http_needs_the_key_that_is_printed(agent_file: Path) -> None:
    async with over_http(agent_file, "--tools-only") as (url, key):
        assert key is not None
        options: dict[str, Any] = {"allow_hosts": ["127.0.0.1"], "connect_timeout_s": 30}
        headers = {"authorization": f"Bearer {key}"}
        async with closing(MCPStreamableHTTPTool("desk", url, headers, **options)) as source:
            assert (await call(source, "desk_opening_hours", '{"day": "Monday"}')).text == "8 to 12"
        stranger = MCPStreamableHTTPTool("desk", url, {"authorization": "Bearer ant_0"}, **options)
        async with closing(stranger):
            assert list(await stranger.list_tools()) == []


async def test_http_takes_configured_keys_and_dev_takes_everyone(agent_file: Path) -> None:
    options: dict[str, Any] = {"allow_hosts": ["127.0.0.1"], "connect_timeout_s": 30}
    mine = {"x-api-key": "ant_mine"}
    async with (
        over_http(agent_file, "--tools-only", ANTIPHON_API_KEYS="ant_mine") as (url, _),
        closing(MCPStreamableHTTPTool("desk", url, mine, **options)) as source,
    ):
        assert len(await source.list_tools()) == 1
    async with (
        over_http(agent_file, "--tools-only", "--dev") as (url, _),
        closing(MCPStreamableHTTPTool("desk", url, **options)) as source,
    ):
        assert len(await source.list_tools()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.py"], "missing.py"),
        (["desk.py", "--transport", "http", "--host", "0.0.0.0"], "ANTIPHON_API_KEYS"),
        (["desk.py", "--transport", "http", "--host", "0.0.0.0", "--dev"], "loopback"),
    ],
)
def test_mistakes_are_told(agent_file: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str) -> None:
    monkeypatch.chdir(agent_file.parent)
    for name in [name for name in os.environ if name.startswith("ANTIPHON_")]:
        monkeypatch.delenv(name)
    result = CliRunner().invoke(app, ["mcp", *arguments])
    assert result.exit_code == 2
    assert re.search(words, result.stderr)
