"""The spans of what the agent says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from antiphon.calls import events
from antiphon.calls.tracing.spans import CallSpans, Turn


@dataclass(slots=True)
class _Speech:
    """Something that the agent says."""

    kind: str
    turn: Turn | None
    first_text_at: float | None = None
    first_sound_at: float | None = None
    clauses: int = 0
    characters: int = 0


class SpeechSpans:
    """Makes a span of each speech, from its first clause to its end or cut.

    Args:
        spans: Makes them.
        turn: The turn that goes on.
    """

    def __init__(self, spans: CallSpans, turn: Callable[[], Turn | None]) -> None:
        self._spans = spans
        self._turn = turn
        self._speeches: dict[int, _Speech] = {}

    def read(self, at: float, event: events.CallEvent) -> None:
        """Take the next event into account."""
        handler = _READERS.get(type(event))
        if handler is not None:
            handler(self, at, event)

    def _created(self, _at: float, event: events.AgentSpeechCreated) -> None:
        self._speeches[event.speech] = _Speech(event.kind, self._turn())

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
        self._over(at, event.speech, is_cut=False)

    def _cut(self, at: float, event: events.AgentSpeechInterrupted) -> None:
        self._over(at, event.speech, is_cut=True)

    def _over(self, at: float, number: int, *, is_cut: bool) -> None:
        speech = self._speeches.pop(number, None)
        if speech is None or speech.first_text_at is None:
            return
        attributes = {
            **self._spans.asked("tts"),
            "tts.kind": speech.kind,
            "tts.clauses": speech.clauses,
            "tts.characters": speech.characters,
            "antiphon.interrupted": is_cut,
        }
        # Stamped when sound was on the line, not when the voice got its text.
        told = {} if speech.first_sound_at is None else {"first_audio": speech.first_sound_at}
        if speech.first_sound_at is not None:
            playout_ms = (at - speech.first_sound_at) * 1000
            self._spans.measure("antiphon.tts.playout", playout_ms, self._spans.model("tts"))
        self._spans.stage(
            "tts.speak", speech.turn, speech.first_text_at, at, attributes=attributes, told=told, asks=True
        )


_READERS: dict[type, Callable[[SpeechSpans, float, Any], None]] = {
    events.AgentSpeechCreated: SpeechSpans._created,
    events.AgentTextSpoken: SpeechSpans._text,
    events.AgentSpeechStarted: SpeechSpans._sound,
    events.AgentSpeechCompleted: SpeechSpans._heard,
    events.AgentSpeechInterrupted: SpeechSpans._cut,
}
