"""The spans of a call: one trace, whose root is the call and whose turns hold all that was done for them.

They exist only where runs are traced. The turns and their stages are made from the call's log, with the times that
stand there; what agents do hangs below the turn for which they do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from antiphon.agents.observability.switch import SWITCH
from antiphon.calls import events
from antiphon.calls.log import CallLog, Entry

if TYPE_CHECKING:
    from opentelemetry.context import Context as SpanContext
    from opentelemetry.trace import Span, SpanKind

    from antiphon.agents.observability.spans import Tracing

_BROWSER = frozenset({"realtime", "webrtc"})
"""Protocols that pages speak; all others are telephone lines."""

_STARTED: ContextVar[tuple[CallLog, events.SessionStarted] | None] = ContextVar("started", default=None)
"""What the call of this task has just written into its log, where its turns are to be traced."""


def trace_turns(log: CallLog) -> None:
    """A watcher of new calls: the call that writes this log gets spans for its turns."""
    if SWITCH.tracing is None:
        return

    def read(entry: Entry) -> None:
        # Told in the call's own task, just before its trace begins.
        if isinstance(entry.event, events.SessionStarted):
            _STARTED.set((log, entry.event))

    log.subscribe(read)


class CallTrace:
    """The trace of one call."""

    def __init__(self) -> None:
        self._span: Span | None = None
        self._context: Context | None = None
        self._turns: TurnSpans | None = None

    def begin(self, *, session_id: str, call_id: str, carrier: str, agent: str) -> None:
        """The call is up."""
        tracing = SWITCH.tracing
        if tracing is None:
            return
        from opentelemetry.trace import SpanKind, set_span_in_context

        about = {
            "session.id": session_id,
            "call.connection.id": call_id,
            "carrier": carrier,
            "transport.type": "browser" if carrier in _BROWSER else "phone",
            "agent.name": agent,
        }
        log, started = _STARTED.get() or (None, None)
        is_ours = started is not None and started.session_id == session_id
        start = nanoseconds(log, 0.0) if log is not None and is_ours else None
        self._span = tracing.tracer.start_span(
            "voice.session", kind=SpanKind.SERVER, attributes=about, start_time=start
        )
        below = set_span_in_context(self._span)
        self._context = _current_in(below)
        if log is not None and started is not None and is_ours:
            self._turns = TurnSpans(tracing, log, self._span, below, about=about, models=started.models)
            log.subscribe(self._turns.read)

    def context(self) -> Context | None:
        """For a task of the call: a context of its own, in which its turn's or the call's span is current."""
        turn = self._turns.context if self._turns is not None else None
        context = turn or self._context
        return context.copy() if context is not None else None

    def end(self, *, reason: str, turns: int) -> None:
        """The call is over."""
        if self._span is not None:
            self._span.set_attribute("antiphon.end_reason", reason)
            self._span.set_attribute("antiphon.turns", turns)
            self._span.end(self._turns.ended_at if self._turns is not None else None)


@dataclass(slots=True)
class _Turn:
    """A turn that is open: the caller's from the first sound on, the agent's from its first word on."""

    span: Span
    below: SpanContext
    context: Context
    start: float
    number: int | None = None
    has_words: bool = False
    characters: int = 0
    audio_s: float = 0.0


@dataclass(slots=True)
class _Speech:
    """Something that the agent says."""

    kind: str
    turn: _Turn | None
    first_text_at: float | None = None
    first_sound_at: float | None = None
    clauses: int = 0
    characters: int = 0


class BargeIns:
    """Finds in a call's log how long the agent goes on when the caller takes the floor."""

    def __init__(self) -> None:
        self._agent_speaks = False
        self._heard_at: float | None = None  # the caller, over the agent
        self._silent_at: float | None = None  # the agent, since then

    def read(self, entry: Entry) -> tuple[float, float] | None:
        """Take the next entry.

        Returns:
            Of a barge-in that this entry ends: when the caller was heard, and when the agent's last sound was sent, in
            call seconds.
        """
        at, event = entry.at, entry.event
        if isinstance(event, events.AgentStateChanged):
            self._agent_speaks = event.new_state == "speaking"
            self._silent_at = None if self._agent_speaks else self._silent_at or at
        elif isinstance(event, events.UserSpeechStarted):
            if self._agent_speaks and self._heard_at is None:
                self._heard_at, self._silent_at = at, None
        elif isinstance(event, events.AgentSpeechInterrupted):
            heard_at, self._heard_at = self._heard_at, None
            if heard_at is not None:
                return heard_at, at if self._silent_at is None else self._silent_at
        elif isinstance(event, events.UserBackchannel):
            if not event.is_interruption:
                self._heard_at = None
        elif isinstance(event, (events.AgentFalseInterruption, events.AgentSpeechCompleted)):
            self._heard_at = None
        return None


