"""A run that ends early: the model's stream closes at once, no task is left, and the history stays valid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.history import build_request
from antiphon.agents.runner import Manner, ToolRunner
from antiphon.clock import VirtualClock, WallClock
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import tool_message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.invoke import INTERRUPTED
from tests.agents.running import check_request, results_of, run_of

USER = [Message("user", "book it")]
LONG = Reply(" ".join(["word"] * 50), token_s=0.01)


async def by_aclose(updates: Any) -> None:
    for _ in range(5):
        await anext(updates)
    await updates.aclose()


async def by_break(updates: Any) -> None:
    seen = 0
    async with aclosing(updates):
        async for _ in updates:
            seen += 1
            if seen == 5:
                break


async def by_cancel(updates: Any) -> None:
    five = asyncio.Event()

    async def consume() -> None:
        seen = 0
        async with aclosing(updates):
            async for _ in updates:
                seen += 1
                if seen == 5:
                    five.set()

    task = asyncio.create_task(consume())
    await five.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_raising(updates: Any) -> None:
    async def consume() -> None:
        async with aclosing(updates):
            for _ in range(5):
                await anext(updates)
            raise KeyError

    with pytest.raises(KeyError):
        await consume()


@pytest.mark.parametrize("way", [by_aclose, by_break, by_cancel, by_raising])
def test_the_models_stream_is_closed_in_the_same_moment(way: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        async with ToolRunner(clock) as tools:
            await way(run_of(Agent("desk"), client, tools).updates())
        assert clock.now() < 0.05
        assert (client.opened, client.closed, client.completed) == (1, 1, 0)
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


def test_a_run_that_is_dropped_without_a_word_closes_its_stream_too() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        tools = ToolRunner(clock)
        updates = run_of(Agent("desk"), client, tools).updates()
        await anext(updates)
        del updates
        for _ in range(3):
            await asyncio.sleep(0)
        assert client.closed == 1

    clock.run(main())


class Desk:
    """Tools, and an owner of a history as a call is one."""

    def __init__(self, clock: VirtualClock, *, keep_tools: bool = True) -> None:
        self.clock = clock
        self.keep_tools = keep_tools
        self.history = list(USER)
        self.done: list[str] = []
        self.runner = ToolRunner(clock, on_result=self.keep)

    def keep(self, asked: FunctionCall, result: FunctionResult) -> None:
        self.history.append(tool_message(result))

    async def book(self) -> str:
        await self.clock.sleep(3)
        self.done.append("book")
        return "booked"

    async def search(self) -> str:
        await self.clock.sleep(3)
        self.done.append("search")
        return "found"

    async def quick(self) -> str:
        return "quick"

    async def run(self, client: ScriptedChatClient) -> None:
        tools = [self.book, tool(self.search, cancel_on_interrupt=True), self.quick]
        run = run_of(Agent("desk", tools=tools), client, self.runner, messages=self.history, keep_tools=self.keep_tools)
        async with aclosing(run.updates()) as updates:
            async for update in updates:
                content = update.contents[0]
                if content.type == "function_call":
                    self.history.append(Message("assistant", update.contents))
                elif content.type == "tool_finished":
                    self.keep(content.call, content.result)


def test_an_interruption_lets_calls_go_on_except_those_that_say_otherwise() -> None:
    clock = VirtualClock()

    async def main() -> None:
        desk = Desk(clock)
        client = ScriptedChatClient([Reply(calls=(call("book"), call("search"), call("quick")))])
        task = asyncio.create_task(desk.run(client))
        await clock.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert [pending.name for pending in desk.runner.pending()] == ["book"]

        texts = {result.name: result.text for result in results_of(build_request("", desk.history))}
        assert texts == {"book": INTERRUPTED, "search": INTERRUPTED, "quick": "quick"}

        desk.history.append(Message("user", "wait"))
        await clock.sleep(5)
        assert desk.done == ["book"]
        assert not desk.runner.pending()
        request = build_request("", desk.history)
        check_request(request)
        assert [message.role for message in request] == ["user", "assistant", "tool", "tool", "tool", "user"]
        assert [message.text for message in request[2:5]] == ["booked", INTERRUPTED, "quick"]
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


def test_a_run_that_does_not_keep_its_tools_cancels_them_all() -> None:
    clock = VirtualClock()

    async def main() -> None:
        desk = Desk(clock, keep_tools=False)
        client = ScriptedChatClient([Reply(calls=(call("book"), call("search"), call("quick")))])
        task = asyncio.create_task(desk.run(client))
        await clock.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert not desk.runner.pending()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        await clock.sleep(10)
        assert not desk.done
        texts = {result.name: result.text for result in results_of(build_request("", desk.history))}
        assert texts == {"book": INTERRUPTED, "search": INTERRUPTED, "quick": "quick"}

    clock.run(main())


def test_every_call_gets_exactly_one_result_even_if_nobody_read_it_in_time() -> None:
    clock = VirtualClock()

    async def main() -> None:
        results: list[str] = []
        runner = ToolRunner(clock, on_result=lambda asked, result: results.append(f"{asked.name} {result.text}"))
        desk = Desk(clock)
        client = ScriptedChatClient([Reply(calls=(call("quick"), call("book")))])
        agent = Agent("desk", tools=[desk.quick, desk.book])
        updates = run_of(agent, client, runner, keep_tools=True).updates()
        while (await anext(updates)).contents[0].type != "tool_started":
            pass
        await clock.sleep(1)
        await updates.aclose()
        assert results == ["quick quick"]
        await clock.sleep(5)
        assert results == ["quick quick", "book booked"]
        await runner.aclose()
        assert len(results) == 2

    clock.run(main())


def test_calls_that_have_not_begun_do_not_begin_after_an_interruption() -> None:
    clock = VirtualClock()

    async def main() -> None:
        desk = Desk(clock)
        group = desk.runner.start(
            Agent("desk", tools=[desk.book]).toolset,
            [FunctionCall("1", "book", ""), FunctionCall("2", "book", "")],
            manner=Manner(parallel=1),
        )
        await anext(group)
        group.release()
        await clock.sleep(10)
        assert desk.done == ["book"]
        assert [message.text for message in desk.history[1:]] == [INTERRUPTED, "booked"]

    clock.run(main())


def test_closing_the_runner_cancels_everything_and_leaves_no_task() -> None:
    clock = VirtualClock()

    async def main() -> None:
        desk = Desk(clock)
        task = asyncio.create_task(desk.run(ScriptedChatClient([Reply(calls=(call("book"), call("search")))])))
        await clock.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        await desk.runner.aclose()
        assert not desk.runner.pending()
        assert not desk.done
        assert [message.text for message in desk.history[2:]] == [INTERRUPTED, INTERRUPTED]
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


async def test_closing_a_runner_that_never_ran_is_fine() -> None:
    runner = ToolRunner(WallClock())
    await runner.aclose()
    await runner.aclose()


def test_a_turn_dropped_at_the_fence_has_run_nothing() -> None:
    clock = VirtualClock()

    async def main() -> None:
        desk = Desk(clock)
        client = ScriptedChatClient([Reply("Booking.", (call("book"),))])
        never = asyncio.Event()

        async def fence() -> None:
            await never.wait()

        updates = run_of(Agent("desk", tools=[desk.book]), client, desk.runner, fence=fence).updates()

        async def consume() -> None:
            async with aclosing(updates):
                async for update in updates:
                    assert update.text

        task = asyncio.create_task(consume())
        await clock.sleep(20)
        task.cancel()
        await asyncio.wait([task])
        assert not desk.done
        assert client.closed == 1
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())
