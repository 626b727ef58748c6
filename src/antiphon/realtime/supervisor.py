"""Keeps one connection there: connects, connects again with growing pauses, and knows when to give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection

from antiphon.clock import Clock
from antiphon.errors import AntiphonException, IntegrationUnavailableException
from antiphon.logs import Log
from antiphon.realtime.endpoint import Endpoint
from antiphon.realtime.link import Ending, Link, open_socket
from antiphon.realtime.metrics import ClientMetrics
from antiphon.realtime.reconnect import Backoff

RENEWAL = "renewal"
"""The reason of an ending that is no outage: the session's time is almost up."""

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Owner:
    """What the supervisor's owner does with a connection.

    Attributes:
        serve: Prepares a new connection, calls ``Supervisor.ready``, and goes on as long as the connection lasts.
        take: Gets each frame.
        lost: A connection, prepared or not, is over.
        retrying: The next try comes after so many seconds; this is the how-manieth failure in a row.
        opened: Gives the socket of the first connection, where somebody else opens it.
    """

    serve: Callable[[Link], Awaitable[None]]
    take: Callable[[str | bytes], None]
    lost: Callable[[Ending], None]
    retrying: Callable[[int, float], None]
    opened: Callable[[], Awaitable[ClientConnection]] | None = None


class Supervisor:
    """Runs connections, one after the other.

    Args:
        endpoint: The service.
        owner: Whose connections they are.
        backoff: Pauses and limits.
        keep_alive_s: Seconds between pings, and to wait for the answer to one.
        metrics: Where connections are counted.
        clock: Time.
        rng: Spreads the pauses.

    Attributes:
        was_connected: Whether there was a working connection before.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        owner: Owner,
        *,
        backoff: Backoff,
        keep_alive_s: tuple[float, float],
        metrics: ClientMetrics,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.was_connected = False
        self._endpoint = endpoint
        self._owner = owner
        self._backoff = backoff
        self._ping_interval_s, self._ping_timeout_s = keep_alive_s
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._stopping = asyncio.Event()
        self._link: Link | None = None
        self._begun_s = 0.0
        self._ready_s: float | None = None
        self._last_reason = ""

    def stop(self) -> None:
        """End ``run`` soon, whatever it is doing."""
        self._stopping.set()
        if self._link is not None:
            self._link.end(Ending(False, None, "stopped"))

    def ready(self) -> None:
        """The connection is prepared and works."""
        self._ready_s = self._clock.now()
        self._metrics.observe("connect_ms", (self._ready_s - self._begun_s) * 1000)
        if self.was_connected:
            self._metrics.count("renewals_total" if self._last_reason == RENEWAL else "reconnections_total")
        self.was_connected = True

    async def run(self) -> AntiphonException | None:
        """Connect and stay connected; gives what ended it, None where it was meant to end."""
        failures = 0
        while True:
            self._begun_s, self._ready_s = self._clock.now(), None
            ending = await self._one_connection()
            if self._stopping.is_set() or not ending.again:
                return None if self._stopping.is_set() else ending.error
            if self._ready_s is None:
                self._metrics.count("connect_failures_total", reason=ending.reason)
            else:
                self._last_reason = ending.reason
                if self._clock.now() - self._ready_s >= self._backoff.stable_s:
                    failures = 0
            if ending.reason == RENEWAL:
                continue
            failures += 1
            if self._backoff.gives_up(failures, was_connected=self.was_connected):
                return ending.error
            await self._pause(failures, ending)

    async def _one_connection(self) -> Ending:
        dialing = asyncio.ensure_future(self._dial())
        try:
            await self._unless_stopped(dialing)
            if not dialing.done():
                return Ending(False, None, "stopped")
            link = dialing.result()
        except AntiphonException as error:
            return Ending(error.retryable, error, error.code)
        finally:
            dialing.cancel()
        self._link = link
        try:
            return await self._serve(link)
        finally:
            self._link = None

    async def _dial(self) -> Link:
        if not self.was_connected and self._owner.opened is not None:
            return Link(await self._owner.opened())
        endpoint = self._endpoint.again() if self.was_connected else self._endpoint
        return Link(
            await open_socket(endpoint, ping_interval_s=self._ping_interval_s, ping_timeout_s=self._ping_timeout_s)
        )

    async def _serve(self, link: Link) -> Ending:
        async with asyncio.TaskGroup() as tasks:
            # The owner waits for the first frame before anybody reads it.
            running = [tasks.create_task(self._prepared(link))]
            running.append(tasks.create_task(link.read(self._owner.take)))
            running.append(tasks.create_task(link.write()))
            try:
                if self._stopping.is_set():
                    link.end(Ending(False, None, "stopped"))
                ending = await asyncio.shield(link.ended)
                self._owner.lost(ending)
            finally:
                running[0].cancel()
                await link.close()
                running[2].cancel()
        return ending

    async def _prepared(self, link: Link) -> None:
        try:
            await self._owner.serve(link)
        except AntiphonException as error:
            link.end(Ending(error.retryable, error, error.code))
        except TimeoutError:
            silent = IntegrationUnavailableException(
                "The Realtime service took the connection and then said nothing of its protocol; check that the "
                "address and the model are those of a Realtime service, or try again later.",
                code="no_answer",
            )
            # Who has never spoken the protocol is not asked once more: a caller would wait for that.
            link.end(Ending(self.was_connected, silent, silent.code))

    async def _pause(self, failures: int, ending: Ending) -> None:
        delay_s = self._backoff.delay_s(failures, self._rng.random())
        _log.info("connecting again", attempt=failures, delay_s=round(delay_s, 3), error_code=ending.reason)
        self._owner.retrying(failures, delay_s)
        await self._unless_stopped(asyncio.ensure_future(self._clock.sleep(delay_s)))

    async def _unless_stopped(self, work: asyncio.Future[object] | asyncio.Future[Link] | asyncio.Future[None]) -> None:
        """Wait for work, or for the order to stop, which cancels it."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            work.cancel()
