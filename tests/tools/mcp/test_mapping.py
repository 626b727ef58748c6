"""Names, options, results and the missing package: what needs no server of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from antiphon.errors import ToolException
from antiphon.models.llm.content import Media, Text
from antiphon.tools.mcp import MCPServerTool, MCPStdioTool
from antiphon.tools.mcp.naming import clean_name
from tests.tools.mcp.harness import closing, names

pytest.importorskip("mcp", reason="the extra antiphon[mcp]")

from mcp.server import Server
from mcp_types import CallToolResult, EmbeddedResource, ImageContent, ListToolsResult, TextResourceContents, Tool

from antiphon.tools.mcp.content import MAX_MEDIA_CHARS, contents_of


@given(st.from_regex(r"[A-Za-z0-9_-]{1,48}_", fullmatch=True), st.text(min_size=1))
def test_names_are_always_those_that_a_model_may_use(prefix: str, name: str) -> None:
    cleaned = clean_name(prefix, name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", cleaned)
    assert cleaned.startswith(prefix)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("", {}, "name ''"),
        ("two words", {}, "name 'two words'"),
        ("x" * 49, {}, "48 letters"),
        ("ref", {"timeout_s": 0}, "timeout_s is 0"),
        ("ref", {"timeout_s": 301}, "timeout_s is 301"),
        ("ref", {"connect_timeout_s": 0}, "connect_timeout_s is 0"),
        ("ref", {"max_tools": 129}, "max_tools is 129"),
        ("ref", {"mode": "modern"}, "mode is 'modern'"),
        ("ref", {"allowed_tools": "add"}, "give a list"),
    ],
)
def test_options_out_of_their_bounds_are_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MCPStdioTool(name, "program", **options)


def test_media_beyond_the_bound_is_left_out() -> None:
    image = ImageContent(data="QUJD" * (MAX_MEDIA_CHARS // 10), mime_type="image/png")
    found = contents_of(CallToolResult(content=[image, image, image]))
    assert [type(one) for one in found] == [Media, Media, Text]
    assert found[2] == Text(text="[image/png left out: it is too large]")


def test_media_type_of_the_server_cannot_break_the_uri() -> None:
    (found,) = contents_of(CallToolResult(content=[ImageContent(data="QUJD", mime_type="image/png;base64,x")]))
    assert found == Media(uri="data:application/octet-stream;base64,QUJD", media_type="application/octet-stream")


def test_error_without_words_is_still_an_error() -> None:
    with pytest.raises(ToolException, match="The tool failed"):
        contents_of(CallToolResult(content=[], is_error=True))
    note = EmbeddedResource(resource=TextResourceContents(uri="note://1", text="no room"))
    with pytest.raises(ToolException, match="no room"):
        contents_of(CallToolResult(content=[note], is_error=True))


async def test_tools_that_cannot_be_shown_are_left_out_and_logged() -> None:
    schemas: dict[str, dict[str, Any]] = {
        "good": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}},
        "large": {"type": "object", "description": "x" * 70_000},
        "list": {"type": "object", "properties": {"a": {"type": "no such type"}}},
        "elsewhere": {"type": "object", "properties": {"a": {"$ref": "http://169.254.169.254/latest"}}},
    }

    async def listing(*_: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name=name, input_schema=schema) for name, schema in schemas.items()])

    with capture_logs() as logs:
        async with closing(MCPServerTool("ref", Server("ref", on_list_tools=listing))) as source:
            assert names(await source.list_tools()) == ["ref_good"]
    left_out = {entry["tool"]: entry["reason"] for entry in logs if entry["event"] == "mcp.tool_left_out"}
    assert left_out.keys() == {"large", "list", "elsewhere"}
    assert "65536 bytes" in left_out["large"]
    assert left_out["elsewhere"] == "its schema refers to another document"


async def test_list_without_an_end_is_given_up() -> None:
    async def listing(*_: Any) -> ListToolsResult:
        return ListToolsResult(tools=[], next_cursor="more")

    with capture_logs() as logs:
        async with closing(MCPServerTool("ref", Server("ref", on_list_tools=listing))) as source:
            assert list(await source.list_tools()) == []
    assert any("does not end its list of tools" in entry.get("reason", "") for entry in logs)


def test_missing_package_is_told_by_the_constructor() -> None:
    program = (
        "import sys; sys.modules['mcp'] = None\n"
        "from antiphon.tools.mcp import MCPStdioTool\n"
        "from antiphon.errors import IntegrationInitializationError\n"
        "try: MCPStdioTool('ref', 'program')\n"
        "except IntegrationInitializationError as error: print(error)\n"
    )
    assert 'pip install "antiphon[mcp]"' in _run(program)


def test_another_package_of_that_name_is_told_at_the_first_use() -> None:
    program = (
        "import asyncio, sys; sys.modules['mcp.client'] = None\n"
        "from antiphon.tools.mcp import MCPStdioTool\n"
        "from antiphon.errors import IntegrationInitializationError\n"
        "try: asyncio.run(MCPStdioTool('ref', 'program').warm())\n"
        "except IntegrationInitializationError as error: print(error)\n"
    )
    assert 'pip install "antiphon[mcp]"' in _run(program)


def test_package_is_not_imported_before_the_first_use() -> None:
    program = (
        "import sys\n"
        "from antiphon.tools.mcp import MCPStdioTool, MCPStreamableHTTPTool\n"
        "MCPStdioTool('ref', 'program'); MCPStreamableHTTPTool('ref', 'https://example.org/mcp')\n"
        "print([name for name in ('mcp', 'mcp_types', 'httpx', 'httpx2') if name in sys.modules])\n"
    )
    assert _run(program).strip() == "[]"


def _run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
