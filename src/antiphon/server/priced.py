"""A call's log that tells what the call cost."""

from __future__ import annotations

from dataclasses import replace

from antiphon.calls.events import CallEvent, SessionStarted, SessionUsage
from antiphon.calls.log import CallLog
from antiphon.clock import Clock
from antiphon.models.prices import PriceTable, total
from antiphon.server.numbers import used_by


class PricedLog(CallLog):
    """A log in which the usage has its cost, for all readers alike.

    Args:
        call_id: The call it belongs to.
        clock: The call's time.
        prices: What models cost.
    """

    def __init__(self, call_id: str, clock: Clock, prices: PriceTable) -> None:
        super().__init__(call_id, clock)
        self._prices = prices
        self._models: dict[str, str] = {}

    def append(self, event: CallEvent) -> None:
        """As of every log."""
        if isinstance(event, SessionStarted):
            self._models = event.models
        elif isinstance(event, SessionUsage):
            event = replace(event, cost_usd=total(self._prices.cost(self._models, used_by(event))))
        super().append(event)
