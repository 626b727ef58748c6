"""What the service team can look up, and whom it can call."""

from __future__ import annotations

from antiphon import tool
from antiphon.tools.transfer import transfer_call

CUTS = {"eastmoor": "half past four", "lower fenwick": "this evening"}

put_through = transfer_call({"a colleague": "+441632960177"}, kinds=("warm", "blind"), tool_name="put_through")


@tool
async def power_cuts(town: str) -> str:
    """Whether a town is without power.

    Args:
        town: Its name, as the caller says it.
    """
    until = CUTS.get(town.strip().lower())
    return f"The power is out in {town} until {until}." if until else f"There is no power cut in {town}."
