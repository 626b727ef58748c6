"""Tasks that begin at once: the same as any task, but for the time of their first step."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import pytest

from antiphon.agents.eager import start

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outer")


async def test_what_does_not_wait_is_over_at_once_and_gives_its_result() -> None:
    done: list[int] = []

    async def work() -> int:
        done.append(1)
        return 5

    task = start(work(), name="work")
    assert done == [1]
    assert await task == 5
    assert task.get_name() == "work"


async def test_it_is_its_own_task_from_the_first_step_on() -> None:
    async def work() -> bool:
        first = asyncio.current_task()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        return asyncio.current_task() is first

    outer = asyncio.current_task()
    task = start(work(), name="work")
    assert asyncio.current_task() is outer
    assert await task
    assert task is not outer


async def test_a_timeout_that_is_set_in_the_first_step_ends_the_work_and_not_its_starter() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return "timeout"
        return "none"

    assert await start(work(), name="work") == "timeout"


async def test_an_error_of_the_first_step_is_told_by_the_task() -> None:
    async def work() -> None:
        raise ValueError("at once")

    task = start(work(), name="work")
    with pytest.raises(ValueError, match="at once"):
        await task


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_cancellation_is_seen_by_the_work_whenever_it_comes(turns: int) -> None:
    seen: list[str] = []
    inner: list[asyncio.Future[None]] = []

    async def work() -> None:
        waits = asyncio.get_running_loop().create_future()
        inner.append(waits)
        try:
            await waits
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("cleaned up")

    task = start(work(), name="work")
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled", "cleaned up"]
    assert inner[0].cancelled()


async def test_work_that_swallows_a_cancellation_goes_on() -> None:
    async def work() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "went on"

    task = start(work(), name="work")
    task.cancel()
    assert await task == "went on"


async def test_context_variables_are_its_own() -> None:
    async def work() -> str:
        VARIABLE.set("inner")
        await asyncio.sleep(0)
        return VARIABLE.get()

    task = start(work(), name="work")
    assert VARIABLE.get() == "outer"
    assert await task == "inner"
    assert VARIABLE.get() == "outer"


async def test_nothing_is_left_for_the_garbage_collector() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    await start(work(), name="warm")
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            await start(work(), name="work")
        await asyncio.sleep(0)
        assert gc.collect() == 0
    finally:
        gc.enable()
