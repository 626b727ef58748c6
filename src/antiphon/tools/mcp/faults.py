"""What goes wrong on a connection, as errors of ours that name the server."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT
from pydantic import ValidationError

from antiphon.errors import AntiphonException, IntegrationException, IntegrationUnavailableException, ToolException
from antiphon.tools.mcp.options import Options

SERVER_DEAD = "server_dead"
_MAX_WORDS = 500


def told(error: BaseException, options: Options, *, opening: bool) -> AntiphonException:
    """An error of the package as one of ours.

    Args:
        error: It may be a group.
        options: Of the server.
        opening: Whether it came before the first list of tools.

    Returns:
        A ``ToolException`` where the connection is still good, so that the model may try something else.
    """
    name = options.name
    match leaf(error):
        case AntiphonException() as ours:
            return ours
        case TimeoutError():
            return too_slow(options)
        case MCPError() as refusal if refusal.code == CONNECTION_CLOSED:
            return lost(options)
        case MCPError() as refusal if opening:
            return IntegrationUnavailableException(
                f"The MCP server {name!r} refused the connection ({refusal.message}); check that it is an MCP server.",
                code="protocol",
            )
        case MCPError() as refusal if refusal.code == REQUEST_TIMEOUT:
            return ToolException(f"The server {name!r} of this tool took too long.")
        case MCPError() as refusal:
            return ToolException(f"The server {name!r} of this tool refused the call: {refusal.message}")
        case RuntimeError() | ValidationError() if not opening:
            return ToolException(f"The answer of the server {name!r} of this tool cannot be read.")
        case other:
            return IntegrationUnavailableException(
                f"The MCP server {name!r} cannot be reached ({words(other)}); check that it runs.", code=SERVER_DEAD
            )


def too_slow(options: Options) -> IntegrationException:
    """The connection was not there in time."""
    return IntegrationUnavailableException(
        f"The MCP server {options.name!r} did not answer within {options.connect_timeout_s:g} s; check that it runs, "
        "or raise connect_timeout_s.",
        code="timeout",
    )


def lost(options: Options) -> IntegrationException:
    """The connection is over."""
    return IntegrationUnavailableException(
        f"The MCP server {options.name!r} ended the connection; check its log.", code=SERVER_DEAD
    )


def leaf(error: BaseException) -> BaseException:
    """The error itself where task groups have wrapped it: one of ours if there is one."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [leaf(inner) for inner in error.exceptions]
    return next((one for one in leaves if isinstance(one, AntiphonException)), leaves[0])


def words(error: BaseException) -> str:
    """An error for the log, in few words."""
    inner = leaf(error)
    return f"{type(inner).__name__}: {inner}"[:_MAX_WORDS]
