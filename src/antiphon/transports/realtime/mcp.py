"""The MCP servers that a client gives its session: listed in the background, called by the model, closed with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from antiphon.agents.approval import Approvals, Decision
from antiphon.clock import Clock
from antiphon.errors import AntiphonException, IntegrationUnavailableException
from antiphon.models.llm.content import ApprovalResponse
from antiphon.tools.invoke import result_of
from antiphon.tools.mcp import MCPStreamableHTTPTool, MCPTool
from antiphon.tools.tool import FunctionTool
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.conversation import Conversation, Entry
from antiphon.wire.realtime import events
from antiphon.wire.realtime.fields import check_size
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.items import Item, item_object
from antiphon.wire.realtime.refusal import invalid_value

_log = structlog.get_logger(__name__)

MOST_SERVERS = 32
"""That one session reaches, those of single responses included."""
_CLOSE_S = 1.0
_MAX_LABEL = 48
_UNCLEAN = re.compile(r"[^A-Za-z0-9_-]")

Config = Mapping[str, Any]
"""A server as the client gives it, with its secrets."""


@dataclass(slots=True, eq=False)
class _Server:
    """A server of the session.

    Attributes:
        config: What the client has given.
        listing: Fetches its tools.
        source: The connection, once it is begun.
        tools: What the model may call.
        has_failed: Its tools cannot be had.
    """

    config: Config
    listing: asyncio.Task[None] | None = None
    source: MCPTool | None = None
    tools: tuple[FunctionTool, ...] = ()
    has_failed: bool = False


class McpServers:
    """All MCP servers of one session.

    Args:
        channel: Where events go.
        conversation: Gets the items that list tools.
        clock: Time.
        spawn: Runs a task of the session.
        listed: Told when the tools of a server are known.
    """

    def __init__(
        self,
        channel: Channel,
        conversation: Conversation,
        *,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        listed: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._conversation = conversation
        self._clock = clock
        self._spawn = spawn
        self._listed = listed
        self._servers: list[_Server] = []

    def replace(self, tools: Sequence[Config]) -> None:
        """Reach the servers among the session's tools, and leave all others."""
        kept = [server for server in self._servers if server.config in tools]
        for server in self._servers:
            if server not in kept:
                self._leave(server)
        self._servers = kept
        self.add(tools)

    def add(self, tools: Sequence[Config]) -> list[asyncio.Task[None]]:
        """Reach the servers among the tools of a response, too; gives what still fetches their tools.

        Raises:
            Refusal: They are too many.
        """
        wanted = [tool for tool in tools if tool["type"] == "mcp"]
        # One that failed is tried again.
        failed = [server for server in self._servers if server.has_failed and server.config in wanted]
        servers = [server for server in self._servers if server not in failed]
        known = [server.config for server in servers]
        new = [_Server(config) for config in wanted if config not in known]
        if len(servers) + len(new) > MOST_SERVERS:
            message = (
                f"A session reaches {MOST_SERVERS} MCP servers at most, and those of its responses stay until it is "
            )
            raise invalid_value(f"{message}updated: name fewer.", "response.tools")
        self._servers = [*servers, *new]
        for server in failed:
            self._leave(server)
        for server in new:
            self._open(server)
        listing = [self._find(config).listing for config in wanted]
        return [task for task in listing if task is not None and not task.done()]

    def tools_of(self, tools: Sequence[Config]) -> tuple[FunctionTool, ...]:
        """What the model may call now of the servers among these tools."""
        known = (server for server in self._servers if server.config in tools)
        return tuple(tool for server in known for tool in server.tools)

    async def aclose(self) -> None:
        """End all connections; one that does not end in good order is torn down."""
        servers, self._servers = self._servers, []
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.gather(*(server.source.aclose() for server in servers if server.source is not None))
        except TimeoutError:
            _log.warning("mcp_servers_torn_down", servers=[server.config["server_label"] for server in servers])

    def _find(self, config: Config) -> _Server:
        return next(server for server in self._servers if server.config == config)

    def _leave(self, server: _Server) -> None:
        if server.source is not None:
            self._spawn(server.source.aclose())

    def _open(self, server: _Server) -> None:
        """Tell that the tools are fetched, and fetch them."""
        label = server.config["server_label"]
        item = Item(new_id("mcpl"), "mcp_list_tools", status="in_progress", extra={"server_label": label, "tools": []})
        entry = Entry(item.id, item)
        self._channel.send(events.item_added(item_object(item), self._conversation.add(entry)))
        self._channel.send(events.mcp_list_tools(item.id, "in_progress"))
        server.listing = self._spawn(self._list(server, entry))

    async def _list(self, server: _Server, entry: Entry) -> None:
        config = server.config
        fault: AntiphonException | None = None
        try:
            if server not in self._servers:
                raise IntegrationUnavailableException("The session was updated and names this server no longer.")
            server.source = _source_of(config, self._clock)
            tools = await asyncio.to_thread(offered, await server.source.list_tools(), config)
            entry.item = _with_tools(entry, [_tool_object(tool) for tool in tools])
            server.tools = tools
        except AntiphonException as error:
            fault = error
            server.has_failed = True
            _log.warning("mcp_list_failed", server=config["server_label"], code=error.code)
            assert entry.item is not None
            # The protocol has no place for the reason.
            reason = {"error": {"code": error.code, "message": str(error)}}
            entry.item = replace(entry.item, status="incomplete", extra={**entry.item.extra, "antiphon": reason})
        if self._conversation.find(entry.id) is entry:
            self._channel.send(events.item_done(item_object(entry.item), self._conversation.before(entry)))
        self._channel.send(events.mcp_list_tools(entry.id, "completed" if fault is None else "failed"))
        self._listed()
        if server.source is not None and server not in self._servers:  # it was left before it was reached
            await server.source.aclose()


