"""What a run may use, and how it ends when that is used up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.limits import RunLimits
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import add, agent_with, check_request, plain, ran, results_of


@pytest.mark.parametrize("field", ["max_model_steps", "max_tool_calls", "max_seconds", "max_result_chars"])
def test_a_limit_is_more_than_nothing(field: str) -> None:
    changes: dict[str, Any] = {field: 0}
    with pytest.raises(ValueError, match=field):
        RunLimits(**changes)
    assert RunLimits(max_handoffs=0).max_handoffs == 0


def test_a_caller_on_the_line_waits_less() -> None:
    voice, text = RunLimits.voice(), RunLimits()
    assert (voice.max_model_steps, voice.max_seconds, voice.max_handoffs) == (5, 90.0, 3)
    assert (text.max_model_steps, text.max_seconds, text.max_handoffs) == (10, 600.0, 5)
    assert voice.max_result_chars < text.max_result_chars


async def test_calls_beyond_the_limit_do_not_run_even_in_the_same_step() -> None:
    numbers: list[int] = []

    @tool
    async def count(number: int) -> int:
        numbers.append(number)
        return number

    replies = [Reply(calls=tuple(call("count", number=number) for number in range(5))), "Enough."]
    done = await ran(agent_with(count, limits=RunLimits(max_tool_calls=3)), ScriptedChatClient(replies))
    assert numbers == [0, 1, 2]
    assert [result.status for result in done.results] == ["ok"] * 3 + ["error"] * 2
    assert (done.response.limit_hit, done.text) == ("max_tool_calls", "Enough.")


async def test_limits_of_a_run_go_before_those_of_the_agent() -> None:
    def always(_messages: Sequence[Message], options: ChatOptions) -> Reply:
        return Reply("Done." if options.tool_choice == "none" else "", (call("add", a=1, b=1),))

    agent = Agent("desk", tools=[add], model=ScriptedChatClient(always), limits=RunLimits(max_model_steps=5))
    assert (await agent.run("?")).steps == 6
    response = await agent.run("?", limits=RunLimits(max_model_steps=2))
    assert (response.steps, response.finish_reason, response.limit_hit) == (3, "limit", "max_model_steps")
    check_request(response.messages)


async def test_one_good_call_in_a_step_is_no_failed_step() -> None:
    bad, good = call("add", a="x"), call("add", a=1, b=1)
    replies = [Reply(calls=(bad, bad)), Reply(calls=(bad, good)), Reply(calls=(bad,)), "ok"]
    done = await ran(agent_with(limits=RunLimits(max_consecutive_errors=2)), ScriptedChatClient(replies))
    assert done.response.finish_reason == "stop"


async def test_a_long_result_is_cut_at_the_runs_limit_unless_the_tool_has_its_own() -> None:
    @tool
    async def long() -> str:
        return "x" * 500

    @tool(max_result_chars=300)
    async def own() -> str:
        return "x" * 500

    client = ScriptedChatClient([Reply(calls=(call("long"), call("own"))), "ok"])
    done = await ran(agent_with(long, own, limits=RunLimits(max_result_chars=120)), client)
    assert [len(result.text) for result in done.results] == [120, 300]


def test_at_max_seconds_a_streamed_and_an_awaited_run_end_alike() -> None:
    clock = VirtualClock()

    async def main() -> None:
        for stream in (False, True):
            client = ScriptedChatClient([Reply("One two three four", token_s=2)], clock=clock)
            agent = Agent("desk", model=client, limits=RunLimits(max_seconds=5))
            session = AgentSession(clock=clock)
            begun = clock.now()
            response = await (
                agent.run("?", stream=True, session=session).get_final_response()
                if stream
                else agent.run("?", session=session)
            )
            assert clock.now() - begun == 5
            assert (response.text, response.limit_hit) == ("One two three ", "max_seconds")
            assert plain(session.messages) == [("user", "?"), ("assistant", "One two three ")]
            assert client.closed == 1

    clock.run(main())


def test_at_max_seconds_running_tools_are_cancelled_and_have_their_results() -> None:
    clock = VirtualClock()

    async def main() -> None:
        @tool(timeout_s=60)
        async def slow() -> None:
            await clock.sleep(30)

        client = ScriptedChatClient([Reply(calls=(call("slow"), call("add", a=1, b=1))), "Yes?"])
        agent = Agent("desk", tools=[slow, add], model=client, limits=RunLimits(max_seconds=5))
        session = AgentSession(clock=clock)
        assert (await agent.run("?", session=session)).limit_hit == "max_seconds"
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert [result.status for result in results_of(session.messages)] == ["interrupted", "ok"]
        await agent.run("Stop.", session=session)
        check_request(client.requests[-1].messages)

    clock.run(main())


def test_two_runs_at_once_on_one_session_are_one_too_many() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient(lambda _messages, _options: Reply("One two three", token_s=1), clock=clock)
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock)
        for left_open in (False, True):
            if left_open:
                async for _ in (kept := agent.run("?", stream=True, session=session)):
                    break
            runs = await asyncio.gather(*(agent.run("?", session=session) for _ in range(3)), return_exceptions=True)
            busy = [run for run in runs if isinstance(run, AgentInvalidRequestException)]
            assert [each.code for each in busy] == ["session_busy"] * 2
            assert not session.busy
            if left_open:
                await kept.aclose()
        assert client.opened == client.closed

    clock.run(main())
