"""The older shapes of what a service reads and of the session that it tells; event names are ``incoming``'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.realtime.session import audio_part

_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_FORMATS_BACK: dict[str, dict[str, Any]] = {older: {"type": name} for name, older in _FORMATS.items()}
_FORMATS_BACK["pcm16"] = {"type": "audio/pcm", "rate": 24_000}
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


def session_from_beta(session: Mapping[str, Any]) -> dict[str, Any]:
    """A session in today's shape, whichever the service told it in."""
    if "audio" in session or not session.keys() & _BETA_KEYS:
        return dict(session)
    result = {key: value for key, value in session.items() if key not in _BETA_KEYS}
    heard: dict[str, Any] = {name: session[older] for name, older in _INPUT.items() if older in session}
    spoken: dict[str, Any] = {name: session[name] for name in ("voice", "speed") if name in session}
    for part, key in ((heard, "input_audio_format"), (spoken, "output_audio_format")):
        if session.get(key) in _FORMATS_BACK:
            part["format"] = _FORMATS_BACK[session[key]]
    result["audio"] = {"input": heard, "output": spoken}
    if "modalities" in session:
        result["output_modalities"] = ["audio"] if "audio" in (session["modalities"] or ()) else ["text"]
    if "max_response_output_tokens" in session:
        result["max_output_tokens"] = session["max_response_output_tokens"]
    return result


_BETA_KEYS = frozenset(
    {
        *_INPUT.values(),
        "input_audio_format",
        "output_audio_format",
        "voice",
        "speed",
        "modalities",
        "max_response_output_tokens",
    }
)


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
