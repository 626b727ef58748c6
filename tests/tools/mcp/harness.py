"""Starts the reference server and looks at what is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from antiphon.clock import WallClock
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import invoke
from antiphon.tools.mcp import MCPStdioTool, MCPTool
from antiphon.tools.tool import FunctionTool

REFERENCE = Path(__file__).with_name("reference.py")


class HandClock(WallClock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


def stdio(**options: Any) -> MCPStdioTool:
    return MCPStdioTool("ref", sys.executable, [str(REFERENCE), "stdio"], connect_timeout_s=30, **options)


@asynccontextmanager
async def closing(*sources: MCPTool) -> AsyncIterator[Any]:
    """The source, and afterwards nothing of it: no task, no process."""
    before = asyncio.all_tasks()
    try:
        yield sources[0]
    finally:
        for source in sources:
            await source.aclose()
        tasks = asyncio.all_tasks() - before - {asyncio.current_task()}
        left = [task for task in tasks if "web.<locals>" not in repr(task.get_coro())]
        assert not left, left


async def by_name(source: MCPTool) -> dict[str, FunctionTool]:
    return {tool.name: tool for tool in await source.list_tools()}


async def call(source: MCPTool, name: str, arguments: str = "{}") -> FunctionResult:
    """As an agent calls a tool."""
    tools = await by_name(source)
    return await invoke(
        tools.get(name), FunctionCall(call_id="c1", name=name, arguments=arguments), context=ToolContext()
    )


def children(of: int | None = None) -> set[int]:
    """The processes that this one has started, and that are not yet gone."""
    me = of or os.getpid()
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == me and fields[0] != "Z":
                found.add(int(stat.parent.name))
    return found


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


@asynccontextmanager
async def http_server(
    *arguments: str, port: int = 0, kind: str = "http"
) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """The reference server over HTTP, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(REFERENCE),
        kind,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PORT": str(port)},
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await process.stdout.read()


def names(tools: Sequence[FunctionTool]) -> list[str]:
    return [tool.name for tool in tools]
