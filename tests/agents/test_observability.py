"""What a run tells OpenTelemetry: the tree of its spans, their attributes, and the metrics."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.trace import SpanKind, get_current_span

from antiphon import Agent, tool
from antiphon.agents.middleware import CallNext, ChatContext
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.models.llm.content import Usage
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import add, run_of
from tests.agents.watching import ADD, Told, agent_of, watched


@pytest.fixture
def told() -> Iterator[Told]:
    with watched() as told:
        yield told


async def test_a_tool_turn_is_a_tree(told: Told) -> None:
    await agent_of(ADD, "It is 5.").run("2+3?")
    assert told.paths() == [
        "invoke_agent desk",
        "invoke_agent desk > chat large",
        "invoke_agent desk > execute_tool add",
        "invoke_agent desk > chat large",
    ]
    assert [span.kind for span in told.spans] == [
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
    ]


async def test_the_runs_span_says_who_answered_and_what_it_took(told: Told) -> None:
    usage = Usage(10, 4, cache_read_tokens=8, reasoning_tokens=3)
    agent = agent_of(ADD, Reply("It is 5.", usage=usage), description="Adds.")
    await agent.run("2+3?", session=AgentSession("ses_1"))
    assert told.one("invoke_agent desk") == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": "desk",
        "gen_ai.agent.name": "desk",
        "gen_ai.agent.version": agent.version,
        "gen_ai.agent.description": "Adds.",
        "gen_ai.conversation.id": "ses_1",
        "gen_ai.request.model": "large",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "antiphon.steps": 2,
        "antiphon.interrupted": False,
    }


def test_a_requests_span_says_what_was_asked_and_answered() -> None:
    clock = VirtualClock()
    reply = Reply("It is 5.", first_token_s=0.25, usage=Usage(10, 4, cache_read_tokens=8, cache_write_tokens=2))
    model = ScriptedChatClient([reply], name="mistral/large", clock=clock)
    model.base_url = "http://10.0.0.5:8080/v1"  # type: ignore[attr-defined]
    options = ChatOptions(temperature=0.5, top_p=0.9, max_tokens=50, stop=("END",))
    with watched() as told:
        clock.run(agent_of(model=model, options=options).run("2+3?", session=AgentSession(clock=clock)))
    assert told.one("chat large") == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "large",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "text",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "server.address": "10.0.0.5",
        "server.port": 8080,
        "antiphon.attempt": 1,
    }


async def test_a_calls_span_says_how_it_went(told: Told) -> None:
    @tool
    async def broken() -> str:
        """Fail."""
        raise KeyError("the caller's name")

    @tool(timeout_s=0.05)
    async def slow() -> str:
        """Wait."""
        await asyncio.sleep(60)
        return ""

    calls = (call("add", a=2, b=3), call("broken"), call("slow"), call("made_up"))
    await agent_of(Reply(calls=calls), "Sorry.", tools=[add, broken, slow]).run("2+3?")
    assert told.one("execute_tool add") == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Add.",
        "gen_ai.tool.call.id": "call_1",
        "antiphon.tool.status": "ok",
    }
    assert told.one("execute_tool broken")["error.type"] == "KeyError"
    slow_call = told.one("execute_tool slow")
    assert (slow_call["antiphon.tool.status"], slow_call["error.type"]) == ("timeout", "timeout")
    assert slow_call["antiphon.tool.abandoned"] is False
    assert told.one("execute_tool made_up")["error.type"] == "error"
    assert "caller's name" not in told.words()
    labels = {
        (point.attributes["gen_ai.tool.name"], point.attributes.get("error.type"))
        for point in told.points("gen_ai.execute_tool.duration")
    }
    assert labels == {("add", None), ("broken", "KeyError"), ("slow", "timeout"), ("_OTHER", "error")}


async def test_a_stream_has_the_same_spans_and_none_for_a_chunk(told: Told) -> None:
    reply = Reply(" ".join(["word"] * 50))
    async for _ in agent_of(ADD, reply).run("2+3?", stream=True):
        # The reader's own spans do not hang below the run's.
        assert not get_current_span().get_span_context().is_valid
    assert told.paths()[0] == "invoke_agent desk"
    assert len(told.spans) == 4
    (first_chunk,) = told.points("gen_ai.client.operation.time_to_first_chunk")
    assert first_chunk.count == 2


async def test_a_handoff_is_a_span(told: Told) -> None:
    billing = agent_of("Billing here.", name="billing", tools=[])
    handoff = Reply(calls=(call("handoff_to_billing", reason="Ada owes 5 pounds."),))
    await agent_of(handoff, handoffs=[billing]).run("My bill?")
    assert told.paths() == [
        "invoke_agent desk",
        "invoke_agent desk > chat large",
        "invoke_agent desk > handoff billing",
        "invoke_agent desk > chat large",
    ]
    assert told.one("handoff billing") == {"antiphon.handoff.source": "desk", "antiphon.handoff.target": "billing"}


async def test_an_agent_as_a_tool_hangs_below_its_call(told: Told) -> None:
    helper = agent_of(ADD, "5", name="helper")
    await agent_of(Reply(calls=(call("helper", task="2+3"),)), "It is 5.", tools=[helper]).run("2+3?")
    below = "invoke_agent desk > execute_tool helper > invoke_agent helper"
    assert told.paths()[2:6] == [
        "invoke_agent desk > execute_tool helper",
        below,
        f"{below} > chat large",
        f"{below} > execute_tool add",
    ]


async def test_what_a_tool_does_hangs_below_its_call_also_in_a_thread(told: Told) -> None:
    tracer = told.tracers.get_tracer("test")

    @tool
    def look() -> str:
        """Look."""
        with tracer.start_as_current_span("query"):
            return "found"

    await agent_of(Reply(calls=(call("look"),)), "Found.", tools=[look]).run("Look.")
    assert "invoke_agent desk > execute_tool look > query" in told.paths()


async def test_the_run_hangs_below_what_is_current(told: Told) -> None:
    with told.tracers.get_tracer("test").start_as_current_span("call"):
        await agent_of("Hello.").run("Hi.")
    assert told.paths() == ["call", "call > invoke_agent desk", "call > invoke_agent desk > chat large"]


def test_an_approval_is_a_span_as_long_as_the_wait() -> None:
    clock = VirtualClock()

    @tool(approval_mode="always_require")
    async def pay() -> str:
        """Pay."""
        return "paid"

    async def main() -> None:
        session = AgentSession(clock=clock)
        agent = agent_of(Reply(calls=(call("pay"),)), "Done.", tools=[pay])
        asked = await agent.run("Pay.", session=session)
        await clock.sleep(90)
        (request,) = asked.user_input_requests
        await agent.run(request.approve(), session=session)

    with watched() as told:
        clock.run(main())
    approval = told.one("approval pay")
    assert approval["antiphon.approval.waiting_s"] == pytest.approx(90)
    assert approval["antiphon.approval.approved"] is True
    assert "invoke_agent desk > execute_tool pay" in told.paths()
    assert "invoke_agent desk > approval pay" in told.paths()


async def test_a_shortened_conversation_is_a_span(told: Told) -> None:
    from antiphon.agents.compaction.sliding_window import SlidingWindow

    agent = agent_of("One.", "Two.", "Three.", compaction=SlidingWindow(keep_turns=1))
    session = AgentSession()
    for _ in range(2):
        await agent.run("And now?", session=session)
    assert not told.named("compaction SlidingWindow")
    await agent.run("And now?", session=session)
    tokens = told.one("compaction SlidingWindow")
    assert tokens["antiphon.compaction.tokens_before"] > tokens["antiphon.compaction.tokens_after"] > 0


async def test_the_client_that_middleware_chooses_is_the_one_that_is_told(told: Told) -> None:
    cheap = ScriptedChatClient(["Hello."], name="openai-responses/small")
    seen: list[object] = []

    async def choose(context: ChatContext, call_next: CallNext) -> None:
        context.client = cheap
        await call_next()
        seen.append(context.client)

    await agent_of("Hello.", middleware=[choose]).run("Hi.")
    assert told.one("chat small")["gen_ai.provider.name"] == "openai"
    assert seen == [cheap]


async def test_metrics_have_the_bounds_of_the_conventions(told: Told) -> None:
    await agent_of(ADD, Reply("It is 5.", usage=Usage(10, 4))).run("2+3?")
    (run,) = told.points("gen_ai.invoke_agent.duration")
    assert run.explicit_bounds[0] == 0.01
    assert run.explicit_bounds[-1] == pytest.approx(81.92)
    assert dict(run.attributes) == {"gen_ai.agent.name": "desk"}
    tokens = {point.attributes["gen_ai.token.type"]: point for point in told.points("gen_ai.client.token.usage")}
    assert tokens["input"].sum == 12
    assert tokens["output"].sum == 4
    assert (tokens["input"].explicit_bounds[0], tokens["input"].explicit_bounds[-1]) == (1, 67_108_864)
    (requests,) = told.points("gen_ai.client.operation.duration")
    assert dict(requests.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "large",
    }


async def test_a_run_of_a_call_is_watched_too(told: Told) -> None:
    from antiphon.agents.runner import ToolRunner
    from antiphon.clock import WallClock

    async with ToolRunner(WallClock()) as tools:
        run = run_of(Agent("desk", tools=[add]), ScriptedChatClient([ADD, "It is 5."]), tools)
        assert [update async for update in run.updates()]
    assert told.paths()[0] == "invoke_agent desk"
    assert len(told.spans) == 4


def test_nothing_of_opentelemetry_is_loaded_when_nobody_watches() -> None:
    code = """
import asyncio, sys
from antiphon import Agent
from antiphon.models.llm.scripted import ScriptedChatClient
asyncio.run(Agent("desk", model=ScriptedChatClient(["Hello."])).run("Hi."))
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert done.stdout == "[]\n", done.stderr
