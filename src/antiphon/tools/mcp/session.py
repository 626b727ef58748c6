"""One connection to a server. One task opens it, speaks on it and closes it; others hand their calls to that task.

Cancel scopes belong to the task that opened them: closing a connection elsewhere breaks them. So the task is told
to end, and everything that was open on the connection ends with it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mcp.client import Client
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation, Tool, ToolListChangedNotification
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from antiphon.errors import AntiphonException, ConfigurationError, IntegrationInvalidResponseException, ToolException
from antiphon.logs import Log
from antiphon.tools.mcp.faults import SERVER_DEAD, leaf, lost, told, too_slow, words
from antiphon.tools.mcp.handlers import handlers_of
from antiphon.tools.mcp.naming import CallTool, made_tools
from antiphon.tools.mcp.options import Options
from antiphon.tools.tool import FunctionTool

_log = Log(__name__)

MAX_CALLS = 256
"""That run or wait on one connection."""
_MAX_PAGES = 100
_MAX_LISTED = 10_000
_MAX_LOGGED = 10
_CLOSE_S = 5.0

Open = Callable[[Callable[[], None]], Any]
"""Gives what the package's client connects to; the argument is called when the server has ended the connection."""


@dataclass(slots=True, eq=False)
class _Request:
    """A call, or a listing where ``tool`` is None, with the context variables of whoever asked (its trace)."""

    tool: str | None
    arguments: dict[str, Any]
    answer: asyncio.Future[Any]
    context: contextvars.Context


