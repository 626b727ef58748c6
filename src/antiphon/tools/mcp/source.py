"""A server of tools among an agent's tools: connected when first used, and again after it was lost."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from antiphon.clock import Clock, WallClock
from antiphon.errors import (
    AntiphonException,
    ConfigurationError,
    IntegrationException,
    IntegrationInitializationError,
    IntegrationUnavailableException,
    ToolException,
)
from antiphon.logs import Log
from antiphon.tools.mcp.options import MCPOptions, Options
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.tools.mcp.session import Open, Session

_log = Log(__name__)

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_STEADY_S = 10.0
"""A connection that lasted this long was a good one; losing it says nothing against the next."""
_SESSION = "antiphon.tools.mcp.session"
_INSTALL = 'install it with: pip install "antiphon[mcp]"'


class MCPTool:
    """What the three kinds of servers share. A ``ToolSource``: give it to an agent among its ``tools``.

    The connection is made at the first use, or by ``warm()``. When the server is lost, its tools stay listed and answer
    with an error; a later use connects again, after a wait that doubles from 0.5 to 30 s.

    Args:
        name: Of the server: 1 to 48 letters, digits, ``_`` or ``-``.
        openers: Ways to connect.
        clock: For the wait between attempts.
        allowed_tools: The server's names of the tools that are used; all unless given.
        tool_name_prefix: What the names for the model begin with; ``<name>_`` unless given. Other signs than letters,
            digits, ``_`` and ``-`` become ``_``, and a name is cut at 64.
        approval: ``never_require``, ``always_require`` or a function, as ``approval_mode`` of ``FunctionTool``; or a
            mapping from the server's tool names to these, the others then run without.
        timeout_s: Longest call, 0.05 to 300.
        connect_timeout_s: Longest start, connection and listing together, up to 60.
        required: Whether a server that cannot be reached at the start is an error; otherwise its tools are missing.
        max_tools: Most tools, 1 to 128; more are an error.
        mode: ``auto`` asks for the newest protocol first; ``legacy`` begins with ``initialize``, for old servers that
            leave an unknown request without an answer.
        sampling: Answers a server that asks for a language model; denied unless given.
        elicitation: Answers a server that asks a person something; denied unless given.
        roots: Gives a server the folders that it may work in; denied unless given.

    Raises:
        IntegrationInitializationError: The package ``mcp`` is not installed.
        ValueError: An option is out of its bounds.
    """

    def __init__(
        self, name: str, openers: Sequence[Open], *, clock: Clock | None = None, **options: Unpack[MCPOptions]
    ) -> None:
        if importlib.util.find_spec("mcp") is None:
            raise IntegrationInitializationError(f'MCP servers need the package "mcp"; {_INSTALL}')
        self.name = name
        self._options = Options(name, **options)
        self._openers = openers
        self._clock = clock or WallClock()
        self._sessions: set[Session] = set()
        self._current: Session | None = None
        self._connected_at: float | None = None
        self._failures = 0
        self._not_before = 0.0
        self._previous: Session | None = None
        self._tools: tuple[FunctionTool, ...] = ()
        self._was_connected = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    async def warm(self) -> None:
        """Connect now, so that the first call does not wait for it. The errors are those of ``list_tools``."""
        await self.list_tools()

    async def list_tools(self) -> Sequence[FunctionTool]:
        """The tools as they are now; those last known, or none, while the server cannot be reached.

        Raises:
            IntegrationUnavailableException: The server is required and was never reached.
            IntegrationInitializationError: The package ``mcp`` that is installed is another one, or too old.
            ConfigurationError: The tools cannot be used as configured: names that clash, too many, or an approval
                for one that is not there. Once the server has been in use, this is logged, and the tools stay.
        """
        try:
            session = await self._session()
            if session.stale:
                await session.refresh()
                self._tools = session.tools
        except ConfigurationError as error:
            if not self._was_connected:
                raise
            _log.error("mcp.tools_wrong", server=self.name, reason=str(error))
        except IntegrationInitializationError:
            raise
        except (IntegrationException, ToolException, TimeoutError) as error:
            if self._options.required and not self._was_connected:
                raise IntegrationUnavailableException(str(error)) from error
            # Each attempt to connect has its own line in the log.
            _log.debug("mcp.unavailable", server=self.name, reason=str(error))
        return self._tools

    async def aclose(self) -> None:
        """End the connection, and the server where it is a process of its own."""
        self._current = None  # what is closed on purpose is no failure, and may be used again at once
        await asyncio.gather(*(session.aclose() for session in self._sessions))

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Any:
        try:
            session = await self._session()
            result = await session.call(tool, arguments)
        except (ConfigurationError, IntegrationException) as error:
            _log.warning("mcp.call_failed", server=self.name, tool=tool, reason=str(error))
            raise ToolException(f"The server {self.name!r} of this tool is not available now.") from error
        return importlib.import_module("antiphon.tools.mcp.content").contents_of(result)

    async def _session(self) -> Session:
        """The connection, made if there is none."""
        if _SESSION not in sys.modules:
            await _load()
        session = self._current if self._current and not self._current.ended else self._connect()
        try:
            await session.ready()
        except AntiphonException:
            session.end()
            raise
        if session is self._current and self._connected_at is None:
            self._connected_at = self._clock.now()
            self._was_connected = True
            self._tools = session.tools
        return session

    def _connect(self) -> Session:
        from antiphon.tools.mcp.session import Session

        if self._current is not None:
            self._note_end(self._current)  # its loop is gone, and could not tell
        if self._previous and not self._previous.elsewhere and self._clock.now() < self._not_before:
            raise self._again(self._previous)
        self._current = Session(self._options, self._openers, self._call, self._note_end)
        self._connected_at = None
        self._sessions = {session for session in self._sessions if not session.finished} | {self._current}
        return self._current

    def _again(self, previous: Session) -> AntiphonException:
        """The error of the attempt before, since it is too early for another."""
        if (failure := previous.failure) is not None:
            return type(failure)(str(failure), code=failure.code)
        return IntegrationUnavailableException(
            f"The MCP server {self.name!r} was lost; it is tried again later.", code="server_dead"
        )

    def _note_end(self, session: Session) -> None:
        """The connection ends: how long must the next attempt wait?"""
        if session is not self._current:
            return
        self._current = None
        now = self._clock.now()
        steady = self._connected_at is not None and now - self._connected_at >= _STEADY_S
        self._failures = 0 if steady else self._failures + 1
        wait = _FIRST_WAIT_S * 2 ** min(self._failures - 1, 10) if self._failures else 0.0
        self._not_before = now + min(wait, _LONGEST_WAIT_S)
        self._previous = session


async def _load() -> None:
    """Import what speaks the protocol. It takes most of a second, and the loop has other calls to serve."""
    try:
        await asyncio.to_thread(importlib.import_module, _SESSION)
    except ImportError as error:
        raise IntegrationInitializationError(
            f'The package "mcp" is not the one that MCP servers need ({error}); {_INSTALL}'
        ) from error
