"""How a run's spans end: failed, interrupted, cut by a limit; and what is kept of it in the process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.trace import StatusCode

from antiphon import tool
from antiphon.agents.limits import RunLimits
from antiphon.agents.observability import disable_instrumentation, keep_runs
from antiphon.agents.observability.records import RunRecords
from antiphon.errors import AgentException, ChatClientInvalidAuthException, ChatClientUnavailableException
from antiphon.models.llm.scripted import Reply, call
from tests.agents.watching import ADD, Told, agent_of, watched


@pytest.fixture
def told() -> Iterator[Told]:
    with watched() as told:
        yield told


async def test_each_attempt_is_a_span_and_the_failed_one_says_why(told: Told) -> None:
    overloaded = Reply(fault=ChatClientUnavailableException("Busy.", code="rate_limited", retry_after_s=0.0))
    await agent_of(overloaded, ADD, "It is 5.").run("2+3?")
    requests = told.named("chat large")
    assert [request["antiphon.attempt"] for request in requests] == [1, 2, 1]
    assert [request.get("error.type") for request in requests] == ["rate_limited", None, None]
    durations = told.points("gen_ai.client.operation.duration")
    assert {point.attributes.get("error.type"): point.count for point in durations} == {None: 2, "rate_limited": 1}


async def test_a_failed_run_says_so(told: Told) -> None:
    refused = Reply(fault=ChatClientInvalidAuthException("The key sk-secret was refused.", code="auth"))
    with pytest.raises(ChatClientInvalidAuthException):
        await agent_of(refused).run("2+3?")
    assert {span.status.status_code for span in told.spans} == {StatusCode.ERROR}
    assert [dict(span.attributes or {})["error.type"] for span in told.spans] == ["auth", "auth"]
    assert told.one("invoke_agent desk")["antiphon.interrupted"] is False
    assert "sk-secret" not in told.words()


async def test_a_run_that_does_not_begin_ends_its_span(told: Told) -> None:
    class Forgetful:
        source_id = "notes"

        async def before_run(self, context: object) -> None:
            raise LookupError

        async def after_run(self, context: object, response: object, error: object) -> None: ...

    with pytest.raises(AgentException):
        await agent_of("Hello.", context_providers=[Forgetful()]).run("Hi.")
    assert told.one("invoke_agent desk")["error.type"] == "provider_failed"


async def test_an_interruption_is_no_error(told: Told) -> None:
    stream = agent_of(Reply(" ".join(["word"] * 50))).run("Tell me.", stream=True)
    async with stream:
        async for _ in stream:
            break
    assert told.one("invoke_agent desk")["antiphon.interrupted"] is True
    assert told.one("chat large")["antiphon.interrupted"] is True
    assert {span.status.status_code for span in told.spans} == {StatusCode.UNSET}


async def test_a_cancelled_tool_ends_its_span(told: Told) -> None:
    began = asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait."""
        began.set()
        await asyncio.sleep(60)
        return ""

    task = asyncio.create_task(agent_of(Reply(calls=(call("wait"),)), tools=[wait]).run("Go."))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told.one("execute_tool wait")["antiphon.tool.status"] == "interrupted"
    assert told.one("execute_tool wait")["antiphon.tool.abandoned"] is False
    assert told.one("invoke_agent desk")["antiphon.interrupted"] is True


async def test_a_limit_is_told(told: Told) -> None:
    agent = agent_of(ADD, "Enough.", limits=RunLimits(max_model_steps=1))
    await agent.run("2+3?")
    assert told.one("invoke_agent desk")["antiphon.limit_hit"] == "max_model_steps"


@pytest.fixture
def runs() -> Iterator[RunRecords]:
    yield keep_runs(2)
    disable_instrumentation()


async def test_records_of_runs_are_a_ring(runs: RunRecords) -> None:
    agent = agent_of("Hello.", ADD, "It is 5.", Reply(fault=ChatClientInvalidAuthException("No.", code="auth")))
    await agent.run("Hi.")
    await agent.run("2+3?")
    with pytest.raises(ChatClientInvalidAuthException):
        await agent.run("And now?")
    answered, failed = runs
    assert [(each.name, each.status) for each in answered.calls] == [("add", "ok")]
    assert (answered.steps, answered.finish, answered.error, answered.text) == (2, "stop", None, "")
    assert (failed.finish, failed.error) == ("error", "auth")
