"""The tools of the billing desk; ``agent.yaml`` names them."""

from __future__ import annotations

from typing import Literal

PRICES = {"check-up": 45, "cleaning": 60, "filling": 120}


def price_of(treatment: Literal["check-up", "cleaning", "filling"]) -> str:
    """What a treatment costs."""
    return f"{PRICES[treatment]} pounds"


def take_payment(invoice: str, pounds: int) -> str:
    """Charge the card on file for an invoice."""
    return f"{pounds} pounds were charged for {invoice}."
