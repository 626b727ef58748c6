"""The older shapes of what a service of the beta dialect reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.realtime.session import audio_part

_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_INPUT = {
    "transcription": "input_audio_transcription",
    "noise_reduction": "input_audio_noise_reduction",
    "turn_detection": "turn_detection",
}
_PARTS = {"output_text": "text", "output_audio": "audio"}


def to_beta(event: Mapping[str, Any]) -> dict[str, Any]:
    """A client event as a service of the older dialect reads it."""
    if event["type"] == "session.update":
        return {**event, "session": _session_to_beta(event["session"])}
    if event["type"] == "conversation.item.create":
        return {**event, "item": _item_to_beta(event["item"])}
    if event["type"] == "response.create" and event.get("response"):
        return {**event, "response": _settings_to_beta(event["response"])}
    return dict(event)


def _session_to_beta(session: Mapping[str, Any]) -> dict[str, Any]:
    result = _settings_to_beta(session)
    heard = audio_part(session, "input")
    result.update({older: heard[name] for name, older in _INPUT.items() if name in heard})
    if "format" in heard:
        result["input_audio_format"] = _older_format(heard["format"])
    if "max_output_tokens" in result:
        result["max_response_output_tokens"] = result.pop("max_output_tokens")
    return result


def _settings_to_beta(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What sessions and single responses share."""
    result = {key: value for key, value in settings.items() if key not in ("type", "audio", "output_modalities")}
    spoken = audio_part(settings, "output")
    result.update({name: spoken[name] for name in ("voice", "speed") if name in spoken})
    if "format" in spoken:
        result["output_audio_format"] = _older_format(spoken["format"])
    if "output_modalities" in settings:
        result["modalities"] = ["text", "audio"] if "audio" in settings["output_modalities"] else ["text"]
    if isinstance(settings.get("input"), list):
        result["input"] = [_item_to_beta(item) for item in settings["input"]]
    return result


def _item_to_beta(item: Mapping[str, Any]) -> dict[str, Any]:
    content = item.get("content")
    if not isinstance(content, list):
        return dict(item)
    return {**item, "content": [{**part, "type": _PARTS.get(part["type"], part["type"])} for part in content]}


def _older_format(wire_format: Any) -> Any:
    kind = wire_format.get("type") if isinstance(wire_format, Mapping) else wire_format
    return _FORMATS.get(str(kind), kind)
