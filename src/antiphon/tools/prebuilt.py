"""Tools that come with Antiphon; a YAML agent names them without a ``tools.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from antiphon.tools.collect import COLLECTORS
from antiphon.tools.context import ToolContext
from antiphon.tools.keypad import send_dtmf
from antiphon.tools.tool import FunctionTool, tool
from antiphon.tools.transfer import transfer_call
from antiphon.tools.voicemail import confirm_voicemail_and_end_call, detect_voicemail_and_end_call

HANG_UP = "hang_up"
"""The request to end the call. Its details: ``reason``, and ``after_speech``: first say what is still to be said."""


@tool(return_direct=True)
async def end_call(context: ToolContext, goodbye: str = "Thank you for your call. Goodbye.") -> str:
    """End the call. Use it only when the caller has said goodbye or has nothing more to ask.

    Args:
        context: The call that is to end.
        goodbye: The last words to the caller, in the caller's language; left out if you have said goodbye already.
    """
    context.request(HANG_UP, {"reason": "conversation finished", "after_speech": True})
    return goodbye


PREBUILT = {
    each.name: each for each in (end_call, send_dtmf, detect_voicemail_and_end_call, confirm_voicemail_and_end_call)
}
"""All of them, by name."""

MAKERS: Mapping[str, Callable[..., FunctionTool]] = {**COLLECTORS, "transfer_call": transfer_call}
"""Those that are made with options, by name."""
