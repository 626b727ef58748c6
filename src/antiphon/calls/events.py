"""The typed events of a call.

Everything that is told about a call is one of these, in the call's log, numbered and timed. Transcript, metrics,
traces, console and webhooks read the log; none of them reaches into the call. The dotted names are the AgentStack
protocol's where it has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

AgentState = Literal["initializing", "idle", "listening", "thinking", "speaking"]
UserState = Literal["listening", "speaking", "away"]
EndReason = Literal[
    "user_hangup", "agent_hangup", "idle_timeout", "transferred", "time_limit", "drained", "voicemail", "error"
]
LatencyAnchor = Literal["vad_end", "turn_start"]
SpeechKind = Literal[
    "greeting", "reply", "say", "filler", "apology", "reminder", "goodbye", "tones", "play", "announcement"
]
"""``play`` is a file, and ``announcement`` one that nobody interrupts."""


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The call is up; ``audio`` is the line's format as ``encoding/rate``, ``manners`` the policy of turn-taking.

    ``scenario`` is empty where agents answer without one; ``called`` is the number of a call that we have made.
    """

    type: ClassVar[str] = "session.started"
    session_id: str
    call_id: str
    agent: str
    carrier: str
    audio: str
    started_at: str
    models: dict[str, str] = field(default_factory=dict)
    manners: dict[str, Any] = field(default_factory=dict)
    scenario: str = ""
    direction: Literal["inbound", "outbound"] = "inbound"
    called: str = ""


@dataclass(frozen=True, slots=True)
class SessionManners:
    """The application changed the manners; ``detects`` and ``threshold`` as in ``Call.adopt``."""

    type: ClassVar[str] = "session.manners"
    manners: dict[str, Any]
    detects: bool
    threshold: float | None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event of every call."""

    type: ClassVar[str] = "session.ended"
    reason: EndReason
    duration_s: float
    turns: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SessionError:
    """Something failed; the call goes on. ``code`` names the part: ``stt_unavailable``, ``bad_frame`` and so on."""

    type: ClassVar[str] = "session.error"
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class UserSpeechStarted:
    """The detector hears the caller; ``speech_at`` is when the speech began (call seconds)."""

    type: ClassVar[str] = "user.speech_started"
    speech_at: float


@dataclass(frozen=True, slots=True)
class UserSpeechStopped:
    """The detector hears silence; ``silence_at`` is when the last voiced sound ended (call seconds)."""

    type: ClassVar[str] = "user.speech_stopped"
    silence_at: float
    duration_ms: int


@dataclass(frozen=True, slots=True)
class UserTranscription:
    """Words of the caller: of one utterance, whole, not a delta."""

    type: ClassVar[str] = "user.transcription"
    text: str
    is_final: bool
    utterance: int
    language: str | None = None


@dataclass(frozen=True, slots=True)
class UserTyped:
    """The caller has written this; the application asks for the answer."""

    type: ClassVar[str] = "user.typed"
    text: str


@dataclass(frozen=True, slots=True)
class UserTurnCompleted:
    """The caller's turn is over; ``trigger`` says why."""

    type: ClassVar[str] = "user.turn_completed"
    turn: int
    text: str
    trigger: Literal["silence", "model", "max_duration", "client", "text", "dtmf"]
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class UserBackchannel:
    """The caller talked over the agent; ``is_interruption`` says whether it took the floor."""

    type: ClassVar[str] = "user.backchannel"
    text: str
    is_interruption: bool


@dataclass(frozen=True, slots=True)
class UserStateChanged:
    """What the caller does."""

    type: ClassVar[str] = "user.state_changed"
    old_state: UserState
    new_state: UserState


@dataclass(frozen=True, slots=True)
class UserDtmf:
    """A key was pressed. The digit is masked unless a test asks for it."""

    type: ClassVar[str] = "user.dtmf"
    digit: str


@dataclass(frozen=True, slots=True)
class UserIdle:
    """Nobody spoke for a while; a reminder is said, or the call ends."""

    type: ClassVar[str] = "user.idle"
    retry_count: int
    reason: Literal["no_response", "max_retries_exhausted"]


@dataclass(frozen=True, slots=True)
class AgentStateChanged:
    """What the agent does."""

    type: ClassVar[str] = "agent.state_changed"
    old_state: AgentState
    new_state: AgentState


@dataclass(frozen=True, slots=True)
class AgentHandoff:
    """Another agent goes on; ``handoff_type`` is ``announced`` or ``discrete``."""

    type: ClassVar[str] = "agent.handoff"
    new_agent: str
    previous_agent: str
    handoff_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class AgentSpeechCreated:
    """A reply begins to be made."""

    type: ClassVar[str] = "agent.speech_created"
    speech: int
    kind: SpeechKind
    turn: int


@dataclass(frozen=True, slots=True)
class AgentSpeechStarted:
    """The first audio of a reply was written to the line."""

    type: ClassVar[str] = "agent.speech_started"
    speech: int


