"""What runs tell OpenTelemetry, kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from antiphon import Agent
from antiphon.agents.observability import disable_instrumentation, enable_instrumentation
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import add

METRICS = (
    "gen_ai.client.operation.duration",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.client.token.usage",
    "gen_ai.invoke_agent.duration",
    "gen_ai.execute_tool.duration",
)


ADD = Reply(calls=(call("add", a=2, b=3),))


def agent_of(*replies: str | Reply, **options: Any) -> Agent:
    """A desk that can add, with a scripted model that says these."""
    model = ScriptedChatClient(replies, name="mistral/large")
    return Agent(**{"name": "desk", "instructions": "Be kind.", "tools": [add], "model": model, **options})


class Told:
    """The spans and metrics so far."""

    def __init__(self) -> None:
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self._exporter = InMemorySpanExporter()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self) -> list[ReadableSpan]:
        """In the order of their beginning."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[dict[str, Any]]:
        """The attributes of all spans of a name."""
        return [dict(span.attributes or {}) for span in self.spans if span.name == name]

    def one(self, name: str) -> dict[str, Any]:
        """The attributes of the only span of a name."""
        (attributes,) = self.named(name)
        return attributes

    def paths(self) -> list[str]:
        """Each span with those above it, in the order of their beginning."""
        by_id = {span.context.span_id: span for span in self.spans if span.context is not None}

        def path(span: ReadableSpan) -> str:
            above = by_id.get(span.parent.span_id) if span.parent is not None else None
            return span.name if above is None else f"{path(above)} > {span.name}"

        return [path(span) for span in self.spans]

    def words(self) -> str:
        """All that left the process, as one text, without ids and times."""
        told = [[span.name, dict(span.attributes or {}), span.events, span.status.description] for span in self.spans]
        return repr([*told, *[dict(point.attributes) for metric in METRICS for point in self.points(metric)]])

    def points(self, metric: str) -> list[Any]:
        """The data points of a histogram."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data is not None else [])
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        ]


@contextmanager
def watched(*, content: bool = False) -> Iterator[Told]:
    """Watch all runs of the block."""
    told = Told()
    enable_instrumentation(told.tracers, told.meters, content=content)
    try:
        yield told
    finally:
        disable_instrumentation()
