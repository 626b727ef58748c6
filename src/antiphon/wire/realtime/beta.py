"""The beta dialect: the older names of events and fields, turned into today's and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WIRE_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_OLDER_FORMATS = {name: older for older, name in _WIRE_FORMATS.items()}

# Where a field of the beta dialect stands today.
_SESSION_PATHS: Mapping[str, tuple[str, ...]] = {
    "modalities": ("output_modalities",),
    "max_response_output_tokens": ("max_output_tokens",),
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
}
_RESPONSE_PATHS = {
    name: _SESSION_PATHS[name] for name in ("modalities", "max_response_output_tokens", "output_audio_format", "voice")
}
_GA_SESSION_FIELDS = ("type", "audio", "output_modalities", "max_output_tokens")

_OLDER_TYPES = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}
_OLDER_CONTENT = {"output_text": "text", "output_audio": "audio"}


def is_ga_session(session: Mapping[str, Any]) -> bool:
    """Whether a client's session object is in today's shape."""
    return any(name in session for name in _GA_SESSION_FIELDS)


def session_to_ga(session: Mapping[str, Any]) -> dict[str, Any]:
    """A client's session object with every older field where it stands today; today's own fields go first."""
    return _moved(session, _SESSION_PATHS)


def response_to_ga(response: Mapping[str, Any]) -> dict[str, Any]:
    """The ``response`` of a ``response.create``, likewise."""
    return _moved(response, _RESPONSE_PATHS)


def older_type(name: str) -> str:
    """The older name of a server event."""
    return _OLDER_TYPES.get(name, name)


def event_to_beta(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """A server event in the older names and shapes, or None where the dialect has no such event."""
    name = event["type"]
    if name == "conversation.item.done":
        return None
    told = {**event, "type": older_type(name)}
    if "session" in event:
        if name == "session.updated" and event["session"]["type"] == "transcription":
            told["type"] = "transcription_session.updated"
        told["session"] = _session_to_beta(event["session"])
    if "item" in event:
        told["item"] = _item_to_beta(event["item"])
    if "response" in event:
        told["response"] = _response_to_beta(event["response"])
    return told


def _moved(values: Mapping[str, Any], paths: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    moved = {name: value for name, value in values.items() if name not in paths}
    for name, path in paths.items():
        if name in values:
            _place(moved, path, _value_to_ga(name, values[name]))
    return moved


def _place(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set a value within, unless something stands there; the objects on the way are copied, never changed."""
    for name in path[:-1]:
        within = values.get(name, {})
        if not isinstance(within, Mapping):
            return
        values[name] = dict(within)
        values = values[name]
    values.setdefault(path[-1], value)


def _value_to_ga(name: str, value: Any) -> Any:
    if name.endswith("_audio_format") and isinstance(value, str):
        return {"type": _WIRE_FORMATS.get(value, value)}
    if name == "modalities" and isinstance(value, list):
        # Audio always comes with its text, which the older name spells out.
        return ["audio"] if "audio" in value and len(value) <= 2 else value
    return value


def _session_to_beta(session: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in session.items() if name not in _GA_SESSION_FIELDS}
    heard = session["audio"]["input"]
    told["input_audio_format"] = _OLDER_FORMATS[heard["format"]["type"]]
    told["input_audio_transcription"] = heard["transcription"]
    told["input_audio_noise_reduction"] = heard["noise_reduction"]
    told["turn_detection"] = heard["turn_detection"]
    if session["type"] == "realtime":
        spoken = session["audio"]["output"]
        told["modalities"] = _older_modalities(session["output_modalities"])
        told["voice"] = spoken["voice"]
        told["speed"] = spoken["speed"]
        told["output_audio_format"] = _OLDER_FORMATS[spoken["format"]["type"]]
        told["max_response_output_tokens"] = session["max_output_tokens"]
    return told


def _response_to_beta(response: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in response.items() if name not in ("audio", "output_modalities")}
    spoken = response["audio"]["output"]
    told["modalities"] = _older_modalities(response["output_modalities"])
    told["voice"] = spoken["voice"]
    told["output_audio_format"] = _OLDER_FORMATS[spoken["format"]["type"]]
    told["output"] = [_item_to_beta(item) for item in response["output"]]
    return told


def _item_to_beta(item: Mapping[str, Any]) -> Mapping[str, Any]:
    if item.get("role") != "assistant":
        return item
    content = [{**part, "type": _OLDER_CONTENT.get(part["type"], part["type"])} for part in item["content"]]
    return {**item, "content": content}


def _older_modalities(modalities: list[str]) -> list[str]:
    return ["text", "audio"] if modalities == ["audio"] else modalities
