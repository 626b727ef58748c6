"""Agents, or their tools, for others: as an MCP server."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from antiphon import __version__
from antiphon.agents.agent import Agent
from antiphon.agents.approval import Approvals
from antiphon.agents.layers import tool_runner_through
from antiphon.errors import ConfigurationError, IntegrationInitializationError
from antiphon.logs import Log
from antiphon.models.llm.content import FunctionCall, FunctionResult, Media
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import invoke, result_of
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp_types import CallToolRequestParams, CallToolResult, ContentBlock, ListToolsResult, PaginatedRequestParams

_log = Log(__name__)

MAX_CALLS = 100
"""That run at once; further ones are told so."""

_APPROVAL = "A person has to approve this call, and nobody can be asked here."
_BUSY = "Too many calls run at the moment; try again later."


def as_mcp_server(agents: Agent | Sequence[Agent], *, tools_only: bool = False) -> Server[Any]:
    """Serve agents over the Model Context Protocol.

    The object that comes back runs on the streams of ``mcp.server.stdio.stdio_server`` or is mounted in a web
    application by its ``streamable_http_app()``; ``antiphon mcp`` does both. Each call is a conversation of its own.
    A call that needs a person's approval is refused, since there is nobody to ask. Sources of tools stay open: who
    made them closes them.

    Args:
        agents: Who is served: one tool for each, which takes a task in words and gives the answer.
        tools_only: Serve the agents' tools in their place; no model is asked then.

    Raises:
        IntegrationInitializationError: The package ``mcp`` is not installed.
        ConfigurationError: Two tools have the same name.
    """
    if importlib.util.find_spec("mcp") is None:
        raise IntegrationInitializationError(
            'To serve MCP, the package "mcp" is needed; install it with: pip install "antiphon[mcp]"'
        )
    from mcp.server import Server

    served = _Served([agents] if isinstance(agents, Agent) else list(agents), tools_only)
    return Server(
        "antiphon" if len(served.agents) > 1 else served.agents[0].name,
        version=__version__,
        on_list_tools=served.list_tools,
        on_call_tool=served.call_tool,
    )


class _Served:
    """What a server offers, and the calls that run."""

    def __init__(self, agents: Sequence[Agent], tools_only: bool) -> None:
        self.agents = agents
        self._tools_only = tools_only
        self._running = 0
        self._fixed = _by_name(
            (agent, tool)
            for agent in agents
            for tool in (agent.toolset.values() if tools_only else (agent.as_tool(),))
            if not tool.is_declared_only
        )

    async def list_tools(self, context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        from mcp_types import ListToolsResult, Tool

        tools = [tool for _, tool in (await self._tools()).values()]
        return ListToolsResult(
            tools=[
                Tool(name=tool.name, description=tool.description, input_schema=tool.parameters.schema)
                for tool in tools
                if tool.approval_mode != "always_require"
            ]
        )

    async def call_tool(self, context: Any, params: CallToolRequestParams) -> CallToolResult:
        call = FunctionCall(
            call_id=f"call_{uuid4().hex[:24]}",
            name=params.name,
            arguments=msgspec.json.encode(params.arguments or {}).decode(),
        )
        if self._running >= MAX_CALLS:
            return _told(result_of(call, "error", _BUSY))
        self._running += 1
        try:
            return _told(await self._answer(call))
        finally:
            self._running -= 1

    async def _answer(self, call: FunctionCall) -> FunctionResult:
        tools = await self._tools()
        agent, tool = tools.get(call.name, (None, None))
        context = ToolContext(call.call_id, f"mcp_{uuid4().hex[:24]}", agent=agent.name if agent else "")
        if agent is None or tool is None:
            return await invoke(None, call, context=context, known=tools)
        if await Approvals().needed(tool, call, context):
            return result_of(call, "rejected", _APPROVAL)
        layers = agent.layers["function"] if self._tools_only else ()
        try:
            async with asyncio.timeout(tool.timeout_s):
                return await invoke(
                    tool, call, context=context, run=tool_runner_through(layers, _nothing_to_end) if layers else None
                )
        except TimeoutError:
            _log.warning("tool.timeout", tool=tool.name, call_id=call.call_id)
            return result_of(call, "timeout", f"The function took longer than {tool.timeout_s:g} s.")

    async def _tools(self) -> Mapping[str, tuple[Agent, FunctionTool]]:
        """The tools as they are now; those of sources may change."""
        if not self._tools_only or not any(agent.sources for agent in self.agents):
            return self._fixed
        listed = [
            (agent, tool) for agent in self.agents for source in agent.sources for tool in await source.list_tools()
        ]
        return _by_name((*self._fixed.values(), *listed))


def _by_name(tools: Iterable[tuple[Agent, FunctionTool]]) -> dict[str, tuple[Agent, FunctionTool]]:
    named: dict[str, tuple[Agent, FunctionTool]] = {}
    for agent, tool in tools:
        other = named.setdefault(tool.name, (agent, tool))
        if other[1] is not tool:
            raise ConfigurationError(
                f"The agents {other[0].name!r} and {agent.name!r} both have a tool {tool.name!r}; rename one of them, "
                "or serve them one by one."
            )
    return named


def _nothing_to_end() -> None:
    """There is no tool loop here that middleware could end."""


def _told(result: FunctionResult) -> CallToolResult:
    """A result as the protocol has it."""
    from mcp_types import CallToolResult, TextContent

    content: list[ContentBlock] = [TextContent(text=result.text)] if result.text or not result.media else []
    content += [_block(media) for media in result.media]
    return CallToolResult(content=content, is_error=result.status not in ("ok", "pending"))


def _block(media: Media) -> ContentBlock:
    from mcp_types import AudioContent, BlobResourceContents, EmbeddedResource, ImageContent, ResourceLink

    if not media.is_inline:
        return ResourceLink(uri=media.uri, name=media.name or media.uri, mime_type=media.media_type)
    match media.media_type.partition("/")[0]:
        case "image":
            return ImageContent(data=media.base64, mime_type=media.media_type)
        case "audio":
            return AudioContent(data=media.base64, mime_type=media.media_type)
        case _:
            uri = media.name if media.name and ":" in media.name else "file:///result"
            blob = BlobResourceContents(uri=uri, blob=media.base64, mime_type=media.media_type)
            return EmbeddedResource(resource=blob)
