"""Agents and their tools as an MCP server, used by our own client in the same process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from antiphon import Agent, tool
from antiphon.agents.middleware import FunctionContext, function_middleware
from antiphon.errors import ConfigurationError, ToolException
from antiphon.models.llm.content import Media, Text
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.tools.context import ToolContext
from antiphon.tools.mcp import MCPServerTool
from antiphon.tools.tool import FunctionTool
from tests.tools.mcp.harness import by_name, call, closing

pytest.importorskip("mcp", reason="the extra antiphon[mcp]")

from antiphon.agents.mcp_server import as_mcp_server


@tool
async def opening_hours(day: str) -> str:
    """When the clinic is open."""
    return {"monday": "8 to 12"}[day.lower()]


def client_of(*agents: Agent, **options: Any) -> MCPServerTool:
    return MCPServerTool("desk", as_mcp_server(agents, tools_only=True), tool_name_prefix="", **options)


async def test_agent_is_one_tool_that_takes_a_task() -> None:
    model = ScriptedChatClient(["We open at eight.", "And close at twelve."])
    agent = Agent("front desk", description="Knows the clinic.", model=model, tools=[opening_hours])
    async with closing(MCPServerTool("desk", as_mcp_server(agent), tool_name_prefix="")) as source:
        tools = await by_name(source)
        assert list(tools) == ["front_desk"]
        assert tools["front_desk"].description == "Knows the clinic."
        assert (await call(source, "front_desk", '{"task": "When do you open?"}')).text == "We open at eight."
        assert (await call(source, "front_desk", '{"task": "And close?"}')).text == "And close at twelve."
    assert [message.text for message in model.requests[1].messages if message.role == "user"] == ["And close?"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_tools_are_served_without_a_model(mode: Any) -> None:
    @tool
    def picture(context: ToolContext) -> list[Text | Media]:
        assert context.agent == "desk"
        return [
            Text(text="a tooth"),
            Media.from_bytes(b"png", "image/png"),
            Media.from_bytes(b"wav", "audio/wav"),
            Media.from_bytes(b"pdf", "application/pdf"),
            Media(uri="https://example.org/a.png", media_type="image/png", name="A tooth"),
        ]

    @tool
    async def refuse() -> str:
        """Never works."""
        raise ToolException("closed today")

    agent = Agent("desk", tools=[opening_hours, picture, refuse])
    async with closing(client_of(agent, mode=mode)) as source:
        assert list(await by_name(source)) == ["opening_hours", "picture", "refuse"]
        assert (await call(source, "opening_hours", '{"day": "Monday"}')).text == "8 to 12"
        shown = await call(source, "picture")
        assert shown.text == "a tooth\nA tooth <https://example.org/a.png>"
        assert [media.media_type for media in shown.media] == ["image/png", "audio/wav", "application/pdf"]
        failed = await call(source, "refuse")
        assert (failed.status, failed.text) == ("error", "closed today")
        unknown = await call(source, "opening_hours", '{"day": "Sunday"}')
        assert (unknown.status, unknown.text) == ("error", "The function failed.")


async def test_slow_tool_is_given_up_and_a_cancelled_call_stops() -> None:
    stopped = asyncio.Event()
    started = asyncio.Event()

    @tool(timeout_s=0.05)
    async def slow() -> str:
        """Takes forever."""
        await asyncio.Event().wait()
        return ""

    @tool(timeout_s=60)
    async def slower() -> str:
        """Takes forever."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    async with closing(client_of(Agent("desk", tools=[slow, slower]), mode="legacy")) as source:
        given_up = await call(source, "slow")
        assert (given_up.status, given_up.text) == ("error", "The function took longer than 0.05 s.")
        calling = asyncio.create_task(call(source, "slower"))
        await started.wait()
        calling.cancel()
        await stopped.wait()


async def test_calls_that_need_approval_are_refused() -> None:
    def is_large(arguments: Mapping[str, Any], context: ToolContext) -> bool:
        return bool(arguments["amount"] > 100)

    @tool(approval_mode=is_large)
    async def refund(amount: int) -> str:
        """Give money back."""
        return f"{amount} refunded"

    @tool(approval_mode="always_require")
    async def close_account() -> str:
        """Not without a person."""
        return "closed"

    declared = FunctionTool(None, name="declared", schema={"properties": {}})
    async with closing(client_of(Agent("desk", tools=[refund, close_account, declared]))) as source:
        assert list(await by_name(source)) == ["refund"]
        assert (await call(source, "refund", '{"amount": 5}')).text == "5 refunded"
        refused = await call(source, "refund", '{"amount": 500}')
        assert (refused.status, refused.text) == (
            "error",
            "A person has to approve this call, and nobody can be asked here.",
        )
        with pytest.raises(ToolException, match="A person has to approve"):
            await source._call("close_account", {})


async def test_middleware_of_the_agent_is_around_its_tools() -> None:
    @function_middleware
    async def loud(context: FunctionContext, call_next: Any) -> None:
        await call_next()
        context.result = context.result.upper()

    async with closing(client_of(Agent("desk", tools=[opening_hours], middleware=[loud]))) as source:
        assert (await call(source, "opening_hours", '{"day": "Monday"}')).text == "8 TO 12"


async def test_tools_of_sources_are_passed_on() -> None:
    inner = MCPServerTool("inner", as_mcp_server(Agent("inner", tools=[opening_hours]), tools_only=True))
    async with closing(client_of(Agent("desk", tools=[inner])), inner) as source:
        assert (await call(source, "inner_opening_hours", '{"day": "Monday"}')).text == "8 to 12"


async def test_two_tools_of_one_name_are_an_error() -> None:
    @tool(name="opening_hours")
    async def other() -> str:
        """Another one."""
        return ""

    with pytest.raises(ConfigurationError, match="both have a tool 'opening_hours'"):
        as_mcp_server([Agent("one", tools=[opening_hours]), Agent("two", tools=[other])], tools_only=True)


def test_missing_package_is_one_sentence() -> None:
    program = (
        "import sys; sys.modules['mcp'] = None\n"
        "from antiphon import Agent\n"
        "from antiphon.agents.mcp_server import as_mcp_server\n"
        "from antiphon.errors import IntegrationInitializationError\n"
        "try: as_mcp_server(Agent('desk'))\n"
        "except IntegrationInitializationError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert 'pip install "antiphon[mcp]"' in told
