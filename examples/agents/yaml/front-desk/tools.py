"""The tools of the front desk; ``agent.yaml`` names them."""

from __future__ import annotations

from typing import Literal

from antiphon import tool

HOURS = {"saturday": "10 am to 1 pm", "sunday": "closed"}


@tool
async def opening_hours(
    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
) -> str:
    """When the clinic is open on a day of the week."""
    return HOURS.get(day, "9 am to 5 pm")
