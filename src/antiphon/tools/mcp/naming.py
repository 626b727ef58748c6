"""From the tools that a server lists to those that a model sees: filtered, named, and bounded."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from antiphon.errors import ConfigurationError
from antiphon.logs import Log
from antiphon.tools.mcp.options import Options
from antiphon.tools.tool import ApprovalMode, FunctionTool

if TYPE_CHECKING:
    from mcp_types import Tool

_log = Log(__name__)

MAX_NAME = 64
_MAX_DESCRIPTION = 16_384
_UNCLEAN = re.compile(r"[^A-Za-z0-9_-]")

CallTool = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Runs a tool by the server's own name for it."""


def made_tools(listed: Iterable[Tool], options: Options, call: CallTool) -> tuple[FunctionTool, ...]:
    """Make the tools that a model sees. A tool whose schema cannot be shown is left out, and the log says so.

    Checking schemas takes milliseconds each: run this in a thread.

    Args:
        listed: What the server lists.
        options: Which of them are used, and how.
        call: What runs them.

    Raises:
        ConfigurationError: Two have the same name, there are too many, or ``approval`` names one that is not there.
    """
    by_name = {tool.name: tool for tool in listed}
    modes = options.approval if isinstance(options.approval, Mapping) else {}
    _check_names(by_name.keys(), options, modes)
    wanted = [tool for tool in by_name.values() if options.allowed_tools is None or tool.name in options.allowed_tools]
    if len(wanted) > options.max_tools:
        raise ConfigurationError(
            f"The MCP server {options.name!r} has {len(wanted)} tools, and max_tools is {options.max_tools}; name "
            "those that you need in allowed_tools."
        )
    made: dict[str, FunctionTool] = {}
    origins: dict[str, str] = {}
    for tool in wanted:
        name = clean_name(options.prefix, tool.name)
        if name in origins:
            raise ConfigurationError(
                f"The tools {origins[name]!r} and {tool.name!r} of the MCP server {options.name!r} are both called "
                f"{name!r}; choose one of them in allowed_tools."
            )
        origins[name] = tool.name
        mode = modes.get(tool.name, "never_require") if isinstance(options.approval, Mapping) else options.approval
        try:
            made[name] = _made(tool, name, options, mode, call)
        except TypeError as error:
            _log.warning("mcp.tool_left_out", server=options.name, tool=tool.name, reason=str(error))
    return tuple(made.values())


def clean_name(prefix: str, name: str) -> str:
    """The server's name for a tool as a model may use it: ``[A-Za-z0-9_-]{1,64}``."""
    return _UNCLEAN.sub("_", prefix + name)[:MAX_NAME]


def _check_names(known: Iterable[str], options: Options, modes: Mapping[str, ApprovalMode]) -> None:
    unknown = sorted(modes.keys() - set(known))
    if unknown:
        # A misspelt name would let a call run that somebody wanted to see first.
        raise ConfigurationError(
            f"The MCP server {options.name!r} has no tool {unknown[0]!r}, which approval names; its tools are: "
            f"{', '.join(sorted(known)) or 'none'}."
        )
    missing = sorted(set(options.allowed_tools or ()) - set(known))
    if missing:
        _log.warning("mcp.tools_missing", server=options.name, tools=missing)


def _made(tool: Tool, name: str, options: Options, mode: ApprovalMode, call: CallTool) -> FunctionTool:
    if _refers_elsewhere(tool.input_schema):
        # Whoever checks arguments against it would fetch what the server names.
        raise TypeError("its schema refers to another document")

    async def run(**arguments: Any) -> Any:
        return await call(tool.name, arguments)

    return FunctionTool(
        run,
        name=name,
        description=(tool.description or tool.title or "")[:_MAX_DESCRIPTION],
        schema=tool.input_schema,
        approval_mode=mode,
        timeout_s=options.timeout_s,
        kind="mcp",
        metadata={
            "server": options.name,
            "tool": tool.name,
            "annotations": tool.annotations.model_dump(by_alias=True, exclude_none=True) if tool.annotations else {},
        },
    )


def _refers_elsewhere(schema: Any) -> bool:
    nodes: list[Any] = [schema]
    while nodes:
        node = nodes.pop()
        if isinstance(node, Mapping):
            if any(isinstance(node.get(key), str) and not node[key].startswith("#") for key in ("$ref", "$dynamicRef")):
                return True
            nodes.extend(node.values())
        elif isinstance(node, Sequence) and not isinstance(node, str):
            nodes.extend(node)
    return False