@dataclass(frozen=True, slots=True)
class AgentTextSpoken:
    """A clause of a reply was handed to the voice."""

    type: ClassVar[str] = "agent.text"
    speech: int
    text: str


@dataclass(frozen=True, slots=True)
class AgentSpeechCompleted:
    """A reply was heard to its end."""

    type: ClassVar[str] = "agent.speech_completed"
    speech: int
    transcript: str
    playback_position_s: float


@dataclass(frozen=True, slots=True)
class AgentSpeechInterrupted:
    """The caller cut a reply, or a silent handoff did.

    ``heard`` went into the history; ``generated`` and ``spoken`` are kept beside it.
    """

    type: ClassVar[str] = "agent.speech_interrupted"
    speech: int
    heard: str
    spoken: str
    generated: str
    playback_position_s: float


@dataclass(frozen=True, slots=True)
class AgentFalseInterruption:
    """A paused reply goes on: the sound was no interruption."""

    type: ClassVar[str] = "agent.false_interruption"
    speech: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class PlayCompleted:
    """A file that was to be played was heard to its end, or was cut; ``play`` is what ``Call.play`` gave."""

    type: ClassVar[str] = "play.completed"
    play: int
    interrupted: bool
    playback_position_s: float


@dataclass(frozen=True, slots=True)
class BackgroundChanged:
    """Another sound lies behind the agent from now on; None is none. A file is told by its name."""

    type: ClassVar[str] = "background.changed"
    sound: str | None
    volume: float = 0.0
    loop: bool = False


@dataclass(frozen=True, slots=True)
class CallHeld:
    """The caller waits, hears music and is not listened to."""

    type: ClassVar[str] = "call.held"


@dataclass(frozen=True, slots=True)
class CallResumed:
    """The caller waits no longer."""

    type: ClassVar[str] = "call.resumed"


@dataclass(frozen=True, slots=True)
class RecordingPaused:
    """What is heard from here on is not kept; ``by`` says who wanted it so."""

    type: ClassVar[str] = "recording.paused"
    by: str


@dataclass(frozen=True, slots=True)
class RecordingResumed:
    """What is heard from here on is kept again; ``by`` says whose pause was the last."""

    type: ClassVar[str] = "recording.resumed"
    by: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model calls a tool. Sensitive arguments are masked."""

    type: ClassVar[str] = "tool.called"
    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolExecuted:
    """A tool call has its result; for one that the model does not wait for, this comes later than its turn."""

    type: ClassVar[str] = "tool.executed"
    id: str
    name: str
    output: str
    is_error: bool
    duration_ms: float


@dataclass(frozen=True, slots=True)
class ToolApprovalRequested:
    """A call waits for a person: answer ``id`` with ``Call.decide``. Sensitive values are masked."""

    type: ClassVar[str] = "tool.approval_requested"
    id: str
    call_id: str
    name: str
    prompt: str


@dataclass(frozen=True, slots=True)
class ToolApprovalDecided:
    """A person has decided on a call."""

    type: ClassVar[str] = "tool.approval_decided"
    id: str
    call_id: str
    name: str
    approved: bool


@dataclass(frozen=True, slots=True)
class CallTransferring:
    """The caller is to be brought to somebody else, and holds; ``kind`` is ``blind`` or ``warm``."""

    type: ClassVar[str] = "call.transferring"
    destination: str
    name: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallTransferred:
    """The carrier has brought the caller to somebody else; the call with us ends."""

    type: ClassVar[str] = "call.transferred"
    destination: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class CallTransferFailed:
    """The caller could not be brought to somebody else; the call goes on. ``code`` says why."""

    type: ClassVar[str] = "call.transfer_failed"
    destination: str
    name: str
    code: str


@dataclass(frozen=True, slots=True)
class AgentToolStarted:
    """A collector asks the caller for something, and the agent waits. ``agent_tool_id`` is the id of its call."""

    type: ClassVar[str] = "agent_tool.started"
    agent_tool_type: str
    agent_tool_id: str


@dataclass(frozen=True, slots=True)
class AgentToolCompleted:
    """The collector is done, and the agent goes on.

    ``result`` has the values, those masked that nobody may read; or ``timed_out``; or ``declined`` and
    ``decline_reason``.
    """

    type: ClassVar[str] = "agent_tool.completed"
    agent_tool_type: str
    agent_tool_id: str
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AgentToolFailed:
    """The collector came to no end."""

    type: ClassVar[str] = "agent_tool.failed"
    agent_tool_type: str
    agent_tool_id: str
    error: str


@dataclass(frozen=True, slots=True)
class LlmAvailabilityChanged:
    """One of the language models that stand in for each other fails, or is well again; ``reason`` says why it fails."""

    type: ClassVar[str] = "llm.availability_changed"
    llm: str
    available: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VoicemailDetected:
    """It is known who has answered; once in a call. ``method`` says by what, ``transcript`` is what was said."""

    type: ClassVar[str] = "voicemail.detected"
    result: Literal["machine", "human"]
    method: Literal["audio", "llm"]
    transcript: str


@dataclass(frozen=True, slots=True)
class VoicemailBeep:
    """A machine records from here on; both are 0 where silence took the place of its beep."""

    type: ClassVar[str] = "voicemail.beep"
    frequency_hz: float
    duration_ms: int


@dataclass(frozen=True, slots=True)
class SttAvailabilityChanged:
    """The same of a recogniser."""

    type: ClassVar[str] = "stt.availability_changed"
    stt: str
    available: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TtsAvailabilityChanged:
    """The same of a voice."""

    type: ClassVar[str] = "tts.availability_changed"
    tts: str
    available: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The end of a turn. ``agent_text`` is what was heard; ``agent_tool_id`` the collector's call that it was for."""

    type: ClassVar[str] = "turn.completed"
    turn: int
    user_text: str
    agent_text: str
    agent_first: bool
    interrupted: bool
    agent_tool_id: str | None = None


