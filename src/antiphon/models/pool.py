"""Connections to providers that are open before somebody needs them, and go back clean when nobody does any more.

A connection comes from one of three tiers. *Dedicated*: the owner's own, from last time. *Warm*: open and waiting.
*Cold*: made while the owner waits. What comes back is reset before it may serve anybody else; what failed, or cannot
be reset, is closed. The pool is bounded: whoever finds it empty waits for a while, and is then told so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from antiphon.clock import Clock, WallClock
from antiphon.errors import ConfigurationError, IntegrationException, IntegrationUnavailableException
from antiphon.logs import Log

ACQUIRE_S = 5.0
MAKE_S = 10.0
MAKE_TRIES = 3
OWNER_S = 1800.0
USED_S = 300.0
"""A key that nobody asks for during this time has no warm connections any more."""
MOST_KEYS = 32
"""Keys, such as voices, for which connections are kept warm; the one that was used longest ago gives way."""

_WARMING = "warming a pool"
_CLOSING = "closing a connection of a pool"

_log = Log(__name__)

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


@dataclass(slots=True)
class PoolCounters:
    """What a pool has done.

    Attributes:
        allocations_dedicated, allocations_warm, allocations_cold: Connections given, by tier.
        exhausted: Owners who got none in time.
        dropped: Connections that failed, or could not be reset.
        warmup_cycles: Connections made ahead, or tried to.
        warmup_failures: Connections ahead that could not be made, after all tries.
        warmup_timeouts: Tries that took too long.
        warmup_retries: Tries after the first.
        last_warmup_error: In a sentence; empty for none.
    """

    allocations_dedicated: int = 0
    allocations_warm: int = 0
    allocations_cold: int = 0
    exhausted: int = 0
    dropped: int = 0
    warmup_cycles: int = 0
    warmup_failures: int = 0
    warmup_timeouts: int = 0
    warmup_retries: int = 0
    last_warmup_error: str = ""

    @property
    def allocations_total(self) -> int:
        """Connections given."""
        return self.allocations_dedicated + self.allocations_warm + self.allocations_cold


@dataclass(slots=True, eq=False)
class _Idle(Generic[R]):
    """A connection that waits.

    Attributes:
        resource: The connection.
        since: When it was made, or came back.
    """

    resource: R
    since: float


@dataclass(slots=True, eq=False)
class Lease(Generic[K, R]):
    """A connection in somebody's hands.

    Attributes:
        resource: The connection.
        key: For what it was opened.
        owner: Who may have it again; None for anybody.
        failed: Set it, and the connection is closed and not used again.
    """

    resource: R
    key: K
    owner: str | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Handling(Generic[K, R]):
    """What a pool does with its connections.

    Attributes:
        make: Opens one for a key.
        close: Closes one, soon and without an error.
        reset: Takes from one all that its last owner left, and tells whether it may serve again.
        is_sound: Whether one that waited is still open.
    """

    make: Callable[[K], Awaitable[R]]
    close: Callable[[R], Awaitable[None]]
    reset: Callable[[R], Awaitable[bool]]
    is_sound: Callable[[R], bool]


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How large a pool is, and how patient.

    Attributes:
        size: Connections at once, those in use and those that wait.
        warm: Connections that wait for each key that is in use.
        acquire_s: How long an owner waits.
        make_s: How long one try to open a connection may take.
        fresh_s: A connection that waited for longer is closed: vendors close them at some time.
    """

    size: int = 50
    warm: int = 2
    acquire_s: float = ACQUIRE_S
    make_s: float = MAKE_S
    fresh_s: float = 30.0


