"""MCP servers of a session: a real server on loopback, a real socket, the model's calls in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.mcp.harness import http_server
from tests.transports.realtime.mcp_client import talking


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A reference server that this process may reach."""
    async with http_server() as (number, _):
        monkeypatch.setenv("ANTIPHON_URL_ALLOW_HOSTS", f"127.0.0.1:{number}")
        yield number


def sums(port: int, **options: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/mcp"
    return {"type": "mcp", "server_label": "sums", "server_url": url, "allowed_tools": ["add"], **options}


async def test_a_call_runs_and_the_agent_answers_with_what_came_of_it(tmp_path: Path, port: int) -> None:
    async with talking(tmp_path) as talk:
        await talk.use(sums(port, require_approval="never"))
        await talk.until("mcp_list_tools.completed")
        [listed] = [event["item"] for event in talk.of("conversation.item.done")]
        assert (listed["type"], listed["server_label"]) == ("mcp_list_tools", "sums")
        assert [tool["name"] for tool in listed["tools"]] == ["add"]
        assert listed["tools"][0]["input_schema"]["required"] == ["a", "b"]
        assert talk.about(listed["id"]) == [
            "conversation.item.added",
            "mcp_list_tools.in_progress",
            "conversation.item.done",
            "mcp_list_tools.completed",
        ]
        done = await talk.ask("Add 2 and 3.")
        called, message = done["output"]
        assert (called["type"], called["name"], called["server_label"]) == ("mcp_call", "add", "sums")
        assert (called["arguments"], called["output"], called["status"]) == ('{"a":2,"b":3}', "5", "completed")
        assert message["content"] == [{"type": "output_text", "text": "It is 5."}]
        assert talk.about(called["id"]) == [
            "response.output_item.added",
            "conversation.item.added",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "response.output_item.done",
            "conversation.item.done",
        ]
        await talk.ask("Thanks.")
        assert talk.prompt() == [
            ("user", "Add 2 and 3."),
            ("assistant", 'sums_add({"a":2,"b":3})'),
            ("tool", "5"),
            ("assistant", "It is 5."),
            ("user", "Thanks."),
        ]
