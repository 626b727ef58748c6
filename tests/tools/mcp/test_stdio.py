"""A server as a process: what it offers, what it gives, how it is lost and found again, and that nothing is left."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from antiphon import Agent
from antiphon.errors import ConfigurationError, IntegrationUnavailableException, ToolException
from antiphon.models.llm.content import Media
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as function_call
from antiphon.tools.mcp import Elicitation, MCPStdioTool
from antiphon.tools.source import ToolSource
from tests.tools.mcp.harness import HandClock, by_name, call, children, closing, kill, stdio

pytest.importorskip("mcp", reason="the extra antiphon[mcp]")

MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])


@pytest.fixture
async def source(request: pytest.FixtureRequest) -> AsyncIterator[MCPStdioTool]:
    async with closing(stdio(mode=getattr(request, "param", "auto"))) as made:
        yield made


BOTH = pytest.mark.parametrize("source", ["auto", "legacy"], indirect=True)


@BOTH
async def test_all_pages_are_listed_with_a_prefix(source: MCPStdioTool) -> None:
    assert isinstance(source, ToolSource)
    tools = await by_name(source)
    assert len(tools) == 18
    assert all(name.startswith("ref_") for name in tools)
    add = tools["ref_add"]
    assert (add.kind, add.description, add.timeout_s) == ("mcp", "Does add.", 30.0)
    assert add.parameters.schema["required"] == ["a", "b"]
    assert await source.list_tools() is await source.list_tools()


@BOTH
async def test_results_are_mapped(source: MCPStdioTool) -> None:
    assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"
    picture = await call(source, "ref_picture")
    assert picture.text == "here"
    assert base64.b64decode(picture.media[0].base64) == b"not really a picture"
    assert picture.media[0].media_type == "image/png"
    mixed = await call(source, "ref_mixed")
    assert mixed.text == "a note\na <https://example.org/a>: a page"
    assert [one.media_type for one in mixed.media] == ["audio/wav", "application/pdf"]
    assert all(isinstance(one, Media) for one in mixed.media)
    assert json.loads((await call(source, "ref_structured")).text) == {"free": ["9:00", "10:30"]}
    assert (await call(source, "ref_nothing")).text == ""


@BOTH
async def test_errors_of_tools_reach_the_model(source: MCPStdioTool) -> None:
    failed = await call(source, "ref_fail")
    assert (failed.status, failed.text) == ("error", "no such customer")
    refused = await call(source, "ref_refuse")
    assert refused.status == "error"
    assert refused.text == "The server 'ref' of this tool refused the call: the month is missing"
    wrong = await call(source, "ref_add", '{"a": 1}')
    assert wrong.status == "error"
    assert "'b' is a required property" in wrong.text


async def test_calls_run_at_the_same_time(source: MCPStdioTool) -> None:
    waiting = asyncio.create_task(call(source, "ref_started"))
    slow = asyncio.create_task(call(source, "ref_slow"))
    await waiting
    results = await asyncio.gather(*(call(source, "ref_add", json.dumps({"a": n, "b": n})) for n in range(20)))
    assert [result.text for result in results] == [str(2 * n) for n in range(20)]
    assert not slow.done()
    slow.cancel()
    await asyncio.wait({slow})


@BOTH
async def test_a_cancelled_call_frees_its_caller_and_the_server_is_told(source: MCPStdioTool) -> None:
    slow = asyncio.create_task(call(source, "ref_slow"))
    await call(source, "ref_started")
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    while (await call(source, "ref_journal")).text != "slow was cancelled":
        pass
    assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"


@BOTH
async def test_changed_tools_are_listed_at_the_next_step(source: MCPStdioTool) -> None:
    assert "ref_grown" not in await by_name(source)
    await call(source, "ref_grow")
    while "ref_grown" not in await by_name(source):
        await call(source, "ref_nothing")
    assert (await call(source, "ref_grown")).status == "ok"


@pytest.mark.parametrize("source", ["legacy"], indirect=True)
async def test_agent_calls_a_tool_that_came_with_the_step_before(source: MCPStdioTool) -> None:
    replies = [Reply(calls=(function_call("ref_grow"),)), Reply(calls=(function_call("ref_grown"),)), Reply("Done.")]
    model = ScriptedChatClient(replies)
    agent = Agent("desk", model=model, tools=[source])
    response = await agent.run("Grow, please.")
    assert response.text == "Done."
    offered = [{spec.name for spec in request.options.tools} for request in model.requests]
    assert [names >= {"ref_add", "ref_grow"} for names in offered] == [True, True, True]
    assert ["ref_grown" in names for names in offered] == [False, True, True]
    results = [part for message in response.messages for part in message.contents if part.type == "function_result"]
    assert [(result.name, result.status) for result in results] == [("ref_grow", "ok"), ("ref_grown", "ok")]


async def test_filter_prefix_and_approval() -> None:
    def wanted(arguments: Any, context: Any) -> bool:
        return True

    options: dict[str, Any] = {"allowed_tools": ["add", "fail", "grow"], "tool_name_prefix": "the clinic's "}
    async with closing(stdio(approval={"add": "always_require", "fail": wanted}, **options)) as source:
        tools = await by_name(source)
        assert list(tools) == ["the_clinic_s_add", "the_clinic_s_fail", "the_clinic_s_grow"]
        assert [tool.approval_mode for tool in tools.values()] == ["always_require", wanted, "never_require"]
    async with closing(stdio(approval="always_require", timeout_s=7)) as source:
        assert {(tool.approval_mode, tool.timeout_s) for tool in await source.list_tools()} == {("always_require", 7)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tool_name_prefix": "x" * 64}, "both called"),
        ({"max_tools": 17}, "18 tools, and max_tools is 17.*allowed_tools"),
        ({"approval": {"ad": "always_require"}}, "no tool 'ad', which approval names"),
    ],
)
async def test_what_cannot_be_used_is_an_error_each_time(options: dict[str, Any], words: str) -> None:
    async with closing(stdio(**options)) as source:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=words):
                await source.list_tools()


async def test_dead_server_has_no_tools_and_the_run_goes_on() -> None:
    async with closing(MCPStdioTool("ref", "/no/such/program")) as source:
        assert list(await source.list_tools()) == []
        assert list(await source.list_tools()) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/no/such/program"], "'ref' cannot be reached.*No such file"),
        ([sys.executable, "-c", "pass"], "'ref' ended the connection"),
        ([sys.executable, "-c", "print('x' * 2**25, flush=True); input(); input()"], "'ref' ended the connection"),
        (
            [sys.executable, "-c", "import sys; print('hello', flush=True); sys.stdin.read()"],
            "'ref' did not answer within 1.5 s",
        ),
    ],
    ids=["missing", "ends", "endless line", "silent"],
)
async def test_required_server_that_does_not_start_is_an_error(command: list[str], words: str) -> None:
    before = children()
    source = MCPStdioTool("ref", command[0], command[1:], required=True, connect_timeout_s=1.5)
    async with closing(source):
        with pytest.raises(IntegrationUnavailableException, match=words):
            await source.warm()
    assert children() <= before


async def test_killed_server_answers_with_errors_and_is_started_again() -> None:
    clock = HandClock()
    before = children()
    async with closing(stdio(clock=clock, required=True)) as source:
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"
        running = asyncio.create_task(call(source, "ref_slow"))
        await call(source, "ref_started")
        (process,) = children() - before
        kill(process)
        lost = await running
        assert (lost.status, lost.text) == ("error", "The server 'ref' of this tool is not available now.")
        again = await call(source, "ref_add", '{"a": 1, "b": 2}')
        assert (again.status, again.text) == ("error", "The server 'ref' of this tool is not available now.")
        assert len(await source.list_tools()) == 18
        clock.time += 0.6
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"
        assert children() - before != {process}
    assert children() <= before


async def test_server_that_was_steady_is_started_again_at_once_and_waits_grow_otherwise() -> None:
    clock = HandClock()
    async with closing(stdio(clock=clock)) as source:
        await source.warm()
        clock.time += 60
        assert (await call(source, "ref_crash")).status == "error"
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"
        for wait in (0.5, 1.0, 2.0):
            assert (await call(source, "ref_crash")).status == "error"
            clock.time += wait - 0.1
            assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).status == "error"
            clock.time += 0.2
            assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"


async def test_closed_source_has_no_process_and_may_be_used_again() -> None:
    before = children()
    async with closing(stdio()) as source:
        await source.warm()
        await source.aclose()
        assert children() <= before
        assert (await call(source, "ref_add", '{"a": 1, "b": 2}')).text == "3"


async def test_calls_that_run_at_the_close_get_an_answer() -> None:
    async with closing(stdio()) as source:
        slow = asyncio.create_task(call(source, "ref_slow"))
        await call(source, "ref_started")
        await source.aclose()
        assert (await slow).status == "error"


async def test_nothing_is_left_when_the_opening_is_cancelled() -> None:
    before = children()
    async with closing(stdio()) as source:
        warming = asyncio.create_task(source.warm())
        while not children() - before:
            await asyncio.to_thread(children)
        warming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await warming
    assert children() <= before


async def test_nothing_is_left_of_a_server_that_does_not_want_to_end() -> None:
    stubborn = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "sys.stdout.flush(); import time; time.sleep(600)"
    )
    before = children()
    source = MCPStdioTool("ref", sys.executable, ["-c", stubborn], connect_timeout_s=1)
    async with closing(source):
        assert list(await source.list_tools()) == []
        (server,) = children() - before
        grandchildren = children(server)
    assert children() <= before
    while any([await asyncio.to_thread(_is_alive, one) for one in grandchildren]):
        pass


def test_nothing_is_left_when_the_loop_ends_without_a_close() -> None:
    before = children()
    source = stdio()

    async def use() -> str:
        return (await call(source, "ref_add", '{"a": 1, "b": 2}')).text

    assert asyncio.run(use()) == "3"
    assert children() <= before
    asyncio.run(source.aclose())
    assert asyncio.run(use()) == "3"
    assert children() <= before


async def test_environment_is_exactly_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    async with closing(stdio(env={"CLINIC": "north"})) as source:
        seen = json.loads((await call(source, "ref_environment")).text)
    # The interpreter of the server may add this one by itself.
    seen.pop("LC_CTYPE", None)
    expected = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LANG": "C.UTF-8", "CLINIC": "north"}
    assert seen == expected


async def test_standard_error_is_logged_within_bounds() -> None:
    with capture_logs() as logs:
        async with closing(stdio()) as source:
            await call(source, "ref_complain", '{"lines": 1200, "length": 3000}')
    lines = [entry["line"] for entry in logs if entry["event"] == "mcp.stderr"]
    assert len(lines) == 1000
    assert lines[0].startswith("complaint 0 xx")
    assert max(map(len, lines)) == 1000
    assert [entry["event"] for entry in logs].count("mcp.stderr_not_logged_further") == 1


@BOTH
async def test_requests_of_the_server_are_denied_without_a_handler(source: MCPStdioTool) -> None:
    for name in ("ask", "sample", "roots"):
        denied = await call(source, f"ref_{name}")
        assert denied.status == "error"
        assert "not supported" in denied.text


@MODES
async def test_handlers_answer_the_server(mode: Any) -> None:
    asked: list[Elicitation] = []

    async def elicitation(question: Elicitation) -> dict[str, Any] | None:
        asked.append(question)
        return {"size": "large"} if len(asked) == 1 else None

    async def sampling(params: Any) -> str:
        return f"You said {params.messages[0].content.text}"

    async def roots() -> list[str]:
        return ["file:///srv/data"]

    async with closing(stdio(mode=mode, elicitation=elicitation, sampling=sampling, roots=roots)) as source:
        assert (await call(source, "ref_ask")).text == "accept {'size': 'large'}"
        assert (await call(source, "ref_ask")).text == "decline None"
        assert (await call(source, "ref_sample")).text == "You said Hello?"
        assert (await call(source, "ref_roots")).text == "file:///srv/data"
    assert asked[0].server == "ref"
    assert asked[0].message == "Which size?"
    assert asked[0].schema["required"] == ["size"]


@MODES
async def test_handler_that_fails_costs_its_own_call_only(mode: Any) -> None:
    async def elicitation(question: Elicitation) -> dict[str, Any] | None:
        raise KeyError("secret")

    async with closing(stdio(mode=mode, elicitation=elicitation)) as source:
        running = asyncio.create_task(call(source, "ref_slow"))
        await call(source, "ref_started")
        failed = await call(source, "ref_ask")
        assert failed.status == "error"
        assert "could not answer" in failed.text
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})


async def test_more_calls_than_a_connection_carries_are_refused(source: MCPStdioTool) -> None:
    tools = await by_name(source)
    calls = [asyncio.create_task(tools["ref_many"]()) for _ in range(256)]
    await asyncio.sleep(0)
    with pytest.raises(ToolException, match="'ref' of this tool is busy"):
        await tools["ref_add"](a=1, b=2)
    await source.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ToolException}


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
