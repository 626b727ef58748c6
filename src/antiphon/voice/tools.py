"""Functions that the model may call on this machine: the time, web pages of allowed hosts, and facts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import msgspec

from antiphon.clock import Clock, WallClock
from antiphon.errors import ConfigurationError, IntegrationException, ToolException
from antiphon.realtime.calls import CallRefused
from antiphon.tools.context import ToolContext
from antiphon.tools.guarded_http import fetch, guarded_client
from antiphon.tools.invoke import run_tool
from antiphon.tools.schema import ArgumentsError
from antiphon.tools.tool import FunctionTool, tool
from antiphon.voice.facts import FactsSheet

HTTP_S = 5.0
HTTP_BYTES = 64 * 1024
_TEXT = ("text/", "application/json", "application/xml", "application/xhtml+xml", "application/ld+json")


class ToolRegistry:
    """Functions by name; what ``FunctionCalls`` of the Realtime client runs.

    Args:
        tools: To begin with; plain functions too.

    Raises:
        ConfigurationError: Two have the same name.
    """

    def __init__(self, tools: Iterable[FunctionTool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, FunctionTool] = {}
        for each in tools:
            self.add(each)

    @property
    def names(self) -> Collection[str]:
        """Of all functions."""
        return self._tools.keys()

    def add(self, function: FunctionTool | Callable[..., Any]) -> None:
        """Offer one more function: a ``@tool``, or a plain function with types and a docstring.

        Raises:
            ConfigurationError: There is one of this name.
        """
        made = function if isinstance(function, FunctionTool) else tool(function)
        if made.name in self._tools:
            raise ConfigurationError(f"There are two functions {made.name!r}: give one of them another name.")
        self._tools[made.name] = made

    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """All functions in the protocol's form."""
        return [
            {"type": "function", "name": each.name, "description": each.description, "parameters": each.spec.parameters}
            for each in self._tools.values()
        ]

    async def run(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Run a function that the model called; one that would block runs in a thread.

        Raises:
            CallRefused: It does not exist, does not take these arguments, or says itself what went wrong.
        """
        found = self._tools.get(name)
        if found is None:
            raise CallRefused(
                "unknown_tool", f"There is no such function; there are {', '.join(self._tools) or 'none'}."
            )
        try:
            checked = found.parameters.decode(msgspec.json.encode(arguments).decode())
        except ArgumentsError as error:
            raise CallRefused("invalid_arguments", str(error)) from None
        try:
            return await run_tool(found, checked, ToolContext())
        except ToolException as error:
            raise CallRefused("failed", str(error)) from None


def clock_tool(clock: Clock) -> FunctionTool:
    """``clock``: the date and time."""

    @tool(name="clock")
    async def now(timezone: str = "UTC") -> str:
        """The date and time now, as ISO 8601 with its offset.

        Args:
            timezone: An IANA name such as Europe/Berlin.
        """
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ToolException(
                f"There is no time zone {timezone!r}; use an IANA name such as Europe/Berlin."
            ) from None
        return clock.utc().astimezone(zone).isoformat(timespec="seconds")

    return now


def http_get_tool(allow: Iterable[str], *, client: httpx.AsyncClient | None = None) -> FunctionTool:
    """``http_get``: text of allowed hosts, and only where these are on the public network.

    Args:
        allow: Host names.
        client: From ``guarded_client``; otherwise each call opens a connection of its own.
    """
    hosts = frozenset(host.strip().lower().rstrip(".") for host in allow)

    @tool(name="http_get", timeout_s=HTTP_S)
    async def get(url: str) -> str:
        """Read a web page or a web service's answer as text.

        Args:
            url: Beginning with http:// or https://, of an allowed host.
        """
        host = _host(url)
        if host not in hosts:
            raise ToolException(f"This host is not allowed; allowed are {', '.join(sorted(hosts))}.")
        try:
            if client is not None:
                fetched = await fetch(client, "GET", url, timeout_s=HTTP_S, max_bytes=HTTP_BYTES)
            else:
                async with guarded_client() as own:
                    fetched = await fetch(own, "GET", url, timeout_s=HTTP_S, max_bytes=HTTP_BYTES)
        except IntegrationException as error:
            raise ToolException(f"The page cannot be read ({error.code}).") from None
        if _host(fetched.url) not in hosts:
            raise ToolException("The page leads to a host that is not allowed.")
        if not 200 <= fetched.status < 300:
            raise ToolException(f"The server answered with status {fetched.status}.")
        if not fetched.media_type.startswith(_TEXT):
            raise ToolException("The page is no text.")
        return fetched.text

    return get


def fact_tools(sheet: FactsSheet, *, now: Callable[[], datetime], changed: Callable[[], None]) -> list[FunctionTool]:
    """``remember_fact`` and ``forget_fact``.

    Args:
        sheet: Where they go.
        now: The date and time.
        changed: Called after each change, such as to save it.
    """

    @tool
    async def remember_fact(key: str, value: str) -> str:
        """Remember a fact about the user for later conversations.

        Args:
            key: A short name of the fact, such as favourite colour.
            value: The fact.
        """
        sheet.put(key, value, at=now(), pinned=True)
        changed()
        return "Remembered."

    @tool
    async def forget_fact(key: str) -> str:
        """Forget a fact that was remembered.

        Args:
            key: Its name.
        """
        if not sheet.remove(key):
            raise ToolException(f"There is no such fact; there are {', '.join(sheet.facts) or 'none'}.")
        changed()
        return "Forgotten."

    return [remember_fact, forget_fact]


def built_in_tools(
    names: Iterable[str],
    *,
    http_allow: Sequence[str] = (),
    facts: FactsSheet | None = None,
    facts_changed: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
) -> ToolRegistry:
    """The functions that the settings ask for.

    Args:
        names: Of the settings.
        http_allow: Hosts of ``http_get``; it is offered only where there are any.
        facts: For ``remember_fact`` and ``forget_fact``, which come with a memory.
        facts_changed: Called after each change of them.
        clock: Wall time unless given.

    Raises:
        ConfigurationError: There is no function of a name.
    """
    time = clock or WallClock()
    makers: dict[str, Callable[[], FunctionTool | None]] = {
        "clock": lambda: clock_tool(time),
        "http_get": lambda: http_get_tool(http_allow) if http_allow else None,
    }
    registry = ToolRegistry()
    for name in dict.fromkeys((*names, *(["http_get"] if http_allow else []))):
        if name not in makers:
            raise ConfigurationError(f"There is no function {name!r} to offer: set TOOLS to {' or '.join(makers)}.")
        if (made := makers[name]()) is not None:
            registry.add(made)
    if facts is not None:
        for each in fact_tools(facts, now=time.utc, changed=facts_changed):
            registry.add(each)
    return registry


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""
