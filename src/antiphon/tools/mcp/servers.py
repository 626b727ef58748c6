"""The three kinds of servers: a process, a URL, and an object in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from antiphon.clock import Clock
from antiphon.tools.mcp.options import MCPOptions
from antiphon.tools.mcp.source import MCPTool

if TYPE_CHECKING:
    from mcp.server import MCPServer, Server

    from antiphon.tools.mcp.http import ClientFactory, Headers

_End = Callable[[], None]


class MCPStdioTool(MCPTool):
    """The tools of a server that runs as a process of its own and ends with ``aclose``.

    What the server writes to its standard error goes to the log, the first 1,000 lines of each run.

    Args:
        name: Of the server.
        command: The program.
        args: Its arguments.
        env: Its environment; besides these it sees PATH, HOME and LANG, and nothing else.
        cwd: Where it runs.
        clock: For the wait between attempts to connect.
        options: Those of ``MCPTool``.
    """

    def __init__(
        self,
        name: str,
        command: str,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        clock: Clock | None = None,
        **options: Unpack[MCPOptions],
    ) -> None:
        def opener(on_end: _End) -> Any:
            from antiphon.tools.mcp.stdio import Command, environment, stdio_transport

            return stdio_transport(Command(name, (command, *args), environment(env), cwd), on_end)

        super().__init__(name, [opener], clock=clock, **options)


class MCPStreamableHTTPTool(MCPTool):
    """The tools of a server behind a URL; where it speaks only the older HTTP+SSE transport, that one is used.

    Args:
        name: Of the server.
        url: Its endpoint. Only public hosts are reached, and those of ``allow_hosts``.
        headers: Of every request; or an async function that gives them, asked again once when the server answers 401.
        allow_hosts: Private hosts that may be reached: ``host`` or ``host:port``.
        make_client: Makes the ``httpx2.AsyncClient`` of a connection in place of the guarded one. Its own ``auth``,
            such as an OAuth flow, is used in place of ``headers``.
        clock: For the wait between attempts to connect.
        options: Those of ``MCPTool``.
    """

    def __init__(
        self,
        name: str,
        url: str,
        headers: Headers | None = None,
        *,
        allow_hosts: Iterable[str] = (),
        make_client: ClientFactory | None = None,
        clock: Clock | None = None,
        **options: Unpack[MCPOptions],
    ) -> None:
        hosts = tuple(allow_hosts)

        def guarded() -> Any:
            from antiphon.tools.guarded_httpx2 import guarded_httpx2_client
            from antiphon.tools.mcp.http import READ_S

            return guarded_httpx2_client(allow_hosts=hosts, read_s=READ_S)

        def opener(older: bool, on_end: _End) -> Any:
            from antiphon.tools.mcp.http import sse_transport, streamable_transport

            transport = sse_transport if older else streamable_transport
            return transport(url, server=name, headers=headers or {}, make_client=make_client or guarded, on_end=on_end)

        super().__init__(name, [partial(opener, False), partial(opener, True)], clock=clock, **options)


class MCPServerTool(MCPTool):
    """The tools of a server object in this process, such as one of a test or of ``as_mcp_server``.

    Args:
        name: Of the server.
        server: An ``MCPServer`` or ``Server`` of the package ``mcp``.
        clock: For the wait between attempts to connect.
        options: Those of ``MCPTool``.
    """

    def __init__(
        self,
        name: str,
        server: MCPServer[Any] | Server[Any],
        *,
        clock: Clock | None = None,
        **options: Unpack[MCPOptions],
    ) -> None:
        super().__init__(name, [lambda on_end: server], clock=clock, **options)
