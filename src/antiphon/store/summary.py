"""One call in one line: what a list of calls shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

PREVIEW_CHARS = 120
SEARCHED_CHARS = 2_000
"""Of what was said in a call, this much at its beginning can be searched."""

WITH_THE_END_S = 0.25
"""A reply that is cut this shortly before the end was cut by the end of the call, not by the caller's words."""


@dataclass(frozen=True, slots=True)
class CallSummary:
    """A call as a list shows it.

    Attributes:
        id: Names the call in addresses: ``<date>.<folder>``.
        call_id: The carrier's name of it.
        carrier: The protocol that it came over.
        agent: Who answered.
        started_at: ISO 8601, UTC.
        duration_s: Its length, for a live call so far.
        state: Whether it goes on.
        end_reason: Why it ended; None while it goes on, and when its process died.
        turns: Turns that are complete.
        first_audio_p50_ms: Median of the voice-to-voice times.
        interruptions: Replies that the caller cut and stayed.
        has_recording: Whether there is sound.
        preview: The first words of the caller, else of the agent.
    """

    id: str
    call_id: str
    carrier: str
    agent: str
    started_at: str
    duration_s: float
    state: Literal["live", "ended"]
    end_reason: str | None
    turns: int
    first_audio_p50_ms: float | None
    interruptions: int
    has_recording: bool
    preview: str


class Tally:
    """Sums up the entries of a call's log, as ``Entry.to_dict`` gives them, while they come or afterwards.

    Attributes:
        started: ``session.started`` was there: this is a call.
        models: The models by role.
        said: The beginning of what was said, in lower case.
    """

    TYPES = frozenset(
        {
            "session.started",
            "session.ended",
            "user.typed",
            "user.turn_completed",
            "turn.completed",
            "turn.metrics",
            "agent.text",
        }
    )
    """The entries that it needs to see."""

    def __init__(self) -> None:
        self.started = False
        self.models: dict[str, str] = {}
        self.said = ""
        self._session: Mapping[str, Any] = {}
        self._end: Mapping[str, Any] | None = None
        self._last_at = 0.0
        self._turns = 0
        self._interruptions = 0
        self._cut_at = float("-inf")
        self._first_audio_ms: list[float] = []
        self._caller_words = ""
        self._agent_words = ""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take the next entry into account; unknown types and missing fields are no fault."""
        self._last_at = max(self._last_at, _number(entry.get("at")))
        reader = _READERS.get(str(entry.get("type")))
        if reader is not None:
            reader(self, entry)

    def reached(self, at: float) -> None:
        """The call went on until then, in call seconds."""
        self._last_at = max(self._last_at, at)

    def summary(self, call: str, *, is_live: bool, has_recording: bool) -> CallSummary:
        """The sum so far.

        Args:
            call: The call's ``id``.
            is_live: Whether it goes on.
            has_recording: Whether there is sound.
        """
        session, end = self._session, self._end or {}
        return CallSummary(
            id=call,
            call_id=str(session.get("call_id", "")),
            carrier=str(session.get("carrier", "")),
            agent=str(session.get("agent", "")),
            started_at=str(session.get("started_at", "")),
            duration_s=round(_number(end.get("duration_s")) or self._last_at, 3),
            state="live" if is_live else "ended",
            end_reason=str(end["reason"]) if "reason" in end else None,
            turns=int(_number(end.get("turns"))) or self._turns,
            first_audio_p50_ms=round(median(self._first_audio_ms), 1) if self._first_audio_ms else None,
            interruptions=self._interruptions,
            has_recording=has_recording,
            preview=(self._caller_words or self._agent_words)[:PREVIEW_CHARS],
        )

    def _session_started(self, entry: Mapping[str, Any]) -> None:
        self.started = True
        self._session = {name: entry.get(name, "") for name in ("call_id", "carrier", "agent", "started_at")}
        models = entry.get("models")
        self.models = {str(k): str(v) for k, v in models.items()} if isinstance(models, Mapping) else {}

    def _session_ended(self, entry: Mapping[str, Any]) -> None:
        self._end = {name: entry[name] for name in ("reason", "duration_s", "turns") if name in entry}
        if self._last_at - self._cut_at < WITH_THE_END_S:
            self._interruptions -= 1
            self._cut_at = float("-inf")

    def _caller_said(self, entry: Mapping[str, Any]) -> None:
        text = str(entry.get("text", ""))
        self._caller_words = self._caller_words or text
        self._note(text)

    def _agent_said(self, entry: Mapping[str, Any]) -> None:
        text = str(entry.get("text", ""))
        self._agent_words = self._agent_words or text
        self._note(text)

    def _turn_completed(self, entry: Mapping[str, Any]) -> None:
        self._turns += 1
        if entry.get("interrupted"):
            self._interruptions += 1
            self._cut_at = _number(entry.get("at"))

    def _turn_metrics(self, entry: Mapping[str, Any]) -> None:
        first_audio_ms = _number(entry.get("first_audio_ms"))
        if first_audio_ms:
            self._first_audio_ms.append(first_audio_ms)

    def _note(self, text: str) -> None:
        if len(self.said) < SEARCHED_CHARS:
            self.said = f"{self.said} {text.lower()}"[:SEARCHED_CHARS]


_READERS: Mapping[str, Callable[[Tally, Mapping[str, Any]], None]] = {
    "session.started": Tally._session_started,
    "session.ended": Tally._session_ended,
    "user.typed": Tally._caller_said,
    "user.turn_completed": Tally._caller_said,
    "agent.text": Tally._agent_said,
    "turn.completed": Tally._turn_completed,
    "turn.metrics": Tally._turn_metrics,
}


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
