"""``antiphon call --exchange``: the exchange of the phone, which takes a server's commands to transfer its call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from antiphon.transports.carriers.loopback import Exchange, serving
from antiphon.transports.client import PhoneClient

NUMBERS = {"from": "+15550100", "to": "+15550199"}
"""Made-up numbers of who calls, and of who is called."""


class PhoneExchange:
    """The exchange of one phone.

    Args:
        port: Where the server sends its commands, on this machine.

    Attributes:
        transfers: Where the caller was brought: ``to``, ``type``, and the ``summary`` that the other party heard.
    """

    def __init__(self, port: int) -> None:
        self.transfers: list[dict[str, Any]] = []
        self._port = port

    @asynccontextmanager
    async def serving(self, phone: PhoneClient) -> AsyncIterator[None]:
        """Take commands; ``phone`` hangs up when its caller is brought to somebody else."""
        exchange = Exchange(knows_all=True)
        leaving: list[asyncio.Task[None]] = []

        def moved(_call_id: str, number: str, room: str) -> None:
            leg = next((leg for leg in exchange.legs.values() if leg.room == room), None) if room else None
            whom, summary = (number, "") if leg is None else (leg.to, leg.says)
            self.transfers.append({"to": whom, "type": "warm" if room else "blind", "summary": summary})
            leaving.append(asyncio.create_task(phone.hang_up()))

        exchange.on_moved = moved
        async with serving(exchange.app(), port=self._port):
            try:
                yield
            finally:
                exchange.close()
                await asyncio.gather(*leaving)
