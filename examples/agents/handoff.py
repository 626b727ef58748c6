"""Two agents: the front desk hands a caller over to billing, and billing goes on in the same answer.

    ANTIPHON_LLM=openai/gpt-4o-mini python examples/agents/handoff.py

The embedded model is too small to hand over well; name a larger one.
"""

from __future__ import annotations

import asyncio

from antiphon import Agent, AgentSession, Handoff, tool


@tool
async def open_bills(name: str) -> str:
    """The open bills of a patient."""
    return f"{name} has one open bill of 95 dollars, due on Friday."


billing = Agent(
    "billing",
    "You answer questions on bills. The caller comes because: {{ handoff_reason | default('nobody has said why') }}",
    description="Knows bills and payments.",
    tools=[open_bills],
    handoffs=["front-desk"],
    voice="calm",
)
front_desk = Agent(
    "front-desk",
    "You answer the phone of a dental clinic.",
    description="Takes calls, knows the opening hours.",
    handoffs=[Handoff(billing, when="Hand over to billing whenever a bill or a payment is meant.")],
)


async def main(agent: Agent = front_desk) -> None:
    """Ask for a bill at the front desk; the second question goes to billing by itself."""
    session = AgentSession()
    for question in ("Do I still owe you anything? I am Ada Lovelace.", "And when is it due?"):
        response = await agent.run(question, session=session)
        for record in response.handoffs:
            print(f"({record.source} → {record.target}: {record.reason})")
        print(f"{response.agent}: {response.text}")


if __name__ == "__main__":
    asyncio.run(main())
