"""However a run is left, every model's stream is closed at once and no task stays; ``Cast.run`` looks at both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from antiphon.agents.orchestrations.concurrent import Concurrent
from antiphon.agents.orchestrations.contract import OrchestrationEvent
from antiphon.agents.orchestrations.group_chat import GroupChat
from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.orchestrations.planner import Planner
from antiphon.agents.orchestrations.sequential import Sequential
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.scripted import Reply
from tests.agents.orchestrations.helpers import Cast, said

SLOW = Reply("one two three four five six", token_s=1.0)
BOUND_S = 0.05

Made = Callable[[Cast], Orchestration]


def cast_of(*names: str) -> Cast:
    return Cast({name: [SLOW, SLOW] for name in names})


MAKERS: list[Made] = [
    lambda cast: Sequential([cast["a"], cast["b"]], name="sequential"),
    lambda cast: Concurrent([cast["a"], cast["b"]], name="concurrent"),
    lambda cast: GroupChat([cast["a"]], select=cast["b"], name="group_chat"),
    lambda cast: Planner([cast["a"]], manager=cast["b"], name="planner"),
    lambda cast: Sequential([Concurrent([cast["a"], cast["b"]])], name="nested"),
]
each_kind = pytest.mark.parametrize("make", MAKERS, ids=["sequential", "concurrent", "group_chat", "planner", "nested"])


async def first_words(events: AsyncIterator[OrchestrationEvent]) -> None:
    async for event in events:
        if event.type == "intermediate":
            return


def opened(cast: Cast) -> int:
    return sum(client.opened for client in cast.clients.values())


@each_kind
def test_closing_the_events_ends_all(make: Made) -> None:
    cast = cast_of("a", "b")

    async def main() -> None:
        events = make(cast).events("Go.", session=cast.session())
        await first_words(events)
        before = cast.clock.now()
        await events.aclose()
        assert cast.clock.now() - before <= BOUND_S

    cast.run(main())
    assert opened(cast)


@each_kind
def test_a_break_that_drops_the_events_ends_all(make: Made) -> None:
    cast = cast_of("a", "b")

    async def main() -> None:
        async for event in make(cast).events("Go.", session=cast.session()):
            if event.type == "intermediate":
                break
        before = cast.clock.now()
        await asyncio.sleep(BOUND_S)
        assert all(client.opened == client.closed for client in cast.clients.values())
        assert cast.clock.now() - before == pytest.approx(BOUND_S)

    cast.run(main())


@each_kind
def test_a_stream_that_is_dropped_ends_all(make: Made) -> None:
    cast = cast_of("a", "b")

    async def main() -> None:
        async for _ in make(cast).run("Go.", stream=True, session=cast.session()):
            break
        await asyncio.sleep(BOUND_S)

    cast.run(main())


@each_kind
def test_cancelling_the_task_ends_all(make: Made) -> None:
    cast = cast_of("a", "b")

    async def main() -> None:
        task = asyncio.create_task(make(cast).run("Go.", session=cast.session()))
        await asyncio.sleep(0.5)
        assert opened(cast)
        before = cast.clock.now()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cast.clock.now() - before <= BOUND_S

    cast.run(main())


@each_kind
def test_ending_the_session_ends_the_run_and_its_reader_is_told(make: Made) -> None:
    cast = cast_of("a", "b")

    async def main() -> list[str]:
        session = cast.session()
        seen: list[str] = []

        async def read() -> None:
            async with aclosing(make(cast).events("Go.", session=session)) as events:
                async for event in events:
                    seen.append(event.type)  # noqa: PERF401 (read one by one)

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.5)
        await session.aclose()
        await reader
        assert not session.busy
        return seen

    assert cast.run(main())[-1] == "cancelled"


def test_who_watches_is_told_of_a_run_that_nobody_reads() -> None:
    cast = cast_of("a")
    seen: list[str] = []
    team = Sequential([cast["a"]], on_event=lambda event: seen.append(event.type))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await team.run("Go.", session=cast.session())

    cast.run(main())
    assert seen == ["started", "executor_invoked", "intermediate", "cancelled"]


def test_the_next_run_closes_a_stream_that_nobody_reads_and_refuses_one_that_is_read() -> None:
    cast = cast_of("a")
    team = Sequential([cast["a"]])

    async def main() -> None:
        session = cast.session()
        kept = team.events("First.", session=session)
        await first_words(kept)
        second = asyncio.create_task(team.run("Second.", session=session))
        await asyncio.sleep(0.5)
        with pytest.raises(AgentInvalidRequestException, match="busy"):
            await team.run("Third.", session=session)
        assert (await second).text == SLOW.text
        assert [event async for event in kept] == []

    cast.run(main())


def test_of_an_interrupted_answer_the_heard_part_is_kept() -> None:
    cast = Cast({"a": ["A draft."], "b": [SLOW]})

    async def main() -> list[tuple[str | None, str]]:
        session = cast.session()
        stream = Sequential([cast["a"], cast["b"]], name="team").run("Go.", stream=True, session=session)
        async for update in stream:
            if update.text == "three ":
                break
        await stream.interrupt(heard_text="one two")
        assert session.messages[-1].interrupted
        assert session.messages[-1].generated_text == "one two three "
        return said(session.messages)

    assert cast.run(main()) == [(None, "Go."), ("a", "A draft."), ("team", "one two")]


def test_a_watcher_that_fails_is_no_part_of_the_run() -> None:
    def fail(event: OrchestrationEvent) -> None:
        raise ValueError(event.type)

    cast = Cast({"a": ["Yes."]})
    assert cast.run(Sequential([cast["a"]], on_event=fail).run("Go.", session=cast.session())).text == "Yes."


def test_who_leaves_at_the_event_of_a_failure_is_told_nothing_more() -> None:
    cast = Cast({"a": [Reply(fault="garbage")]})

    async def main() -> str:
        async with aclosing(Sequential([cast["a"]]).events("Go.", session=cast.session())) as events:
            async for event in events:
                if event.type == "failed":
                    break
        return event.type

    assert cast.run(main()) == "failed"


@each_kind
def test_cancelled_at_any_moment_it_leaves_nothing(make: Made) -> None:
    for tenths in range(0, 90, 7):
        cast = cast_of("a", "b")

        async def main(cast: Cast = cast, after_s: float = tenths / 10) -> None:
            task = asyncio.create_task(make(cast).run("Go.", session=cast.session()))
            await asyncio.sleep(after_s)
            task.cancel()
            await asyncio.wait({task})

        cast.run(main())


def test_who_leaves_at_the_outcome_finds_it_written_once() -> None:
    cast = Cast({"a": ["The answer."]})

    async def main() -> list[tuple[str | None, str]]:
        session = cast.session()
        async with aclosing(Sequential([cast["a"]]).events("Go.", session=session)) as events:
            async for event in events:
                if event.type == "output":
                    break
        return said(session.messages)

    assert cast.run(main()) == [(None, "Go."), ("a", "The answer.")]


def test_a_cancelled_run_gives_the_words_so_far() -> None:
    cast = cast_of("a")

    async def main() -> tuple[str, str]:
        stream = Sequential([cast["a"]]).run("Go.", stream=True, session=cast.session())
        async for update in stream:
            if update.text == "two ":
                break
        await stream.aclose()
        response = await stream.get_final_response()
        return response.text, response.finish_reason

    assert cast.run(main()) == ("one two ", "interrupted")