class Session:
    """A connection, from its opening on. Make it on the loop that uses it.

    Args:
        options: Of the server.
        openers: Ways to connect; a further one is tried where the server does not speak the one before.
        call: What the tools run.
        on_end: Called once, when nothing can be asked any more.
    """

    def __init__(
        self, options: Options, openers: Sequence[Open], call: CallTool, on_end: Callable[[Session], None]
    ) -> None:
        self.stale = False
        """Whether the server has told that its tools are others now."""
        self.tools: tuple[FunctionTool, ...] = ()
        self._options = options
        self._openers = openers
        self._call = call
        self._on_end = on_end
        # Bounded by MAX_CALLS; the place of the word to end is always free.
        self._requests: asyncio.Queue[_Request | None] = asyncio.Queue(MAX_CALLS + 1)
        self._waiting = 0
        self._unreadable = 0
        self._ending = False
        self._failure: AntiphonException | None = None
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        # Nothing of the call that happened to need the connection first belongs to all others.
        self._task = self._loop.create_task(self._run(), name=f"mcp-{options.name}", context=contextvars.Context())

    @property
    def ended(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._ending or self._task.done() or self.elsewhere

    @property
    def elsewhere(self) -> bool:
        """Whether it belongs to another loop than the one that runs."""
        return self._loop is not asyncio.get_running_loop()

    @property
    def finished(self) -> bool:
        """Whether nothing of the connection is left."""
        return self._task.done()

    @property
    def failure(self) -> AntiphonException | None:
        """Why it could not be opened."""
        return self._failure

    async def ready(self) -> None:
        """Wait until the tools are known.

        Raises:
            IntegrationException: The server cannot be reached, or does not speak the protocol.
            ConfigurationError: Its tools cannot be used as configured.
        """
        if not self._ready.done():
            await asyncio.wait({self._ready}, timeout=self._options.connect_timeout_s)
        if not self._ready.done():
            raise too_slow(self._options)
        if self._failure is not None:
            raise self._failure

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """Call a tool. When the caller is cancelled, the server is told so.

        Raises:
            ToolException: The server refused the call, or its answer cannot be read.
            IntegrationException: The connection ended.
        """
        result: CallToolResult = await self._ask(tool, arguments)
        return result

    async def refresh(self) -> None:
        """List the tools again.

        Raises:
            IntegrationException: The server does not answer.
            ConfigurationError: The tools cannot be used as configured.
        """
        self.stale = False
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                self.tools = await self._ask(None, {})
        except ConfigurationError:
            raise  # listing them again would change nothing
        except BaseException:
            self.stale = True
            raise

    async def aclose(self) -> None:
        """End the connection and wait until nothing of it is left. Who stops waiting tears it down."""
        if self._task.done() or self.elsewhere:
            return  # a loop that ends takes the connection with it
        self.end()
        if not self._ready.done():
            self._task.cancel()
        try:
            _, late = await asyncio.wait({self._task}, timeout=_CLOSE_S)
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if late:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CLOSE_S)

    def end(self) -> None:
        """Tell the task to close the connection."""
        if not self._ending:
            self._ending = True
            self._requests.put_nowait(None)
            self._on_end(self)

    async def _ask(self, tool: str | None, arguments: dict[str, Any]) -> Any:
        if self._waiting >= MAX_CALLS:
            raise ToolException(f"The server {self._options.name!r} of this tool is busy; try again later.")
        request = _Request(tool, arguments, self._loop.create_future(), contextvars.copy_context())
        self._waiting += 1
        try:
            if self.ended:
                raise lost(self._options)
            self._requests.put_nowait(request)
            return await request.answer
        finally:
            self._waiting -= 1

    async def _run(self) -> None:
        name = self._options.name
        try:
            async with asyncio.timeout(self._options.connect_timeout_s) as limit:
                await self._connected(limit)
        except Exception as error:  # the root of somebody else's code: a transport may raise whatever it likes
            self._fail(error)
            _log.warning("mcp.connection_failed", server=name, error=words(error))
        finally:
            if not self._ready.done():
                self._fail(lost(self._options))
            if self._failure is None:
                _log.info("mcp.disconnected", server=name)
            self.end()
            while not self._requests.empty():
                if request := self._requests.get_nowait():
                    _settle(request.answer, lost(self._options))

    async def _connected(self, limit: asyncio.Timeout) -> None:
        """Try one way after the other; the client's context is the life of the connection."""
        for number, opener in enumerate(self._openers, 1):
            try:
                async with Client(
                    opener(self.end),
                    mode=self._options.mode,
                    cache=None,
                    client_info=Implementation(name="antiphon", version=""),
                    message_handler=self._hear,
                    **handlers_of(self._options),
                ) as client:
                    self.tools = await self._list(client)
                    limit.reschedule(None)
                    self._ready.set_result(None)
                    _log.info("mcp.connected", server=self._options.name, protocol=client.protocol_version)
                    await self._serve(client)
                    return
            except Exception as error:  # as above; only an answer of the server lets another way be tried
                refused = isinstance(leaf(error), MCPError) and not self._ready.done()
                if not refused or number == len(self._openers):
                    raise

    async def _serve(self, client: Client) -> None:
        """Answer requests, each in a task of its own, until told to end."""
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch(client))
            while (request := await self._requests.get()) is not None:
                if request.answer.done():
                    continue
                if request.tool is None and watching.done():
                    watching = tasks.create_task(self._watch(client))
                task = tasks.create_task(self._answer(client, request), context=request.context)
                running.add(task)
                task.add_done_callback(running.discard)
                request.answer.add_done_callback(partial(_cancel_with, task))
            for task in (watching, *running):
                task.cancel()

    async def _answer(self, client: Client, request: _Request) -> None:
        try:
            _settle(request.answer, await self._asked(client, request))
        except asyncio.CancelledError:
            _settle(request.answer, lost(self._options))
            raise
        except Exception as error:  # as above
            fault = told(error, self._options, opening=False)
            _settle(request.answer, fault)
            if fault.code == SERVER_DEAD:
                self.end()

    async def _asked(self, client: Client, request: _Request) -> Any:
        if request.tool is None:
            return await self._list(client)
        # Whoever runs the tool has its own timeout, which comes first; this one is for those who call it directly.
        return await client.call_tool(request.tool, request.arguments, self._options.timeout_s + 1)

    async def _list(self, client: Client) -> tuple[FunctionTool, ...]:
        listed: list[Tool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            listed += page.tools
            cursor = page.next_cursor
            if not cursor or len(listed) > _MAX_LISTED:
                break
        if cursor:
            raise IntegrationInvalidResponseException(
                f"The MCP server {self._options.name!r} does not end its list of tools; ask whoever runs it."
            )
        return await asyncio.to_thread(made_tools, listed, self._options, self._call)

    async def _hear(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self.stale = True
        elif isinstance(message, Exception) and self._unreadable < _MAX_LOGGED:
            self._unreadable += 1
            _log.warning("mcp.message_unreadable", server=self._options.name, error=words(message))

    async def _watch(self, client: Client) -> None:
        """Newer servers tell of changes only to those who listen. A listing after the end listens again."""
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not (tools and tools.list_changed):
            return
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self.stale = True
            self.stale = True
        except SubscriptionLost:
            self.stale = True
        except Exception as error:  # as above; without it, changes are seen at the next connection
            _log.info("mcp.not_listening", server=self._options.name, error=words(error))

    def _fail(self, error: Exception) -> None:
        if not self._ready.done():
            self._failure = told(error, self._options, opening=True)
            self._ready.set_result(None)


def _cancel_with(task: asyncio.Task[None], answer: asyncio.Future[Any]) -> None:
    """Nobody waits for the answer any more: the package then tells the server."""
    if answer.cancelled():
        task.cancel()


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    """Give the outcome unless nobody waits for it any more."""
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
