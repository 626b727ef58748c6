"""Tools that come with Antiphon; a YAML agent names them without a ``tools.py``."""

from __future__ import annotations

from antiphon.tools.context import ToolContext
from antiphon.tools.tool import tool

HANG_UP = "hang_up"
"""The request to end the call. Its details: ``reason``, and ``after_speech``: first say what is still to be said."""


@tool
async def end_call(context: ToolContext, reason: str = "conversation finished") -> str:
    """End the call. Use it only when the caller has said goodbye or has nothing more to ask; say goodbye first.

    Args:
        context: The call that is to end.
        reason: Why the call ends, in a few words.
    """
    context.request(HANG_UP, {"reason": reason, "after_speech": True})
    return "The call ends as soon as your goodbye has been heard. If you have not said goodbye, say it now, shortly."


PREBUILT = {end_call.name: end_call}
"""All of them, by name."""
