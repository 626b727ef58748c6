from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from antiphon.clock import VirtualClock, WallClock
from antiphon.errors import ConfigurationError
from antiphon.realtime.calls import CallRefused
from antiphon.tools.guarded_http import guarded_client
from antiphon.tools.tool import tool
from antiphon.voice.facts import FactsSheet
from antiphon.voice.tools import ToolRegistry, built_in_tools, clock_tool, http_get_tool


@tool
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def test_a_function_is_described_checked_and_run() -> None:
    registry = ToolRegistry([add])
    definition = registry.definitions()[0]
    assert definition["type"] == "function"
    assert definition["name"] == "add"
    assert definition["parameters"]["required"] == ["a"]
    assert await registry.run("add", {"a": 2}) == 3
    with pytest.raises(CallRefused) as told:
        await registry.run("add", {"a": "many"})
    assert told.value.code == "invalid_arguments"
    with pytest.raises(CallRefused) as told:
        await registry.run("subtract", {})
    assert told.value.code == "unknown_tool"


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'add'"):
        ToolRegistry([add, add])


async def test_a_function_that_blocks_does_not_hold_the_loop_up() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    @tool
    def slow() -> str:
        """Wait for the loop."""
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(5)
        return "done"

    running = asyncio.create_task(ToolRegistry([slow]).run("slow", {}))
    await begun.wait()
    go_on.set()
    assert await running == "done"


def test_the_clock_tells_time_with_its_offset() -> None:
    clock = VirtualClock()

    async def main() -> None:
        registry = ToolRegistry([clock_tool(clock)])
        assert await registry.run("clock", {}) == "2026-01-05T09:00:00+00:00"
        assert await registry.run("clock", {"timezone": "Asia/Tokyo"}) == "2026-01-05T18:00:00+09:00"
        for unknown in ("Mars/Base", "../etc/passwd", ""):
            with pytest.raises(CallRefused, match="no time zone"):
                await registry.run("clock", {"timezone": unknown})

    clock.run(main())


async def test_facts_are_remembered_and_forgotten() -> None:
    sheet, changes = FactsSheet(), []
    registry = built_in_tools([], facts=sheet, facts_changed=lambda: changes.append(1), clock=WallClock())
    await registry.run("remember_fact", {"key": "Tea", "value": "green"})
    assert sheet.text == "tea: green"
    assert sheet.facts["tea"].pinned
    assert isinstance(sheet.facts["tea"].updated_at, datetime)
    await registry.run("forget_fact", {"key": "tea"})
    assert len(sheet) == 0
    assert len(changes) == 2
    with pytest.raises(CallRefused, match="no such fact"):
        await registry.run("forget_fact", {"key": "tea"})


def test_the_settings_choose_what_is_offered() -> None:
    assert set(built_in_tools(["clock"]).names) == {"clock"}
    assert set(built_in_tools(["clock", "http_get"]).names) == {"clock"}
    assert set(built_in_tools([], http_allow=["example.com"]).names) == {"http_get"}
    with pytest.raises(ConfigurationError, match="'fly'"):
        built_in_tools(["fly"])


@asynccontextmanager
async def web(answer: str) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def page(body: str, kind: str = "text/plain") -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"


async def get(url: str, *, allow: Sequence[str], reach: Sequence[str] = (), resolves_to: str = "") -> str:
    async def resolve(host: str, port: int) -> list[str]:
        return [resolves_to or host]

    async with guarded_client(allow_hosts=reach, resolve=resolve) as client:
        return str(await ToolRegistry([http_get_tool(allow, client=client)]).run("http_get", {"url": url}))


async def test_a_page_of_an_allowed_host_is_read() -> None:
    async with web(page("It rains.")) as port:
        assert await get(f"http://127.0.0.1:{port}/", allow=["127.0.0.1"], reach=[f"127.0.0.1:{port}"]) == "It rains."


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0"]
)
async def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
    with pytest.raises(CallRefused, match="denied"):
        await get(url, allow=[address])
    with pytest.raises(CallRefused, match="denied"):
        await get("http://weather.example/", allow=["weather.example"], resolves_to=address)


async def test_a_redirect_to_a_private_address_is_refused() -> None:
    async with web(page("secret")) as inside:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inside}/\r\nContent-Length: 0\r\n\r\n"
        async with web(moved) as port:
            with pytest.raises(CallRefused, match="denied"):
                await get(f"http://127.0.0.1:{port}/", allow=["127.0.0.1"], reach=[f"127.0.0.1:{port}"])


@pytest.mark.parametrize("url", ["http://other.example/", "ftp://127.0.0.1/", "not a url", "http://user:x@127.0.0.1/"])
async def test_other_hosts_and_schemes_are_refused(url: str) -> None:
    with pytest.raises(CallRefused):
        await get(url, allow=["127.0.0.1"], reach=["127.0.0.1"])


async def test_what_is_no_text_or_too_long_is_refused() -> None:
    async with web(page("GIF89a", "image/gif")) as port:
        with pytest.raises(CallRefused, match="no text"):
            await get(f"http://127.0.0.1:{port}/", allow=["127.0.0.1"], reach=["127.0.0.1"])
    async with web(page("x" * 70_000)) as port:
        with pytest.raises(CallRefused, match="too_large"):
            await get(f"http://127.0.0.1:{port}/", allow=["127.0.0.1"], reach=["127.0.0.1"])
