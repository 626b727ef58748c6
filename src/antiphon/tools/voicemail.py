"""Tools by which a model says that a machine has answered, for agents that find out by their model."""

from __future__ import annotations

from antiphon.tools.context import ToolContext
from antiphon.tools.tool import tool

MACHINE_ANSWERED = "machine_answered"
"""The request to treat who answers as a machine. Its details: ``transcript``, and ``at_once``: leave no message."""


@tool(return_direct=True)
async def detect_voicemail_and_end_call(context: ToolContext, heard: str) -> str:
    """Say that a voicemail or an answering machine has answered.

    Use it as soon as its announcement tells you so: when you are asked to leave a message, or told that somebody is not
    available. Say nothing yourself: the message that is meant for it is left after the beep, and the call ends.

    Args:
        context: The call.
        heard: The words that told you.
    """
    context.request(MACHINE_ANSWERED, {"transcript": heard, "at_once": False})
    return ""


@tool(return_direct=True)
async def confirm_voicemail_and_end_call(context: ToolContext, heard: str = "") -> str:
    """Confirm that a machine has answered and that no message is to be left on it, and end the call.

    Args:
        context: The call.
        heard: The words that told you.
    """
    context.request(MACHINE_ANSWERED, {"transcript": heard, "at_once": True})
    return ""
