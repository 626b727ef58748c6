"""Those who wait for one certain event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from antiphon.errors import AntiphonException
from antiphon.realtime.errors import RequestRefused
from antiphon.realtime.incoming import OWN, ServerEvent

Condition = Callable[[ServerEvent], bool]


@dataclass(slots=True, eq=False)
class _Wait:
    types: Collection[str]
    where: Condition | None
    event_id: str | None
    future: asyncio.Future[ServerEvent]

    def answer(self, event: ServerEvent) -> None:
        """Take an event, if it is the one."""
        if event.type in self.types and (self.where is None or self.where(event)):
            self.future.set_result(event)
        elif event.type == "error" and self.event_id and event.part("error").get("event_id") == self.event_id:
            self.future.set_exception(refusal(event))


class Waiters:
    """Futures that the next fitting event resolves."""

    def __init__(self) -> None:
        self._waits: list[_Wait] = []

    def expect(
        self, types: str | Collection[str], where: Condition | None = None, *, event_id: str | None = None
    ) -> asyncio.Future[ServerEvent]:
        """Wait from now on; cancel the future to stop waiting.

        Args:
            types: Events that may be the one.
            where: What else must hold.
            event_id: Our own event: an ``error`` that names it is raised as ``RequestRefused``.
        """
        wanted = {types} if isinstance(types, str) else set(types)
        future: asyncio.Future[ServerEvent] = asyncio.get_running_loop().create_future()
        self._waits.append(_Wait(wanted, where, event_id, future))
        return future

    def take(self, event: ServerEvent) -> None:
        """Give an event to all who wait for it."""
        for wait in self._waits:
            if not wait.future.done():
                wait.answer(event)
        self._waits = [wait for wait in self._waits if not wait.future.done()]

    def fail(self, error: AntiphonException) -> None:
        """Nothing comes any more on this connection; the client's own events still do."""
        own = [wait for wait in self._waits if all(name.startswith(OWN) for name in wait.types)]
        for wait in self._waits:
            if wait not in own and not wait.future.done():
                wait.future.set_exception(error)
                wait.future.exception()  # Nobody may be there to read it.
        self._waits = own


def refusal(event: ServerEvent) -> RequestRefused:
    """An ``error`` event as an exception."""
    error = event.part("error")
    code = error.get("code") or error.get("type")
    return RequestRefused(
        f"The Realtime service refuses a request: {str(error.get('message') or 'it says no more')[:300]}",
        code=code if isinstance(code, str) else None,
        retryable=error.get("type") == "server_error",
    )
