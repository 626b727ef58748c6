"""A server to test against: every kind of result, pages, changes, and questions to its client.

Run as ``python reference.py stdio``, ``python reference.py http [KEY_FILE]`` or ``python reference.py sse``; the last
two print their port.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server import NotificationOptions, Server
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    ListToolsResult,
    PaginatedRequestParams,
    ResourceLink,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    Tool,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

PIXEL = base64.b64encode(b"not really a picture").decode()
PAGE = 3
ANY: dict[str, Any] = {"type": "object", "properties": {}}
QUESTION = {"type": "object", "properties": {"size": {"type": "string"}}, "required": ["size"]}


class Reference:
    """The tools, and what was seen of their calls."""

    def __init__(self) -> None:
        self.tools: dict[str, Callable[..., Awaitable[Any]]] = {
            name: getattr(self, name)
            for name in (
                "add environment fail picture mixed structured nothing slow started journal grow many crash "
                "ask sample roots complain refuse"
            ).split()
        }
        self.schemas = {
            "add": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "required": ["a", "b"],
            }
        }
        self.seen: list[str] = []
        self.running = asyncio.Event()
        self.bus = InMemorySubscriptionBus()

    async def add(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        return [TextContent(text=str(arguments["a"] + arguments["b"]))]

    async def environment(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        return [TextContent(text=json.dumps(dict(os.environ)))]

    async def fail(self, ctx: Any, arguments: dict[str, Any]) -> CallToolResult:
        return CallToolResult(content=[TextContent(text="no such customer")], is_error=True)

    async def picture(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        return [TextContent(text="here"), ImageContent(data=PIXEL, mime_type="image/png")]

    async def mixed(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        return [
            AudioContent(data=PIXEL, mime_type="audio/wav"),
            EmbeddedResource(resource=TextResourceContents(uri="note://1", text="a note")),
            EmbeddedResource(
                resource=BlobResourceContents(uri="file:///a.pdf", blob=PIXEL, mime_type="application/pdf")
            ),
            ResourceLink(uri="https://example.org/a", name="a", description="a page"),
        ]

    async def structured(self, ctx: Any, arguments: dict[str, Any]) -> CallToolResult:
        return CallToolResult(content=[], structured_content={"free": ["9:00", "10:30"]})

    async def nothing(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        return []

    async def slow(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        self.running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.seen.append("slow was cancelled")
            raise
        return []

    async def started(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        await self.running.wait()
        self.running.clear()
        return []

    async def journal(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        return [TextContent(text="\n".join(self.seen))]

    async def grow(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        self.tools["grown"] = self.nothing
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            await self.bus.publish(ToolsListChanged())
        else:
            await ctx.session.send_tool_list_changed()
        return []

    async def many(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        await asyncio.Event().wait()
        return []

    async def crash(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        os._exit(3)

    async def complain(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        for number in range(int(arguments.get("lines", 1))):
            sys.stderr.write(f"complaint {number} {'x' * int(arguments.get('length', 0))}\n")
        sys.stderr.flush()
        return []

    async def refuse(self, ctx: Any, arguments: dict[str, Any]) -> list[Any]:
        from mcp.shared.exceptions import MCPError

        raise MCPError(-32602, "the month is missing")

    async def ask(self, ctx: Any, arguments: dict[str, Any]) -> Any:
        request = ElicitRequest(params=ElicitRequestFormParams(message="Which size?", requested_schema=QUESTION))
        answer = await self._from_client(ctx, request, lambda: ctx.session.elicit_form("Which size?", QUESTION))
        return [TextContent(text=f"{answer.action} {answer.content}")] if answer else self._input(request)

    async def sample(self, ctx: Any, arguments: dict[str, Any]) -> Any:
        message = SamplingMessage(role="user", content=TextContent(text="Hello?"))
        request = CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=9))
        send = lambda: ctx.session.create_message([message], max_tokens=9)  # noqa: E731
        answer = await self._from_client(ctx, request, send)
        return [TextContent(text=answer.content.text)] if answer else self._input(request)

    async def roots(self, ctx: Any, arguments: dict[str, Any]) -> Any:
        request = ListRootsRequest()
        answer = await self._from_client(ctx, request, lambda: ctx.session.list_roots())
        return [TextContent(text=" ".join(str(root.uri) for root in answer.roots))] if answer else self._input(request)

    async def _from_client(self, ctx: Any, request: Any, send: Callable[[], Awaitable[Any]]) -> Any:
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await send()
        return (self.responses or {}).get("q")

    def _input(self, request: Any) -> InputRequiredResult:
        return InputRequiredResult(input_requests={"q": request})

    async def on_list(self, ctx: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        first = int(params.cursor) if params and params.cursor else 0
        names = list(self.tools)
        page = [
            Tool(name=name, description=f"Does {name}.", input_schema=self.schemas.get(name, ANY)) for name in names
        ]
        after = first + PAGE
        return ListToolsResult(tools=page[first:after], next_cursor=str(after) if after < len(names) else None)

    async def on_call(self, ctx: Any, params: CallToolRequestParams) -> Any:
        self.responses = params.input_responses
        result = await self.tools[params.name](ctx, params.arguments or {})
        return CallToolResult(content=result) if isinstance(result, list) else result

    def server(self) -> Server[Any]:
        return Server(
            "reference",
            version="1",
            on_list_tools=self.on_list,
            on_call_tool=self.on_call,
            on_subscriptions_listen=ListenHandler(self.bus),
        )


async def over_stdio() -> None:
    server = Reference().server()
    async with stdio_server() as (read, write):
        options = server.create_initialization_options(NotificationOptions(tools_changed=True))
        await server.run(read, write, options)


def over_http(key_file: str | None) -> None:
    inner = Reference().server().streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        """The key may change while the server runs."""
        if scope["type"] == "http" and key_file:
            given = dict(scope["headers"]).get(b"authorization", b"").decode()
            if given != f"Bearer {Path(key_file).read_text()}":  # noqa: ASYNC240
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await inner(scope, receive, send)

    serve(guarded)


def over_sse() -> None:
    """The transport that was replaced in 2025: events on one request, messages on others."""
    transport = SseServerTransport("/messages/")
    server = Reference().server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/messages/"):
            await transport.handle_post_message(scope, receive, send)
        elif scope["method"] == "GET":
            async with transport.connect_sse(scope, receive, send) as (read, write):
                await server.run(read, write, server.create_initialization_options())
        else:
            await send({"type": "http.response.start", "status": 405, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    serve(app, lifespan="off")


def serve(app: Any, **options: Any) -> None:
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, **options)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        asyncio.run(over_stdio())
    elif sys.argv[1] == "sse":
        over_sse()
    else:
        over_http(sys.argv[2] if len(sys.argv) > 2 else None)
