"""Pools of connections: tiers, bounds, isolation, and nothing left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from antiphon.clock import VirtualClock
from antiphon.errors import (
    ConfigurationError,
    IntegrationException,
    IntegrationInvalidAuthException,
    IntegrationUnavailableException,
)
from antiphon.models.pool import Handling, Pool, PoolLimits


@dataclass(eq=False)
class Line:
    """A connection that remembers what its owners leave."""

    key: str
    is_open: bool = True
    left: list[str] = field(default_factory=list)


class Exchange:
    """Makes lines in virtual time, and counts them."""

    def __init__(self, clock: VirtualClock, *, make_s: float = 0.2, resets: bool = True) -> None:
        self.clock = clock
        self.make_s = make_s
        self.resets = resets
        self.failures: list[IntegrationException] = []
        self.made: list[Line] = []

    async def make(self, key: str) -> Line:
        await self.clock.sleep(self.make_s)
        if self.failures:
            raise self.failures.pop(0)
        self.made.append(Line(key))
        return self.made[-1]

    async def close(self, line: Line) -> None:
        assert line.is_open, "closed twice"
        line.is_open = False

    async def reset(self, line: Line) -> bool:
        line.left.clear()
        return self.resets

    def pool(self, **limits: Any) -> Pool[str, Line]:
        handling = Handling(self.make, self.close, self.reset, lambda line: line.is_open)
        return Pool("test lines", handling, limits=PoolLimits(**limits), clock=self.clock)

    @property
    def open(self) -> int:
        return sum(line.is_open for line in self.made)


def virtual(test: Callable[[VirtualClock], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def run() -> None:
        clock = VirtualClock()
        clock.run(test(clock))

    run.__name__ = test.__name__
    return run


@virtual
async def test_first_is_cold_and_the_next_are_warm(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=2)
    began = clock.now()
    cold = await pool.acquire("anna")
    assert clock.now() - began == pytest.approx(0.2)
    await clock.sleep(1.0)
    assert pool.warm == 2
    began = clock.now()
    warm = await pool.acquire("anna")
    assert clock.now() == began
    assert (pool.counters.allocations_cold, pool.counters.allocations_warm) == (1, 1)
    assert pool.counters.allocations_total == pool.active == 2
    await pool.release(cold)
    await pool.release(warm)
    await pool.aclose()
    assert exchange.open == pool.active == 0


@virtual
async def test_owner_gets_its_own_again_and_nobody_else_does(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=0)
    mine = await pool.acquire("anna", "call-1")
    await pool.release(mine)
    other = await pool.acquire("anna", "call-2")
    again = await pool.acquire("anna", "call-1")
    assert again.resource is mine.resource
    assert other.resource is not mine.resource
    assert pool.counters.allocations_dedicated == 1
    await pool.release(again)
    pool.end("call-1")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not mine.resource.is_open
    await pool.release(other)
    await pool.aclose()
    assert exchange.open == 0


@virtual
async def test_line_for_another_key_is_not_given(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=1)
    async with pool.lease("anna", "call-1"):
        pass
    async with pool.lease("bert", "call-1") as lease:
        assert lease.resource.key == "bert"
    await pool.aclose()
    assert exchange.open == 0


@virtual
async def test_what_comes_back_is_reset(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=1)
    async with pool.lease("anna") as lease:
        lease.resource.left.append("a phrase list of call 1")
        first = lease.resource
    seen = []
    for _ in range(4):
        async with pool.lease("anna") as lease:
            assert lease.resource.left == []
            seen.append(lease.resource)
    assert first in seen
    await pool.aclose()


@virtual
async def test_what_cannot_be_reset_is_closed(clock: VirtualClock) -> None:
    exchange = Exchange(clock, resets=False)
    pool = exchange.pool(warm=0)
    async with pool.lease("anna"):
        pass
    await pool.aclose()
    assert exchange.open == 0
    assert pool.counters.dropped == 0


@virtual
async def test_failed_line_is_dropped(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=1)
    with pytest.raises(ValueError, match="spoilt"):
        async with pool.lease("anna") as lease:
            raise ValueError("spoilt")
    for _ in range(3):
        async with pool.lease("anna") as another:
            assert another.resource is not lease.resource
    assert not lease.resource.is_open
    assert pool.counters.dropped == 1
    await pool.aclose()


@virtual
async def test_line_that_was_closed_while_it_waited_is_not_given(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=1)
    async with pool.lease("anna"):
        await clock.sleep(1.0)
    exchange.made[0].is_open = exchange.made[1].is_open = False
    exchange.close = lambda _line: asyncio.sleep(0)  # type: ignore[method-assign,assignment]
    async with pool.lease("anna") as lease:
        assert lease.resource.is_open


@virtual
async def test_exhausted_pool_waits_and_then_says_so(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(size=2, warm=0)
    leases = [await pool.acquire("anna") for _ in range(2)]
    began = clock.now()
    with pytest.raises(IntegrationUnavailableException, match="All 2 connections of test lines") as caught:
        await pool.acquire("anna")
    assert caught.value.code == "pool_exhausted"
    assert clock.now() - began == pytest.approx(5.0)
    assert pool.counters.exhausted == 1
    waiting = asyncio.create_task(pool.acquire("anna"))
    await clock.sleep(1.0)
    await pool.release(leases[0])
    await pool.release(await waiting)
    await pool.release(leases[1])
    await pool.aclose()
    assert exchange.open == pool.active == 0


@virtual
async def test_failure_to_open_is_told_and_takes_no_room(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(size=1, warm=0)
    exchange.failures = [IntegrationInvalidAuthException("The key is wrong.")]
    with pytest.raises(IntegrationInvalidAuthException):
        await pool.acquire("anna")
    exchange.make_s = 60.0
    with pytest.raises(IntegrationUnavailableException) as caught:
        await pool.acquire("anna")
    assert caught.value.code == "connect"
    exchange.make_s = 0.1
    async with pool.lease("anna"):
        assert pool.active == 1
    await pool.aclose()


@virtual
async def test_warming_is_tried_again_and_its_failure_is_counted(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=1)
    lease = await pool.acquire("anna")
    exchange.failures = [IntegrationUnavailableException("Away.")] * 3
    await clock.sleep(2.0)
    assert pool.counters.warmup_failures == 1
    assert pool.counters.warmup_retries == 2
    assert pool.counters.last_warmup_error == "Away."
    await pool.release(lease)
    await pool.aclose()


@virtual
async def test_old_lines_are_replaced_while_their_key_is_in_use(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=2, fresh_s=30.0)
    async with pool.lease("anna"):
        pass
    await clock.sleep(100.0)
    assert pool.warm == 2
    began = clock.now()
    async with pool.lease("anna"):
        assert clock.now() == began
    await clock.sleep(1_000.0)
    assert pool.warm == exchange.open == 0
    await pool.aclose()


@virtual
async def test_kept_lines_of_owners_who_never_end_are_closed(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=0, fresh_s=7_200.0)
    async with pool.lease("anna", "call-1"):
        pass
    assert pool.dedicated == 1
    await clock.sleep(1_900.0)
    async with pool.lease("anna", "call-2"):
        pass
    assert pool.dedicated == 1
    await pool.aclose()
    assert exchange.open == 0


@virtual
async def test_line_that_is_reserved_is_the_owners_and_costs_no_wait(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=0)
    pool.reserve("anna", "call-1")
    pool.reserve("anna", "call-1")
    await clock.sleep(0.3)
    other = await pool.acquire("anna", "call-2")
    began = clock.now()
    mine = await pool.acquire("anna", "call-1")
    assert clock.now() == began
    assert len(exchange.made) == 2
    assert (pool.counters.allocations_dedicated, pool.counters.allocations_cold) == (1, 1)
    await pool.release(mine)
    await pool.release(other)
    await pool.aclose()
    assert exchange.open == 0


@virtual
async def test_owner_who_comes_while_its_line_is_being_opened_waits_for_it(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=0)
    pool.reserve("anna", "call-1")
    await clock.sleep(0.05)
    async with pool.lease("anna", "call-1"):
        assert clock.now() == pytest.approx(0.2)
    assert pool.counters.allocations_dedicated == len(exchange.made) == 1
    await pool.aclose()
    assert exchange.open == 0


@virtual
async def test_reserved_line_whose_owner_never_comes_is_closed(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    pool = exchange.pool(warm=0, size=1, fresh_s=30.0)
    pool.reserve("anna", "call-1")
    await clock.sleep(1.0)
    pool.reserve("anna", "call-2")
    await clock.sleep(1.0)
    assert pool.dedicated == exchange.open == 1, "there is room for one"
    await clock.sleep(60.0)
    assert pool.dedicated == exchange.open == 0
    await pool.aclose()


@virtual
async def test_reservation_that_fails_costs_nobody_anything(clock: VirtualClock) -> None:
    exchange = Exchange(clock)
    exchange.failures = [IntegrationInvalidAuthException("Wrong key.")]
    pool = exchange.pool(warm=0)
    pool.reserve("anna", "call-1")
    await clock.sleep(0.1)
    async with pool.lease("anna", "call-1") as lease:
        assert lease.resource.is_open
    assert (pool.counters.warmup_failures, pool.counters.allocations_cold) == (1, 1)
    await pool.aclose()
    assert exchange.open == 0


@virtual
async def test_closed_pool_gives_nothing(clock: VirtualClock) -> None:
    pool = Exchange(clock).pool()
    await pool.aclose()
    with pytest.raises(IntegrationUnavailableException) as caught:
        await pool.acquire("anna")
    assert caught.value.code == "pool_closed"


@virtual
async def test_r27_a_thousand_random_sessions_leak_nothing(clock: VirtualClock) -> None:
    dice = random.Random(7)
    exchange = Exchange(clock)
    pool = exchange.pool(size=20, warm=3, fresh_s=30.0)
    given: set[int] = set()

    async def session(number: int) -> None:
        await clock.sleep(dice.uniform(0, 300))
        owner = f"call-{number}" if dice.random() < 0.3 else None
        for _ in range(dice.randint(1, 3)):
            try:
                lease = await pool.acquire(dice.choice(["anna", "bert", "cleo"]), owner)
            except IntegrationUnavailableException:
                continue
            line = lease.resource
            assert line.is_open
            assert line.left == [], "what another session left"
            assert id(line) not in given, "one line for two sessions"
            given.add(id(line))
            line.left.append(f"left by {number}")
            await clock.sleep(dice.uniform(0, 4))
            lease.failed = dice.random() < 0.1
            given.discard(id(line))
            await pool.release(lease)
        if owner is not None:
            pool.end(owner)

    tasks = [asyncio.create_task(session(number)) for number in range(1000)]
    for task in dice.sample(tasks, 100):
        clock.call_at(clock.now() + dice.uniform(0, 0.1), task.cancel)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert pool.active == pool.dedicated == 0
    assert exchange.open == pool.warm
    assert pool.counters.allocations_total > 1_000
    await pool.aclose()
    assert exchange.open == 0


@virtual
async def test_pool_of_nothing_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(ConfigurationError):
        Exchange(clock).pool(size=0)
