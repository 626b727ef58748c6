from __future__ import annotations

import asyncio

import pytest

from antiphon.errors import IntegrationInvalidRequestException
from tests.tools.web import Seen, Write, always, redirect, response, web

httpx2 = pytest.importorskip("httpx2", reason="comes with the MCP SDK")

from antiphon.tools.guarded_httpx2 import guarded_httpx2_client  # noqa: E402


async def test_requests_and_answers_pass_through() -> None:
    answer = response(201, b'{"a": 1}', {"content-type": "application/json", "x-session": "s1"})
    async with (
        web(always(answer)) as server,
        guarded_httpx2_client(allow_hosts=[server.host], headers={"x-key": "k"}) as client,
    ):
        answered = await client.post(f"{server.url}/mcp?a=b", json={"hello": "ü"})
    assert (answered.status_code, answered.json(), answered.headers["x-session"]) == (201, {"a": 1}, "s1")
    seen = server.seen[0]
    assert (seen.method, seen.path) == ("POST", "/mcp?a=b")
    assert (seen.headers["host"], seen.headers["x-key"]) == (server.host, "k")
    assert seen.body.decode() == '{"hello":"ü"}'


async def test_events_stream_one_by_one() -> None:
    go_on = asyncio.Event()

    async def answer(seen: Seen, write: Write) -> None:
        await write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await go_on.wait()
        await write(b"data: 2\n\n")

    async with (
        web(answer) as server,
        guarded_httpx2_client(allow_hosts=[server.host]) as client,
        client.sse(server.url) as source,
    ):
        events = aiter(source)
        assert (await anext(events)).data == "1"
        go_on.set()
        assert [event.data async for event in events] == ["2"]


async def test_private_targets_and_redirects_to_them_are_refused() -> None:
    async with web(always(redirect("http://169.254.169.254/"))) as server:
        async with guarded_httpx2_client() as client:
            with pytest.raises(IntegrationInvalidRequestException):
                await client.get(server.url)
        async with guarded_httpx2_client(allow_hosts=[server.host]) as client:
            with pytest.raises(IntegrationInvalidRequestException):
                await client.get(server.url, follow_redirects=True)
    assert len(server.seen) == 1


async def test_faults_of_the_network_are_those_of_the_library() -> None:
    async with web(always(b"")) as server, guarded_httpx2_client(allow_hosts=["127.0.0.1"]) as client:
        with pytest.raises(httpx2.ReadError):
            await client.get(server.url)
    async with guarded_httpx2_client(allow_hosts=["127.0.0.1"]) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(server.url)
