"""A session's configuration: what it holds, how an update changes it, how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

WireFormat = Literal["pcm", "pcmu", "pcma"]
"""``pcm`` is 16-bit little-endian at 24 000 Hz; ``pcmu`` and ``pcma`` are G.711 at 8 000 Hz. All are mono."""

Modality = Literal["audio", "text"]
Kind = Literal["realtime", "transcription"]


@dataclass(frozen=True, slots=True)
class ServerVad:
    """Turns end after a silence.

    Attributes:
        threshold: 0 to 1; higher needs louder speech.
        prefix_padding_ms: Audio kept before the speech.
        silence_duration_ms: Silence that ends the turn.
        idle_timeout_ms: Silence after an answer that asks for another one, or None.
        create_response: Whether a turn's end starts a response.
        interrupt_response: Whether speech cancels the active response.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class SemanticVad:
    """Turns end when the words are complete.

    Attributes:
        eagerness: ``low``, ``medium``, ``high`` or ``auto``, which equals ``medium``.
        create_response: Whether a turn's end starts a response.
        interrupt_response: Whether speech cancels the active response.
    """

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """Cleaning of the user's audio.

    Attributes:
        type: Where the microphone is.
        strength: 0 to 1.
    """

    type: Literal["near_field", "far_field"]
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """All that a client can set, in effect.

    Attributes:
        kind: Whether the session answers or only transcribes.
        model: The agent's name; fixed.
        instructions: In effect now.
        default_instructions: The agent's own, for a client that unsets them.
        modality: What answers are made of.
        tools: The client's functions and MCP servers, with secrets.
        tool_choice: ``auto``, ``none``, ``required``, or an object that names one.
        max_output_tokens: Per response; None has no limit.
        parallel_tool_calls: Whether one response may call several.
        reasoning: ``{"effort": …}`` or None.
        prompt: ``{"id": …}`` or None.
        tracing: None, ``auto`` or an object; stays once it is on.
        truncation: ``auto``, ``disabled`` or a ``retention_ratio`` object.
        include: Extra fields that the client wants, or None.
        input_format: Of the user's audio.
        transcription: The keys that the client set, or None: no transcription events.
        noise_reduction: Or None.
        turn_detection: None leaves turns to the client.
        output_format: Of the answers' audio.
        voice: Name of the voice in effect.
        default_voice: The agent's own, for a client that unsets it.
        speed: 0.25 to 1.5.
        antiphon_events: Whether the client takes ``antiphon.*`` events.
    """

    kind: Kind = "realtime"
    model: str = ""
    instructions: str = ""
    default_instructions: str = ""
    modality: Modality = "audio"
    tools: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    tool_choice: str | Mapping[str, Any] = "auto"
    max_output_tokens: int | None = None
    parallel_tool_calls: bool = True
    reasoning: Mapping[str, Any] | None = None
    prompt: Mapping[str, Any] | None = None
    tracing: str | Mapping[str, Any] | None = None
    truncation: str | Mapping[str, Any] = "auto"
    include: tuple[str, ...] | None = None
    input_format: WireFormat = "pcm"
    transcription: Mapping[str, Any] | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: ServerVad | SemanticVad | None = ServerVad()
    output_format: WireFormat = "pcm"
    voice: str = ""
    default_voice: str = ""
    speed: float = 1.0
    antiphon_events: bool = False


def merged(
    config: SessionConfig, update: Mapping[str, Any], *, strict: bool = False, voice_locked: bool = False
) -> tuple[SessionConfig, int]:
    """The configuration after an update, and how many unknown fields were ignored."""
    raise NotImplementedError


def session_object(config: SessionConfig, *, session_id: str, expires_at: int) -> dict[str, Any]:
    """The session as ``session.created`` and ``session.updated`` tell it."""
    raise NotImplementedError
