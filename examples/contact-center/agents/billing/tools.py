"""What billing can look up and do. Nothing of an account is told before the PIN was checked."""

from __future__ import annotations

from antiphon import ToolContext, ToolException, tool
from antiphon.tools.collect import collect_email
from antiphon.tools.keypad import is_open

BILLS = {"+441632960123": ("October", "61.75"), "+441632960188": ("October", "112.40")}
BILLS |= {"": ("October", "84.20"), "+15550100": ("October", "84.20")}
"""By the number that calls; the second line is for trying it, as in the reception's tools."""

ask_email = collect_email(
    tool_name="ask_email", tool_description="Ask the caller where the bill is to be sent, before you send it."
)


@tool
async def open_bill(context: ToolContext) -> str:
    """The bill that the caller has not paid yet."""
    month, pounds = _bill(context)
    return f"The bill of {month} over {pounds} pounds is open."


@tool
async def send_bill(context: ToolContext, email_address: str) -> str:
    """Send the open bill by e-mail.

    Args:
        context: The call.
        email_address: As ask_email has found it out.
    """
    month, _ = _bill(context)
    context.state["sent_to"] = email_address
    return f"The bill of {month} is on its way to {email_address}."


def _bill(context: ToolContext) -> tuple[str, str]:
    if not is_open(context, "check_pin"):
        raise ToolException("The caller's PIN was not checked: hand the conversation over to reception.")
    return BILLS[str(context.values.get("from") or "")]
