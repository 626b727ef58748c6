"""Warm transfers that are called off in the middle: nobody's telephone rings on."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.tools.transfer import Transfer
from antiphon.transports.carriers.consulting import consult


class Exchange:
    """A carrier that needs a second for each command."""

    def __init__(self, clock: VirtualClock, *, dials: bool = True) -> None:
        self.did: list[str] = []
        self._clock = clock
        self._dials = dials

    async def dial(self, transfer: Transfer, room: str) -> str:
        await self._clock.sleep(1)
        if not self._dials:
            raise IntegrationUnavailableException("The carrier does not dial.")
        self.did.append("dialled")
        return "leg-1"

    async def entered(self, leg: str, room: str) -> None:
        await self._clock.sleep(1)
        self.did.append("entered")

    async def join(self, room: str) -> None:
        await self._clock.sleep(1)
        self.did.append("joined")

    async def drop(self, leg: str) -> None:
        await self._clock.sleep(1)
        self.did.append(f"dropped {leg}")


@pytest.mark.parametrize(
    ("after_s", "dials", "did"),
    [
        (0.5, True, ["dialled", "dropped leg-1"]),
        (0.5, False, []),
        (1.5, True, ["dialled", "dropped leg-1"]),
        (2.5, True, ["dialled", "entered", "left", "dropped leg-1"]),
        (9.0, True, ["dialled", "entered", "left", "joined"]),
    ],
)
def test_whoever_was_called_is_hung_up_on_whenever_the_caller_goes(after_s: float, dials: bool, did: list[str]) -> None:
    clock = VirtualClock()

    async def scenario() -> list[str]:
        exchange = Exchange(clock, dials=dials)
        wish = Transfer("+493023125012", "warm")
        task = asyncio.create_task(consult(exchange, wish, lambda: exchange.did.append("left")))
        await clock.sleep(after_s)
        task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return exchange.did

    assert clock.run(scenario()) == did
