"""Hands events to those who asked for them, outside the receive loop: a slow or failing handler hurts only itself."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Collection

from antiphon.logs import Log
from antiphon.realtime.incoming import AUDIO_DELTA, ServerEvent
from antiphon.realtime.metrics import ClientMetrics

Handler = Callable[[ServerEvent], Awaitable[None] | None]

ALL = "*"
"""The name under which a handler gets every event."""

MAX_AUDIO = 4_096
MAX_OTHERS = 16_384
"""Events that wait for one handler. A service that speaks 100 ms at a time fills the first in seven minutes."""

_log = Log(__name__)


class _Subscription:
    """One handler, the events it wants, and those that wait for it, in order."""

    __slots__ = ("_audio", "_closed", "_waiting", "_wake", "handler", "types")

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.types: set[str] = set()
        self._waiting: deque[ServerEvent] = deque()
        self._audio = 0
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, event: ServerEvent) -> bool:
        """Add an event; False: there are too many, and it is dropped."""
        is_audio = event.type == AUDIO_DELTA
        if self._audio >= MAX_AUDIO if is_audio else len(self._waiting) - self._audio >= MAX_OTHERS:
            return False
        self._audio += is_audio
        self._waiting.append(event)
        self._wake.set()
        return True

    def close(self) -> None:
        """Let ``next`` give None as soon as nothing waits."""
        self._closed = True
        self._wake.set()

    async def next(self) -> ServerEvent | None:
        """The next event; None: there is none any more."""
        while not self._waiting:
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        event = self._waiting.popleft()
        self._audio -= event.type == AUDIO_DELTA
        return event


class EventDispatcher:
    """Every handler has a queue and a task of its own, so it gets its events in order and waits for nobody.

    Args:
        metrics: Where drops and failures are counted.
        is_late: Tells of an event that nobody wants any more, because its response was cancelled while it waited.
    """

    def __init__(self, metrics: ClientMetrics, is_late: Callable[[ServerEvent], bool]) -> None:
        self._metrics = metrics
        self._is_late = is_late
        self._subscriptions: list[_Subscription] = []
        self._by_type: dict[str, list[_Subscription]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._closed = asyncio.Event()

    def on(self, types: str | Collection[str], handler: Handler) -> None:
        """Call a handler at events of these types; ``ALL`` is every one. The same handler may be given again."""
        subscription = next((known for known in self._subscriptions if known.handler == handler), None)
        if subscription is None:
            subscription = _Subscription(handler)
            self._subscriptions.append(subscription)
            if self._tasks is not None:
                self._tasks.create_task(self._deliver(subscription))
        subscription.types |= {types} if isinstance(types, str) else set(types)
        self._by_type.clear()

    def wants(self, event_type: str) -> bool:
        """Whether a handler asked for this type by its name."""
        return any(event_type in subscription.types for subscription in self._subscriptions)

    def put(self, event: ServerEvent) -> None:
        """Queue an event for its handlers. Returns at once."""
        for subscription in self._readers(event.type):
            if subscription.put(event):
                continue
            if event.type == AUDIO_DELTA:
                self._metrics.count("audio_frames_dropped_total", direction="out", reason="queue_full")
            else:
                self._metrics.count("errors_total", category="protocol", code="handler_stalled")

    async def run(self) -> None:
        """Deliver until ``close``."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for subscription in self._subscriptions:
                tasks.create_task(self._deliver(subscription))
            await self._closed.wait()
            self._tasks = None
            for subscription in self._subscriptions:
                subscription.close()

    def close(self) -> None:
        """End ``run`` when what waits has been delivered."""
        self._closed.set()

    def _readers(self, event_type: str) -> list[_Subscription]:
        readers = self._by_type.get(event_type)
        if readers is None:
            readers = [known for known in self._subscriptions if known.types & {event_type, ALL}]
            if self.wants(event_type):  # Names that a service makes up are not kept.
                self._by_type[event_type] = readers
        return readers

    async def _deliver(self, subscription: _Subscription) -> None:
        while (event := await subscription.next()) is not None:
            if self._is_late(event):
                self._metrics.count("late_deltas_total")
                continue
            try:
                result = subscription.handler(event)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                self._metrics.count("errors_total", category="handler", code="failed")
                _log.exception("a handler of a Realtime event failed", event_type=event.type)
