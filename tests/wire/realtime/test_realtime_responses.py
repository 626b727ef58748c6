"""What a response is made with, and how it is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.wire.realtime.items import Item
from antiphon.wire.realtime.refusal import Refusal
from antiphon.wire.realtime.response import (
    response_config,
    response_object,
    transcription_usage,
    usage_object,
)
from antiphon.wire.realtime.session import SessionConfig

TOOL = {"type": "function", "name": "weather"}
SESSION = SessionConfig(
    model="host", instructions="Be kind.", voice="anna", tools=(TOOL,), reasoning={"effort": "low"}, speed=1.1
)
FIELDS = (
    "output_modalities instructions audio tools tool_choice max_output_tokens metadata conversation input prompt "
    "reasoning parallel_tool_calls"
).split()
counts = st.integers(0, 10_000)


def test_a_response_is_made_as_the_session_says() -> None:
    config = response_config(SESSION, {})
    assert (config.modality, config.instructions, config.voice, config.speed) == ("audio", "Be kind.", "anna", 1.1)
    assert (config.tools, config.tool_choice, config.reasoning) == ((TOOL,), "auto", {"effort": "low"})
    assert (config.conversation, config.input, config.metadata) == ("auto", None, None)


def test_null_is_unset_for_every_field() -> None:
    assert response_config(SESSION, dict.fromkeys(FIELDS), strict=True) == response_config(SESSION, {})


def test_a_client_changes_a_single_response() -> None:
    config = response_config(
        SESSION,
        {
            "output_modalities": ["text"],
            "instructions": "",
            "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": {"id": "otto"}}},
            "tools": [],
            "tool_choice": "none",
            "max_output_tokens": 5,
            "conversation": "none",
            "input": [],
            "prompt": {"id": "p"},
            "reasoning": {"effort": "high"},
            "parallel_tool_calls": False,
        },
        strict=True,
    )
    assert (config.modality, config.instructions, config.output_format, config.voice) == ("text", "", "pcmu", "otto")
    assert (config.tools, config.tool_choice, config.max_output_tokens) == ((), "none", 5)
    assert (config.conversation, config.input, config.prompt) == ("none", (), {"id": "p"})
    assert (config.reasoning, config.parallel_tool_calls) == ({"effort": "high"}, False)


def test_no_limit_may_be_set_over_the_sessions() -> None:
    session = SessionConfig(max_output_tokens=7)
    assert response_config(session, {}).max_output_tokens == 7
    assert response_config(session, {"max_output_tokens": None}).max_output_tokens == 7
    assert response_config(session, {"max_output_tokens": "inf"}).max_output_tokens is None


def test_input_is_read_and_may_refer() -> None:
    config = response_config(SESSION, {"input": [{"type": "item_reference", "id": "x"}]})
    assert config.input == (Item("x", "item_reference"),)


def test_metadata_becomes_texts() -> None:
    config = response_config(SESSION, {"metadata": {"a": "x", "b": 1, "c": None, "d": [True]}})
    assert config.metadata == {"a": "x", "b": "1", "c": "null", "d": "[true]"}


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"metadata": {str(key): "" for key in range(17)}}, "invalid_value", "response.metadata"),
        ({"metadata": {"k" * 65: ""}}, "string_above_max_length", f"response.metadata.{'k' * 64}"),
        ({"metadata": {"k": "x" * 513}}, "string_above_max_length", "response.metadata.k"),
        ({"metadata": []}, "invalid_value", "response.metadata"),
        ({"conversation": ""}, "invalid_value", "response.conversation"),
        ({"conversation": 3}, "invalid_value", "response.conversation"),
        ({"output_modalities": []}, "invalid_value", "response.output_modalities"),
        ({"input": {}}, "invalid_value", "response.input"),
        ({"input": [{"type": "message", "role": "user"}]}, "missing_required_parameter", "response.input[0].content"),
        (
            {"audio": {"output": {"format": {"type": "x"}}}},
            "invalid_value",
            "response.audio.output.format.type",
        ),
    ],
)
def test_a_bad_field_is_refused(response: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        response_config(SESSION, response)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_unknown_fields_are_counted_or_in_strict_mode_refused() -> None:
    unknown = {"temperature": 1, "audio": {"output": {"speed": 1}}}
    assert response_config(SESSION, unknown).ignored == 2
    with pytest.raises(Refusal) as refused:
        response_config(SESSION, unknown, strict=True)
    assert refused.value.code == "unknown_parameter"


def test_a_response_is_told_from_begin_to_end() -> None:
    config = response_config(SESSION, {"metadata": {"a": 1}})
    told = response_object("resp_1", config, conversation_id="conv_1")
    assert told == {
        "id": "resp_1",
        "object": "realtime.response",
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": "conv_1",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "anna"}},
        "metadata": {"a": "1"},
        "usage": None,
    }
    cancelled = response_object(
        "resp_1", config, conversation_id=None, status="cancelled", reason="turn_detected", usage=usage_object()
    )
    assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    failure = {"type": "server_error", "code": "engine_error", "message": "m"}
    failed = response_object("resp_1", config, conversation_id=None, status="failed", error=failure)
    assert failed["status_details"] == {"type": "failed", "error": failure}


@given(counts, counts, counts, counts, counts)
def test_usage_adds_up_and_holds_every_number(text: int, audio: int, image: int, said: int, spoken: int) -> None:
    usage = usage_object(
        input_text=text,
        input_audio=audio,
        input_image=image,
        cached_text=text // 2,
        cached_audio=audio // 2,
        output_text=said,
        output_audio=spoken,
    )
    details = usage["input_token_details"]
    cached = details["cached_tokens_details"]
    assert usage["input_tokens"] == sum(details[f"{kind}_tokens"] for kind in ("text", "audio", "image"))
    assert usage["output_tokens"] == sum(usage["output_token_details"].values())
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert details["cached_tokens"] == sum(cached.values()) <= usage["input_tokens"]
    assert set(cached) == {"text_tokens", "audio_tokens", "image_tokens"}


def test_transcription_counts_seconds() -> None:
    assert transcription_usage(2) == {"type": "duration", "seconds": 2.0}
    assert isinstance(transcription_usage(2)["seconds"], float)
