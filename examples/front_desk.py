"""The front desk of a dental clinic in ten lines.

    python examples/front_desk.py

The agent then answers on the phone sockets of this machine; ``antiphon call`` is a phone to try it with.
"""

from __future__ import annotations

from antiphon import Agent, tool

HOURS = {
    "monday": "9 am to 5 pm",
    "tuesday": "9 am to 5 pm",
    "wednesday": "9 am to 7 pm",
    "thursday": "9 am to 5 pm",
    "friday": "9 am to 3 pm",
    "saturday": "10 am to 1 pm",
    "sunday": "closed",
}


@tool
async def opening_hours(day: str) -> str:
    """When the clinic is open on a day of the week."""
    return HOURS[day.lower()]


agent = Agent(name="front-desk", instructions="You answer the phone of a dental clinic.", tools=[opening_hours])

if __name__ == "__main__":
    agent.serve()
