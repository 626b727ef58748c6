"""The span of a tool call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from opentelemetry import context as contexts
from opentelemetry.trace import set_span_in_context

from antiphon.agents.observability.common import fail_as
from antiphon.agents.observability.content import call_arguments, plain
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.observability.spans import RunTrace

_NO_TOOL = "_OTHER"


class CallTrace:
    """Made in the task that runs the call: from then on its span is that task's current one.

    What the tool asks for, also in a thread or of another agent, hangs below it.

    Args:
        trace: Of the run.
        tool: What is called; None when there is no such tool.
        call: The model's call.
    """

    __slots__ = ("_began", "_is_async", "_label", "_span", "_task", "_trace")

    def __init__(self, trace: RunTrace, tool: FunctionTool | None, call: FunctionCall) -> None:
        self._trace = trace
        # The model may make up any number of names; the metrics know those of tools only.
        self._label = _NO_TOOL if tool is None else tool.name
        self._is_async = tool is None or tool.is_async
        self._task = asyncio.current_task()
        attributes = {
            **trace.about,
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.id": call.call_id,
        }
        if tool is not None:
            attributes["gen_ai.tool.type"] = tool.kind
            attributes["gen_ai.tool.description"] = tool.spec.description
            if trace.content:
                attributes["gen_ai.tool.call.arguments"] = call_arguments(call, {tool.name: tool})
        self._span = trace.tracing.tracer.start_span(f"execute_tool {call.name}", trace.context, attributes=attributes)
        # Never detached: the task has a context of its own, which goes with it.
        contexts.attach(set_span_in_context(self._span, trace.context))
        self._began = trace.clock.now()

    def end(self, result: FunctionResult) -> None:
        """The call has its result."""
        trace, span, status = self._trace, self._span, result.status
        labels = {"gen_ai.tool.name": self._label}
        if status in ("error", "timeout"):
            # Somebody else's exception is told as "ValueError: ..."; the rest of it may quote the caller.
            kind = labels["error.type"] = (result.exception or status).partition(":")[0]
            fail_as(span, kind)
        if span.is_recording():
            span.set_attribute("antiphon.tool.status", status)
            if status == "timeout" or status == "interrupted":
                span.set_attribute("antiphon.tool.abandoned", self._is_abandoned(result))
            if trace.content:
                span.set_attribute("gen_ai.tool.call.result", plain(result.text))
        span.end()
        trace.tracing.metrics.tool.record(trace.clock.now() - self._began, labels, trace.context)

    def _is_abandoned(self, result: FunctionResult) -> bool:
        """Whether the tool goes on although nobody waits: a thread, or a task that did not end when it was told to."""
        if not self._is_async:
            return True
        return result.status == "timeout" and asyncio.current_task() is not self._task
