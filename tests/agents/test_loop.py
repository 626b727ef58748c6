"""The rules of the tool loop, one by one."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.agent import RunLimits
from antiphon.agents.loop import run_loop
from antiphon.agents.runner import ToolRunner
from antiphon.agents.updates import Finished, Update
from antiphon.clock import Clock, VirtualClock, WallClock
from antiphon.errors import (
    ChatClientInvalidAuthException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
    ToolException,
)
from antiphon.models.llm.contract import ChatDelta, ChatOptions, FunctionCall, Usage
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import INTERRUPTED

USER = [Message("user", "2+3?")]


@tool
async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def agent_with(*tools: Any, **options: Any) -> Agent:
    return Agent("desk", "Be kind.", tools=tools or (add,), **options)


async def run(
    agent: Agent,
    client: ScriptedChatClient,
    *,
    clock: Clock | None = None,
    messages: Sequence[Message] = USER,
    **options: Any,
) -> list[Update]:
    clock = clock or WallClock()
    async with ToolRunner(clock) as tools:
        return [
            update async for update in run_loop(agent, messages, client=client, tools=tools, clock=clock, **options)
        ]


def last(updates: list[Update]) -> Finished:
    assert isinstance(updates[-1], Finished)
    return updates[-1]


def text_of(updates: list[Update]) -> str:
    return "".join(update.text for update in updates if update.type == "text")


def kinds(updates: list[Update]) -> list[str]:
    return [update.type for update in updates]


async def test_a_text_turn_streams_its_words_and_finishes() -> None:
    client = ScriptedChatClient(["Hello there."])
    updates = await run(agent_with(), client)
    assert kinds(updates) == ["text", "text", "finished"]
    assert last(updates) == Finished((Message("assistant", "Hello there."),), Usage(2, 2), "stop")
    request = client.requests[0]
    assert request.messages == (Message("system", "Be kind."), *USER)
    assert [spec.name for spec in request.options.tools] == ["add"]
    assert client.closed == 1


async def test_the_first_words_leave_before_the_model_has_written_the_second() -> None:
    written: list[str] = []

    class Client(ScriptedChatClient):
        async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
            for index in range(50):
                written.append(str(index))
                yield ChatDelta(f"{index} ")

    clock = WallClock()
    seen = 0
    async with ToolRunner(clock) as tools:
        async for update in run_loop(agent_with(), USER, client=Client([]), tools=tools, clock=clock):
            if update.type == "text":
                seen += 1
                assert len(written) == seen
    assert seen == 50


async def test_a_tool_turn_tells_every_stage_and_gives_a_valid_history() -> None:
    client = ScriptedChatClient([Reply("One moment.", (call("add", a=2, b=3),)), "It is 5."])
    updates = await run(agent_with(), client)
    assert kinds(updates)[2:6] == ["calls", "call_started", "call_finished", "text"]
    assert text_of(updates) == "One moment. It is 5."
    asked = FunctionCall("call_1", "add", '{"a":2,"b":3}')
    assert last(updates).messages == (
        Message("assistant", "One moment.", (asked,)),
        Message("tool", "5", call_id="call_1", name="add"),
        Message("assistant", "It is 5."),
    )
    assert last(updates).usage == Usage(2 + 4, 2 + 3)
    assert client.requests[1].messages == (Message("system", "Be kind."), *USER, *last(updates).messages[:2])


async def test_two_slow_tools_run_side_by_side_and_results_stand_in_the_order_of_calls() -> None:
    both = asyncio.Barrier(2)

    @tool
    async def wait(number: int) -> int:
        await both.wait()
        if number == 1:
            await asyncio.sleep(0)
        return number

    client = ScriptedChatClient([Reply(calls=(call("wait", number=1), call("wait", number=2))), "ok"])
    updates = await run(agent_with(wait), client)
    finished = [update.result.text for update in updates if update.type == "call_finished"]
    assert finished == ["2", "1"]
    assert [message.text for message in last(updates).messages if message.role == "tool"] == ["1", "2"]


async def test_at_most_max_parallel_tools_run_at_once_in_the_order_of_calls() -> None:
    running: list[int] = []
    most = 0

    @tool
    async def work(number: int) -> None:
        nonlocal most
        running.append(number)
        most = max(most, len(running))
        assert running == sorted(running)
        await asyncio.sleep(0)
        running.remove(number)

    client = ScriptedChatClient([Reply(calls=tuple(call("work", number=number) for number in range(7))), "ok"])
    updates = await run(agent_with(work, limits=RunLimits(max_parallel_tools=2)), client)
    assert most == 2
    assert kinds(updates).count("call_finished") == 7


async def test_a_failing_tool_leaves_the_run_alive() -> None:
    @tool
    async def broken() -> None:
        raise RuntimeError("no")

    client = ScriptedChatClient([Reply(calls=(call("broken"), call("add", a=1, b=1), call("none"))), "Sorry."])
    updates = await run(agent_with(broken, add), client)
    texts = [message.text for message in last(updates).messages if message.role == "tool"]
    assert texts[:2] == ["The function failed.", "2"]
    assert "Known functions: broken, add" in texts[2]
    assert text_of(updates) == "Sorry."


async def test_calls_without_id_or_with_the_same_id_are_told_apart() -> None:
    class Client(ScriptedChatClient):
        async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
            self.requests.append(options)  # type: ignore[arg-type]
            same = FunctionCall("x", "add", '{"a":1,"b":1}')
            if len(self.requests) < 3:
                yield ChatDelta(calls=(same, same, FunctionCall("", "add", '{"a":2,"b":2}')))
            yield ChatDelta("done", finish_reason="stop")

    updates = await run(agent_with(), Client([]))
    ids = [call.call_id for message in last(updates).messages for call in message.calls]
    assert len(set(ids)) == 6
    assert [message.call_id for message in last(updates).messages if message.role == "tool"] == ids


@pytest.mark.parametrize(
    ("limits", "limit_hit", "steps"),
    [
        (RunLimits(max_model_steps=3), "max_model_steps", 3),
        (RunLimits(max_tool_calls=2), "max_tool_calls", 2),
        (RunLimits(max_consecutive_errors=2), "max_consecutive_errors", 2),
    ],
)
async def test_a_model_that_always_calls_is_asked_once_more_without_tools(
    limits: RunLimits, limit_hit: str, steps: int
) -> None:
    arguments = {"a": 1} if limit_hit == "max_consecutive_errors" else {"a": 1, "b": 2}

    def always(_messages: Sequence[Message], options: ChatOptions) -> Reply:
        return Reply("" if options.tool_choice == "auto" else "That is all.", (call("add", **arguments),))

    client = ScriptedChatClient(always)
    updates = await run(agent_with(limits=limits), client)
    assert (last(updates).finish_reason, last(updates).limit_hit) == ("limit", limit_hit)
    assert len(client.requests) == steps + 1
    assert [request.options.tool_choice for request in client.requests] == ["auto"] * steps + ["none"]
    assert sum(message.role == "tool" for message in client.requests[-1].messages) == steps
    assert last(updates).messages[-1] == Message("assistant", "That is all.")


def test_at_max_seconds_the_run_ends_with_the_text_so_far() -> None:
    clock = VirtualClock()
    client = ScriptedChatClient([Reply("One two three four", token_s=2)], clock=clock)
    updates = clock.run(run(agent_with(limits=RunLimits(max_seconds=5)), client, clock=clock))
    assert clock.now() == 5
    assert text_of(updates) == "One two three "
    assert last(updates).messages == (Message("assistant", "One two three "),)
    assert last(updates).limit_hit == "max_seconds"
    assert client.closed == 1


def test_at_max_seconds_running_calls_are_released_and_the_history_is_valid() -> None:
    clock = VirtualClock()
    late: list[str] = []

    @tool
    async def slow() -> str:
        await clock.sleep(8)
        return "late"

    async def main() -> list[Update]:
        tools = ToolRunner(clock, on_result=lambda _call, result: late.append(result.text))
        client = ScriptedChatClient([Reply(calls=(call("slow"), call("add", a=1, b=1)))])
        agent = agent_with(slow, add, limits=RunLimits(max_seconds=5))
        updates = [update async for update in run_loop(agent, USER, client=client, tools=tools, clock=clock)]
        assert [pending.name for pending in tools.pending()] == ["slow"]
        await clock.sleep(10)
        assert not tools.pending()
        return updates

    updates = clock.run(main())
    assert [message.text for message in last(updates).messages[1:]] == [INTERRUPTED, "2"]
    assert last(updates).limit_hit == "max_seconds"
    assert late == ["late"]


def test_a_consumer_that_takes_its_time_is_not_cancelled() -> None:
    clock = VirtualClock()

    async def main() -> list[Update]:
        updates: list[Update] = []
        async with ToolRunner(clock) as tools:
            client = ScriptedChatClient(["One two three"])
            agent = agent_with(limits=RunLimits(max_seconds=5))
            async for update in run_loop(agent, USER, client=client, tools=tools, clock=clock):
                updates.append(update)
                await clock.sleep(4)
        return updates

    updates = clock.run(main())
    assert text_of(updates) == "One two "
    assert last(updates).limit_hit == "max_seconds"


def test_cancelling_the_task_at_its_time_limit_stays_a_cancellation() -> None:
    clock = VirtualClock()

    async def main() -> None:
        agent = agent_with(limits=RunLimits(max_seconds=5))
        client = ScriptedChatClient([Reply("x", fault="stall")])
        task = asyncio.create_task(run(agent, client, clock=clock))
        clock.call_at(5.0, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    clock.run(main())


async def test_tools_wait_for_the_fence_and_are_not_even_told_before() -> None:
    gate = asyncio.Event()
    ran: list[int] = []

    @tool
    async def book() -> None:
        ran.append(1)

    seen: list[str] = []
    clock = WallClock()

    async def consume(tools: ToolRunner) -> None:
        client = ScriptedChatClient([Reply("Booking.", (call("book"),)), "Booked."])
        updates = run_loop(agent_with(book), USER, client=client, tools=tools, clock=clock, fence=wait)
        async for update in updates:
            seen.append(update.type)  # noqa: PERF401 (the list is looked at while it grows)

    async def wait() -> None:
        await gate.wait()

    async with ToolRunner(clock) as tools:
        task = asyncio.create_task(consume(tools))
        for _ in range(20):
            await asyncio.sleep(0)
        assert seen == ["text"]
        assert not ran
        gate.set()
        await task
    assert ran == [1]
    assert seen == ["text", "calls", "call_started", "call_finished", "text", "finished"]


def test_a_failed_request_is_sent_again_before_its_first_word() -> None:
    clock = VirtualClock()
    busy = ChatClientUnavailableException("busy", retry_after_s=0.7)
    client = ScriptedChatClient([Reply(fault=busy), "Here."])
    updates = clock.run(run(agent_with(), client, clock=clock))
    assert text_of(updates) == "Here."
    assert clock.now() == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("replies", "error", "requests"),
    [
        ([Reply(fault="close"), Reply(fault="close"), "no"], ChatClientUnavailableException, 2),
        ([Reply("Some words", fault="close", fault_after=1), "no"], ChatClientUnavailableException, 1),
        ([Reply(fault="garbage"), "no"], ChatClientInvalidResponseException, 1),
        ([Reply(fault=ChatClientInvalidAuthException("no")), "no"], ChatClientInvalidAuthException, 1),
        ([Reply(fault=ChatClientUnavailableException("x", retry_after_s=30)), "no"], ChatClientUnavailableException, 1),
    ],
)
def test_other_failures_reach_the_caller(replies: list[str | Reply], error: type[Exception], requests: int) -> None:
    clock = VirtualClock()
    client = ScriptedChatClient(replies)
    with pytest.raises(error):
        clock.run(run(agent_with(), client, clock=clock))
    assert len(client.requests) == requests
    assert client.closed == requests


def test_a_filler_is_told_once_when_a_tool_is_slow_and_nothing_was_said() -> None:
    clock = VirtualClock()
    told: list[tuple[float, str]] = []

    @tool(filler_after_s=1.0)
    async def slow() -> None:
        await clock.sleep(4)

    @tool(filler="Let me look.", filler_after_s=2.0)
    async def own() -> None:
        await clock.sleep(3)

    async def main() -> None:
        replies = [
            Reply(calls=(call("slow"), call("own"))),
            Reply(calls=(call("slow"),)),
            Reply("Wait.", (call("slow"),)),
            Reply(calls=(call("own"),)),
            "ok",
        ]
        async with ToolRunner(clock) as tools:
            agent = agent_with(slow, own, fillers=["One moment.", "Just a second."])
            updates = run_loop(agent, USER, client=ScriptedChatClient(replies), tools=tools, clock=clock)
            told.extend([(clock.now(), update.text) async for update in updates if update.type == "filler"])

    clock.run(main())
    assert told == [(1.0, "One moment."), (5.0, "Just a second."), (14.0, "Let me look.")]


def test_a_quick_tool_and_an_agent_without_fillers_say_none() -> None:
    clock = VirtualClock()

    @tool
    async def slow() -> None:
        await clock.sleep(4)

    replies = [Reply(calls=(call("slow"),)), Reply(calls=(call("add", a=1, b=1),)), "ok"]
    assert "filler" not in kinds(clock.run(run(agent_with(slow, add), ScriptedChatClient(replies), clock=clock)))


async def test_progress_is_told_at_once() -> None:
    @tool
    async def search(context: ToolContext) -> str:
        context.progress("half way")
        return "found"

    updates = await run(agent_with(search), ScriptedChatClient([Reply(calls=(call("search"),)), "ok"]))
    assert kinds(updates)[:4] == ["calls", "call_started", "call_progress", "call_finished"]


def test_a_tool_that_does_not_end_when_cancelled_does_not_hold_up_the_turn() -> None:
    clock = VirtualClock()
    stop: list[bool] = []

    @tool(timeout_s=1)
    async def stubborn() -> None:
        while not stop:
            try:
                await clock.sleep(60)
            except asyncio.CancelledError:
                continue

    async def main() -> Finished:
        tools = ToolRunner(clock)
        client = ScriptedChatClient([Reply(calls=(call("stubborn"),)), "Sorry."])
        updates = [
            update async for update in run_loop(agent_with(stubborn), USER, client=client, tools=tools, clock=clock)
        ]
        assert clock.now() == pytest.approx(1.1)
        stop.append(True)
        await tools.aclose()
        return last(updates)

    finished = clock.run(main())
    assert "longer than 1 s" in finished.messages[1].text


async def test_a_hundred_conversations_on_one_agent_never_mix() -> None:
    def echo(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        if messages[-1].role == "tool":
            return f"result {messages[-1].text}"
        return Reply(calls=(call("add", a=int(messages[-1].text), b=1000),))

    client = ScriptedChatClient(echo, yields=True)
    agent = agent_with()
    runs = (run(agent, client, messages=[Message("user", str(number))]) for number in range(100))
    results = await asyncio.gather(*runs)
    assert [text_of(updates) for updates in results] == [f"result {1000 + number}" for number in range(100)]


async def test_a_turn_leaves_no_cyclic_garbage() -> None:
    client = ScriptedChatClient(
        lambda messages, _: "ok" if messages[-1].role == "tool" else Reply(calls=(call("add", a=1, b=2),))
    )
    agent = agent_with()
    clock = WallClock()
    async with ToolRunner(clock) as tools:

        async def turn() -> None:
            async for _ in run_loop(agent, USER, client=client, tools=tools, clock=clock):
                pass

        await turn()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await turn()
            await asyncio.sleep(0)
            assert gc.collect() == 0
        finally:
            gc.enable()


async def test_a_finish_reason_of_the_model_is_told() -> None:
    for reason in ("length", "content_filter"):
        updates = await run(agent_with(), ScriptedChatClient([Reply("cut", finish_reason=reason)]))  # type: ignore[arg-type]
        assert last(updates).finish_reason == reason


async def test_an_empty_answer_adds_no_message() -> None:
    assert last(await run(agent_with(), ScriptedChatClient([""]))).messages == ()


async def test_the_callers_history_is_not_changed() -> None:
    history = [Message("user", "one"), Message("user", "two")]
    await run(agent_with(), ScriptedChatClient(["ok"]), messages=history)
    assert history == [Message("user", "one"), Message("user", "two")]


async def test_closing_twice_and_late_is_harmless() -> None:
    clock = WallClock()
    async with ToolRunner(clock) as tools:
        async with aclosing(
            run_loop(agent_with(), USER, client=ScriptedChatClient(["a b"]), tools=tools, clock=clock)
        ) as updates:
            await anext(updates)
        await updates.aclose()


@tool(return_direct=True)
async def book(day: str) -> str:
    """Book."""
    if day == "Sunday":
        raise ToolException("We are closed on Sunday.")
    return f"Booked for {day}."


async def test_a_direct_result_is_the_answer_and_the_model_is_not_asked_again() -> None:
    client = ScriptedChatClient([Reply(calls=(call("book", day="Monday"),))])
    updates = await run(agent_with(book), client)
    assert [update.text for update in updates if update.type == "text"] == ["Booked for Monday."]
    assert [message.role for message in last(updates).messages] == ["assistant", "tool", "assistant"]
    assert len(client.requests) == 1


async def test_words_beside_a_direct_call_are_the_answer() -> None:
    client = ScriptedChatClient([Reply("It is done.", calls=(call("book", day="Monday"),))])
    updates = await run(agent_with(book), client)
    assert "".join(update.text for update in updates if update.type == "text") == "It is done."
    assert len(client.requests) == 1


async def test_a_failed_direct_call_goes_to_the_model() -> None:
    client = ScriptedChatClient([Reply(calls=(call("book", day="Sunday"),)), "How about Monday?"])
    updates = await run(agent_with(book), client)
    assert "".join(update.text for update in updates if update.type == "text") == "How about Monday?"
    assert client.requests[-1].messages[-1].text == "We are closed on Sunday."


async def test_a_direct_result_beside_another_one_goes_to_the_model() -> None:
    reply = Reply(calls=(call("book", day="Monday"), call("add", a=1, b=2)))
    client = ScriptedChatClient([reply, "Booked, and it is three."])
    updates = await run(agent_with(book, add), client)
    assert "".join(update.text for update in updates if update.type == "text") == "Booked, and it is three."
