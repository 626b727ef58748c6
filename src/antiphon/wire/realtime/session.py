"""A session's configuration: what it holds, how an update changes it, how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

from antiphon.wire.realtime import options
from antiphon.wire.realtime.fields import Fields, check_size
from antiphon.wire.realtime.options import Modality, WireFormat, format_object
from antiphon.wire.realtime.refusal import Refusal, missing

__all__ = [
    "Kind",
    "Modality",
    "NoiseReduction",
    "SemanticVad",
    "ServerVad",
    "SessionConfig",
    "WireFormat",
    "merged",
    "session_object",
]

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
    """The configuration after an update: only what is present changes, and all of it or nothing.

    Args:
        config: What is in effect now.
        update: The ``session`` object of a ``session.update``, in the names of the GA dialect.
        strict: Whether unknown fields, a missing type and another model are refused.
        voice_locked: Whether the user already heard the voice, which then cannot change.

    Returns:
        The new configuration, and how many unknown fields were ignored.

    Raises:
        Refusal: A field is wrong; ``param`` is its path.
    """
    fields = Fields(update, "session", strict=strict)
    _check_fixed(config, fields)
    changes = _realtime_changes(config, fields) if config.kind == "realtime" else {}
    if "include" in fields:
        changes["include"] = options.read_include(fields)
    if extension := fields.fields("antiphon"):
        if "events" in extension:
            changes["antiphon_events"] = extension.flag("events") is True
        extension.close()
    if audio := fields.fields("audio"):
        if within := audio.fields("input"):
            changes |= _input_changes(config, within)
        if config.kind == "realtime" and (within := audio.fields("output")):
            changes |= _output_changes(config, within)
        audio.close()
    fields.close()
    new = replace(config, **changes)
    if voice_locked and new.voice != config.voice:
        message = "Cannot update a conversation's voice if assistant audio is present."
        raise Refusal("cannot_update_voice", message, "session.audio.output.voice")
    check_size(session_object(new, session_id="", expires_at=0), "session")
    return new, fields.ignored


def _check_fixed(config: SessionConfig, fields: Fields) -> None:
    """Type and model cannot change."""
    kind = fields.get("type")
    if kind is None and fields.strict:
        raise missing(fields.where("type"))
    if kind not in (None, config.kind):
        raise fields.refuse("type", f"must be {config.kind}, the type of this session")
    if config.kind == "realtime":
        model = fields.text("model")
        if fields.strict and model not in (None, config.model):
            raise fields.refuse("model", "cannot change during a session: open another one")


def _realtime_changes(config: SessionConfig, fields: Fields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "instructions" in fields:
        instructions = fields.text("instructions")
        changes["instructions"] = config.default_instructions if instructions is None else instructions
    if "output_modalities" in fields:
        changes["modality"] = options.read_modality(fields)
    if "parallel_tool_calls" in fields:
        changes["parallel_tool_calls"] = fields.flag("parallel_tool_calls") is not False
    if "reasoning" in fields:
        changes["reasoning"] = options.read_reasoning(fields, config.reasoning)
    if "tracing" in fields:
        tracing = options.read_tracing(fields)
        # Once it is on, a trace goes on as it began.
        changes["tracing"] = tracing if config.tracing is None else config.tracing
    for name, read in _REPLACED.items():
        if name in fields:
            changes[name] = read(fields)
    return changes


def _input_changes(config: SessionConfig, fields: Fields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "format" in fields:
        changes["input_format"] = options.read_format(fields)
    if "transcription" in fields:
        changes["transcription"] = _read_transcription(fields, config.transcription)
    if "noise_reduction" in fields:
        changes["noise_reduction"] = _read_noise_reduction(fields, config.noise_reduction)
    if "turn_detection" in fields:
        changes["turn_detection"] = _read_turn_detection(fields, config.turn_detection)
    fields.close()
    return changes


def _output_changes(config: SessionConfig, fields: Fields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "format" in fields:
        changes["output_format"] = options.read_format(fields)
    if "voice" in fields:
        changes["voice"] = options.read_voice(fields) or config.default_voice
    if "speed" in fields:
        speed = fields.number("speed", 0.25, 1.5)
        changes["speed"] = 1.0 if speed is None else speed
    fields.close()
    return changes


def _read_transcription(fields: Fields, current: Mapping[str, Any] | None) -> dict[str, Any] | None:
    within = fields.fields("transcription")
    if within is None:
        return None
    given = {
        **{name: within.text(name) for name in ("model", "language", "prompt") if name in within},
        **{name: within.texts(name) for name in ("languages", "keywords") if name in within},
    }
    if "delay" in within:
        given["delay"] = within.choice("delay", ("minimal", "low", "medium", "high", "xhigh"))
    within.close()
    return {name: value for name, value in {**(current or {}), **given}.items() if value is not None}


def _read_noise_reduction(fields: Fields, current: NoiseReduction | None) -> NoiseReduction | None:
    within = fields.fields("noise_reduction")
    if within is None:
        return None
    kind = within.choice("type", ("near_field", "far_field")) or (current and current.type)
    if kind is None:
        raise missing(within.where("type"))
    strength = within.number("strength", 0.0, 1.0)
    if strength is None:
        strength = current.strength if current and "strength" not in within else 1.0
    within.close()
    return NoiseReduction(cast(Any, kind), strength)


def _read_turn_detection(fields: Fields, current: ServerVad | SemanticVad | None) -> ServerVad | SemanticVad | None:
    within = fields.fields("turn_detection")
    if within is None:
        return None
    kind = within.choice("type", ("server_vad", "semantic_vad"))
    if kind is None:
        base = current or ServerVad()
    else:
        wanted = ServerVad if kind == "server_vad" else SemanticVad
        base = current if isinstance(current, wanted) else wanted()
    changes = _vad_changes(within, base)
    within.close()
    return replace(base, **changes)


def _vad_changes(fields: Fields, base: ServerVad | SemanticVad) -> dict[str, Any]:
    given: dict[str, Any] = {name: fields.flag(name) for name in ("create_response", "interrupt_response")}
    if isinstance(base, ServerVad):
        given["threshold"] = fields.number("threshold", 0.0, 1.0)
        given["prefix_padding_ms"] = fields.integer("prefix_padding_ms", 0, _MAX_VAD_MS)
        given["silence_duration_ms"] = fields.integer("silence_duration_ms", 0, _MAX_VAD_MS)
        given["idle_timeout_ms"] = fields.integer("idle_timeout_ms", 1_000, 600_000)
        defaults: ServerVad | SemanticVad = ServerVad()
    else:
        given["eagerness"] = fields.choice("eagerness", ("low", "medium", "high", "auto"))
        defaults = SemanticVad()
    return {
        name: getattr(defaults, name) if value is None else value for name, value in given.items() if name in fields
    }


def session_object(config: SessionConfig, *, session_id: str, expires_at: int) -> dict[str, Any]:
    """The session as ``session.created`` and ``session.updated`` tell it.

    Clients stop at what they do not know, so these are exactly the documented fields: in ``transcription`` only what
    the client set, the voice as a text, whole numbers for times, ``interrupt_response`` always.

    Args:
        config: What is in effect.
        session_id: The session's id.
        expires_at: Unix time of its end, in whole seconds.
    """
    detection = config.turn_detection
    audio_input = {
        "format": format_object(config.input_format),
        "transcription": None if config.transcription is None else dict(config.transcription),
        "noise_reduction": None if config.noise_reduction is None else asdict(config.noise_reduction),
        "turn_detection": None if detection is None else {"type": _VAD_NAMES[type(detection)], **asdict(detection)},
    }
    include = None if config.include is None else list(config.include)
    head = {"type": config.kind, "id": session_id, "expires_at": expires_at}
    if config.kind == "transcription":
        object_name = "realtime.transcription_session"
        return {**head, "object": object_name, "include": include, "audio": {"input": audio_input}}
    session: dict[str, Any] = {
        **head,
        "object": "realtime.session",
        "model": config.model,
        "instructions": config.instructions,
        "output_modalities": [config.modality],
        "tools": options.tool_objects(config.tools),
        "tool_choice": config.tool_choice,
        "max_output_tokens": config.max_output_tokens or "inf",
        "parallel_tool_calls": config.parallel_tool_calls,
        "prompt": config.prompt,
        "tracing": config.tracing,
        "truncation": config.truncation,
        "include": include,
        "audio": {
            "input": audio_input,
            "output": {
                "format": format_object(config.output_format),
                "voice": config.voice,
                "speed": config.speed,
            },
        },
    }
    if config.reasoning is not None:
        session["reasoning"] = dict(config.reasoning)
    return session


_MAX_VAD_MS = 60_000

_VAD_NAMES = {ServerVad: "server_vad", SemanticVad: "semantic_vad"}

# What an update replaces as a whole, and how it is read.
_REPLACED: Mapping[str, Callable[[Fields], Any]] = {
    "tools": options.read_tools,
    "tool_choice": options.read_tool_choice,
    "max_output_tokens": options.read_max_tokens,
    "prompt": options.read_prompt,
    "truncation": options.read_truncation,
}
