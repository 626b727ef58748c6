"""The words of turn-taking: what happens to the floor of a call, and what is to be done about it.

Everything is frozen and plain, so that a call's decisions can be written down, replayed and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal

from antiphon.calls.events import EndReason, SpeechKind
from antiphon.calls.expected import What

TimerName = Literal["endpoint", "final", "interrupt", "verify", "dead_air", "idle", "turn_limit", "ending"]
Trigger = Literal["silence", "model", "max_duration", "client", "dtmf"]

KEY_MARK = "•"
"""Stands for a key that was pressed: turn-taking and its log never see which."""


class Phase(Enum):
    """Where the conversation stands."""

    OPENING = "opening"
    IDLE = "idle"
    HEARING = "hearing"
    PAUSING = "pausing"
    THINKING = "thinking"
    SPEAKING = "speaking"
    OVERLAP = "overlap"
    HELD = "held"
    ENDING = "ending"
    ENDED = "ended"


# What happens. ``at`` is in seconds since the call's start.


@dataclass(frozen=True, slots=True)
class Opened:
    """The line is up. ``greet`` says whether the agent speaks first."""

    at: float
    greet: bool


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """The caller makes sound, since ``speech_at``."""

    at: float
    speech_at: float


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """The caller is silent, since ``silence_at``."""

    at: float
    silence_at: float


@dataclass(frozen=True, slots=True)
class Heard:
    """Words of an utterance. ``failed``: the recogniser could not say; ``final`` is then true and ``text`` empty."""

    at: float
    text: str
    final: bool
    utterance: int
    failed: bool = False


@dataclass(frozen=True, slots=True)
class TurnScored:
    """The end-of-turn model's opinion of the pause."""

    at: float
    probability: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Sound of the agent was written to the line, after silence."""

    at: float
    kind: SpeechKind


@dataclass(frozen=True, slots=True)
class SpeechFinished:
    """All sound of the agent so far was heard. ``more``: its reply is not complete; ``text``: what it said."""

    at: float
    more: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The reply cannot be made, or has nothing to say."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeakRequested:
    """The application wants the agent to say something now."""

    at: float


@dataclass(frozen=True, slots=True)
class AgentHasNews:
    """Something that the agent has to tell came in behind the conversation, such as the result of a long task."""

    at: float


@dataclass(frozen=True, slots=True)
class CommitRequested:
    """The application says that the caller's turn is over, whatever the ears make of it."""

    at: float


@dataclass(frozen=True, slots=True)
class ReplyRequested:
    """The application wants the agent to answer the conversation as it stands."""

    at: float


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The application wants no more of what the agent says."""

    at: float


@dataclass(frozen=True, slots=True)
class InputCleared:
    """The application has thrown away what the caller said since the last turn."""

    at: float


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """The caller pressed a key: a sign of life.

    Attributes:
        interrupts: Whether this stops what the agent says.
        more_s: Within this time another key may follow, or the number is whole.
    """

    at: float
    interrupts: bool = True
    more_s: float = 0.0


@dataclass(frozen=True, slots=True)
class KeysTyped:
    """A number was typed that is a turn of the caller, or the end of one.

    Attributes:
        text: The number, masked.
        key_at: When its last key was pressed.
        interrupts: As in ``KeyPressed``.
    """

    at: float
    text: str
    key_at: float
    interrupts: bool = True


@dataclass(frozen=True, slots=True)
class InputExpected:
    """The caller's next turn is one that people say in pieces; fields as in ``Expected``."""

    at: float
    what: What
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class EndRequested:
    """The call is to end from our side. ``goodbye``: words are still to be said for that."""

    at: float
    reason: EndReason
    goodbye: bool


@dataclass(frozen=True, slots=True)
class LineLost:
    """The other side is gone."""

    at: float
    reason: EndReason = "user_hangup"


@dataclass(frozen=True, slots=True)
class Timeout:
    """A timer that was asked for has run out. ``voiced``: the caller is making sound right now."""

    at: float
    timer: TimerName
    voiced: bool = True


