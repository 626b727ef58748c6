"""The spans of a call: its agents' runs hang below it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from invariants import check
from phone import CallUnderTest, calling

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from antiphon.agents.agent import Agent
from antiphon.agents.observability import disable_instrumentation, enable_instrumentation
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as tool_call
from antiphon.tools.tool import FunctionTool


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider()
    enable_instrumentation(provider, meters)
    yield exporter
    disable_instrumentation()
    provider.shutdown()
    meters.shutdown()


def test_what_agents_and_tools_do_hangs_below_the_call(spans: InMemorySpanExporter) -> None:
    clock = VirtualClock()

    def look_up() -> str:
        """Look up."""
        return "nine"

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(look_up)])
        llm = [Reply(calls=(tool_call("look_up"),)), "At nine.", "Yes."]
        async with calling(clock, agent=agent, stt=["When?", "Sure?"], llm=llm) as call:
            for _ in range(2):
                await call.speak(1)
                await call.quiet(3)
        return call

    check(clock.run(scenario()))
    finished = spans.get_finished_spans()
    (session,) = [span for span in finished if span.name == "voice.session"]
    runs = [span for span in finished if span.name == "invoke_agent tester"]
    assert session.attributes is not None
    assert session.attributes["session.id"] == "session of call-1"
    assert session.attributes["antiphon.end_reason"] == "user_hangup"
    assert session.parent is None
    assert len(runs) == 2
    assert all(run.parent is not None and run.parent.span_id == session.context.span_id for run in runs)
    (tool,) = [span for span in finished if span.name == "execute_tool look_up"]
    assert tool.parent is not None
    assert tool.parent.span_id == runs[0].context.span_id
    assert finished[-1] is session
