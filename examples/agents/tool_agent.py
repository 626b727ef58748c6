"""An agent with tools, its answer streamed word by word.

    python examples/agents/tool_agent.py

It asks the configured model: the small embedded one, or what ANTIPHON_LLM names.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from antiphon import Agent, ToolContext, tool

PRICES = {"cleaning": 95, "filling": 180, "crown": 900}


@tool
async def price(treatment: Literal["cleaning", "filling", "crown"]) -> str:
    """What a treatment costs."""
    return f"A {treatment} costs {PRICES[treatment]} dollars."


@tool(timeout_s=5, filler="Let me look into the calendar.", sensitive_args=["phone"])
async def book(
    day: Annotated[str, "A day of the week."],
    phone: Annotated[str, "The caller's number, digits only."],
    context: ToolContext,
) -> str:
    """Book a visit."""
    context.state["booked"] = day
    return f"Booked for {day}. We will call {phone} if anything changes."


agent = Agent(
    "front-desk",
    "You answer the phone of a dental clinic, in one or two short sentences.",
    tools=[price, book],
)


async def main(agent: Agent = agent) -> None:
    """Ask, and show what happens as it happens."""
    async for update in agent.run("What does a cleaning cost?", stream=True):
        for content in update.contents:
            if content.type == "text":
                print(content.text, end="", flush=True)
            elif content.type == "tool_started":
                print(f"[{content.call.name}{content.call.arguments}]")
    print()


if __name__ == "__main__":
    asyncio.run(main())