Event = (
    Opened
    | VoiceStarted
    | VoiceStopped
    | Heard
    | TurnScored
    | SpeechStarted
    | SpeechFinished
    | ReplyFailed
    | SpeakRequested
    | AgentHasNews
    | CommitRequested
    | ReplyRequested
    | CancelRequested
    | InputCleared
    | KeyPressed
    | KeysTyped
    | InputExpected
    | EndRequested
    | LineLost
    | Timeout
)


# What is to be done.


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Send ``Timeout(timer)`` at ``when``; replaces a running timer of this name."""

    timer: TimerName
    when: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Forget this timer."""

    timer: TimerName


@dataclass(frozen=True, slots=True)
class FinishUtterance:
    """Ask the recogniser for its final words, and the end-of-turn model for its opinion."""


@dataclass(frozen=True, slots=True)
class Speculate:
    """The turn may be over with these words: try an answer, say nothing. ``fresh`` as in ``Commit``."""

    text: str
    fresh: str = ""


@dataclass(frozen=True, slots=True)
class DropSpeculation:
    """The turn goes on: forget the answer that was tried."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The turn is over.

    Attributes:
        text: All words of the turn.
        fresh: Of these, the words since the last commit; differs from ``text`` where the caller went on before the
            earlier answer was heard.
        trigger: Why it is over.
        probability: The end-of-turn model's opinion, where there is one.
        answer: Whether the agent answers now; else the words are kept, and the application asks for the answer.
    """

    text: str
    fresh: str
    trigger: Trigger
    probability: float | None = None
    answer: bool = True


@dataclass(frozen=True, slots=True)
class KeepTurn:
    """A turn of the caller beside the agent's, with these words: it is answered later."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold the agent's sound where it is."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with the agent's sound; ``false_interruption`` if something was being heard when it was held."""

    false_interruption: bool


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop speaking, forget the rest; what was heard goes into the history."""


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Forget a reply of which nothing was heard; its turn goes on."""


@dataclass(frozen=True, slots=True)
class NoteOverlap:
    """The caller talked over the agent."""

    text: str
    is_interruption: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Say a fixed phrase."""

    kind: SpeechKind


@dataclass(frozen=True, slots=True)
class TellNews:
    """Begin a turn of the agent's own: what came in is told."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Begin the turn that the application asked for."""


@dataclass(frozen=True, slots=True)
class SayGoodbye:
    """Say the goodbye for this reason."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class NoteIdle:
    """Nobody speaks."""

    retry_count: int
    exhausted: bool


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""

    reason: EndReason


Action = (
    StartTimer
    | StopTimer
    | FinishUtterance
    | Speculate
    | DropSpeculation
    | Commit
    | KeepTurn
    | Pause
    | Resume
    | Interrupt
    | CancelReply
    | NoteOverlap
    | Say
    | TellNews
    | Respond
    | SayGoodbye
    | NoteIdle
    | HangUp
)


def describe(item: Event | Action) -> dict[str, Any]:
    """An event or action as plain values: ``type`` and its fields."""
    return {"type": type(item).__name__, **{field.name: getattr(item, field.name) for field in fields(item)}}


def event_from(values: Mapping[str, Any]) -> Event:
    """The event that ``describe`` wrote down.

    Raises:
        ValueError: There is no such event, or a field is missing.
    """
    made = _EVENTS.get(str(values.get("type")))
    if made is None:
        raise ValueError(f"There is no event {values.get('type')!r} in turn-taking.")
    known = {field.name for field in fields(made)}
    try:
        event: Event = made(**{name: value for name, value in values.items() if name in known})
    except TypeError as error:
        raise ValueError(f"The event {made.__name__} is not complete: {error}.") from error
    return event


_EVENTS: dict[str, Any] = {
    made.__name__: made
    for made in (
        *(Opened, VoiceStarted, VoiceStopped, Heard, TurnScored, SpeechStarted, SpeechFinished, ReplyFailed),
        *(SpeakRequested, AgentHasNews, KeyPressed, KeysTyped, InputExpected, EndRequested, LineLost, Timeout),
        *(CommitRequested, ReplyRequested, CancelRequested, InputCleared),
    )
}
