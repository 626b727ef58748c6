"""An agent as a tool of another agent.

What the other agent asks a person comes out at the run that called it, and the decision goes back in: until then its
conversation waits in the state of the calling one, so that the decision may come in another process.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from antiphon.agents.approval import WAITING
from antiphon.agents.handoff import plain_name
from antiphon.agents.session import AgentSession
from antiphon.errors import ToolException
from antiphon.models.llm.content import FunctionResult
from antiphon.tools.context import ToolContext
from antiphon.tools.tool import ApprovalMode, FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent

MAX_DEPTH = 5
_MAX_SHARED = 1000
"""Shared conversations that are kept; the oldest leave."""
_WAITING = "antiphon.waiting_agents"
"""The key of the calling conversation's state under which conversations wait, by the id of the call."""

_depth: ContextVar[int] = ContextVar("antiphon_agent_depth", default=0)


def delegate_tool(
    agent: Agent,
    *,
    name: str | None,
    description: str | None,
    arg_name: str,
    approval_mode: ApprovalMode,
    share_session: bool,
    timeout_s: float,
) -> FunctionTool:
    """The tool that asks an agent; see ``Agent.as_tool``."""
    shared: dict[str, tuple[AgentSession, asyncio.Lock]] = {}

    async def ask(context: ToolContext, **arguments: Any) -> str | FunctionResult:
        depth = _depth.get()
        if depth >= MAX_DEPTH:
            raise ToolException(f"Agents may ask each other over {MAX_DEPTH} levels only: answer yourself.")
        session, turns = _conversation(agent, context), asyncio.Lock()
        if share_session:
            session, turns = shared.setdefault(context.session_id, (session, turns))
            if len(shared) > _MAX_SHARED:
                del shared[next(iter(shared))]
        mark = _depth.set(depth + 1)
        try:
            async with turns:
                said = list(context.decisions) or arguments[arg_name]
                response = await agent.run(said, session=session, values=context.values)
        finally:
            _depth.reset(mark)
        if session.approvals.open:
            context.state.setdefault(_WAITING, {})[context.call_id] = session.to_dict()
        if response.user_input_requests:
            return FunctionResult("", "", "pending", WAITING, requests=response.user_input_requests)
        return response.text

    schema = {
        "properties": {arg_name: {"type": "string", "description": "What to do, with all that is needed for it."}},
        "required": [arg_name],
        "additionalProperties": False,
    }
    return FunctionTool(
        ask,
        name=name or plain_name(agent.name),
        description=agent.description if description is None else description,
        schema=schema,
        approval_mode=approval_mode,
        timeout_s=timeout_s,
        kind="agent",
    )


def _conversation(agent: Agent, context: ToolContext) -> AgentSession:
    """A new conversation, or the one that has waited for these decisions."""
    if not context.decisions:
        return agent.create_session()
    kept = context.state.get(_WAITING, {}).pop(context.call_id, None)
    if kept is None:
        raise ToolException(f"{agent.name} does not know any more what it has asked: give it the task again.")
    return AgentSession.from_dict(kept)