@dataclass(frozen=True, slots=True)
class TurnMetrics:
    """Where the time of a turn went, in milliseconds after its anchor: the caller's last voiced sound.

    Stages overlap when the answer was begun before the turn was sure (``speculative``). None is unknown, never 0.

    Attributes:
        end_of_turn_ms: The turn was decided.
        transcript_ms: The final words were there.
        first_token_ms: The model's first words were there.
        first_audio_ms: The first sound was written to the line: the voice-to-voice latency.
        llm_ttft_ms: From the model's request to its first words.
        tts_ttfb_ms: From the first clause to its first sound.
        llm_total_ms: All requests of the answer together, each from its beginning to its last piece.
        tts_total_ms: All clauses of the answer together, each from its words to its last sound.
        processing_ms: From the decision to the last words of the answer.
        agent: Who answered.
        anchor: ``vad_end``, or ``turn_start`` for a turn that was written or typed on the keypad.
        models: The models that answered, by role; of several that stand in for each other the one that did.
        input_tokens: Read by models since the turn before, in tries that came to nothing too.
        output_tokens: The same of what they wrote.
        cost_usd: The same, with voice and recogniser, by list prices.
    """

    type: ClassVar[str] = "turn.metrics"
    turn: int
    interrupted: bool
    speculative: bool
    end_of_turn_ms: float | None = None
    transcript_ms: float | None = None
    first_token_ms: float | None = None
    first_audio_ms: float | None = None
    llm_ttft_ms: float | None = None
    tts_ttfb_ms: float | None = None
    llm_total_ms: float | None = None
    tts_total_ms: float | None = None
    processing_ms: float | None = None
    agent: str = ""
    anchor: LatencyAnchor = "vad_end"
    models: dict[str, str] = field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What a call has used of one model; ``cost_usd`` by list prices, None where the price is not known."""

    role: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0
    audio_s: float = 0.0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """What the call has used, and of whom; ``cost_usd`` by list prices, None where one of them is not known."""

    type: ClassVar[str] = "session.usage"
    llm_input_tokens: int
    llm_output_tokens: int
    tts_characters: int
    stt_audio_s: float
    cost_usd: float | None = None
    parts: tuple[ModelUsage, ...] = ()


@dataclass(frozen=True, slots=True)
class FloorDecision:
    """One step of turn-taking: what came in and what was decided, as ``floor.describe`` writes it.

    With the audio this replays the call.
    """

    type: ClassVar[str] = "floor.decision"
    event: dict[str, Any]
    actions: list[dict[str, Any]]
    phase: str


CallEvent = (
    SessionStarted
    | SessionManners
    | SessionEnded
    | SessionError
    | SessionUsage
    | UserSpeechStarted
    | UserSpeechStopped
    | UserTranscription
    | UserTyped
    | UserTurnCompleted
    | UserBackchannel
    | UserStateChanged
    | UserDtmf
    | UserIdle
    | AgentStateChanged
    | AgentHandoff
    | AgentSpeechCreated
    | AgentSpeechStarted
    | AgentTextSpoken
    | AgentSpeechCompleted
    | AgentSpeechInterrupted
    | PlayCompleted
    | BackgroundChanged
    | CallHeld
    | CallResumed
    | RecordingPaused
    | RecordingResumed
    | AgentFalseInterruption
    | ToolCalled
    | ToolExecuted
    | ToolApprovalRequested
    | ToolApprovalDecided
    | CallTransferring
    | CallTransferred
    | CallTransferFailed
    | AgentToolStarted
    | AgentToolCompleted
    | AgentToolFailed
    | LlmAvailabilityChanged
    | SttAvailabilityChanged
    | TtsAvailabilityChanged
    | VoicemailDetected
    | VoicemailBeep
    | TurnCompleted
    | TurnMetrics
    | FloorDecision
)