class TurnSpans:
    """A reader of a call's log that makes the spans of its turns.

    Args:
        tracing: Makes them.
        log: The call's.
        root: The call's span.
        below: In which its children are made.
        about: What stands on every span.
        models: The call's, by role.

    Attributes:
        ended_at: When the call ended, in nanoseconds of the epoch.
    """

    def __init__(
        self,
        tracing: Tracing,
        log: CallLog,
        root: Span,
        /,
        below: SpanContext,
        *,
        about: Mapping[str, str],
        models: Mapping[str, str],
    ) -> None:
        self.ended_at: int | None = None
        self._tracing = tracing
        self._log = log
        self._root = root
        self._below = below
        self._about = dict(about)
        self._models = models
        self._turn: _Turn | None = None
        self._next: _Turn | None = None  # what the caller says, until it is known to be a turn
        self._closed = 0
        self._utterance_at: float | None = None
        self._speeches: dict[int, _Speech] = {}
        self._barge_ins = BargeIns()
        self._calls: dict[str, float] = {}
        self._last_call_at: float | None = None

    @property
    def context(self) -> Context | None:
        """For the tasks of the turn that goes on."""
        turn = self._turn or self._next
        return turn.context if turn is not None else None

    def read(self, entry: Entry) -> None:
        """Take the next entry into account."""
        barge_in = self._barge_ins.read(entry)
        if barge_in is not None:
            self._stage("voice.barge_in", self._turn, *barge_in)
        handler = _READERS.get(type(entry.event))
        if handler is not None:
            handler(self, entry.at, entry.event)

    # What the caller does.

    def _voice(self, at: float, event: events.UserSpeechStarted) -> None:
        if self._utterance_at is None:
            self._utterance_at = event.speech_at
        if self._next is None or not self._next.has_words:  # a sound that led to nothing is no part of a later turn
            self._drop(at)
            self._next = self._open(event.speech_at)

    def _silence(self, _at: float, event: events.UserSpeechStopped) -> None:
        turn = self._next or self._turn
        if turn is not None:
            turn.audio_s += event.duration_ms / 1000

    def _words(self, at: float, event: events.UserTranscription) -> None:
        turn = self._next or self._turn
        if turn is not None:
            turn.has_words = True
        if not event.is_final:
            return
        start, self._utterance_at = self._utterance_at, None
        attributes = {**self._asked("stt"), "stt.utterance": event.utterance, **self._said("stt.text", event.text)}
        self._stage("stt.recognition", turn, at if start is None else start, at, attributes=attributes, asks=True)

    def _committed(self, at: float, event: events.UserTurnCompleted) -> None:
        turn = self._turn
        if turn is None or turn.number != event.turn:
            self._close(at)
            spoken, self._next = self._next, None
            turn = self._turn = spoken or self._open(at)
            self._number(turn, event.turn)
        elif self._next is not None:  # the caller went on: it is the same turn
            turn.audio_s += self._next.audio_s
            self._drop(at, part_of=event.turn)
        anchor = "turn_start" if event.trigger in ("text", "dtmf") else "vad_end"
        turn.span.set_attributes({"turn.trigger": event.trigger, "turn.latency_anchor": anchor})
        turn.span.set_attributes(self._said("turn.user_text", event.text))

    def _talked_over(self, at: float, event: events.UserBackchannel) -> None:
        if not event.is_interruption:
            self._drop(at)

    # What the agent does.

    def _created(self, at: float, event: events.AgentSpeechCreated) -> None:
        is_open = self._turn is not None and self._turn.number == event.turn
        if event.kind in ("greeting", "reply") and event.turn > self._closed and not is_open:
            self._close(at)
            # A model that holds the call may answer before the words are told that it answers.
            spoken, self._next = (self._next, None) if "s2s" in self._models else (None, self._next)
            self._turn = spoken or self._open(at)
            self._number(self._turn, event.turn)
            self._turn.span.set_attribute("turn.latency_anchor", "vad_end" if spoken is not None else "turn_start")
        self._speeches[event.speech] = _Speech(event.kind, self._turn)

    def _text(self, at: float, event: events.AgentTextSpoken) -> None:
        speech = self._speeches.get(event.speech)
        if speech is None:
            return
        if speech.first_text_at is None:
            speech.first_text_at = at
        speech.clauses += 1
        speech.characters += len(event.text)
        if speech.turn is not None:
            speech.turn.characters += len(event.text)

    def _sound(self, at: float, event: events.AgentSpeechStarted) -> None:
        speech = self._speeches.get(event.speech)
        if speech is not None:
            speech.first_sound_at = at

    def _heard(self, at: float, event: events.AgentSpeechCompleted) -> None:
        self._spoken(at, event.speech, is_cut=False)

    def _cut(self, at: float, event: events.AgentSpeechInterrupted) -> None:
        self._spoken(at, event.speech, is_cut=True)

    def _spoken(self, at: float, number: int, *, is_cut: bool) -> None:
        speech = self._speeches.pop(number, None)
        if speech is None or speech.first_text_at is None:
            return
        attributes = {
            **self._asked("tts"),
            "tts.kind": speech.kind,
            "tts.clauses": speech.clauses,
            "tts.characters": speech.characters,
            "antiphon.interrupted": is_cut,
        }
        # Stamped when sound was on the line, not when the voice got its text.
        told = {} if speech.first_sound_at is None else {"first_audio": speech.first_sound_at}
        self._stage("tts.speak", speech.turn, speech.first_text_at, at, attributes=attributes, told=told, asks=True)

    def _called(self, at: float, event: events.ToolCalled) -> None:
        self._calls[event.id] = at

    def _executed(self, _at: float, event: events.ToolExecuted) -> None:
        self._last_call_at = self._calls.pop(event.id, None)

    def _handed_over(self, at: float, event: events.AgentHandoff) -> None:
        self._about["agent.name"] = event.new_agent
        attributes = {
            "antiphon.handoff.source": event.previous_agent,
            "antiphon.handoff.target": event.new_agent,
            "antiphon.handoff.type": event.handoff_type,
        }
        start = at if self._last_call_at is None else self._last_call_at
        self._stage("voice.handoff", self._turn, start, at, attributes=attributes)

    # The end of a turn, and of the call.

    def _completed(self, at: float, event: events.TurnCompleted) -> None:
        turn = self._turn
        if turn is None or turn.number != event.turn:
            return
        turn.span.set_attribute("antiphon.interrupted", event.interrupted)
        turn.span.set_attributes(self._said("turn.agent_text", event.agent_text))
        if event.agent_first:  # of which there are no metrics
            self._close(at)

    def _measured(self, at: float, event: events.TurnMetrics) -> None:
        turn = self._turn
        if turn is None or turn.number != event.turn:
            return
        figures = {**turn_figures(event), "turn.wall_ms": round((at - turn.start) * 1000, 1)}
        turn.span.set_attributes({**figures, "turn.speculative": event.speculative})
        turn.span.add_event("turn.kpi_summary", figures, nanoseconds(self._log, at))
        self._close(at)

    def _used(self, _at: float, event: events.SessionUsage) -> None:
        self._root.set_attribute("gen_ai.usage.input_tokens", event.llm_input_tokens)
        self._root.set_attribute("gen_ai.usage.output_tokens", event.llm_output_tokens)
        self._root.set_attribute("antiphon.tts_characters", event.tts_characters)
        self._root.set_attribute("antiphon.stt_audio_s", event.stt_audio_s)

    def _over(self, at: float, _event: events.SessionEnded) -> None:
        self._close(at)
        self._drop(at)
        self.ended_at = nanoseconds(self._log, at)

    # Spans.

    def _open(self, at: float) -> _Turn:
        from opentelemetry.trace import set_span_in_context

        span = self._tracing.tracer.start_span(
            "voice.turn", self._below, attributes=self._about, start_time=nanoseconds(self._log, at)
        )
        below = set_span_in_context(span)
        return _Turn(span, below, _current_in(below), at)

    def _number(self, turn: _Turn, number: int) -> None:
        turn.number = number
        turn.span.set_attribute("turn.number", number)

    def _close(self, at: float) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        self._closed = turn.number or self._closed
        turn.span.set_attribute("agent.name", self._about["agent.name"])
        turn.span.set_attribute("turn.tts_characters", turn.characters)
        turn.span.set_attribute("turn.stt_audio_s", round(turn.audio_s, 3))
        turn.span.end(nanoseconds(self._log, at))

    def _drop(self, at: float, *, part_of: int | None = None) -> None:
        """What the caller said is no turn of its own; where there were words, something may hang below them."""
        spoken, self._next = self._next, None
        if spoken is None or not spoken.has_words:
            return
        spoken.span.set_attribute("turn.dropped", True)
        if part_of is not None:
            spoken.span.set_attribute("turn.part_of", part_of)
        spoken.span.end(nanoseconds(self._log, at))

    def _stage(
        self,
        name: str,
        turn: _Turn | None,
        start: float,
        end: float,
        *,
        attributes: Mapping[str, Any] | None = None,
        told: Mapping[str, float] | None = None,
        asks: bool = False,
    ) -> None:
        """A span that is over, from ``start`` to ``end`` (call seconds), below its turn's or the call's."""
        span = self._tracing.tracer.start_span(
            name,
            turn.below if turn is not None else self._below,
            kind=_kind(asks=asks),
            attributes={**self._about, **self._turn_number(turn), **(attributes or {})},
            start_time=nanoseconds(self._log, start),
        )
        for event, at in (told or {}).items():
            span.add_event(event, timestamp=nanoseconds(self._log, at))
        span.end(nanoseconds(self._log, end))

    def _turn_number(self, turn: _Turn | None) -> dict[str, int]:
        return {"turn.number": turn.number} if turn is not None and turn.number is not None else {}

    def _asked(self, role: str) -> dict[str, str]:
        """Whom a stage asks, which is the model that holds the call, where one does; nothing where nobody is there."""
        role = "s2s" if "s2s" in self._models else role
        provider, _, model = self._models.get(role, "").partition("|")[0].partition("/")
        return {"peer.service": provider, f"{role}.model": model or provider} if provider else {}

    def _said(self, name: str, text: str) -> dict[str, str]:
        """Words of people, where spans may hold them at all."""
        if not self._tracing.content or not text:
            return {}
        from antiphon.agents.observability.content import plain

        return {name: plain(text)}


