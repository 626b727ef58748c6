"""What a file names and Python has: tools, servers of tools, context providers and middleware."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from antiphon.agents.files.findings import nearest
from antiphon.agents.files.kinds import Read, plain
from antiphon.agents.files.reading import Reading
from antiphon.agents.modules import tools_in
from antiphon.errors import IntegrationInitializationError
from antiphon.tools.mcp import MCPStdioTool, MCPStreamableHTTPTool
from antiphon.tools.prebuilt import MAKERS, PREBUILT
from antiphon.tools.source import ToolSource
from antiphon.tools.tool import FunctionTool

_ANY_TIMEOUT_S = 10.0
_OF_URL = ("headers", "allow_hosts")
_OF_COMMAND = ("args", "env")

Values = Mapping[str, Read]


def tools_of(reading: Reading, values: Values, folder_tools: Any) -> list[FunctionTool | ToolSource]:
    """The tools and servers that a file names.

    Args:
        reading: Told what is wrong.
        values: Of the file.
        folder_tools: The module ``tools.py`` beside it, or None.
    """
    tools = {tool.name: tool for tool in _functions(reading, values, folder_tools)}
    timeout = values.get("tool_timeout_s")
    approval: Values = values["approval"].value if "approval" in values else {}
    for name, mode in approval.items():
        if name not in tools:
            reading.found.fault(mode.node, f"approval.{name} is none of the tools; {nearest(name, tools)}")
    for name, tool in tools.items():
        changes: dict[str, Any] = {"approval_mode": approval[name].value} if name in approval else {}
        if timeout is not None and tool.timeout_s == _ANY_TIMEOUT_S:
            changes["timeout_s"] = timeout.value
        tools[name] = _changed(tool, changes)
    return [*tools.values(), *_servers(reading, values, folder_tools)]


def named_objects(reading: Reading, values: Values, key: str, folder_tools: Any) -> list[Any]:
    """Objects of ``tools.py`` by the names of its variables."""
    if key not in values:
        return []
    there = {name: value for name, value in vars(folder_tools or object).items() if not name.startswith("_")}
    found: list[Any] = []
    for read in values[key].value:
        if read.value in there and folder_tools is not None:
            found.append(there[read.value])
        else:
            reading.found.fault(read.node, _missing(f"no {read.value!r} for {key}", read.value, folder_tools, there))
    return found


def _functions(reading: Reading, values: Values, folder_tools: Any) -> Iterator[FunctionTool]:
    own = {} if folder_tools is None else tools_in(folder_tools)
    known: dict[str, FunctionTool | Callable[..., Any]] = {**MAKERS, **PREBUILT, **own}
    seen: set[str] = set()
    for read in values["tools"].value if "tools" in values else ():
        (given, options), found = read.value, reading.found
        name = options.get("tool_name", given)
        is_made = given in MAKERS and given not in own
        if name in seen:
            found.fault(read.node, f"the tool {name!r} stands here for the second time.")
        elif given not in known and given in reading.triggers:
            pass  # no tool of this agent's: it leads to another
        elif given not in known:
            found.fault(read.node, _missing(f"no tool {given!r}", given, folder_tools, known))
        elif options and not is_made:
            found.fault(read.node, f"the tool {given!r} takes no options; write its name alone.")
        else:
            try:
                yield _made(known[given], options if is_made else None)
            except (TypeError, ValueError) as error:
                found.fault(read.node, f"the tool {given!r} cannot be used: {error}")
        seen.add(name)


def _made(tool: FunctionTool | Callable[..., Any], options: Mapping[str, Any] | None) -> FunctionTool:
    """A tool as it is, of a function, or by its maker with ``options``."""
    if isinstance(tool, FunctionTool):
        return tool
    if options is None:
        return FunctionTool(tool)
    made: FunctionTool = tool(**options)
    return made


def _missing(what: str, name: str, folder_tools: Any, known: Mapping[str, Any]) -> str:
    where = "in tools.py" if folder_tools is not None else "because there is no tools.py beside the file"
    return f"there is {what} {where}" + (f"; {nearest(name, known)}" if known else ".")


def _changed(tool: FunctionTool, changes: Mapping[str, Any]) -> FunctionTool:
    """The tool with other values; the object in ``tools.py`` stays as it is, since other agents may use it."""
    if not changes:
        return tool
    changed = copy.copy(tool)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def _servers(reading: Reading, values: Values, folder_tools: Any) -> Iterator[ToolSource]:
    there = vars(folder_tools).values() if folder_tools is not None else ()
    known = {each.name: each for each in there if _is_source(each)}
    for read in values["mcp_servers"].value if "mcp_servers" in values else ():
        server = _server(reading, read.node, read.value, known)
        if server is not None:
            yield server


def _is_source(value: Any) -> bool:
    return not isinstance(value, (type, FunctionTool)) and isinstance(value, ToolSource)


def _server(reading: Reading, node: yaml.Node, block: Values, known: Mapping[str, ToolSource]) -> ToolSource | None:
    found = reading.found
    options: dict[str, Any] = {key: plain(read) for key, read in block.items()}
    name = options.pop("name", None)
    if name is None:
        found.fault(node, "an entry of mcp_servers needs a name.")
    elif not options:
        if name in known:
            return known[name]
        hint = nearest(name, known) if known else "put one there, or write name and url, or name and command."
        found.fault(node, f"there is no MCP server {name!r} in tools.py; {hint}")
    elif ("url" in options) == ("command" in options):
        found.fault(node, f"the MCP server {name!r} needs either a url or a command.")
    else:
        own, others = (_OF_URL, _OF_COMMAND) if "url" in options else (_OF_COMMAND, _OF_URL)
        wrong = next((key for key in others if key in options), None)
        if wrong is not None:
            reach = "url" if "url" in options else "command"
            found.fault(block[wrong].node, f"mcp_servers.{wrong} means nothing beside {reach}; use {' or '.join(own)}.")
            return None
        make = MCPStreamableHTTPTool if "url" in options else MCPStdioTool
        try:
            return make(name, **options)
        except (IntegrationInitializationError, ValueError) as error:
            found.fault(node, str(error))
    return None
