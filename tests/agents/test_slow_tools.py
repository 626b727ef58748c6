"""Tools that take their time: later ones, exclusive ones, and how often one may be called."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from antiphon import Agent, tool
from antiphon.agents.runner import Manner, ToolRunner
from antiphon.agents.session import MAX_WAITING, AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import ToolException
from antiphon.models.llm.content import FunctionCall
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.invoke import PENDING
from tests.agents.running import add, agent_with, check_request, plain, ran, results_of, roles


def test_a_later_tool_is_pending_and_its_result_reaches_the_model_in_the_next_turn() -> None:
    clock = VirtualClock()

    async def main() -> None:
        @tool(wait="later", timeout_s=60)
        async def research(topic: str) -> str:
            await clock.sleep(20)
            return f"all about {topic}"

        client = ScriptedChatClient([Reply(calls=(call("research", topic="owls"),)), "I will see.", "Owls are birds."])
        agent = Agent("desk", tools=[research], model=client)
        session = AgentSession(clock=clock)
        response = await agent.run("What are owls?", session=session)
        assert (response.text, clock.now()) == ("I will see.", 0)
        (result,) = results_of(client.requests[-1].messages)
        assert (result.status, result.text) == ("pending", PENDING)
        assert not session.late
        await clock.sleep(21)
        assert [late.result.text for late in session.late] == ["all about owls"]

        kept = AgentSession.from_dict(session.to_dict())
        assert list(kept.late) == list(session.late)

        assert (await agent.run(None, session=session)).text == "Owls are birds."
        sent = client.requests[-1].messages
        check_request(sent)
        assert roles(sent) == ["user", "assistant", "tool", "assistant", "tool"]
        late_call = sent[-2].calls[-1]
        assert (late_call.name, late_call.arguments) == ("research", '{"topic":"owls"}')
        assert late_call.call_id != "call_1"
        assert [(each.status, each.text) for each in results_of(sent)] == [
            ("pending", PENDING),
            ("ok", "all about owls"),
        ]
        assert not session.late
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


def test_a_later_tool_that_fails_or_is_too_slow_says_so_later() -> None:
    clock = VirtualClock()

    async def main() -> None:
        @tool(wait="later", timeout_s=5)
        async def slow() -> None:
            await clock.sleep(60)

        @tool(wait="later")
        async def fails() -> None:
            raise ToolException("No owls today.")

        client = ScriptedChatClient([Reply(calls=(call("slow"), call("fails"))), "We will see."])
        session = AgentSession(clock=clock)
        await Agent("desk", tools=[slow, fails], model=client).run("?", session=session)
        await clock.sleep(10)
        assert [late.result.status for late in session.late] == ["error", "timeout"]
        assert session.late[0].result.text == "No owls today."

    clock.run(main())


def test_a_later_tool_goes_on_when_its_turn_is_cancelled_and_ends_with_its_session() -> None:
    clock = VirtualClock()

    async def main() -> None:
        @tool(wait="later", timeout_s=60)
        async def research() -> str:
            await clock.sleep(20)
            return "found"

        def client() -> ScriptedChatClient:
            return ScriptedChatClient([Reply(calls=(call("research"),)), Reply("Well", token_s=3, fault="stall")])

        for close in (False, True):
            session = AgentSession(clock=clock)
            task = asyncio.create_task(Agent("desk", tools=[research], model=client()).run("?", session=session))
            await clock.sleep(5)
            task.cancel()
            await asyncio.wait([task])
            if close:
                await session.aclose()
                assert len(asyncio.all_tasks()) == 1
            await clock.sleep(30)
            assert [late.result.text for late in session.late] == ([] if close else ["found"])

    clock.run(main())


async def test_late_results_and_waiting_messages_are_bounded_and_counted() -> None:
    session = AgentSession()
    for number in range(MAX_WAITING + 3):
        session.enqueue(str(number))
    assert len(session.queue) == MAX_WAITING
    assert session.dropped == 3
    assert session.queue[0].text == "3"


@pytest.mark.parametrize("parallel", [1, 2, 8])
def test_exclusive_tools_never_overlap_and_all_start_in_the_order_of_calls(parallel: int) -> None:
    clock = VirtualClock()
    running: list[str] = []
    started: list[str] = []
    most = 0

    async def work(name: str) -> None:
        nonlocal most
        started.append(name)
        running.append(name)
        most = max(most, len(running))
        if any(each.startswith("alone") for each in running):
            assert len(running) == 1
        await clock.sleep(1)
        running.remove(name)

    @tool
    async def many(name: str) -> None:
        await work(name)

    @tool(exclusive=True)
    async def alone(name: str) -> None:
        await work(f"alone {name}")

    names = ["many a", "many b", "alone c", "many d", "alone e", "alone f", "many g", "many h"]
    calls = tuple(call(name.split()[0], name=name.split()[1]) for name in names)
    agent = agent_with(many, alone)

    async def main() -> None:
        async with ToolRunner(clock) as runner:
            asked = [FunctionCall(str(number), each.name, each.arguments) for number, each in enumerate(calls)]
            group = runner.start(agent.toolset, asked, manner=Manner(parallel=parallel))
            async for _ in group:
                pass

    clock.run(main())
    assert started == [name if name.startswith("alone") else name.split()[1] for name in names]
    assert most == min(parallel, 2)


@pytest.mark.parametrize("parallel", [1, 8])
def test_a_later_tool_among_them_changes_nothing_of_that(parallel: int) -> None:
    clock = VirtualClock()
    running: list[str] = []
    overlaps: list[list[str]] = []

    async def work(name: str) -> None:
        running.append(name)
        overlaps.append(list(running))
        await clock.sleep(1)
        running.remove(name)

    @tool(wait="later")
    async def later() -> None:
        await asyncio.sleep(0)

    @tool(exclusive=True)
    async def alone() -> None:
        await work("alone")

    @tool
    async def many() -> None:
        await work("many")

    async def main() -> None:
        async with ToolRunner(clock) as runner:
            names = ["later", "alone", "many", "many"]
            asked = [FunctionCall(str(number), name, "") for number, name in enumerate(names)]
            toolset = agent_with(later, alone, many).toolset
            async for _ in runner.start(toolset, asked, manner=Manner(parallel=parallel)):
                pass

    clock.run(main())
    if parallel == 1:
        assert overlaps == [["alone"], ["many"], ["many"]]
    else:
        assert overlaps == [["alone"], ["many"], ["many", "many"]]


async def test_a_tool_may_be_called_so_often_in_a_run_and_no_more() -> None:
    ran_with: list[int] = []

    @tool(max_calls=2)
    async def dice(number: int) -> int:
        ran_with.append(number)
        return number

    client = ScriptedChatClient(
        [
            Reply(calls=tuple(call("dice", number=number) for number in (1, 2, 3))),
            Reply(calls=(call("dice", number=4), call("add", a=1, b=1))),
            "Enough.",
        ]
    )
    done = await ran(agent_with(dice, add), client)
    assert ran_with == [1, 2]
    assert [result.status for result in done.results] == ["ok", "ok", "error", "error", "ok"]
    assert "often enough" in done.results[2].text
    again = await ran(agent_with(dice, add), ScriptedChatClient([Reply(calls=(call("dice", number=9),)), "ok"]))
    assert [result.status for result in again.results] == ["ok"], "each run counts anew"


async def test_a_tool_may_fail_so_often_in_a_run_and_no_more() -> None:
    tries: list[int] = []

    @tool(max_errors=2)
    async def shaky(number: int) -> int:
        tries.append(number)
        if number < 10:
            raise ToolException("no")
        return number

    numbers = [1, 10, 2, 3]
    client = ScriptedChatClient([*(Reply(calls=(call("shaky", number=number),)) for number in numbers), "Sorry."])
    done = await ran(agent_with(shaky), client)
    assert tries == [1, 10, 2]
    assert "failed often enough" in done.results[-1].text


async def test_a_pending_result_is_no_failure_of_its_tool() -> None:
    @tool(wait="later", max_errors=1)
    async def later(number: int) -> None: ...

    client = ScriptedChatClient([*(Reply(calls=(call("later", number=number),)) for number in (1, 2)), "ok"])
    done = await ran(agent_with(later), client)
    assert [result.status for result in done.results] == ["pending", "pending"]


def test_r21_a_tool_that_is_too_slow_is_told_within_a_tenth_of_a_second() -> None:
    clock = VirtualClock()

    @tool(timeout_s=0.3)
    async def slow() -> None:
        await clock.sleep(2)

    async def main() -> None:
        client = ScriptedChatClient([Reply(calls=(call("slow"), call("add", a=1, b=1))), "Sorry."])
        done = await ran(agent_with(slow, add), client, clock=clock)
        assert clock.now() == pytest.approx(0.3)
        assert [result.status for result in done.results] == ["timeout", "ok"]
        assert plain(done.response.messages)[-1] == ("assistant", "Sorry.")

    clock.run(main())


@pytest.mark.parametrize(("fails", "told"), [(False, "I look up owls."), (True, "One moment.")])
def test_a_filler_may_be_made_of_the_arguments(fails: bool, told: str) -> None:
    clock = VirtualClock()

    def look(arguments: Mapping[str, Any]) -> str:
        return "I look up " + arguments["what" if fails else "topic"] + "."

    async def main() -> None:
        @tool(filler=look)
        async def research(topic: str) -> str:
            await clock.sleep(5)
            return topic

        client = ScriptedChatClient([Reply(calls=(call("research", topic="owls"),)), "Owls."])
        turn = await ran(agent_with(research, fillers=["One moment."]), client, clock=clock)
        assert [each.text for update in turn.updates for each in update.contents if each.type == "filler"] == [told]

    clock.run(main())
