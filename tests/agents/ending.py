"""The ways to end a turn early, and tools that are at work meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from antiphon import tool
from antiphon.agents.stream import ResponseStream
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply

WORDS = [f"w{number}" for number in range(50)]


LONG = Reply(" ".join(WORDS), token_s=0.01)


FIVE = "w0 w1 w2 w3 w4 "


Way = Callable[[ResponseStream], Coroutine[Any, Any, None]]


async def by_aclose(stream: ResponseStream) -> None:
    updates = aiter(stream)
    for _ in range(5):
        await anext(updates)
    await stream.aclose()


async def by_break(stream: ResponseStream) -> None:
    seen = 0
    async with stream:
        async for _ in stream:
            seen += 1
            if seen == 5:
                break


async def by_cancel(stream: ResponseStream) -> None:
    five = asyncio.Event()

    async def consume() -> None:
        seen = 0
        async for _ in stream:
            seen += 1
            if seen == 5:
                five.set()

    task = asyncio.create_task(consume())
    await five.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_interrupt(stream: ResponseStream) -> None:
    updates = aiter(stream)
    for _ in range(5):
        await anext(updates)
    await stream.interrupt()


async def by_interrupt_from_another_task(stream: ResponseStream) -> None:
    """As in a call: one task feeds the voice, another hears the caller."""
    five = asyncio.Event()
    seen: list[str] = []

    async def consume() -> None:
        async for update in stream:
            seen.append(update.text)
            if len(seen) == 5:
                five.set()

    task = asyncio.create_task(consume())
    await five.wait()
    await asyncio.sleep(0)
    await stream.interrupt()
    await task
    assert "".join(seen) == FIVE


async def by_closing_from_another_task(stream: ResponseStream) -> None:
    five = asyncio.Event()

    async def consume() -> None:
        seen = 0
        async for _ in stream:
            seen += 1
            if seen == 5:
                five.set()

    task = asyncio.create_task(consume())
    await five.wait()
    await asyncio.sleep(0)
    await stream.aclose()
    await task


async def by_raising(stream: ResponseStream) -> None:
    async def consume() -> None:
        seen = 0
        async with stream:
            async for _ in stream:
                seen += 1
                if seen == 5:
                    raise KeyError

    with pytest.raises(KeyError):
        await consume()


WAYS = [
    by_aclose,
    by_break,
    by_cancel,
    by_interrupt,
    by_interrupt_from_another_task,
    by_closing_from_another_task,
    by_raising,
]


class Office:
    """Tools of every kind, each of which takes three seconds."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.done: list[str] = []
        self.gate = threading.Event()
        self.sync_started = threading.Event()
        self.sync_ended = threading.Event()

    async def book(self) -> str:
        await self.clock.sleep(3)
        self.done.append("book")
        return "booked"

    async def search(self) -> str:
        await self.clock.sleep(3)
        self.done.append("search")
        return "found"

    def print_out(self) -> str:
        self.sync_started.set()
        self.gate.wait(30)
        self.done.append("print_out")
        self.sync_ended.set()
        return "printed"

    async def quick(self) -> str:
        return "quick"

    @property
    def tools(self) -> list[Any]:
        return [self.book, tool(self.search, cancel_on_interrupt=True), self.quick]
