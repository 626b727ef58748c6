"""An MCP server over stdio with two tools; ``mcp_tools.py`` starts it."""

from __future__ import annotations

from mcp.server import MCPServer

server = MCPServer("calendar")


@server.tool()
def free_hours(day: str) -> str:
    """The free hours of a day."""
    return f"On {day} there is room at 10 and at 14 o'clock."


@server.tool()
def delete_everything() -> str:
    """Not for agents."""
    return "Gone."


if __name__ == "__main__":
    server.run("stdio")
