"""The contract of a source of tools whose list may change, such as an MCP server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from antiphon.tools.tool import FunctionTool


@runtime_checkable
class ToolSource(Protocol):
    """Offers tools that are asked for before each step of a run. Given to an agent among its ``tools``."""

    name: str

    async def list_tools(self) -> Sequence[FunctionTool]:
        """The tools as they are now; connects at the first use. Returns quickly when nothing has changed.

        A source that is dead gives the tools that it last had, or none; a call of one answers with an error.

        Raises:
            IntegrationUnavailableException: The source is required, and cannot be reached.
        """
        ...

    async def aclose(self) -> None:
        """End the connection."""
        ...
