"""An agent as a tool of another agent."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from antiphon.errors import ToolException
from antiphon.tools.context import ToolContext
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.session import AgentSession

MAX_DEPTH = 5
_MAX_SHARED = 1000
"""Shared conversations that are kept; the oldest leave."""

_depth: ContextVar[int] = ContextVar("antiphon_agent_depth", default=0)


def delegate_tool(
    agent: Agent, *, name: str | None, description: str | None, arg_name: str, share_session: bool, timeout_s: float
) -> FunctionTool:
    """The tool that asks an agent; see ``Agent.as_tool``."""
    shared: dict[str, tuple[AgentSession, asyncio.Lock]] = {}

    async def ask(context: ToolContext, **arguments: Any) -> str:
        depth = _depth.get()
        if depth >= MAX_DEPTH:
            raise ToolException(f"Agents may ask each other over {MAX_DEPTH} levels only: answer yourself.")
        session, turns = agent.create_session(), asyncio.Lock()
        if share_session:
            session, turns = shared.setdefault(context.session_id, (session, turns))
            if len(shared) > _MAX_SHARED:
                del shared[next(iter(shared))]
        mark = _depth.set(depth + 1)
        try:
            async with turns:
                response = await agent.run(arguments[arg_name], session=session, values=context.values)
        finally:
            _depth.reset(mark)
        if response.user_input_requests:
            asked = ", ".join(request.prompt for request in response.user_input_requests)
            raise ToolException(f"{agent.name} needs a person's approval for: {asked}.")
        return response.text

    schema = {
        "properties": {arg_name: {"type": "string", "description": "What to do, with all that is needed for it."}},
        "required": [arg_name],
        "additionalProperties": False,
    }
    return FunctionTool(
        ask,
        name=name
        or "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in agent.name),
        description=agent.description if description is None else description,
        schema=schema,
        timeout_s=timeout_s,
        kind="agent",
    )
