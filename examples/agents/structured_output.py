"""An answer in the form of a type: checked, and asked for once more when it is wrong.

ANTIPHON_LLM=openai/gpt-4o-mini python examples/agents/structured_output.py
"""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import BaseModel, Field

from antiphon import Agent


class Visit(BaseModel):
    """What a patient wants."""

    name: str
    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday"]
    hour: int = Field(ge=9, le=17)
    reasons: list[str] = []


agent = Agent("intake", "Note what the patient wants.", output_type=Visit)


async def main(agent: Agent = agent) -> None:
    """Show the value as it grows, and whole."""
    stream = agent.run("Ada here. Tuesday at ten please, a tooth hurts.", stream=True)
    async for _ in stream:
        print("so far:", stream.partial_value())
    visit: Visit = (await stream.get_final_response()).value
    print(f"{visit.name} comes on {visit.day} at {visit.hour}: {', '.join(visit.reasons)}")


if __name__ == "__main__":
    asyncio.run(main())
