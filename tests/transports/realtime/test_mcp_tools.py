"""What a client says of an MCP server: which tools are allowed, which need approval, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.server import Server
from mcp_types import ListToolsResult, Tool, ToolAnnotations

from antiphon.tools.mcp import MCPServerTool
from antiphon.transports.realtime.mcp import needs_approval, offered
from antiphon.wire.realtime.refusal import Refusal
from antiphon.wire.realtime.session import SessionConfig, merged, session_object

SERVER: dict[str, Any] = {"type": "mcp", "server_label": "shop", "server_url": "https://shop.example/mcp"}


async def shop() -> MCPServerTool:
    """A server with one tool that only reads, one that does not, and one that says nothing of itself."""

    async def listed(_context: Any, _params: Any) -> ListToolsResult:
        schema = {"type": "object", "properties": {}}
        tools = [
            Tool(name="look", input_schema=schema, annotations=ToolAnnotations(read_only_hint=True)),
            Tool(name="buy", input_schema=schema, annotations=ToolAnnotations(read_only_hint=False)),
            Tool(name="other", input_schema=schema),
        ]
        return ListToolsResult(tools=tools)

    return MCPServerTool("shop", Server("shop", version="1", on_list_tools=listed))


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        (None, {"look", "buy", "other"}),
        ("always", {"look", "buy", "other"}),
        ("never", set()),
        ({"never": {"tool_names": ["look"]}}, {"buy", "other"}),
        ({"never": {"read_only": True}}, {"buy", "other"}),
        ({"always": {"tool_names": ["buy"]}}, {"buy"}),
        ({"always": {"read_only": False}}, {"buy", "other"}),
        ({"always": {"tool_names": ["buy"]}, "never": {"tool_names": ["look"]}}, {"buy", "other"}),
        ({"always": {"tool_names": ["look"]}, "never": {"read_only": True}}, {"look", "buy", "other"}),
        ({"never": {"tool_names": ["look", "buy"], "read_only": True}}, {"buy", "other"}),
        ({}, {"look", "buy", "other"}),
    ],
)
async def test_which_tools_need_approval(rule: Any, asked: set[str]) -> None:
    source = await shop()
    config = SERVER if rule is None else {**SERVER, "require_approval": rule}
    tools = await source.list_tools()
    assert {tool.metadata["tool"] for tool in tools if needs_approval(tool, config)} == asked
    ready = offered(tools, config)
    assert {tool.metadata["tool"] for tool in ready if tool.approval_mode == "always_require"} == asked
    await source.aclose()


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        ({"read_only": True}, ["shop_look"]),
        ({"read_only": False}, ["shop_buy", "shop_other"]),
        ({"tool_names": ["look", "buy"], "read_only": True}, ["shop_look"]),
        ({}, ["shop_look", "shop_buy", "shop_other"]),
    ],
)
async def test_which_tools_are_allowed(allowed: Any, names: list[str]) -> None:
    source = await shop()
    ready = offered(await source.list_tools(), {**SERVER, "allowed_tools": allowed})
    assert [tool.name for tool in ready] == names
    await source.aclose()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"server_url": "ftp://shop.example"}, "session.tools[0].server_url"),
        ({"server_url": "https://" + "x" * 9_000}, "session.tools[0].server_url"),
        ({"authorization": "two\nlines"}, "session.tools[0].authorization"),
        ({"headers": {"x-key": "two\r\nlines"}}, "session.tools[0].headers"),
        ({"headers": {"x-key": "schlüssel"}}, "session.tools[0].headers"),
        ({"headers": {"x key": "secret"}}, "session.tools[0].headers"),
        ({"headers": {"x-key": 1234}}, "session.tools[0].headers"),
        ({"headers": {"Host": "inner.example"}}, "session.tools[0].headers"),
        ({"connector_id": "connector_mail"}, "session.tools[0].connector_id"),
        ({"tunnel_id": "tunnel"}, "session.tools[0].tunnel_id"),
    ],
)
def test_what_cannot_be_reached_so_is_refused_at_once(change: dict[str, Any], param: str) -> None:
    with pytest.raises(Refusal) as refused:
        merged(SessionConfig(), {"tools": [{**SERVER, **change}]})
    assert refused.value.param == param
    assert all(str(value) not in refused.value.message for value in change.get("headers", {}).values())


def test_each_server_has_a_label_of_its_own_and_there_are_not_too_many() -> None:
    with pytest.raises(Refusal, match="label of its own"):
        merged(SessionConfig(), {"tools": [SERVER, SERVER]})
    with pytest.raises(Refusal, match="at most 16"):
        merged(SessionConfig(), {"tools": [{**SERVER, "server_label": f"shop{n}"} for n in range(17)]})


def test_secrets_are_told_to_nobody() -> None:
    config, _ = merged(
        SessionConfig(), {"tools": [{**SERVER, "authorization": "a-key", "headers": {"x-key": "b-key"}}]}
    )
    told = str(session_object(config, session_id="sess_1", expires_at=0)) + repr(config)
    assert "shop.example" in told
    assert "a-key" not in told
    assert "b-key" not in told
