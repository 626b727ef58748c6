"""A call that a person has to approve: the agent stops, and goes on when there is a decision, in any process.

ANTIPHON_LLM=openai/gpt-4o-mini python examples/agents/approval.py
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from antiphon import Agent, AgentSession, ToolContext, tool


def _is_large(arguments: Mapping[str, Any], _context: ToolContext) -> bool:
    return bool(arguments["dollars"] > 50)


@tool(approval_mode=_is_large)
async def refund(patient: str, dollars: int) -> str:
    """Give money back to a patient."""
    return f"{dollars} dollars go back to {patient}."


agent = Agent("billing", "You answer questions on bills.", tools=[refund])


def _ask(question: str) -> bool:
    return input(f"{question} [y/n] ").startswith("y")


async def main(agent: Agent = agent, decide: Callable[[str], bool] = _ask) -> None:
    """Ask for a refund; the decision is made with the session on disk, as it were."""
    session = AgentSession()
    response = await agent.run("Please give Ada her 95 dollars back.", session=session)
    while response.user_input_requests:
        kept = json.dumps(session.to_dict())  # the process may end here
        decisions = [
            request.approve() if await asyncio.to_thread(decide, request.prompt) else request.reject("too much")
            for request in response.user_input_requests
        ]
        session = AgentSession.from_dict(json.loads(kept))
        response = await agent.run(decisions, session=session)
    print(response.text)


if __name__ == "__main__":
    asyncio.run(main())
