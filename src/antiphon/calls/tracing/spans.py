"""Spans with the times that stand in a call's log."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from antiphon.calls.log import CallLog

if TYPE_CHECKING:
    from opentelemetry.context import Context as SpanContext
    from opentelemetry.trace import Span

    from antiphon.agents.observability.spans import Tracing


@dataclass(slots=True)
class Turn:
    """A turn that is open: the caller's from the first sound on, the agent's from its first word on.

    Attributes:
        span: Its span.
        below: In which the spans of its stages are made.
        context: In which its tasks run.
        start: When it began, in call seconds.
        number: As in the log, once it is known to be a turn.
        has_words: Whether anything was understood.
        characters: Given to the voice.
        audio_s: That the caller spoke.
    """

    span: Span
    below: SpanContext
    context: Context
    start: float
    number: int | None = None
    has_words: bool = False
    characters: int = 0
    audio_s: float = 0.0

    def count_as(self, number: int) -> None:
        """It is a turn of the log."""
        self.number = number
        self.span.set_attribute("turn.number", number)


class CallSpans:
    """Makes the spans of one call.

    Args:
        tracing: The process's.
        log: The call's.
        about: What stands on every span; it may change.
        models: The call's, by role.
        below: The context of the call's own span.
        context: In which the call's tasks run.
    """

    def __init__(
        self,
        tracing: Tracing,
        log: CallLog,
        *,
        about: Mapping[str, str],
        models: Mapping[str, str],
        below: SpanContext,
        context: Context,
    ) -> None:
        self._tracing = tracing
        self._log = log
        self._about = about
        self._models = models
        self._below = below
        self._context = context

    def open_turn(self, at: float) -> Turn:
        """The span of a turn that began at ``at`` (call seconds)."""
        from opentelemetry.trace import set_span_in_context

        span = self._tracing.tracer.start_span(
            "voice.turn", self._below, attributes=self._about, start_time=self.time(at)
        )
        below = set_span_in_context(span, self._below)
        return Turn(span, below, current_in(below, self._context), at)

    def stage(
        self,
        name: str,
        turn: Turn | None,
        start: float,
        end: float,
        *,
        attributes: Mapping[str, Any] | None = None,
        told: Mapping[str, float] | None = None,
        asks: bool = False,
    ) -> None:
        """A span that is over, below its turn's or the call's.

        Args:
            name: Its name.
            turn: To which it belongs.
            start: In call seconds, as the ``end``.
            end: When it was over.
            attributes: Besides those of every span.
            told: Its events, with their times.
            asks: Whether somebody else's service was asked.
        """
        from opentelemetry.trace import SpanKind

        number = {"turn.number": turn.number} if turn is not None and turn.number is not None else {}
        span = self._tracing.tracer.start_span(
            name,
            turn.below if turn is not None else self._below,
            kind=SpanKind.CLIENT if asks else SpanKind.INTERNAL,
            attributes={**self._about, **number, **(attributes or {})},
            start_time=self.time(start),
        )
        for event, at in (told or {}).items():
            span.add_event(event, timestamp=self.time(at))
        span.end(self.time(end))

    def measure(self, name: str, value_ms: float, model: str | None = None) -> None:
        """Count a duration in the histogram of a stage, for the ``model`` that did it, where one did."""
        labels = {
            "agent": self._about["agent.name"],
            "mode": "realtime" if self.one_model_holds_it else "cascade",
            "carrier": self._about["carrier"],
        }
        if model:
            provider, _, name_of_model = model.partition("|")[0].partition("/")
            labels |= {"provider": provider, "model": name_of_model or provider}
        self._tracing.metrics.stage(name).record(max(0.0, value_ms), labels)

    def model(self, role: str, answered: Mapping[str, str] | None = None) -> str:
        """Who does a part of a turn, or who ``answered``: one model all of them, where it holds the call."""
        role = "s2s" if self.one_model_holds_it else role
        return (answered or {}).get(role) or self._models.get(role, "")

    def time(self, at: float) -> int:
        """A time of the call as spans tell it."""
        return nanoseconds(self._log, at)

    def asked(self, role: str) -> dict[str, str]:
        """Whom a stage asks, which is the model that holds the call, where one does; nothing where nobody is there."""
        provider, _, model = self.model(role).partition("|")[0].partition("/")
        role = "s2s" if self.one_model_holds_it else role
        return {"peer.service": provider, f"{role}.model": model or provider} if provider else {}

    def said(self, name: str, text: str) -> dict[str, str]:
        """Words of people, where spans may hold them at all."""
        if not self._tracing.content or not text:
            return {}
        from antiphon.agents.observability.content import plain

        return {name: plain(text)}

    @property
    def one_model_holds_it(self) -> bool:
        """Whether one model hears, thinks and speaks."""
        return "s2s" in self._models


def nanoseconds(log: CallLog, at: float) -> int:
    """A time of the call, in seconds since its start, as spans tell it; sound that came with the call began with it."""
    return round(log.started_at.timestamp() * 1e9) + round(max(0.0, at) * 1e9)


def current_in(below: SpanContext, context: Context) -> Context:
    """A copy of a context for tasks, in which a span is the current one."""
    from opentelemetry.context import attach

    context = context.copy()
    context.run(attach, below)
    return context
