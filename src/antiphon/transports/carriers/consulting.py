"""A warm transfer: the other party is called first and hears why, then both meet in a room of the carrier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from uuid import uuid4

import structlog

from antiphon.errors import IntegrationException, IntegrationUnavailableException
from antiphon.tools.transfer import Transfer

RING_S = 30.0
"""How long the other party's telephone rings."""
LISTEN_S = 60.0
"""How long the summary may take."""

_log = structlog.get_logger(__name__)


class Conferring(Protocol):
    """A carrier that can let two calls meet."""

    async def dial(self, transfer: Transfer, room: str) -> str:
        """Call the other party, who hears the summary and then waits in ``room``; the carrier's id of that call."""
        ...

    async def entered(self, leg: str, room: str) -> None:
        """Wait until the other party has heard the summary and is in the room.

        Raises:
            IntegrationException: It will not come.
        """
        ...

    async def join(self, room: str) -> None:
        """Bring our caller into the room."""
        ...

    async def drop(self, leg: str) -> None:
        """End the call to the other party."""
        ...


async def consult(carrier: Conferring, transfer: Transfer, leaving: Callable[[], None]) -> None:
    """Transfer warm. What was dialled is hung up if it does not come about.

    Raises:
        IntegrationException: It did not; the caller is still with us.
    """
    room = f"antiphon-{uuid4().hex}"
    leg = await _dialled(carrier, transfer, room)
    try:
        async with asyncio.timeout(RING_S + LISTEN_S):
            await carrier.entered(leg, room)
        leaving()
        await carrier.join(room)
    except TimeoutError:
        await _drop(carrier, leg)
        raise IntegrationUnavailableException("The other party did not come to the call.", code="no_answer") from None
    except BaseException:  # also where our caller hangs up meanwhile: nobody else's telephone rings on
        await _drop(carrier, leg)
        raise


async def _dialled(carrier: Conferring, transfer: Transfer, room: str) -> str:
    """The call to the other party. Cancelled meanwhile, it is hung up as soon as the carrier has named it."""
    dialling = asyncio.ensure_future(carrier.dial(transfer, room))
    try:
        return await asyncio.shield(dialling)
    except asyncio.CancelledError:
        with suppress(IntegrationException):
            await _drop(carrier, await dialling)
        raise


async def _drop(carrier: Conferring, leg: str) -> None:
    try:
        await carrier.drop(leg)
    except IntegrationException as error:
        _log.warning("consulted_party_not_hung_up", leg=leg, error=str(error))
