"""``antiphon mcp``: agents, or their tools, for other programs over the Model Context Protocol."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.agents.agent import Agent
from antiphon.agents.files import load_agents
from antiphon.agents.mcp_server import as_mcp_server
from antiphon.errors import ConfigurationError
from antiphon.server.auth import ApiKeys, check_openness, is_loopback
from antiphon.server.run import listen
from antiphon.settings import Settings, load_settings
from antiphon.telemetry import setup_logging

if TYPE_CHECKING:
    from mcp.server import Server


def run_mcp(
    agents: Path,
    *,
    over_http: bool,
    host: str | None,
    port: int | None,
    tools_only: bool,
    llm: str | None,
    dev: bool | None,
) -> None:
    """Serve agents, or only their tools, until the clients go away or ctrl-c."""
    settings = load_settings(host=host, port=port, llm=llm, dev=dev)
    setup_logging(settings.log_level, settings.log_format)
    # Standard output is the wire, or tells where the server is: what the file prints goes elsewhere.
    with redirect_stdout(sys.stderr):
        served = load_agents(agents)
    server = as_mcp_server(served, tools_only=tools_only)
    if over_http:
        with suppress(KeyboardInterrupt):
            asyncio.run(_over_http(server, settings, served))
    elif signalled := asyncio.run(_over_stdio(server, served)):
        # A thread waits for the next line of standard input, and only such a line would wake it.
        os._exit(128 + signalled)


async def _over_stdio(server: Server[Any], agents: Sequence[Agent]) -> int:
    """Serve until the client closes the wire, or a signal ends it; gives the signal, or 0."""
    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        async with stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    loop = asyncio.get_running_loop()
    signalled: asyncio.Future[int] = loop.create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _settle, signalled, int(number))
    serving = loop.create_task(serve())
    either: set[asyncio.Future[Any]] = {serving, signalled}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    await _close_sources(agents)
    if signalled.done():
        return signalled.result()
    await serving
    return 0


def _settle(answer: asyncio.Future[int], number: int) -> None:
    if not answer.done():
        answer.set_result(number)


async def _over_http(server: Server[Any], settings: Settings, agents: Sequence[Agent]) -> None:
    app, key = _guarded(server.streamable_http_app(host=settings.host), settings)
    listener = listen(settings.host, settings.port)
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5)
    typer.echo(f"MCP on http://{settings.host}:{listener.getsockname()[1]}/mcp")
    if key is not None:
        typer.echo(f"Send the header: Authorization: Bearer {key}")
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await _close_sources(agents)


def _guarded(app: ASGIApp, settings: Settings) -> tuple[ASGIApp, str | None]:
    """The application for holders of a key, and the key where it was made here.

    Raises:
        ConfigurationError: It would be open to strangers, or shut to everybody.
    """
    check_openness(settings.host, dev=settings.dev)
    known = [key.get_secret_value() for key in settings.api_keys]
    if not known and not settings.dev and not is_loopback(settings.host):
        raise ConfigurationError(f"Nobody could use this server on {settings.host}: set ANTIPHON_API_KEYS.")
    made = f"ant_{secrets.token_hex(16)}" if not known and not settings.dev else None
    keys = ApiKeys([*known, made] if made else known, dev=settings.dev)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not keys.accepts(Headers(scope=scope)):
            refusal = PlainTextResponse("Unauthorized", 401, headers={"www-authenticate": "Bearer"})
            await refusal(scope, receive, send)
        else:
            await app(scope, receive, send)

    return guarded, made


async def _close_sources(agents: Sequence[Agent]) -> None:
    """Leave nothing of the agents' sources behind."""
    await asyncio.gather(*(source.aclose() for agent in agents for source in agent.sources))