def _with_tools(entry: Entry, tools: list[dict[str, Any]]) -> Item:
    """The item with its tools.

    Raises:
        Refusal: They do not fit into a frame.
    """
    assert entry.item is not None
    item = replace(entry.item, status="completed", extra={**entry.item.extra, "tools": tools})
    check_size(item_object(item), "tools")
    return item


def _source_of(config: Config, clock: Clock) -> MCPTool:
    headers = dict(config.get("headers", {}))
    if "authorization" in config:
        headers["Authorization"] = f"Bearer {config['authorization'].removeprefix('Bearer ')}"
    allowed = config.get("allowed_tools")
    return MCPStreamableHTTPTool(
        _UNCLEAN.sub("_", config["server_label"])[:_MAX_LABEL] or "mcp",
        config["server_url"],
        headers,
        clock=clock,
        allowed_tools=allowed.get("tool_names") if isinstance(allowed, Mapping) else allowed,
        required=True,
    )


def offered(tools: Iterable[FunctionTool], config: Config) -> tuple[FunctionTool, ...]:
    """Those tools of a server that the client allows, each with what it says of approval.

    Schemas are checked, which takes milliseconds each: run this in a thread.
    """
    allowed = config.get("allowed_tools")
    return tuple(
        FunctionTool(
            tool.function,
            name=tool.name,
            description=tool.description,
            schema=tool.parameters.schema,
            approval_mode="always_require" if needs_approval(tool, config) else "never_require",
            timeout_s=tool.timeout_s,
            kind="mcp",
            metadata={**tool.metadata, "label": config["server_label"]},
        )
        for tool in tools
        if not isinstance(allowed, Mapping) or _matches(tool, allowed)
    )


def needs_approval(tool: FunctionTool, config: Config) -> bool:
    """Whether the client has to approve each call of a tool; it does unless it has said otherwise."""
    rule = config.get("require_approval", "always")
    if isinstance(rule, str):
        return rule == "always"
    if "always" in rule and _matches(tool, rule["always"]):
        return True
    if "never" in rule:
        return not _matches(tool, rule["never"])
    return "always" not in rule


def _matches(tool: FunctionTool, wanted: Mapping[str, Any]) -> bool:
    """Whether a filter of names and of the server's own word on what only reads names this tool."""
    names, only_reads = wanted.get("tool_names"), wanted.get("read_only")
    hint = bool(tool.metadata["annotations"].get("readOnlyHint", False))
    return (names is None or tool.metadata["tool"] in names) and only_reads in (None, hint)


def _tool_object(tool: FunctionTool) -> dict[str, Any]:
    told = {
        "name": tool.metadata["tool"],
        "description": tool.description,
        "input_schema": tool.parameters.schema,
    }
    annotations = tool.metadata["annotations"]
    return {**told, "annotations": annotations} if annotations else told


# Approval.


def check_answer(item: Item, conversation: Conversation) -> None:
    """An answer to a request for approval.

    Raises:
        Refusal: The conversation holds no such request.
    """
    if item.type != "mcp_approval_response":
        return
    asked = conversation.find(item.extra["approval_request_id"])
    if asked is None or asked.item is None or asked.item.type != "mcp_approval_request":
        raise invalid_value(
            f"There is no request for approval with id '{item.extra['approval_request_id']}'.",
            "item.approval_request_id",
        )


def decisions(
    conversation: Conversation, approvals: Approvals, tools: Iterable[FunctionTool], *, now: datetime
) -> tuple[Decision, ...]:
    """What the client has decided on calls that wait for it; these are no longer open then.

    Args:
        conversation: Holds the requests and the answers.
        approvals: Those that are open.
        tools: Those of MCP servers that the response may call. What is approved runs one of these or nothing: the
            agent's own tools may have the same names, and are not the client's to approve.
        now: For requests that expire.
    """
    waiting = {request.call.call_id: request for request in approvals.open.values()}
    answers: list[ApprovalResponse] = []
    for entry in conversation:
        item = entry.item
        if item is None or item.type != "mcp_approval_response":
            continue
        asked = conversation.find(item.extra["approval_request_id"])
        for call_id in () if asked is None else asked.call_ids:
            if (request := waiting.pop(call_id, None)) is not None:
                reason = item.extra.get("reason", "")
                answers.append(request.approve() if item.extra["approve"] else request.reject(reason))
    names = {tool.name for tool in tools}
    return tuple(_bound(decision, names) for decision in approvals.take_all(answers, now=now))


def _bound(decision: Decision, names: Collection[str]) -> Decision:
    gone = result_of(decision.call, "error", "The server of this tool is no longer there.")
    return replace(decision, agent="", result=decision.result or (None if decision.call.name in names else gone))
