"""The trace of a call."""

from __future__ import annotations

from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING

from antiphon.agents.observability.switch import SWITCH
from antiphon.calls import events
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.tracing.spans import CallSpans, current_in, nanoseconds
from antiphon.calls.tracing.turns import TurnSpans

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from antiphon.agents.observability.spans import Tracing

_BROWSER = frozenset({"realtime", "webrtc"})
"""Protocols that pages speak; all others are telephone lines."""


class CallTrace:
    """Reads the log of a call and makes its spans, where anybody wants them.

    Args:
        log: The call's.
    """

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._span: Span | None = None
        self._context: Context | None = None
        self._turns: TurnSpans | None = None
        if SWITCH.tracing is not None:
            log.subscribe(partial(self._read, SWITCH.tracing))

    def context(self) -> Context | None:
        """For a task of the call: a context of its own, in which its turn's or the call's span is current."""
        turn = self._turns.context if self._turns is not None else None
        context = turn or self._context
        return context.copy() if context is not None else None

    def _read(self, tracing: Tracing, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, events.SessionStarted):
            self._begin(tracing, event)
        if self._turns is not None:
            self._turns.read(entry)
        if isinstance(event, events.SessionUsage):
            self._used(event)
        elif isinstance(event, events.SessionEnded):
            self._end(entry.at, event)

    def _begin(self, tracing: Tracing, event: events.SessionStarted) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        from antiphon.agents.observability.common import with_about

        about = {
            "session.id": event.session_id,
            "call.connection.id": event.call_id,
            "carrier": event.carrier,
            "transport.type": "browser" if event.carrier in _BROWSER else "phone",
            "agent.name": event.agent,
        }
        self._span = tracing.tracer.start_span(
            "voice.session", kind=SpanKind.SERVER, attributes=about, start_time=nanoseconds(self._log, 0.0)
        )
        below = with_about(about, set_span_in_context(self._span))
        context = self._context = current_in(below, copy_context())
        spans = CallSpans(tracing, self._log, about=about, models=event.models, below=below, context=context)
        self._turns = TurnSpans(spans, about)

    def _used(self, event: events.SessionUsage) -> None:
        if self._span is not None:
            self._span.set_attribute("gen_ai.usage.input_tokens", event.llm_input_tokens)
            self._span.set_attribute("gen_ai.usage.output_tokens", event.llm_output_tokens)
            self._span.set_attribute("antiphon.tts_characters", event.tts_characters)
            self._span.set_attribute("antiphon.stt_audio_s", event.stt_audio_s)

    def _end(self, at: float, event: events.SessionEnded) -> None:
        if self._span is not None:
            self._span.set_attribute("antiphon.end_reason", event.reason)
            self._span.set_attribute("antiphon.turns", event.turns)
            self._span.end(nanoseconds(self._log, at))