_READERS: dict[type, Callable[[TurnSpans, float, Any], None]] = {
    events.SessionUsage: TurnSpans._used,
    events.SessionEnded: TurnSpans._over,
    events.UserSpeechStarted: TurnSpans._voice,
    events.UserSpeechStopped: TurnSpans._silence,
    events.UserTranscription: TurnSpans._words,
    events.UserTurnCompleted: TurnSpans._committed,
    events.UserBackchannel: TurnSpans._talked_over,
    events.AgentHandoff: TurnSpans._handed_over,
    events.AgentSpeechCreated: TurnSpans._created,
    events.AgentTextSpoken: TurnSpans._text,
    events.AgentSpeechStarted: TurnSpans._sound,
    events.AgentSpeechCompleted: TurnSpans._heard,
    events.AgentSpeechInterrupted: TurnSpans._cut,
    events.ToolCalled: TurnSpans._called,
    events.ToolExecuted: TurnSpans._executed,
    events.TurnCompleted: TurnSpans._completed,
    events.TurnMetrics: TurnSpans._measured,
}


def turn_figures(metrics: events.TurnMetrics) -> dict[str, float]:
    """The figures of a turn under the names that spans have; what is not known is left out."""
    first_token, first_audio = metrics.first_token_ms, metrics.first_audio_ms
    synthesis = None if first_token is None or first_audio is None else round(first_audio - first_token, 1)
    figures = {
        "turn.stt_ms": metrics.transcript_ms,
        "turn.decision_ms": metrics.end_of_turn_ms,
        "turn.llm_ttft_ms": metrics.llm_ttft_ms,
        "turn.ttft_ms": first_token,
        "turn.ttfb_ms": first_audio,
        "turn.synth_ms": synthesis,
        "turn.tts_ttfb_ms": metrics.tts_ttfb_ms,
    }
    return {name: value for name, value in figures.items() if value is not None}


def nanoseconds(log: CallLog, at: float) -> int:
    """A time of the call, in seconds since its start, as spans tell it; sound that came with the call began with it."""
    return round(log.started_at.timestamp() * 1e9) + round(max(0.0, at) * 1e9)


def _kind(*, asks: bool) -> SpanKind:
    from opentelemetry.trace import SpanKind

    return SpanKind.CLIENT if asks else SpanKind.INTERNAL


def _current_in(below: SpanContext) -> Context:
    from opentelemetry.context import attach

    context = copy_context()
    context.run(attach, below)
    return context
