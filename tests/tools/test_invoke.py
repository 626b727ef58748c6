"""Whatever a tool does, the model gets a result."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pydantic
import pytest
import structlog

from antiphon.agents.runner import ToolRunner
from antiphon.clock import Clock, VirtualClock, WallClock
from antiphon.errors import ToolException
from antiphon.models.llm.content import FunctionCall, FunctionResult, Media, Text
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import FAILED, invoke, to_text
from antiphon.tools.threads import ToolThreads, TooManyAbandoned
from antiphon.tools.tool import FunctionTool, tool


async def call(made: FunctionTool, arguments: Mapping[str, Any] | str = "", **context: Any) -> FunctionResult:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    asked = FunctionCall("c1", made.name, text)
    return await invoke(made, asked, context=ToolContext("c1", **context), known=[made.name])


async def run(made: FunctionTool, *, clock: Clock | None = None) -> FunctionResult:
    """As a conversation runs a call: within the tool's time."""
    async with ToolRunner(clock or WallClock()) as runner:
        group = runner.start({made.name: made}, [FunctionCall("c7", made.name, "")])
        async for _ in group:
            pass
        assert group.results[0] is not None
        return group.results[0]


@tool
async def add(a: int, b: int) -> int:
    return a + b


def test_a_result_carries_the_call_and_the_time_it_took() -> None:
    clock = VirtualClock()

    @tool
    async def slow() -> str:
        await clock.sleep(2)
        return "done"

    assert clock.run(run(slow, clock=clock)) == FunctionResult("c7", "slow", "ok", "done", 2000.0)


async def test_an_unknown_tool_is_told_with_the_known_ones() -> None:
    result = await invoke(None, FunctionCall("c", "sum", "{}"), context=ToolContext(), known=["add"])
    assert result.status == "error"
    assert "'sum'" in result.text
    assert "add" in result.text


@pytest.mark.parametrize("arguments", ["{", '{"a": 1}', '{"a": 1, "b": "x"}', '{"a": 1, "b": 2, "c": 3}'])
async def test_wrong_arguments_reach_the_model_and_the_tool_is_not_called(arguments: str) -> None:
    called = []

    @tool
    async def record(a: int, b: int) -> None:
        called.append((a, b))

    result = await call(record, arguments)
    assert result.status == "error"
    assert "arguments" in result.text
    assert not called


async def test_a_tool_that_raises_gives_no_details_to_the_model_but_all_to_the_log() -> None:
    @tool
    async def broken() -> None:
        raise ValueError("password is hunter2")

    with structlog.testing.capture_logs() as logs:
        result = await call(broken)
    assert (result.status, result.text) == ("error", FAILED)
    assert logs[0]["event"] == "tool.failed"
    assert logs[0]["exc_info"] is True


async def test_the_text_of_a_tool_exception_reaches_the_model() -> None:
    @tool
    async def book() -> None:
        raise ToolException("That day is full; offer Tuesday.")

    result = await call(book)
    assert (result.status, result.text) == ("error", "That day is full; offer Tuesday.")


def test_a_slow_async_tool_is_cancelled_at_its_timeout() -> None:
    clock = VirtualClock()
    cleaned = []

    @tool(timeout_s=3)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    result = clock.run(run(slow, clock=clock))
    assert result.status == "timeout"
    assert "3 s" in result.text
    assert result.duration_ms == 3000
    assert clock.now() == 3
    assert cleaned


async def test_a_timeout_inside_a_tool_is_its_own_failure() -> None:
    @tool
    async def impatient() -> None:
        raise TimeoutError

    assert (await call(impatient)).status == "error"


async def test_a_slow_sync_tool_is_given_up_and_the_loop_is_not_held_up() -> None:
    release = threading.Event()
    ended = threading.Event()

    @tool(timeout_s=0.05)
    def stuck() -> None:
        release.wait(30)
        ended.set()

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticker = asyncio.create_task(tick())
    result = await run(stuck)
    ticker.cancel()
    assert result.status == "timeout"
    assert ticks > 2
    release.set()
    await asyncio.to_thread(ended.wait, 30)


async def test_a_sync_tool_runs_in_a_thread_with_the_callers_context() -> None:
    variable = contextvars.ContextVar("variable", default="")
    variable.set("caller's")

    @tool
    def where() -> str:
        return f"{threading.current_thread().name} {variable.get()}"

    assert (await call(where)).text == "antiphon-tool caller's"


async def test_a_sync_function_that_gives_a_coroutine_is_awaited() -> None:
    async def later() -> str:
        return "later"

    assert (await call(tool(lambda: later(), name="later"))).text == "later"


async def test_the_context_is_handed_in_and_works_from_a_thread_too() -> None:
    said: list[str] = []
    asked: list[str] = []
    loop_thread = threading.current_thread()

    def note(text: str) -> None:
        assert threading.current_thread() is loop_thread
        said.append(text)

    @tool
    def look(word: str, context: ToolContext) -> str:
        context.progress(f"looking for {word}")
        context.request("hang_up", {"reason": word})
        return f"{context.values['number']} {context.call_id} {context.session_id}"

    def ask(name: str, details: Mapping[str, Any]) -> None:
        asked.append(f"{name} {details['reason']}")

    result = await call(look, {"word": "x"}, session_id="s1", values={"number": 5}, progress=note, request=ask)
    assert result.text == "5 c1 s1"
    await asyncio.sleep(0)
    assert (said, asked) == (["looking for x"], ["hang_up x"])