class Pool(Generic[K, R]):
    """Connections of one kind.

    Args:
        name: For messages.
        handling: What is done with them.
        limits: How many.
        clock: Measures how long they wait.

    Attributes:
        counters: What it has done.

    Raises:
        ConfigurationError: It would hold nothing.
    """

    def __init__(
        self, name: str, handling: Handling[K, R], *, limits: PoolLimits | None = None, clock: Clock | None = None
    ) -> None:
        self.name = name
        self.counters = PoolCounters()
        self._handling = handling
        self._limits = limits or PoolLimits()
        if self._limits.size < 1:
            raise ConfigurationError(f"The pool {name} must hold one connection at least.")
        self._clock = clock or WallClock()
        self._idle: dict[K, deque[_Idle[R]]] = {}
        self._kept: dict[str, tuple[K, _Idle[R]]] = {}
        self._room = asyncio.Semaphore(self._limits.size)
        self._in_use = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._warming: set[K] = set()
        self._reserving: dict[str, asyncio.Event] = {}
        self._used_at: dict[K, float] = {}
        self._refreshing = False
        self._closed = False

    @property
    def active(self) -> int:
        """Connections in somebody's hands."""
        return self._in_use

    @property
    def is_exhausted(self) -> bool:
        """Whether whoever comes now must wait."""
        return self._room.locked()

    @property
    def warm(self) -> int:
        """Connections that wait for anybody."""
        return sum(len(waiting) for waiting in self._idle.values())

    @property
    def dedicated(self) -> int:
        """Connections that wait for their owner."""
        return len(self._kept)

    @asynccontextmanager
    async def lease(self, key: K, owner: str | None = None) -> AsyncIterator[Lease[K, R]]:
        """A connection for the length of a block.

        An error in the block has failed the connection; an end from outside, such as a cancellation, has not, unless
        the block says so.

        Raises:
            IntegrationException: None was free in time, or none could be opened.
        """
        lease = await self.acquire(key, owner)
        try:
            yield lease
        except Exception:
            lease.failed = True
            raise
        finally:
            await self.release(lease)

    def reserve(self, key: K, owner: str) -> None:
        """Open a connection for an owner who is about to come, in the background; where there is no room, none."""
        if self._closed or owner in self._kept or owner in self._reserving or self._total >= self._limits.size:
            return
        self._reserving[owner] = asyncio.Event()
        self._spawn(partial(self._reserve, key, owner), _WARMING)

    async def _reserve(self, key: K, owner: str) -> None:
        try:
            resource = await self._made_ahead(key)
            if resource is not None:
                self._kept[owner] = (key, _Idle(resource, self._clock.now()))
                self._watch_age()
        finally:
            self._reserving.pop(owner).set()

    async def acquire(self, key: K, owner: str | None = None) -> Lease[K, R]:
        """A connection: the owner's own, else a warm one, else a new one.

        Raises:
            IntegrationUnavailableException: None was free in time; ``code`` is ``pool_exhausted``.
            IntegrationException: None could be opened.
        """
        if self._closed:
            raise IntegrationUnavailableException(f"The pool {self.name} is closed; start again.", code="pool_closed")
        await self._take_room()
        try:
            if owner in self._reserving:
                await self._reserving[owner].wait()  # as long as making one may take, at most
            resource = self._own(key, owner) or self._waiting(key)
            if resource is None:
                resource = await self._made(key)
                self.counters.allocations_cold += 1
        except BaseException:
            self._room.release()
            raise
        self._in_use += 1
        self._keep_warm(key)
        self._shed()
        return Lease(resource, key, owner)

    async def release(self, lease: Lease[K, R]) -> None:
        """Give a connection back; it is reset, or closed where it failed or cannot be."""
        self._in_use -= 1
        try:
            sound = not lease.failed and not self._closed and self._handling.is_sound(lease.resource)
            if not (sound and await self._handling.reset(lease.resource)):
                self.counters.dropped += lease.failed
                self._spawn(partial(self._handling.close, lease.resource))
                return
        except BaseException:
            self._spawn(partial(self._handling.close, lease.resource))
            raise
        finally:
            self._room.release()
        waiting = _Idle(lease.resource, self._clock.now())
        if lease.owner is not None and lease.owner not in self._kept:
            self._kept[lease.owner] = (lease.key, waiting)
        elif lease.key in self._idle and len(self._idle[lease.key]) < self._limits.warm:
            self._idle[lease.key].append(waiting)
        else:
            self._spawn(partial(self._handling.close, lease.resource))
        self._shed()

    def end(self, owner: str) -> None:
        """The owner needs its own connection no more."""
        kept = self._kept.pop(owner, None)
        if kept is not None:
            self._spawn(partial(self._handling.close, kept[1].resource))

    async def aclose(self) -> None:
        """Close all that wait; what is in use is closed when it comes back."""
        self._closed = True
        for task in tuple(self._tasks):
            if task.get_name() != _CLOSING:
                task.cancel()
        waiting_for_all = [waiting for idles in self._idle.values() for waiting in idles]
        for waiting in (*waiting_for_all, *(kept for _, kept in self._kept.values())):
            self._spawn(partial(self._handling.close, waiting.resource))
        self._idle.clear()
        self._kept.clear()
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _take_room(self) -> None:
        try:
            async with asyncio.timeout(self._limits.acquire_s):
                await self._room.acquire()
        except TimeoutError:
            self.counters.exhausted += 1
            raise IntegrationUnavailableException(
                f"All {self._limits.size} connections of {self.name} are in use: take fewer calls, or raise the limit.",
                code="pool_exhausted",
            ) from None

    def _own(self, key: K, owner: str | None) -> R | None:
        kept = self._kept.pop(owner, None) if owner is not None else None
        if kept is None:
            return None
        kept_key, waiting = kept
        if kept_key == key and self._is_fresh(waiting):
            self.counters.allocations_dedicated += 1
            return waiting.resource
        self._spawn(partial(self._handling.close, waiting.resource))
        return None

    def _waiting(self, key: K) -> R | None:
        idles = self._idle.get(key)
        while idles:
            waiting = idles.pop()  # The one that waited least is the least likely to be closed at the other end.
            if self._is_fresh(waiting):
                self.counters.allocations_warm += 1
                return waiting.resource
            self._spawn(partial(self._handling.close, waiting.resource))
        return None

    def _is_fresh(self, waiting: _Idle[R]) -> bool:
        return self._clock.now() - waiting.since < self._limits.fresh_s and self._handling.is_sound(waiting.resource)

    async def _made(self, key: K) -> R:
        try:
            async with asyncio.timeout(self._limits.make_s):
                return await self._handling.make(key)
        except TimeoutError:
            raise IntegrationUnavailableException(
                f"{self.name} did not open a connection in {self._limits.make_s:g} s: see whether the service is well.",
                code="connect",
            ) from None

    def _keep_warm(self, key: K) -> None:
        """See that some wait for this key, in a task of the pool's own."""
        self._idle[key] = self._idle.pop(key, deque())
        self._used_at[key] = self._clock.now()
        self._watch_age()
        self._fill(key)

    def _watch_age(self) -> None:
        """See that what waits too long is closed."""
        if not self._refreshing:
            self._refreshing = True
            self._spawn(self._refresh, _WARMING)

    def _fill(self, key: K) -> None:
        if key in self._warming or len(self._idle[key]) >= self._limits.warm or self._closed:
            return
        self._warming.add(key)
        self._spawn(partial(self._warm, key), _WARMING)

    async def _refresh(self) -> None:
        """Put new connections in the place of old ones, for keys that were used of late; ends when there are none."""
        try:
            while self._idle or self._kept:
                await self._clock.sleep(self._limits.fresh_s / 2)
                now = self._clock.now()
                for key, idles in list(self._idle.items()):
                    for waiting in [waiting for waiting in idles if not self._is_fresh(waiting)]:
                        idles.remove(waiting)
                        self._spawn(partial(self._handling.close, waiting.resource))
                    if now - self._used_at[key] < USED_S:
                        self._fill(key)
                    elif not idles:
                        self._forget(key)
                self._shed()
        finally:
            self._refreshing = False

    async def _warm(self, key: K) -> None:
        try:
            while key in self._idle and len(self._idle[key]) < self._limits.warm and self._total < self._limits.size:
                resource = await self._made_ahead(key)
                if resource is None:
                    return
                if key not in self._idle:
                    await self._handling.close(resource)
                    return
                self._idle[key].append(_Idle(resource, self._clock.now()))
            self._shed()
        finally:
            self._warming.discard(key)

    async def _made_ahead(self, key: K) -> R | None:
        self.counters.warmup_cycles += 1
        for attempt in range(MAKE_TRIES):
            self.counters.warmup_retries += attempt > 0
            try:
                return await self._made(key)
            except IntegrationException as error:
                self.counters.warmup_timeouts += error.code == "connect"
                self.counters.last_warmup_error = str(error)
                if not error.retryable:
                    break
        self.counters.warmup_failures += 1
        _log.warning("pool.warmup_failed", pool=self.name, error=self.counters.last_warmup_error)
        return None

    @property
    def _total(self) -> int:
        return self._in_use + self.warm + self.dedicated

    def _shed(self) -> None:
        """Close what waited too long, and the keys and owners that are too many; the oldest goes first."""
        now = self._clock.now()
        old = [
            owner for owner, (_, idle) in self._kept.items() if now - idle.since > OWNER_S or not self._is_fresh(idle)
        ]
        for owner in old:
            self.end(owner)
        while len(self._idle) > MOST_KEYS or (self._idle and self._total > self._limits.size):
            oldest = next(iter(self._idle))
            self._forget(oldest)
        while self._kept and self._total > self._limits.size:
            self.end(next(iter(self._kept)))

    def _forget(self, key: K) -> None:
        self._used_at.pop(key, None)
        for waiting in self._idle.pop(key):
            self._spawn(partial(self._handling.close, waiting.resource))

    def _spawn(self, work: Callable[[], Awaitable[None]], name: str = _CLOSING) -> None:
        task = asyncio.create_task(self._run(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:
            _log.exception("pool.task_failed", pool=self.name)


AnyPool = Pool[Any, Any]


def pools_of(provider: object) -> list[AnyPool]:
    """The pools of a provider, or of all that stand in for each other; most have none."""
    members: tuple[object, ...] = getattr(provider, "providers", (provider,))
    return [pool for member in members if isinstance(pool := getattr(member, "pool", None), Pool)]
