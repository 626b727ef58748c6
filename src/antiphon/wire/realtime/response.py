"""A response: what a client asks for, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.wire.realtime import options
from antiphon.wire.realtime.fields import Fields
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.items import Item, read_input
from antiphon.wire.realtime.options import Modality, WireFormat
from antiphon.wire.realtime.session import SessionConfig

ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]

INPUT_AUDIO_TOKENS_PER_S = 10
OUTPUT_AUDIO_TOKENS_PER_S = 20
"""What a second of audio counts when the model reports no tokens."""


@dataclass(frozen=True, slots=True)
class ResponseConfig:
    """All that makes one response, the session's choices included.

    Attributes:
        modality: What the answer is made of.
        instructions: For this response.
        output_format: Of its audio.
        voice: Name of the voice.
        speed: 0.25 to 1.5.
        tools: Functions and MCP servers, with secrets.
        tool_choice: ``auto``, ``none``, ``required``, or an object that names one.
        max_output_tokens: None has no limit.
        parallel_tool_calls: Whether it may call several functions.
        reasoning: ``{"effort": …}`` or None.
        prompt: ``{"id": …}`` or None.
        metadata: What the client sent, all values as texts.
        conversation: ``auto``, ``none`` (out-of-band) or the id of the conversation.
        input: The context; None is the conversation, and an empty one is none at all.
        ignored: Unknown fields of the client's object.
    """

    modality: Modality
    instructions: str
    output_format: WireFormat
    voice: str
    speed: float
    tools: tuple[Mapping[str, Any], ...] = field(repr=False)
    tool_choice: str | Mapping[str, Any]
    max_output_tokens: int | None
    parallel_tool_calls: bool
    reasoning: Mapping[str, Any] | None = None
    prompt: Mapping[str, Any] | None = None
    metadata: Mapping[str, str] | None = None
    conversation: str = "auto"
    input: tuple[Item, ...] | None = None
    ignored: int = field(default=0, compare=False)


def response_config(
    session: SessionConfig,
    response: Mapping[str, Any],
    *,
    strict: bool = False,
    new_id: Callable[[str], str] = new_id,
) -> ResponseConfig:
    """What one response is made with: the session's configuration, and over it what the client set for this once.

    Args:
        session: What is in effect.
        response: The ``response`` object of a ``response.create``, in the names of the GA dialect; null means unset.
        strict: Whether unknown fields are refused.
        new_id: Makes ids for items of ``input`` that have none.

    Raises:
        Refusal: A field is wrong; ``param`` is its path.
    """
    fields = Fields(response, "response", strict=strict)
    given: dict[str, Any] = {
        name: read(fields) for name, read in _OVERRIDES.items() if fields.get(_FIELDS.get(name, name)) is not None
    }
    if fields.get("reasoning") is not None:
        given["reasoning"] = options.read_reasoning(fields, session.reasoning)
    if fields.get("input") is not None:
        given["input"] = read_input(fields.get("input"), fields.where("input"), strict=strict, new_id=new_id)
    if audio := fields.fields("audio"):
        given |= _read_audio(audio)
    fields.close()
    return ResponseConfig(**{**{name: getattr(session, name) for name in _INHERITED}, **given}, ignored=fields.ignored)


def response_object(
    response_id: str,
    config: ResponseConfig,
    *,
    conversation_id: str | None,
    status: ResponseStatus = "in_progress",
    reason: str | None = None,
    error: Mapping[str, Any] | None = None,
    output: Sequence[Mapping[str, Any]] = (),
    usage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The response as ``response.created`` and ``response.done`` tell it.

    Args:
        response_id: Its id.
        config: What it is made with.
        conversation_id: Where its items go; None out-of-band.
        status: How far it has come.
        reason: Why it ended early: ``turn_detected``, ``client_cancelled``, ``max_output_tokens``, ``content_filter``.
        error: Why it failed, with ``type``, ``code`` and ``message``.
        output: Its items, as ``item_object`` makes them.
        usage: What it took, as ``usage_object`` makes it; None until it is done.
    """
    details: dict[str, Any] | None = None
    if reason is not None or error is not None:
        details = {"type": status}
        if reason is not None:
            details["reason"] = reason
        if error is not None:
            details["error"] = error
    return {
        "id": response_id,
        "object": "realtime.response",
        "status": status,
        "status_details": details,
        "output": list(output),
        "conversation_id": conversation_id,
        "output_modalities": [config.modality],
        "max_output_tokens": config.max_output_tokens or "inf",
        "audio": {"output": {"format": options.format_object(config.output_format), "voice": config.voice}},
        "metadata": config.metadata,
        "usage": usage,
    }


def usage_object(
    *,
    input_text: int = 0,
    input_audio: int = 0,
    input_image: int = 0,
    cached_text: int = 0,
    cached_audio: int = 0,
    cached_image: int = 0,
    output_text: int = 0,
    output_audio: int = 0,
) -> dict[str, Any]:
    """The tokens of a response; those of the input include the cached ones."""
    input_tokens = input_text + input_audio + input_image
    output_tokens = output_text + output_audio
    return {
        "total_tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "input_token_details": {
            "text_tokens": input_text,
            "audio_tokens": input_audio,
            "image_tokens": input_image,
            "cached_tokens": cached_text + cached_audio + cached_image,
            "cached_tokens_details": {
                "text_tokens": cached_text,
                "audio_tokens": cached_audio,
                "image_tokens": cached_image,
            },
        },
        "output_token_details": {"text_tokens": output_text, "audio_tokens": output_audio},
    }


def transcription_usage(seconds: float) -> dict[str, Any]:
    """What the writing down of a turn took: its audio's length."""
    return {"type": "duration", "seconds": float(seconds)}


def _read_audio(fields: Fields) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if output := fields.fields("output"):
        if output.get("format") is not None:
            given["output_format"] = options.read_format(output)
        if (voice := options.read_voice(output)) is not None:
            given["voice"] = voice
        output.close()
    fields.close()
    return given


# What a response takes from its session, and what a client can set for a single one.
_INHERITED = (
    "modality",
    "instructions",
    "output_format",
    "voice",
    "speed",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "parallel_tool_calls",
    "reasoning",
    "prompt",
)
_FIELDS = {"modality": "output_modalities"}
_OVERRIDES: Mapping[str, Callable[[Fields], Any]] = {
    "modality": options.read_modality,
    "instructions": lambda fields: fields.text("instructions"),
    "tools": options.read_tools,
    "tool_choice": options.read_tool_choice,
    "max_output_tokens": options.read_max_tokens,
    "parallel_tool_calls": lambda fields: fields.flag("parallel_tool_calls"),
    "prompt": options.read_prompt,
    "metadata": options.read_metadata,
    "conversation": lambda fields: fields.needed_id("conversation"),
}
