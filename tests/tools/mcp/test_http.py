"""A server behind a URL, over real sockets: both protocols, credentials, the guard, and a server that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import IntegrationUnavailableException
from antiphon.tools.mcp import MCPStreamableHTTPTool
from tests.tools.mcp.harness import HandClock, by_name, call, closing, http_server
from tests.tools.web import Seen, Write, always, redirect, response, web

pytest.importorskip("mcp", reason="the extra antiphon[mcp]")

import httpx2

from antiphon.tools.guarded_httpx2 import guarded_httpx2_client

MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])


def remote(port: int, **options: Any) -> MCPStreamableHTTPTool:
    url = f"http://127.0.0.1:{port}/mcp"
    return MCPStreamableHTTPTool("ref", url, allow_hosts=["127.0.0.1"], **{"connect_timeout_s": 30, **options})


@MODES
async def test_tools_are_listed_called_and_cancelled(mode: Any) -> None:
    async with http_server() as (port, _), closing(remote(port, mode=mode)) as source:
        assert len(await by_name(source)) == 18
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"
        assert (await call(source, "ref_picture")).media[0].media_type == "image/png"
        assert (await call(source, "ref_fail")).text == "no such customer"
        slow = asyncio.create_task(call(source, "ref_slow"))
        await call(source, "ref_started")
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        while (await call(source, "ref_journal")).text != "slow was cancelled":
            pass


@MODES
async def test_changed_tools_are_listed_at_the_next_step(mode: Any) -> None:
    async with http_server() as (port, _), closing(remote(port, mode=mode)) as source:
        assert "ref_grown" not in await by_name(source)
        while "ref_grown" not in await by_name(source):
            await call(source, "ref_grow")


async def test_older_transport_is_used_where_the_server_speaks_no_other() -> None:
    clock = HandClock()
    async with http_server(kind="sse") as (port, process), closing(remote(port, clock=clock)) as source:
        assert len(await by_name(source)) == 18
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"
        assert (await call(source, "ref_fail")).text == "no such customer"
        clock.time += 60
        process.kill()
        await process.wait()
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).status == "error"
        async with http_server(kind="sse", port=port):
            clock.time += 60
            assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"


async def test_headers_are_asked_again_once_after_401(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("first")
    asked: list[str] = []

    async def headers() -> Mapping[str, str]:
        asked.append(key.read_text())
        return {"authorization": f"Bearer {asked[-1]}"}

    async with http_server(str(key)) as (port, _), closing(remote(port, headers=headers)) as source:
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"
        assert asked == ["first"]
        key.write_text("second")
        results = await asyncio.gather(*(call(source, "ref_add", '{"a": 1, "b": 2}') for _ in range(5)))
        assert {result.text for result in results} == {"3"}
        assert asked == ["first", "second"]


async def test_a_flow_of_the_clients_own_is_used_in_place_of_headers(tmp_path: Path) -> None:
    class Signed(httpx2.Auth):
        def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
            request.headers["authorization"] = "Bearer signed"
            yield request

    key = tmp_path / "key"
    key.write_text("signed")

    def make_client() -> httpx2.AsyncClient:
        client = guarded_httpx2_client(allow_hosts=["127.0.0.1"])
        client.auth = Signed()
        return client

    async with http_server(str(key)) as (port, _), closing(remote(port, make_client=make_client)) as source:
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"


async def test_refused_credentials_are_told(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("other")
    headers = {"authorization": "Bearer mine"}
    async with http_server(str(key)) as (port, _), closing(remote(port, headers=headers, required=True)) as source:
        with pytest.raises(IntegrationUnavailableException, match="'ref' refused the credentials; check its headers="):
            await source.warm()


@MODES
async def test_lost_server_is_connected_again(mode: Any) -> None:
    clock = HandClock()
    async with http_server() as (port, process):
        source = remote(port, mode=mode, clock=clock)
        async with closing(source):
            await source.warm()
            process.kill()
            await process.wait()
            lost = await call(source, "ref_add", '{"a": 1, "b": 2}')
            assert (lost.status, lost.text) == ("error", "The server 'ref' of this tool is not available now.")
            assert len(await source.list_tools()) == 18
            async with http_server(port=port):
                clock.time += 60
                results = [await call(source, "ref_add", '{"a": 1, "b": 2}') for _ in range(2)]
                assert results[-1].text == "3"


async def test_restarted_server_that_has_forgotten_the_session_is_connected_again() -> None:
    clock = HandClock()
    async with http_server() as (port, process), closing(remote(port, mode="legacy", clock=clock)) as source:
        await source.warm()
        clock.time += 60
        process.kill()
        await process.wait()
        async with http_server(port=port):
            assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).status == "error"
            assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"


async def test_private_hosts_are_refused_unless_allowed() -> None:
    async with web(always(response())) as server:
        source = MCPStreamableHTTPTool("ref", f"{server.url}/mcp", required=True)
        async with closing(source):
            with pytest.raises(IntegrationUnavailableException, match="not on the public network"):
                await source.warm()
    assert server.seen == []


async def test_redirect_to_another_host_is_not_followed() -> None:
    async with web(always(response())) as other, web(always(redirect(f"{other.url}/mcp", 307))) as server:
        source = MCPStreamableHTTPTool(
            "ref", f"{server.url}/mcp", {"authorization": "secret"}, allow_hosts=["127.0.0.1"], required=True
        )
        async with closing(source):
            with pytest.raises(IntegrationUnavailableException):
                await source.warm()
    assert server.seen
    assert other.seen == []


async def test_server_that_is_none_is_told() -> None:
    async with web(always(response(404))) as server:
        source = MCPStreamableHTTPTool("ref", server.url, allow_hosts=["127.0.0.1"], required=True)
        async with closing(source):
            with pytest.raises(IntegrationUnavailableException, match="'ref'"):
                await source.warm()


async def test_silent_server_is_given_up() -> None:
    async def silent(seen: Seen, write: Write) -> None:
        await asyncio.Event().wait()

    async with web(silent) as server:
        source = MCPStreamableHTTPTool(
            "ref", server.url, allow_hosts=["127.0.0.1"], required=True, connect_timeout_s=0.3
        )
        async with closing(source):
            with pytest.raises(IntegrationUnavailableException, match=r"did not answer within 0\.3 s"):
                await source.warm()


async def test_endless_answer_is_given_up() -> None:
    async def endless(seen: Seen, write: Write) -> None:
        await write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            await write(b"x" * 1_000_000)

    async with web(endless) as server:
        source = MCPStreamableHTTPTool(
            "ref", server.url, allow_hosts=["127.0.0.1"], required=True, connect_timeout_s=30
        )
        async with closing(source):
            with pytest.raises(IntegrationUnavailableException, match="sends more than"):
                await source.warm()
