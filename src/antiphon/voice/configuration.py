"""From settings to what the Realtime client needs: where the service is, and the session that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.realtime.endpoint import Endpoint, endpoint_for
from antiphon.settings_voice import VoiceClientSettings, instructions_of

_FORMAT = {"type": "audio/pcm", "rate": 24_000}


def endpoint_of(settings: VoiceClientSettings) -> Endpoint:
    """The service that the settings name.

    Raises:
        ConfigurationError: Something is missing or wrong.
    """
    if settings.provider == "azure":
        key = settings.azure_openai_api_key
        return endpoint_for(
            "azure",
            settings.azure_openai_deployment,
            api_key=key.get_secret_value() if key is not None else None,
            base_url=settings.azure_openai_endpoint,
            api_version=settings.azure_openai_api_version,
        )
    key = settings.openai_api_key
    return endpoint_for(
        settings.provider,
        settings.realtime_model,
        api_key=key.get_secret_value() if key is not None else None,
        base_url=settings.openai_base_url,
    )


def session_of(
    settings: VoiceClientSettings, tools: Sequence[Mapping[str, Any]], *, is_text: bool = False
) -> dict[str, Any]:
    """The configuration that is asked for.

    An Antiphon agent has instructions, a voice and ears of its own: only what somebody has chosen is sent to it.

    Args:
        settings: All settings.
        tools: Functions, in the protocol's form.
        is_text: Answers are written, not spoken.

    Raises:
        ConfigurationError: The file of instructions cannot be read.
    """
    chosen = settings.model_fields_set if settings.provider == "antiphon" else type(settings).model_fields.keys()
    sound_in: dict[str, Any] = {"format": dict(_FORMAT)}
    if settings.turn_detection == "none":
        sound_in["turn_detection"] = None
    elif "turn_detection" in chosen:
        sound_in["turn_detection"] = {
            "type": settings.turn_detection,
            "interrupt_response": settings.barge_in == "server",
        }
    if not settings.transcribes:
        sound_in["transcription"] = None
    else:
        sound_in["transcription"] = {"model": settings.transcribe_model}
    sound_out: dict[str, Any] = {"format": dict(_FORMAT)}
    if "voice_name" in chosen:
        sound_out["voice"] = settings.voice_name
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["text"] if is_text else ["audio"],
        "audio": {"input": sound_in, "output": sound_out},
    }
    instructions = instructions_of(settings)
    if instructions is not None:
        session["instructions"] = instructions
    if tools:
        session |= {"tools": [dict(each) for each in tools], "tool_choice": "auto"}
    return session
