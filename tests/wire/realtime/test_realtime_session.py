"""How updates change a session, and how a session is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.wire.realtime.refusal import Refusal
from antiphon.wire.realtime.session import (
    NoiseReduction,
    SemanticVad,
    ServerVad,
    SessionConfig,
    merged,
    session_object,
)

START = SessionConfig(
    model="host", instructions="Be kind.", default_instructions="Be kind.", voice="anna", default_voice="anna"
)
FUNCTION = {"type": "function", "name": "weather", "description": "Tells it.", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "time"}
LOGPROBS = "item.input_audio_transcription.logprobs"


def heard(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def spoken(**fields: Any) -> dict[str, Any]:
    return {"audio": {"output": fields}}


def detect(**fields: Any) -> dict[str, Any]:
    return heard(turn_detection=fields)


# Updates one after the other, and what is then different from the start.
MERGES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([{}], {}),
    ([{"type": "realtime"}], {}),
    ([{"instructions": "Be brief."}], {"instructions": "Be brief."}),
    ([{"instructions": "Be brief."}, {"tools": []}], {"instructions": "Be brief."}),
    ([{"instructions": ""}], {"instructions": ""}),
    ([{"instructions": "Be brief."}, {"instructions": None}], {}),
    ([{"output_modalities": ["text"]}], {"modality": "text"}),
    ([{"output_modalities": ["text"]}, {"output_modalities": None}], {}),
    ([{"tools": [FUNCTION]}], {"tools": (FUNCTION,)}),
    ([{"tools": [FUNCTION]}, {"tools": [OTHER]}], {"tools": (OTHER,)}),
    ([{"tools": [FUNCTION]}, {"tools": []}], {}),
    ([{"tools": [FUNCTION]}, {"tools": None}], {}),
    ([{"tool_choice": "required"}], {"tool_choice": "required"}),
    (
        [{"tool_choice": {"type": "function", "name": "weather"}}],
        {"tool_choice": {"type": "function", "name": "weather"}},
    ),
    ([{"tool_choice": "none"}, {"tool_choice": None}], {}),
    ([{"max_output_tokens": 100}], {"max_output_tokens": 100}),
    ([{"max_output_tokens": 100}, {"max_output_tokens": "inf"}], {}),
    ([{"max_output_tokens": 100}, {"max_output_tokens": None}], {}),
    ([{"parallel_tool_calls": False}], {"parallel_tool_calls": False}),
    ([{"parallel_tool_calls": False}, {"parallel_tool_calls": None}], {}),
    ([{"reasoning": {"effort": "low"}}, {"reasoning": {}}], {"reasoning": {"effort": "low"}}),
    ([{"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "high"}}], {"reasoning": {"effort": "high"}}),
    ([{"reasoning": {"effort": "low"}}, {"reasoning": None}], {}),
    ([{"prompt": {"id": "p", "version": "2"}}, {"prompt": {"id": "q"}}], {"prompt": {"id": "q"}}),
    ([{"prompt": {"id": "p"}}, {"prompt": None}], {}),
    ([{"tracing": None}], {}),
    ([{"tracing": "auto"}, {"tracing": None}], {"tracing": "auto"}),
    ([{"tracing": {"group_id": "g"}}, {"tracing": "auto"}], {"tracing": {"group_id": "g"}}),
    ([{"truncation": "disabled"}], {"truncation": "disabled"}),
    (
        [{"truncation": {"type": "retention_ratio", "retention_ratio": 0.5}}],
        {"truncation": {"type": "retention_ratio", "retention_ratio": 0.5}},
    ),
    ([{"include": [LOGPROBS]}], {"include": (LOGPROBS,)}),
    ([{"include": [LOGPROBS]}, {"include": None}], {}),
    ([heard(format={"type": "audio/pcmu"})], {"input_format": "pcmu"}),
    ([heard(format={"type": "audio/pcma"}), heard(format={"type": "audio/pcm"})], {}),
    (
        [heard(format={"type": "audio/pcm", "rate": 24000}), spoken(format={"type": "audio/pcma"})],
        {"output_format": "pcma"},
    ),
    ([heard(transcription={"model": "m"})], {"transcription": {"model": "m"}}),
    (
        [heard(transcription={"model": "m"}), heard(transcription={"language": "de"})],
        {"transcription": {"model": "m", "language": "de"}},
    ),
    (
        [heard(transcription={"model": "m", "language": "de"}), heard(transcription={"language": None})],
        {"transcription": {"model": "m"}},
    ),
    (
        [heard(transcription={"keywords": ["x"]}), heard(transcription={"keywords": []})],
        {"transcription": {"keywords": []}},
    ),
    ([heard(transcription={"model": "m"}), heard(transcription=None)], {}),
    ([heard(noise_reduction={"type": "near_field"})], {"noise_reduction": NoiseReduction("near_field", 1.0)}),
    (
        [heard(noise_reduction={"type": "near_field", "strength": 0.4}), heard(noise_reduction={"type": "far_field"})],
        {"noise_reduction": NoiseReduction("far_field", 0.4)},
    ),
    (
        [heard(noise_reduction={"type": "near_field", "strength": 0.4}), heard(noise_reduction={"strength": 0})],
        {"noise_reduction": NoiseReduction("near_field", 0.0)},
    ),
    ([heard(noise_reduction={"type": "near_field"}), heard(noise_reduction=None)], {}),
    ([detect(threshold=0.7)], {"turn_detection": ServerVad(threshold=0.7)}),
    (
        [detect(type="server_vad", threshold=0.7), detect(type="server_vad", silence_duration_ms=900)],
        {"turn_detection": ServerVad(threshold=0.7, silence_duration_ms=900)},
    ),
    (
        [detect(threshold=0.7, create_response=False), detect(threshold=None)],
        {"turn_detection": ServerVad(create_response=False)},
    ),
    ([detect(idle_timeout_ms=5000), detect(idle_timeout_ms=None)], {}),
    (
        [detect(create_response=False), detect(type="semantic_vad", eagerness="high")],
        {"turn_detection": SemanticVad(eagerness="high")},
    ),
    (
        [detect(type="semantic_vad", interrupt_response=False), detect(eagerness="low")],
        {"turn_detection": SemanticVad(eagerness="low", interrupt_response=False)},
    ),
    ([detect(type="semantic_vad"), detect(type="server_vad")], {}),
    ([heard(turn_detection=None)], {"turn_detection": None}),
    ([heard(turn_detection=None), detect(prefix_padding_ms=100)], {"turn_detection": ServerVad(prefix_padding_ms=100)}),
    ([heard(turn_detection=None), {"instructions": "x"}], {"turn_detection": None, "instructions": "x"}),
    ([spoken(voice="otto")], {"voice": "otto"}),
    ([spoken(voice={"id": "otto"})], {"voice": "otto"}),
    ([spoken(voice="otto"), spoken(speed=1.2)], {"voice": "otto", "speed": 1.2}),
    ([spoken(voice="otto"), spoken(voice=None)], {}),
    ([spoken(speed=1.2), spoken(speed=None)], {}),
    ([{"audio": None}], {}),
    ([{"antiphon": {"events": True}}, {"antiphon": {}}], {"antiphon_events": True}),
    ([{"model": "another"}], {}),
]


@pytest.mark.parametrize(("updates", "different"), MERGES)
def test_updates_merge(updates: list[dict[str, Any]], different: dict[str, Any]) -> None:
    config = START
    for update in updates:
        config, ignored = merged(config, update)
        assert ignored == 0
    assert config == replace(START, **different)


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": 3}, "invalid_value", "session.type"),
        ({"instructions": 3}, "invalid_value", "session.instructions"),
        ({"instructions": "x" * 262_145}, "string_above_max_length", "session.instructions"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": "audio"}, "invalid_value", "session.output_modalities"),
        ({"tools": {}}, "invalid_value", "session.tools"),
        ({"tools": [OTHER] * 129}, "invalid_value", "session.tools"),
        ({"tools": [OTHER, 3]}, "invalid_value", "session.tools[1]"),
        ({"tools": [{"name": "f"}]}, "missing_required_parameter", "session.tools[0].type"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        (
            {"tools": [{**OTHER, "parameters": {"x": "y" * 65_536}}]},
            "string_above_max_length",
            "session.tools[0].parameters",
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "s", "connector_id": "c"}]},
            "invalid_value",
            "session.tools[0].connector_id",
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "s"}]},
            "missing_required_parameter",
            "session.tools[0].server_url",
        ),
        (
            {"tools": [{**OTHER, "parameters": {"x": "y" * 65_000}}] * 14},
            "string_above_max_length",
            "session",
        ),
        ({"tool_choice": "any"}, "invalid_value", "session.tool_choice"),
        ({"tool_choice": {"type": "function"}}, "missing_required_parameter", "session.tool_choice.name"),
        ({"max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
        ({"max_output_tokens": 4097}, "invalid_value", "session.max_output_tokens"),
        ({"max_output_tokens": True}, "invalid_value", "session.max_output_tokens"),
        ({"parallel_tool_calls": "yes"}, "invalid_value", "session.parallel_tool_calls"),
        ({"reasoning": {"effort": "huge"}}, "invalid_value", "session.reasoning.effort"),
        ({"prompt": {}}, "missing_required_parameter", "session.prompt.id"),
        ({"tracing": "on"}, "invalid_value", "session.tracing"),
        (
            {"truncation": {"type": "retention_ratio"}},
            "missing_required_parameter",
            "session.truncation.retention_ratio",
        ),
        ({"include": ["more"]}, "invalid_value", "session.include"),
        ({"audio": 1}, "invalid_value", "session.audio"),
        (heard(format={"type": "audio/opus"}), "invalid_value", "session.audio.input.format.type"),
        (heard(format={"type": "audio/pcm", "rate": 16000}), "invalid_value", "session.audio.input.format.rate"),
        (heard(format={}), "missing_required_parameter", "session.audio.input.format.type"),
        (heard(transcription={"model": 1}), "invalid_value", "session.audio.input.transcription.model"),
        (heard(transcription={"delay": "none"}), "invalid_value", "session.audio.input.transcription.delay"),
        (heard(noise_reduction={}), "missing_required_parameter", "session.audio.input.noise_reduction.type"),
        (
            heard(noise_reduction={"type": "near_field", "strength": 2}),
            "invalid_value",
            "session.audio.input.noise_reduction.strength",
        ),
        (detect(type="none"), "invalid_value", "session.audio.input.turn_detection.type"),
        (detect(threshold=1.5), "invalid_value", "session.audio.input.turn_detection.threshold"),
        (detect(threshold="0.5"), "invalid_value", "session.audio.input.turn_detection.threshold"),
        (detect(silence_duration_ms=0.5), "invalid_value", "session.audio.input.turn_detection.silence_duration_ms"),
        (detect(prefix_padding_ms=-1), "invalid_value", "session.audio.input.turn_detection.prefix_padding_ms"),
        (detect(idle_timeout_ms=999), "invalid_value", "session.audio.input.turn_detection.idle_timeout_ms"),
        (detect(idle_timeout_ms=600_001), "invalid_value", "session.audio.input.turn_detection.idle_timeout_ms"),
        (
            detect(type="semantic_vad", eagerness="very"),
            "invalid_value",
            "session.audio.input.turn_detection.eagerness",
        ),
        (detect(create_response=1), "invalid_value", "session.audio.input.turn_detection.create_response"),
        (spoken(speed=2), "invalid_value", "session.audio.output.speed"),
        (spoken(speed=0.2), "invalid_value", "session.audio.output.speed"),
        (spoken(voice=5), "invalid_value", "session.audio.output.voice"),
        (spoken(voice={}), "missing_required_parameter", "session.audio.output.voice.id"),
    ],
)
def test_one_bad_field_refuses_the_whole_update(update: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        merged(START, {"instructions": "Be brief.", **update})
    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize(
    "update",
    [
        {"temperature": 0.8},
        heard(rate=1),
        detect(volume=3),
        detect(type="semantic_vad", threshold=0.5),
        heard(transcription={"diarize": True}),
        spoken(format={"type": "audio/pcmu", "channels": 1}),
        {"tools": [{**OTHER, "strict": True}]},
        {"audio": {"both": {}}},
    ],
)
def test_an_unknown_field_is_counted_or_in_strict_mode_refused(update: dict[str, Any]) -> None:
    _, ignored = merged(START, update)
    assert ignored == 1
    with pytest.raises(Refusal) as refused:
        merged(START, {"type": "realtime", **update}, strict=True)
    assert refused.value.code == "unknown_parameter"
    assert refused.value.param is not None
    assert refused.value.param.startswith("session.")


def test_an_unknown_field_of_a_tool_is_not_told() -> None:
    config, _ = merged(START, {"tools": [{**OTHER, "strict": True}]})
    assert config.tools == (OTHER,)


def test_strict_mode_wants_the_type_and_the_same_model() -> None:
    with pytest.raises(Refusal) as refused:
        merged(START, {}, strict=True)
    assert (refused.value.code, refused.value.param) == ("missing_required_parameter", "session.type")
    assert merged(START, {"type": "realtime", "model": "host"}, strict=True) == (START, 0)
    with pytest.raises(Refusal) as refused:
        merged(START, {"type": "realtime", "model": "another"}, strict=True)
    assert (refused.value.code, refused.value.param) == ("invalid_value", "session.model")


@pytest.mark.parametrize("voice", ["otto", {"id": "otto"}])
def test_a_voice_that_was_heard_stays(voice: Any) -> None:
    with pytest.raises(Refusal, match="Cannot update a conversation's voice if assistant audio is present") as refused:
        merged(START, {"instructions": "x", **spoken(voice=voice)}, voice_locked=True)
    assert refused.value.code == "cannot_update_voice"
    assert merged(START, spoken(voice="anna", speed=1.1), voice_locked=True) == (replace(START, speed=1.1), 0)


def test_a_locked_voice_cannot_be_unset_either() -> None:
    changed = replace(START, voice="otto")
    with pytest.raises(Refusal) as refused:
        merged(changed, spoken(voice=None), voice_locked=True)
    assert refused.value.code == "cannot_update_voice"


def test_a_transcription_session_has_no_answers_to_configure() -> None:
    start = SessionConfig(kind="transcription")
    config, ignored = merged(
        start,
        {
            "type": "transcription",
            "instructions": "x",
            "include": [LOGPROBS],
            "audio": {"input": {"transcription": {"model": "m"}}, "output": {"voice": "x"}},
        },
    )
    assert config == replace(start, include=(LOGPROBS,), transcription={"model": "m"})
    assert ignored == 2


def test_a_session_is_told_with_the_documented_fields_only() -> None:
    told = session_object(START, session_id="sess_1", expires_at=1_700_000_000)
    assert told == {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "expires_at": 1_700_000_000,
        "model": "host",
        "instructions": "Be kind.",
        "output_modalities": ["audio"],
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "parallel_tool_calls": True,
        "prompt": None,
        "tracing": None,
        "truncation": "auto",
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "anna", "speed": 1.0},
        },
    }


def test_what_a_client_set_is_told_back_in_its_own_keys() -> None:
    update = {
        "reasoning": {"effort": "low"},
        "max_output_tokens": 9,
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "m"},
                "noise_reduction": {"type": "far_field"},
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"format": {"type": "audio/pcma"}, "voice": {"id": "otto"}},
        },
    }
    told = session_object(merged(START, update)[0], session_id="sess_1", expires_at=1)
    assert told["audio"] == {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "m"},
            "noise_reduction": {"type": "far_field", "strength": 1.0},
            "turn_detection": {
                "type": "semantic_vad",
                "eagerness": "auto",
                "create_response": True,
                "interrupt_response": True,
            },
        },
        "output": {"format": {"type": "audio/pcma"}, "voice": "otto", "speed": 1.0},
    }
    assert (told["reasoning"], told["max_output_tokens"]) == ({"effort": "low"}, 9)


def test_a_transcription_session_is_told_as_one() -> None:
    told = session_object(SessionConfig(kind="transcription"), session_id="sess_1", expires_at=1)
    assert set(told) == {"type", "object", "id", "expires_at", "include", "audio"}
    assert (told["type"], told["object"]) == ("transcription", "realtime.transcription_session")
    assert set(told["audio"]) == {"input"}


def test_keys_of_an_mcp_server_are_kept_but_never_told() -> None:
    server = {
        "type": "mcp",
        "server_label": "shop",
        "server_url": "https://shop.example/mcp",
        "authorization": "sesame",
        "headers": {"x-key": "sesame"},
        "allowed_tools": {"tool_names": ["buy"], "read_only": False},
        "require_approval": {"always": {"tool_names": ["buy"]}, "never": {"read_only": True}},
        "defer_loading": False,
    }
    config, ignored = merged(START, {"tools": [server]})
    assert config.tools == (server,)
    assert ignored == 0
    told = session_object(config, session_id="sess_1", expires_at=1)
    assert "sesame" not in msgspec.json.encode(told).decode()
    assert "sesame" not in repr(config)
    assert told["tools"][0]["require_approval"] == server["require_approval"]


@given(st.sampled_from(MERGES))
def test_a_told_session_sent_back_changes_nothing(row: tuple[list[dict[str, Any]], dict[str, Any]]) -> None:
    config = START
    for update in row[0]:
        config, _ = merged(config, update)
    told = session_object(config, session_id="sess_1", expires_at=1)
    again, ignored = merged(config, told)
    assert again == config
    assert ignored == 3  # id, object and expires_at are the server's
