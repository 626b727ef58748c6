"""A call as people read it, made from the events of its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.calls import events
from antiphon.calls.log import Entry

Who = Literal["caller", "agent", "note"]


@dataclass(slots=True)
class Row:
    """One line of the transcript.

    Attributes:
        who: Who speaks; ``note`` is about the call.
        text: What was said, and heard.
        unheard: What the agent made and the caller never heard, since it was cut.
        at_s: When it began, in call seconds.
        is_final: Whether it may still change.
    """

    who: Who
    text: str
    at_s: float
    unheard: str = ""
    is_final: bool = False


@dataclass(slots=True)
class Turn:
    """A turn that was answered, with where its time went."""

    number: int
    user_text: str
    agent_text: str
    interrupted: bool
    metrics: events.TurnMetrics | None = None


@dataclass(slots=True)
class Transcript:
    """Reads a call's log entry by entry; ``read`` is a log's reader.

    Attributes:
        rows: What was said, in order.
        turns: Turns that the caller began.
        heard: The caller's words as they were recognised, utterance by utterance.
        models: Providers by role.
        agent_state: What the agent does now.
        ended: How the call ended.
    """

    rows: list[Row] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    agent_state: events.AgentState = "initializing"
    ended: events.SessionEnded | None = None
    _speeches: dict[int, Row] = field(default_factory=dict)
    _caller: Row | None = None

    def read(self, entry: Entry) -> None:
        """Take the next entry."""
        handler = _HANDLERS.get(type(entry.event))
        if handler is not None:
            handler(self, entry.at, entry.event)

    def _add(self, who: Who, text: str, at_s: float, *, is_final: bool = False) -> Row:
        row = Row(who, text, at_s, is_final=is_final)
        self.rows.append(row)
        return row

    def _started(self, _at: float, event: events.SessionStarted) -> None:
        self.models = dict(event.models)

    def _words(self, at: float, event: events.UserTranscription) -> None:
        if event.is_final and event.text:
            self.heard.append(event.text)
        if self._caller is None:
            self._caller = self._add("caller", event.text, at)
        elif event.text:
            self._caller.text = event.text

    def _turn(self, at: float, event: events.UserTurnCompleted) -> None:
        row = self._caller or self._add("caller", event.text, at)
        row.text, row.is_final = event.text, True
        self._caller = None

    def _overlap(self, at: float, event: events.UserBackchannel) -> None:
        row, self._caller = self._caller, None
        if event.is_interruption:
            self._caller = row  # Its words become a turn of their own.
            return
        row = row or self._add("caller", event.text, at)
        row.text, row.is_final = event.text, True
        self._add("note", "only listening: the agent goes on", at, is_final=True)

    def _clause(self, at: float, event: events.AgentTextSpoken) -> None:
        row = self._speeches.get(event.speech)
        if row is None:
            row = self._speeches[event.speech] = self._add("agent", "", at)
        row.text = f"{row.text} {event.text}".strip()

    def _completed(self, at: float, event: events.AgentSpeechCompleted) -> None:
        row = self._speeches.get(event.speech) or self._add("agent", "", at)
        row.text, row.is_final = event.transcript, True

    def _interrupted(self, at: float, event: events.AgentSpeechInterrupted) -> None:
        row = self._speeches.get(event.speech) or self._add("agent", "", at)
        whole = event.generated if event.generated.startswith(event.heard) else event.spoken
        row.text, row.unheard, row.is_final = event.heard, whole[len(event.heard) :].strip(), True

    def _tool(self, at: float, event: events.ToolCalled) -> None:
        arguments = ", ".join(f"{name}={value}" for name, value in event.arguments.items())
        self._add("note", f"tool {event.name}({arguments})", at, is_final=True)

    def _handoff(self, at: float, event: events.AgentHandoff) -> None:
        self._add("note", f"{event.new_agent} goes on", at, is_final=True)

    def _collects(self, at: float, event: events.AgentToolStarted) -> None:
        self._add("note", f"{event.agent_tool_type} asks", at, is_final=True)

    def _collected(self, at: float, event: events.AgentToolCompleted) -> None:
        found = ", ".join(f"{name}={value}" for name, value in event.result.items())
        self._add("note", f"{event.agent_tool_type} is done: {found}", at, is_final=True)

    def _collected_nothing(self, at: float, event: events.AgentToolFailed) -> None:
        self._add("note", f"{event.agent_tool_type} has failed: {event.error}", at, is_final=True)

    def _approval(self, at: float, event: events.ToolApprovalRequested) -> None:
        self._add("note", f"a person has to approve {event.prompt}", at, is_final=True)

    def _transferring(self, at: float, event: events.CallTransferring) -> None:
        whom = event.name or event.destination
        self._add("note", f"{event.kind} transfer to {whom} begins: the caller holds", at, is_final=True)

    def _transferred(self, at: float, event: events.CallTransferred) -> None:
        self._add("note", f"transferred to {event.name or event.destination}", at, is_final=True)

    def _transfer_failed(self, at: float, event: events.CallTransferFailed) -> None:
        why = event.code.replace("_", " ")
        self._add("note", f"the transfer to {event.name or event.destination} failed: {why}", at, is_final=True)

    def _failed(self, at: float, event: events.SessionError) -> None:
        self._add("note", f"{event.code}: {event.message}", at, is_final=True)

    def _state(self, _at: float, event: events.AgentStateChanged) -> None:
        self.agent_state = event.new_state

    def _turn_over(self, _at: float, event: events.TurnCompleted) -> None:
        if not event.agent_first:
            self.turns.append(Turn(event.turn, event.user_text, event.agent_text, event.interrupted))

    def _measured(self, _at: float, event: events.TurnMetrics) -> None:
        for turn in self.turns:
            if turn.number == event.turn:
                turn.metrics = event

    def _over(self, at: float, event: events.SessionEnded) -> None:
        self.ended = event
        self._add("note", f"the call is over: {event.reason.replace('_', ' ')}", at, is_final=True)


_HANDLERS: dict[type, Callable[[Transcript, float, Any], None]] = {
    events.SessionStarted: Transcript._started,
    events.UserTranscription: Transcript._words,
    events.UserTurnCompleted: Transcript._turn,
    events.UserBackchannel: Transcript._overlap,
    events.AgentTextSpoken: Transcript._clause,
    events.AgentSpeechCompleted: Transcript._completed,
    events.AgentSpeechInterrupted: Transcript._interrupted,
    events.ToolCalled: Transcript._tool,
    events.AgentHandoff: Transcript._handoff,
    events.AgentToolStarted: Transcript._collects,
    events.AgentToolCompleted: Transcript._collected,
    events.AgentToolFailed: Transcript._collected_nothing,
    events.ToolApprovalRequested: Transcript._approval,
    events.CallTransferring: Transcript._transferring,
    events.CallTransferred: Transcript._transferred,
    events.CallTransferFailed: Transcript._transfer_failed,
    events.SessionError: Transcript._failed,
    events.AgentStateChanged: Transcript._state,
    events.TurnCompleted: Transcript._turn_over,
    events.TurnMetrics: Transcript._measured,
    events.SessionEnded: Transcript._over,
}
