"""Tools of MCP servers: over stdio, streamable HTTP, or in this process. The package ``mcp`` loads at the first use."""

from antiphon.tools.mcp.options import Elicitation
from antiphon.tools.mcp.servers import MCPServerTool, MCPStdioTool, MCPStreamableHTTPTool
from antiphon.tools.mcp.source import MCPTool

__all__ = ["Elicitation", "MCPServerTool", "MCPStdioTool", "MCPStreamableHTTPTool", "MCPTool"]
