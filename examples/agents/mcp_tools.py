"""Tools of an MCP server: here a small server of our own, started over stdio.

pip install "antiphon[mcp]"
python examples/agents/mcp_tools.py
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from antiphon import Agent, MCPStdioTool

SERVER = Path(__file__).with_name("mcp_calendar.py")


def calendar() -> MCPStdioTool:
    """The server's tools: only one of them, by the name ``calendar_free_hours``."""
    return MCPStdioTool("calendar", sys.executable, [str(SERVER)], allowed_tools=["free_hours"])


agent = Agent("front-desk", "You answer the phone of a dental clinic.", tools=[calendar()])


async def main(agent: Agent = agent) -> None:
    """Ask for what only the server knows."""
    try:
        response = await agent.run("When could I come on Monday?")
        print(response.text)
    finally:
        for source in agent.sources:
            await source.aclose()


if __name__ == "__main__":
    asyncio.run(main())
