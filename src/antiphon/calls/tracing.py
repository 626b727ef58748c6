"""The span of a call, below which its agents' spans hang. It exists only where runs are traced."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from antiphon.agents.observability.switch import SWITCH

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class CallTrace:
    """The span of one call."""

    def __init__(self) -> None:
        self._span: Span | None = None
        self._context: Context | None = None

    def begin(self, *, session_id: str, call_id: str, carrier: str, agent: str) -> None:
        """The call is up."""
        tracing = SWITCH.tracing
        if tracing is None:
            return
        from opentelemetry.context import attach
        from opentelemetry.trace import SpanKind, set_span_in_context

        attributes = {
            "session.id": session_id,
            "call.connection.id": call_id,
            "carrier": carrier,
            "transport.type": "phone",
            "agent.name": agent,
        }
        self._span = tracing.tracer.start_span("voice.session", kind=SpanKind.SERVER, attributes=attributes)
        self._context = copy_context()
        self._context.run(attach, set_span_in_context(self._span))

    def context(self) -> Context | None:
        """For a task of the call: a context of its own in which the span is current; None where there is none."""
        return self._context.copy() if self._context is not None else None

    def end(self, *, reason: str, turns: int) -> None:
        """The call is over."""
        if self._span is not None:
            self._span.set_attribute("antiphon.end_reason", reason)
            self._span.set_attribute("antiphon.turns", turns)
            self._span.end()