async def test_cancelling_the_invocation_cancels_the_tool() -> None:
    started = asyncio.Event()
    cancelled = []

    @tool
    async def waits() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    task = asyncio.create_task(call(waits))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled


async def test_a_long_result_is_cut_with_a_mark() -> None:
    @tool(max_result_chars=100)
    async def long() -> str:
        return "x" * 1000

    text = (await call(long)).text
    assert len(text) == 100
    assert text.endswith("… [cut: 1000 characters in all]")


@dataclass
class Slot:
    day: date
    price: Decimal


class Model(pydantic.BaseModel):
    name: str = "m"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (3, "3"),
        (None, "null"),
        (["a", 1.5, True], '["a",1.5,true]'),
        (Slot(date(2026, 1, 5), Decimal("9.50")), '{"day":"2026-01-05","price":"9.50"}'),
        ([Model()], '[{"name":"m"}]'),
        ({"ä": "ö"}, '{"ä":"ö"}'),
    ],
)
def test_results_are_text_or_json(value: Any, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize("value", [b"bytes", bytearray(b"x"), object(), [object()]])
async def test_a_result_that_json_cannot_hold_is_an_error(value: Any) -> None:
    @tool
    async def odd() -> Any:
        return value

    assert (await call(odd)).status == "error"


async def test_threads_are_bounded_and_an_abandoned_one_frees_its_place() -> None:
    threads = ToolThreads(1, max_abandoned=1)
    release = threading.Event()
    started = threading.Event()
    loop = asyncio.get_running_loop()

    def stuck() -> str:
        started.set()
        release.wait(30)
        return "late"

    first = loop.run_in_executor(threads, stuck)
    second = loop.run_in_executor(threads, lambda: "second")
    await asyncio.to_thread(started.wait, 30)
    assert not second.done()
    threads.abandon(stuck)
    assert await second == "second"
    assert threads.abandoned == 1
    with pytest.raises(TooManyAbandoned):
        await loop.run_in_executor(threads, lambda: "refused")
    release.set()
    assert await first == "late"
    while threads.abandoned:  # noqa: ASYNC110 (the thread has no way to tell the loop)
        await asyncio.sleep(0)
    assert await loop.run_in_executor(threads, lambda: "again") == "again"


async def test_details_of_a_failure_are_kept_for_people_and_not_for_the_model() -> None:
    @tool
    async def broken() -> None:
        raise ValueError("no such row")

    result = await call(broken)
    assert (result.text, result.exception) == (FAILED, "ValueError: no such row")


async def test_what_a_function_returns_may_be_parsed_for_the_model() -> None:
    @tool(result_parser=lambda rows: f"{len(rows)} rows")
    async def rows() -> list[int]:
        return [1, 2, 3]

    assert (await call(rows)).text == "3 rows"

    @tool(result_parser=lambda rows: 1 / 0)
    async def odd() -> list[int]:
        return []

    assert (await call(odd)).status == "error"


async def test_pictures_and_words_are_told_apart() -> None:
    picture = Media.from_bytes(b"png", "image/png")

    @tool
    async def look() -> list[Text | Media]:
        return [Text("one"), picture, Text("two")]

    @tool
    async def alone() -> Media:
        return picture

    result = await call(look)
    assert (result.text, result.media) == ("one\ntwo", (picture,))
    assert (await call(alone)).media == (picture,)


async def test_a_result_that_a_tool_makes_itself_belongs_to_its_call() -> None:
    @tool
    async def own() -> FunctionResult:
        return FunctionResult("another", "name", "error", "not today")

    result = await call(own)
    assert (result.call_id, result.name, result.status, result.text) == ("c1", "own", "error", "not today")


async def test_a_tool_with_a_schema_of_its_own_gets_what_the_model_gives_and_the_context() -> None:
    async def relay(context: ToolContext, **arguments: Any) -> str:
        return f"{context.call_id} {arguments}"

    schema = {"properties": {"a": {"type": "integer"}}, "required": ["a"]}
    made = FunctionTool(relay, name="relay", schema=schema)
    assert (await call(made, {"a": 1})).text == "c1 {'a': 1}"
    assert (await call(made, {"a": "x"})).status == "error"
    assert made.spec.parameters == {"type": "object", **schema}


async def test_a_key_for_a_call_is_the_same_whenever_it_runs() -> None:
    @tool
    async def key(context: ToolContext) -> str:
        return context.idempotency_key

    assert (await call(key, session_id="s1")).text == "s1:c1"


def test_a_sync_tool_can_ask_whether_anybody_waits() -> None:
    clock = VirtualClock()
    started, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    @tool(timeout_s=300)
    def patient(context: ToolContext) -> None:
        seen.append(context.cancelled())
        started.set()
        while not context.cancelled():
            pass
        seen.append(True)
        ended.set()

    async def main() -> None:
        runner = ToolRunner(clock)
        runner.start({"patient": patient}, [FunctionCall("c", "patient", "")])
        assert await asyncio.to_thread(started.wait, 30)
        await runner.aclose()
        assert await asyncio.to_thread(ended.wait, 30)

    clock.run(main())
    assert seen == [False, True]


async def test_a_sync_tool_adds_tools_on_the_loop() -> None:
    added: list[str] = []
    loop_thread = threading.current_thread()

    def note(tools: Any) -> None:
        assert threading.current_thread() is loop_thread
        added.extend(made.name for made in tools)

    @tool
    def unlock(context: ToolContext) -> None:
        context.add_tools([add])

    await call(unlock, add_tools=note)
    await asyncio.sleep(0)
    assert added == ["add"]
