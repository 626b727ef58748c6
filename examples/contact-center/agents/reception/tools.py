"""How the reception knows who calls."""

from __future__ import annotations

from antiphon import ToolContext, pin_gate

PINS = {"+441632960123": "2580", "+441632960188": "9034"}
PIN_WITHOUT_NUMBER = "4711"
"""So that the example can be tried without a carrier. Leave this out on a real line."""


def pin_of(context: ToolContext) -> str | None:
    """The PIN of the customer whose phone calls; None keeps the gate closed."""
    number = str(context.values.get("from") or "")
    return PINS.get(number) if number else PIN_WITHOUT_NUMBER


check_pin = pin_gate(pin_of, length=4, name="check_pin", again="That was not right. Please type your PIN again.")
