"""Genesys transfers by itself: its flow goes on when we have left, and reads to whom in the output variables."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping

from antiphon.tools.transfer import Transfer

NO_WARM = "On this line the transfer is made when the agent has left: ask for a blind transfer."


class FlowControl:
    """Leaves the wish to the flow. See ``CarrierControl``.

    Args:
        variables: What our last message leaves.
    """

    def __init__(self, variables: MutableMapping[str, str]) -> None:
        self._variables = variables

    def refusal(self, transfer: Transfer) -> str | None:
        """Why it cannot be."""
        return NO_WARM if transfer.kind == "warm" else None

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        """Leave the destination in ``transfer_destination``, and ``_name``, ``_reason`` and ``_summary`` beside it."""
        told = {
            "destination": transfer.destination,
            "name": transfer.name,
            "reason": transfer.reason,
            "summary": transfer.summary,
        }
        self._variables.update({f"transfer_{name}": value for name, value in told.items() if value})

    async def hang_up(self) -> None:
        """Our last message has done so."""
