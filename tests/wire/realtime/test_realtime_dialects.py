"""The beta dialect's names against today's, in both directions."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from antiphon.wire.realtime import events
from antiphon.wire.realtime.client_events import ItemCreate, ResponseCreate, SessionUpdate
from antiphon.wire.realtime.codec import RealtimeCodec
from antiphon.wire.realtime.items import ContentPart, Item, item_object, read_item
from antiphon.wire.realtime.refusal import Refusal
from antiphon.wire.realtime.response import response_config, response_object
from antiphon.wire.realtime.session import ServerVad, SessionConfig, merged, session_object

SESSION = SessionConfig(model="host", voice="anna")
MESSAGE = item_object(
    Item(
        "i",
        "message",
        "assistant",
        content=(ContentPart("output_text", "a"), ContentPart("output_audio", transcript="b")),
    )
)


def told(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(text) for text in RealtimeCodec("beta").encode(event)]


def session_in(codec: RealtimeCodec, session: dict[str, Any], name: str = "session.update") -> dict[str, Any]:
    event = codec.receive(json.dumps({"type": name, "session": session}))
    assert isinstance(event, SessionUpdate)
    return event.session


@pytest.mark.parametrize(
    ("event", "older"),
    [
        (events.item_added(MESSAGE, None), "conversation.item.created"),
        (events.audio_delta("r", "i", ""), "response.audio.delta"),
        (events.audio_done("r", "i"), "response.audio.done"),
        (events.transcript_delta("r", "i", "a"), "response.audio_transcript.delta"),
        (events.transcript_done("r", "i", "a"), "response.audio_transcript.done"),
        (events.text_delta("r", "i", "a"), "response.text.delta"),
        (events.text_done("r", "i", "a"), "response.text.done"),
        (events.speech_started("i", 3), "input_audio_buffer.speech_started"),
        (events.arguments_delta("r", "i", "a", call_id="c"), "response.function_call_arguments.delta"),
        (events.output_item_added("r", MESSAGE), "response.output_item.added"),
        (events.content_part_added("r", "i", {"type": "audio"}), "response.content_part.added"),
    ],
)
def test_server_events_have_their_older_names(event: dict[str, Any], older: str) -> None:
    (beta,) = told(event)
    assert beta["type"] == older
    assert set(beta) == {*event, "event_id"}


def test_the_quick_way_to_tell_audio_knows_the_older_name() -> None:
    text = RealtimeCodec("beta").encode_audio_delta("r", "i", 0, b"\0\0")
    assert msgspec.json.decode(text)["type"] == "response.audio.delta"


def test_an_item_is_told_once() -> None:
    assert told(events.item_done(MESSAGE, None)) == []
    assert len(RealtimeCodec("beta", item_created=True).encode(events.item_added(MESSAGE, None))) == 1


@pytest.mark.parametrize("builder", [events.item_retrieved, lambda item: events.output_item_done("r", item)])
def test_content_of_the_assistant_has_its_older_names(builder: Any) -> None:
    (beta,) = told(builder(MESSAGE))
    assert [part["type"] for part in beta["item"]["content"]] == ["text", "audio"]
    assert [part["type"] for part in MESSAGE["content"]] == ["output_text", "output_audio"]


def test_content_of_others_stays() -> None:
    item = item_object(Item("i", "message", "user", content=(ContentPart("input_text", "a"),)))
    (beta,) = told(events.item_retrieved(item))
    assert beta["item"] == item


@pytest.mark.parametrize(
    ("update", "older"),
    [
        ({}, {"modalities": ["text", "audio"], "max_response_output_tokens": "inf", "voice": "anna", "speed": 1.0}),
        (
            {"output_modalities": ["text"], "max_output_tokens": 5},
            {"modalities": ["text"], "max_response_output_tokens": 5},
        ),
        ({}, {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}),
        ({}, {"input_audio_transcription": None, "input_audio_noise_reduction": None}),
        (
            {"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}},
            {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"},
        ),
        (
            {"audio": {"input": {"transcription": {"model": "m"}, "turn_detection": None}}},
            {"input_audio_transcription": {"model": "m"}, "turn_detection": None},
        ),
        (
            {"audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
            {"input_audio_noise_reduction": {"type": "near_field", "strength": 1.0}},
        ),
    ],
)
def test_a_session_is_told_in_its_older_shape_and_read_back(update: dict[str, Any], older: dict[str, Any]) -> None:
    config, _ = merged(SESSION, update)
    (beta,) = told(events.session_updated(session_object(config, session_id="sess_1", expires_at=1)))
    session = beta["session"]
    assert beta["type"] == "session.updated"
    assert {name: session[name] for name in older} == older
    assert not {"type", "audio", "output_modalities", "max_output_tokens"} & set(session)
    codec = RealtimeCodec("beta")
    assert merged(SESSION, session_in(codec, session))[0] == config
    assert codec.dialect == "beta"


def test_a_transcription_session_has_events_of_its_own() -> None:
    start = SessionConfig(kind="transcription")
    codec = RealtimeCodec("beta")
    session = session_in(
        codec,
        {"input_audio_format": "g711_alaw", "input_audio_transcription": {"model": "m"}, "turn_detection": None},
        "transcription_session.update",
    )
    config, ignored = merged(start, session)
    assert config == SessionConfig(
        kind="transcription", input_format="pcma", transcription={"model": "m"}, turn_detection=None
    )
    assert ignored == 0
    (beta,) = told(events.session_updated(session_object(config, session_id="sess_1", expires_at=1)))
    assert beta["type"] == "transcription_session.updated"
    assert beta["session"]["input_audio_format"] == "g711_alaw"


def test_a_response_is_told_in_its_older_shape() -> None:
    response = response_object("r", response_config(SESSION, {}), conversation_id="c", output=[MESSAGE])
    (beta,) = told(events.response_done(response))
    assert beta["response"]["modalities"] == ["text", "audio"]
    assert (beta["response"]["voice"], beta["response"]["output_audio_format"]) == ("anna", "pcm16")
    assert [part["type"] for part in beta["response"]["output"][0]["content"]] == ["text", "audio"]
    assert not {"audio", "output_modalities"} & set(beta["response"])


def test_a_response_is_asked_for_in_older_names() -> None:
    response = {
        "modalities": ["text"],
        "voice": "otto",
        "output_audio_format": "g711_ulaw",
        "max_response_output_tokens": 5,
        "temperature": 0.8,
    }
    event = RealtimeCodec("beta").receive(json.dumps({"type": "response.create", "response": response}))
    assert isinstance(event, ResponseCreate)
    config = response_config(SESSION, event.response, strict=True)
    assert (config.modality, config.voice, config.output_format, config.max_output_tokens) == (
        "text",
        "otto",
        "pcmu",
        5,
    )


def test_items_may_have_older_names() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}]}
    event = RealtimeCodec("beta").receive(json.dumps({"type": "conversation.item.create", "item": item}))
    assert isinstance(event, ItemCreate)
    assert read_item(event.item).content == (ContentPart("output_text", "a"),)


@pytest.mark.parametrize(
    "session",
    [
        {"type": "realtime"},
        {"audio": {"output": {"voice": "otto"}}},
        {"output_modalities": ["text"]},
        {"max_output_tokens": 3},
    ],
)
def test_a_session_of_today_turns_the_dialect(session: dict[str, Any]) -> None:
    codec = RealtimeCodec("beta")
    assert session_in(codec, session) == session
    assert codec.dialect == "ga"


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"voice": "otto", "speed": 1.2}, {"voice": "otto", "speed": 1.2}),
        ({"modalities": ["text"]}, {"modality": "text"}),
        ({"input_audio_format": "g711_ulaw", "output_audio_format": "pcm16"}, {"input_format": "pcmu"}),
        ({"turn_detection": {"type": "server_vad", "threshold": 0.2}}, {"turn_detection": ServerVad(threshold=0.2)}),
        ({"turn_detection": None}, {"turn_detection": None}),
        ({"input_audio_transcription": {"model": "m"}}, {"transcription": {"model": "m"}}),
        ({"max_response_output_tokens": 9}, {"max_output_tokens": 9}),
        ({"voice": "otto", "audio": {"output": {"voice": "emil", "speed": 1.3}}}, {"voice": "emil", "speed": 1.3}),
    ],
)
def test_clients_may_mix_the_names(session: dict[str, Any], expected: dict[str, Any]) -> None:
    codec = RealtimeCodec()
    config, ignored = merged(SESSION, session_in(codec, {"type": "realtime", **session}))
    assert {name: getattr(config, name) for name in expected} == expected
    assert ignored == 0
    assert codec.dialect == "ga"


def test_strict_mode_takes_names_of_today_only() -> None:
    session = {"type": "realtime", "voice": "otto"}
    assert session_in(RealtimeCodec(strict=True), session) == session


def test_temperature_is_gone() -> None:
    assert session_in(RealtimeCodec("beta"), {"temperature": 0.8}) == {"type": "realtime"}
    _, ignored = merged(SESSION, session_in(RealtimeCodec(), {"temperature": 0.8}))
    assert ignored == 1


def test_an_unknown_format_is_refused_where_it_stands_today() -> None:
    session = session_in(RealtimeCodec("beta"), {"input_audio_format": "opus"})
    with pytest.raises(Refusal) as refused:
        merged(SESSION, session)
    assert refused.value.param == "session.audio.input.format.type"
