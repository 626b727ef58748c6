"""The rules of the tool loop, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from antiphon import Message, tool
from antiphon.agents.history import build_request
from antiphon.agents.limits import RunLimits
from antiphon.agents.runner import ToolRunner
from antiphon.clock import VirtualClock, WallClock
from antiphon.errors import (
    ChatClientInvalidAuthException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
    ToolException,
)
from antiphon.models.llm.content import Content, Filler, FunctionCall, Text, ToolFinished, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import INTERRUPTED
from tests.agents.running import USER, Ran, add, agent_with, check_request, plain, ran, results_of, roles, run_of


def contents_of(done: Ran) -> list[Content]:
    return [content for update in done.updates for content in update.contents]


async def test_a_text_turn_streams_its_words_and_finishes() -> None:
    client = ScriptedChatClient(["Hello there."])
    done = await ran(agent_with(), client)
    assert [update.contents for update in done.updates] == [(Text("Hello "),), (Text("there."),)]
    assert [(update.seq, update.step, update.agent) for update in done.updates] == [(0, 0, "desk"), (1, 0, "desk")]
    assert plain(done.response.messages) == [("assistant", "Hello there.")]
    assert done.response.messages[0].author_name == "desk"
    assert {update.message_id for update in done.updates} == {done.response.messages[0].message_id}
    assert (done.response.text, done.response.usage) == ("Hello there.", Usage(2, 2))
    assert (done.response.finish_reason, done.response.steps) == ("stop", 1)
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

    seen = 0
    async with ToolRunner(WallClock()) as tools:
        async for update in run_of(agent_with(), Client([]), tools).updates():
            assert update.text == f"{seen} "
            seen += 1
            assert len(written) == seen
    assert seen == 50


async def test_a_tool_turn_tells_every_stage_and_gives_a_valid_history() -> None:
    client = ScriptedChatClient([Reply("One moment.", (call("add", a=2, b=3),)), "It is 5."])
    done = await ran(agent_with(), client)
    assert done.kinds == ["text", "text", "function_call", "tool_started", "tool_finished", "text", "text", "text"]
    assert [update.seq for update in done.updates] == list(range(8))
    assert [update.step for update in done.updates] == [0] * 5 + [1] * 3
    assert done.text == done.response.text == "One moment. It is 5."
    asked = FunctionCall("call_1", "add", '{"a":2,"b":3}')
    first, second, third = done.response.messages
    assert first.contents == (Text("One moment."), asked)
    assert second.result is not None
    assert (second.role, second.result.call_id, second.result.name) == ("tool", "call_1", "add")
    assert (second.result.status, second.result.text) == ("ok", "5")
    assert (third.role, third.contents) == ("assistant", (Text("It is 5."),))
    assert done.response.usage == Usage(2 + 4, 2 + 3)
    assert client.requests[1].messages == (Message("system", "Be kind."), *USER, first, second)


async def test_two_slow_tools_run_side_by_side_and_results_stand_in_the_order_of_calls() -> None:
    both = asyncio.Barrier(2)

    @tool
    async def wait(number: int) -> int:
        await both.wait()
        if number == 1:
            await asyncio.sleep(0)
        return number

    client = ScriptedChatClient([Reply(calls=(call("wait", number=1), call("wait", number=2))), "ok"])
    done = await ran(agent_with(wait), client)
    told = [content.result.text for content in contents_of(done) if isinstance(content, ToolFinished)]
    assert told == ["2", "1"]
    assert [result.text for result in done.results] == ["1", "2"]


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
    done = await ran(agent_with(work, limits=RunLimits(max_parallel_tools=2)), client)
    assert most == 2
    assert done.kinds.count("tool_finished") == 7


async def test_r20_a_failing_tool_leaves_the_run_alive() -> None:
    @tool
    async def broken() -> None:
        raise RuntimeError("no")

    client = ScriptedChatClient([Reply(calls=(call("broken"), call("add", a=1, b=1), call("none"))), "Sorry."])
    done = await ran(agent_with(broken, add), client)
    texts = [result.text for result in done.results]
    assert texts[:2] == ["The function failed.", "2"]
    assert "Known functions: broken, add" in texts[2]
    assert done.text == "Sorry."


async def test_calls_without_id_or_with_the_same_id_are_told_apart() -> None:
    class Client(ScriptedChatClient):
        async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
            self.requests.append(options)  # type: ignore[arg-type]
            same = FunctionCall("x", "add", '{"a":1,"b":1}')
            if len(self.requests) < 3:
                yield ChatDelta(calls=(same, same, FunctionCall("", "add", '{"a":2,"b":2}')))
            yield ChatDelta("done", finish_reason="stop")

    done = await ran(agent_with(), Client([]))
    ids = [call.call_id for message in done.response.messages for call in message.calls]
    assert len(set(ids)) == 6
    assert [result.call_id for result in done.results] == ids


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
    done = await ran(agent_with(limits=limits), client)
    assert (done.response.finish_reason, done.response.limit_hit) == ("limit", limit_hit)
    assert len(client.requests) == steps + 1
    assert [request.options.tool_choice for request in client.requests] == ["auto"] * steps + ["none"]
    assert sum(message.role == "tool" for message in client.requests[-1].messages) == steps
    assert plain(done.response.messages)[-1] == ("assistant", "That is all.")
    assert not done.response.messages[-1].calls
    check_request(client.requests[-1].messages)


def test_at_max_seconds_the_run_ends_with_the_text_so_far() -> None:
    clock = VirtualClock()
    client = ScriptedChatClient([Reply("One two three four", token_s=2)], clock=clock)
    done = clock.run(ran(agent_with(limits=RunLimits(max_seconds=5)), client, clock=clock))
    assert clock.now() == 5
    assert done.text == "One two three "
    assert plain(done.response.messages) == [("assistant", "One two three ")]
    assert done.response.limit_hit == "max_seconds"
    assert client.closed == 1


@pytest.mark.parametrize("keep_tools", [True, False])
def test_at_max_seconds_running_calls_are_released_and_the_history_is_valid(keep_tools: bool) -> None:
    clock = VirtualClock()
    late: list[str] = []

    @tool
    async def slow() -> str:
        await clock.sleep(8)
        return "late"

    async def main() -> None:
        tools = ToolRunner(clock, on_result=lambda _call, result: late.append(result.text))
        client = ScriptedChatClient([Reply(calls=(call("slow"), call("add", a=1, b=1)))])
        agent = agent_with(slow, add, limits=RunLimits(max_seconds=5))
        run = run_of(agent, client, tools, keep_tools=keep_tools)
        async for _ in run.updates():
            pass
        assert clock.now() == 5
        assert run.response().limit_hit == "max_seconds"
        assert [pending.name for pending in tools.pending()] == (["slow"] if keep_tools else [])
        texts = [result.text for result in results_of(run.produced)]
        assert texts == (["2"] if keep_tools else [INTERRUPTED, "2"])
        request = build_request("", [*USER, *run.produced])
        check_request(request)
        assert [result.text for result in results_of(request)] == [INTERRUPTED, "2"]
        await clock.sleep(10)
        assert not tools.pending()
        assert tools.idle

    clock.run(main())
    assert late == ["late" if keep_tools else INTERRUPTED]


def test_a_consumer_that_takes_its_time_is_not_cancelled() -> None:
    clock = VirtualClock()

    async def main() -> Ran:
        updates = []
        async with ToolRunner(clock) as tools:
            run = run_of(agent_with(limits=RunLimits(max_seconds=5)), ScriptedChatClient(["One two three"]), tools)
            async for update in run.updates():
                updates.append(update)
                await clock.sleep(4)
        return Ran(updates, run.response())

    done = clock.run(main())
    assert done.text == "One two "
    assert done.response.limit_hit == "max_seconds"


def test_cancelling_the_task_at_its_time_limit_stays_a_cancellation() -> None:
    clock = VirtualClock()

    async def main() -> None:
        agent = agent_with(limits=RunLimits(max_seconds=5))
        client = ScriptedChatClient([Reply("x", fault="stall")])
        task = asyncio.create_task(ran(agent, client, clock=clock))
        clock.call_at(5.0, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    clock.run(main())


async def test_tools_wait_for_the_fence_and_are_not_even_told_before() -> None:
    gate = asyncio.Event()
    booked: list[int] = []

    @tool
    async def book() -> None:
        booked.append(1)

    seen: list[str] = []

    async def consume(tools: ToolRunner) -> None:
        client = ScriptedChatClient([Reply("Booking.", (call("book"),)), "Booked."])

        async def fence() -> None:
            await gate.wait()

        async for update in run_of(agent_with(book), client, tools, fence=fence).updates():
            seen.append(update.contents[0].type)  # noqa: PERF401 (the list is looked at while it grows)

    async with ToolRunner(WallClock()) as tools:
        task = asyncio.create_task(consume(tools))
        for _ in range(20):
            await asyncio.sleep(0)
        assert seen == ["text"]
        assert not booked
        gate.set()
        await task
    assert booked == [1]
    assert seen == ["text", "function_call", "tool_started", "tool_finished", "text"]


def test_a_failed_request_is_sent_again_before_its_first_word() -> None:
    clock = VirtualClock()
    busy = ChatClientUnavailableException("busy", retry_after_s=0.7)
    client = ScriptedChatClient([Reply(fault=busy), "Here."])
    done = clock.run(ran(agent_with(), client, clock=clock))
    assert done.text == "Here."
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
        clock.run(ran(agent_with(), client, clock=clock))
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
            run = run_of(agent, ScriptedChatClient(replies), tools)
            async for update in run.updates():
                if isinstance(update.contents[0], Filler):
                    assert update.text == ""
                    told.append((clock.now(), update.contents[0].text))
            assert "moment" not in "".join(message.text for message in run.produced)

    clock.run(main())
    assert told == [(1.0, "One moment."), (5.0, "Just a second."), (14.0, "Let me look.")]


def test_a_quick_tool_and_an_agent_without_fillers_say_none() -> None:
    clock = VirtualClock()

    @tool
    async def slow() -> None:
        await clock.sleep(4)

    replies = [Reply(calls=(call("slow"),)), Reply(calls=(call("add", a=1, b=1),)), "ok"]
    assert "filler" not in clock.run(ran(agent_with(slow, add), ScriptedChatClient(replies), clock=clock)).kinds


async def test_progress_is_told_at_once() -> None:
    @tool
    async def search(context: ToolContext) -> str:
        context.progress("half way")
        return "found"

    done = await ran(agent_with(search), ScriptedChatClient([Reply(calls=(call("search"),)), "ok"]))
    assert done.kinds[:4] == ["function_call", "tool_started", "tool_progress", "tool_finished"]


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

    async def main() -> str:
        tools = ToolRunner(clock)
        run = run_of(agent_with(stubborn), ScriptedChatClient([Reply(calls=(call("stubborn"),)), "Sorry."]), tools)
        async for _ in run.updates():
            pass
        assert clock.now() == pytest.approx(1.1)
        stop.append(True)
        await tools.aclose()
        return run.produced[1].text

    assert "longer than 1 s" in clock.run(main())


async def test_a_hundred_conversations_on_one_agent_never_mix() -> None:
    def echo(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        if messages[-1].role == "tool":
            return f"result {messages[-1].text}"
        return Reply(calls=(call("add", a=int(messages[-1].text), b=1000),))

    client = ScriptedChatClient(echo, yields=True)
    agent = agent_with()
    runs = (ran(agent, client, messages=[Message("user", str(number))]) for number in range(100))
    results = await asyncio.gather(*runs)
    assert [done.text for done in results] == [f"result {1000 + number}" for number in range(100)]


async def test_a_finish_reason_of_the_model_is_told() -> None:
    for reason in ("length", "content_filter"):
        done = await ran(agent_with(), ScriptedChatClient([Reply("cut", finish_reason=reason)]))  # type: ignore[arg-type]
        assert done.response.finish_reason == reason


async def test_an_empty_answer_adds_no_message() -> None:
    assert (await ran(agent_with(), ScriptedChatClient([""]))).response.messages == ()


async def test_the_callers_history_is_not_changed() -> None:
    history = [Message("user", "one"), Message("user", "two")]
    await ran(agent_with(), ScriptedChatClient(["ok"]), messages=history)
    assert history == [Message("user", "one"), Message("user", "two")]


async def test_closing_twice_and_late_is_harmless() -> None:
    async with ToolRunner(WallClock()) as tools:
        async with aclosing(run_of(agent_with(), ScriptedChatClient(["a b"]), tools).updates()) as updates:
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
    done = await ran(agent_with(book), client)
    assert [update.text for update in done.updates if update.text] == ["Booked for Monday."]
    assert roles(done.response.messages) == ["assistant", "tool", "assistant"]
    assert len(client.requests) == 1


async def test_words_beside_a_direct_call_are_the_answer() -> None:
    client = ScriptedChatClient([Reply("It is done.", calls=(call("book", day="Monday"),))])
    done = await ran(agent_with(book), client)
    assert done.text == "It is done."
    assert len(client.requests) == 1


async def test_a_failed_direct_call_goes_to_the_model() -> None:
    client = ScriptedChatClient([Reply(calls=(call("book", day="Sunday"),)), "How about Monday?"])
    done = await ran(agent_with(book), client)
    assert done.text == "How about Monday?"
    assert client.requests[-1].messages[-1].text == "We are closed on Sunday."


async def test_a_direct_result_beside_another_one_goes_to_the_model() -> None:
    reply = Reply(calls=(call("book", day="Monday"), call("add", a=1, b=2)))
    client = ScriptedChatClient([reply, "Booked, and it is three."])
    done = await ran(agent_with(book, add), client)
    assert done.text == "Booked, and it is three."
