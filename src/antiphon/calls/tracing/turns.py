"""The spans of turns and of what is done in them."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from antiphon.calls import events
from antiphon.calls.log import Entry
from antiphon.calls.tracing.barge_ins import BargeIns
from antiphon.calls.tracing.figures import STAGES, turn_figures
from antiphon.calls.tracing.spans import CallSpans, Turn
from antiphon.calls.tracing.speeches import SpeechSpans


class TurnSpans:
    """A reader of a call's log that makes the spans of its turns.

    Args:
        spans: Makes them.
        about: What stands on every span; the agent's name in it follows the call's handoffs.
    """

    def __init__(self, spans: CallSpans, about: dict[str, str]) -> None:
        self._spans = spans
        self._about = about
        self._turn: Turn | None = None
        self._next: Turn | None = None  # what the caller says, until it is known to be a turn
        self._closed = 0
        self._utterance_at: float | None = None
        self._first_words_at: float | None = None
        self._speeches = SpeechSpans(spans, lambda: self._turn)
        self._barge_ins = BargeIns()
        self._calls: dict[str, float] = {}
        self._last_call_at: float | None = None
        self._transferring: tuple[float, events.CallTransferring] | None = None

    @property
    def context(self) -> Context | None:
        """For the tasks of the turn that goes on."""
        turn = self._turn or self._next
        return turn.context if turn is not None else None

    def read(self, entry: Entry) -> None:
        """Take the next entry into account."""
        barge_in = self._barge_ins.read(entry)
        if barge_in is not None:
            self._spans.stage("voice.barge_in", self._turn, *barge_in)
            self._spans.measure("antiphon.barge_in.stop", (barge_in[1] - barge_in[0]) * 1000)
        handler = _READERS.get(type(entry.event))
        if handler is not None:
            handler(self, entry.at, entry.event)
        self._speeches.read(entry.at, entry.event)

    # What the caller does.

    def _voice(self, at: float, event: events.UserSpeechStarted) -> None:
        if self._utterance_at is None:
            self._utterance_at = event.speech_at
        if self._next is None or not self._next.has_words:  # a sound that led to nothing is no part of a later turn
            self._drop(at)
            self._next = self._spans.open_turn(event.speech_at)

    def _silence(self, _at: float, event: events.UserSpeechStopped) -> None:
        turn = self._next or self._turn
        if turn is not None:
            turn.audio_s += event.duration_ms / 1000

    def _words(self, at: float, event: events.UserTranscription) -> None:
        turn = self._next or self._turn
        if turn is not None:
            turn.has_words = True
        if self._first_words_at is None:
            self._first_words_at = at
        if not event.is_final:
            return
        start, self._utterance_at = self._utterance_at, None
        first_words_at, self._first_words_at = self._first_words_at, None
        spans = self._spans
        spans.measure("antiphon.stt.recognition", (at - first_words_at) * 1000, spans.model("stt"))
        attributes = {**spans.asked("stt"), "stt.utterance": event.utterance, **spans.said("stt.text", event.text)}
        spans.stage("stt.recognition", turn, at if start is None else start, at, attributes=attributes, asks=True)

    def _committed(self, at: float, event: events.UserTurnCompleted) -> None:
        turn = self._turn
        if turn is None or turn.number != event.turn:
            self._close(at)
            spoken, self._next = self._next, None
            turn = self._turn = spoken or self._spans.open_turn(at)
            turn.count_as(event.turn)
        elif self._next is not None:  # the caller went on: it is the same turn
            turn.audio_s += self._next.audio_s
            self._drop(at, part_of=event.turn)
        turn.span.set_attribute("turn.trigger", event.trigger)
        turn.span.set_attributes(self._spans.said("turn.user_text", event.text))

    def _talked_over(self, at: float, event: events.UserBackchannel) -> None:
        if not event.is_interruption:
            self._drop(at)

    # What the agent does.

    def _created(self, at: float, event: events.AgentSpeechCreated) -> None:
        is_open = self._turn is not None and self._turn.number == event.turn
        if event.kind not in ("greeting", "reply") or event.turn <= self._closed or is_open:
            return
        self._close(at)
        # A model that holds the call may answer before the words are told that it answers.
        spoken, self._next = (self._next, None) if self._spans.one_model_holds_it else (None, self._next)
        self._turn = spoken or self._spans.open_turn(at)
        self._turn.count_as(event.turn)
        if spoken is None:
            self._turn.span.set_attribute("turn.latency_anchor", "turn_start")

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
        self._spans.stage("voice.handoff", self._turn, start, at, attributes=attributes)

    def _transferring_to(self, at: float, event: events.CallTransferring) -> None:
        self._transferring = at, event

    def _transferred(self, at: float, event: events.CallTransferred | events.CallTransferFailed) -> None:
        """What the carrier was asked to do. Whom the caller was brought to stays out: it is a telephone number."""
        begun, self._transferring = self._transferring, None
        if begun is None:
            return
        attributes = {"peer.service": self._about["carrier"], "antiphon.transfer.kind": begun[1].kind}
        if isinstance(event, events.CallTransferFailed):
            attributes["error.type"] = event.code
        self._spans.stage("carrier.transfer", self._turn, begun[0], at, attributes=attributes, asks=True)

    # The end of a turn, and of the call.

    def _completed(self, at: float, event: events.TurnCompleted) -> None:
        turn = self._turn
        if turn is None or turn.number != event.turn:
            return
        turn.span.set_attribute("antiphon.interrupted", event.interrupted)
        turn.span.set_attributes(self._spans.said("turn.agent_text", event.agent_text))
        if event.agent_first:  # of which there are no metrics
            self._close(at)

    def _measured(self, at: float, event: events.TurnMetrics) -> None:
        turn = self._turn
        if turn is None or turn.number != event.turn:
            return
        figures = {**turn_figures(event), "turn.wall_ms": round((at - turn.start) * 1000, 1)}
        answered = {f"turn.{role}_model": model for role, model in event.models.items()}
        about = {"turn.speculative": event.speculative, "turn.latency_anchor": event.anchor}
        turn.span.set_attributes({**figures, **answered, **about})
        turn.span.add_event("turn.kpi_summary", figures, self._spans.time(at))
        spans = self._spans
        for name, figure, role in STAGES:
            value_ms: float | None = getattr(event, figure)
            if value_ms is not None:
                spans.measure(name, value_ms, spans.model(role, event.models) if role else None)
        spans.measure("antiphon.turn.duration", figures["turn.wall_ms"])
        self._close(at)

    def _over(self, at: float, _event: events.SessionEnded) -> None:
        self._close(at)
        self._drop(at)

    def _close(self, at: float) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        self._closed = turn.number or self._closed
        turn.span.set_attribute("agent.name", self._about["agent.name"])
        turn.span.set_attribute("turn.tts_characters", turn.characters)
        turn.span.set_attribute("turn.stt_audio_s", round(turn.audio_s, 3))
        turn.span.end(self._spans.time(at))

    def _drop(self, at: float, *, part_of: int | None = None) -> None:
        """What the caller said is no turn of its own; where there were words, something may hang below them."""
        spoken, self._next = self._next, None
        if spoken is None or not spoken.has_words:
            return
        spoken.span.set_attribute("turn.dropped", True)
        if part_of is not None:
            spoken.span.set_attribute("turn.part_of", part_of)
        spoken.span.end(self._spans.time(at))


_READERS: dict[type, Callable[[TurnSpans, float, Any], None]] = {
    events.SessionEnded: TurnSpans._over,
    events.UserSpeechStarted: TurnSpans._voice,
    events.UserSpeechStopped: TurnSpans._silence,
    events.UserTranscription: TurnSpans._words,
    events.UserTurnCompleted: TurnSpans._committed,
    events.UserBackchannel: TurnSpans._talked_over,
    events.AgentHandoff: TurnSpans._handed_over,
    events.AgentSpeechCreated: TurnSpans._created,
    events.ToolCalled: TurnSpans._called,
    events.ToolExecuted: TurnSpans._executed,
    events.CallTransferring: TurnSpans._transferring_to,
    events.CallTransferred: TurnSpans._transferred,
    events.CallTransferFailed: TurnSpans._transferred,
    events.TurnCompleted: TurnSpans._completed,
    events.TurnMetrics: TurnSpans._measured,
}
