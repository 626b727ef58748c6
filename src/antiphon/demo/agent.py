"""The demonstration's agent: the front desk of a dental clinic, which answers questions and books appointments."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Final

from antiphon import Agent, tool
from antiphon.clock import WallClock
from antiphon.demo.booking import book, day_of, spoken, time_of
from antiphon.demo.clinic import FACTS, NAME, Service
from antiphon.errors import ToolException
from antiphon.tools.context import ToolContext
from antiphon.tools.prebuilt import end_call

DATABASE: Final = "demo-appointments.sqlite"
"""The file of the appointments, in the folder that is given as ``values["data_dir"]``."""


@tool(filler="One moment, I am looking at the calendar.", return_direct=True)
def book_appointment(context: ToolContext, service: Service, day: str, time: str) -> str:
    """Book an appointment at the clinic. Use it only with a day and a time that the caller has said.

    Args:
        context: Whose data folder holds the table, and whose conversation it is.
        service: What the appointment is for.
        day: Day of the week, today or tomorrow, as the caller said it, such as "Tuesday".
        time: Time of day as the caller said it, such as "ten in the morning".
    """
    now: datetime = context.values.get("now") or WallClock().utc().astimezone().replace(tzinfo=None)
    folder = Path(context.values.get("data_dir") or tempfile.gettempdir())
    try:
        on = day_of(day, now.date())
        at = time_of(time, on)
        starts_at = datetime.combine(on, at)
        book(folder / DATABASE, service=service, starts_at=starts_at, now=now, session_id=context.session_id)
    except ToolException as refusal:
        return str(refusal)  # Said as it is: it asks the caller for what would do.
    return f"Done: the {service} is booked for {spoken(on, at)}."


agent = Agent(
    name="front-desk",
    description=f"Answers the phone of {NAME}, a dental clinic",
    instructions=f"You are the receptionist of {NAME}, a dental clinic.\n\nFacts:\n{FACTS}",
    tools=[book_appointment, end_call],
    greeting=f"{NAME}, good morning. How can I help you?",
    fillers=("One moment, please.",),
)
