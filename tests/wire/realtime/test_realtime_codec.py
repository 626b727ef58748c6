"""Frames of clients in, frames of the server out."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.wire.realtime import events
from antiphon.wire.realtime.client_events import (
    AudioAppend,
    AudioClear,
    AudioCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    KeyPressed,
    OutputClear,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from antiphon.wire.realtime.codec import Dialect, RealtimeCodec
from antiphon.wire.realtime.items import read_item
from antiphon.wire.realtime.refusal import Refusal, binary_frame
from antiphon.wire.realtime.response import response_config
from antiphon.wire.realtime.session import SessionConfig, merged

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
event_ids = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=512)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, json_values, max_size=4)
NAMES = {
    SessionUpdate: "session.update",
    AudioAppend: "input_audio_buffer.append",
    AudioCommit: "input_audio_buffer.commit",
    AudioClear: "input_audio_buffer.clear",
    KeyPressed: "input_audio_buffer.dtmf_event",
    OutputClear: "output_audio_buffer.clear",
    ItemCreate: "conversation.item.create",
    ItemRetrieve: "conversation.item.retrieve",
    ItemTruncate: "conversation.item.truncate",
    ItemDelete: "conversation.item.delete",
    ResponseCreate: "response.create",
    ResponseCancel: "response.cancel",
}
client_events: st.SearchStrategy[ClientEvent] = st.one_of(
    st.builds(SessionUpdate, objects, event_ids),
    st.builds(AudioAppend, st.binary(max_size=2_000), event_ids),
    st.builds(AudioCommit, event_ids),
    st.builds(AudioClear, event_ids),
    st.builds(KeyPressed, st.sampled_from("0123456789*#ABCD"), event_ids),
    st.builds(OutputClear, event_ids),
    st.builds(ItemCreate, objects, st.none() | ids, event_ids),
    st.builds(ItemRetrieve, ids, event_ids),
    st.builds(ItemTruncate, ids, st.just(0), st.integers(0, 10**7), event_ids),
    st.builds(ItemDelete, ids, event_ids),
    st.builds(ResponseCreate, objects, event_ids),
    st.builds(ResponseCancel, st.none() | ids, event_ids),
)


def frame(**event: Any) -> str:
    return json.dumps(event)


def read(event: dict[str, Any]) -> ClientEvent:
    return RealtimeCodec().receive(json.dumps(event))


def decoded(frames: list[str]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(text) for text in frames]


@given(client_events, st.booleans(), st.booleans())
def test_every_event_is_read_as_it_was_meant(event: ClientEvent, strict: bool, as_bytes: bool) -> None:
    sent = {"type": NAMES[type(event)], **msgspec.to_builtins(event)}
    message = msgspec.json.encode(sent)
    codec = RealtimeCodec(strict=strict)
    assert codec.receive(message if as_bytes else message.decode()) == event
    assert codec.ignored == 0


@given(client_events)
def test_the_order_of_fields_does_not_matter(event: ClientEvent) -> None:
    sent = {**msgspec.to_builtins(event), "type": NAMES[type(event)]}
    assert RealtimeCodec().receive(msgspec.json.encode(sent)) == event


def test_a_response_needs_no_object() -> None:
    assert read({"type": "response.create"}) == ResponseCreate({})
    assert read({"type": "response.create", "response": None}) == ResponseCreate({})


def test_audio_of_many_sizes_comes_through_whole() -> None:
    audio = bytes(range(256)) * 4
    for size in range(0, len(audio), 7):
        event = read({"type": "input_audio_buffer.append", "audio": b64encode(audio[:size]).decode()})
        assert event == AudioAppend(audio[:size])


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("", "invalid_json", None),
        ("{", "invalid_json", None),
        (b"\xff\x00", "invalid_json", None),
        ('"\ud800"', "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ("[]", "invalid_event", None),
        ("3", "invalid_event", None),
        ("{}", "invalid_event", "type"),
        (frame(type=3), "invalid_event", "type"),
        (frame(type="session.start"), "invalid_event", "type"),
        (frame(type="transcription_session.update", session={}), "invalid_event", "type"),
        (frame(type="session.update"), "missing_required_parameter", "session"),
        (frame(type="session.update", session=[]), "invalid_value", "session"),
        (frame(type="input_audio_buffer.append"), "missing_required_parameter", "audio"),
        (frame(type="input_audio_buffer.append", audio=3), "invalid_value", "audio"),
        (frame(type="input_audio_buffer.append", audio="?"), "invalid_value", "audio"),
        (frame(type="input_audio_buffer.append", audio="AAA"), "invalid_value", "audio"),
        (frame(type="input_audio_buffer.append", audio="AA\nAA"), "invalid_value", "audio"),
        (frame(type="input_audio_buffer.append", audio="ä"), "invalid_value", "audio"),
        (
            frame(type="input_audio_buffer.append", audio="A" * (15 * 1024 * 1024 + 4)),
            "string_above_max_length",
            "audio",
        ),
        (frame(type="input_audio_buffer.commit", event_id=3), "invalid_value", "event_id"),
        (frame(type="input_audio_buffer.commit", event_id="x" * 513), "string_above_max_length", "event_id"),
        (frame(type="input_audio_buffer.dtmf_event"), "missing_required_parameter", "event"),
        (frame(type="input_audio_buffer.dtmf_event", event="12"), "invalid_value", "event"),
        (frame(type="input_audio_buffer.dtmf_event", event=5), "invalid_value", "event"),
        (frame(type="conversation.item.create"), "missing_required_parameter", "item"),
        (frame(type="conversation.item.create", item={}, previous_item_id=""), "invalid_value", "previous_item_id"),
        (frame(type="conversation.item.retrieve"), "missing_required_parameter", "item_id"),
        (frame(type="conversation.item.delete", item_id="x" * 129), "string_above_max_length", "item_id"),
        (
            frame(type="conversation.item.truncate", item_id="i", audio_end_ms=1),
            "missing_required_parameter",
            "content_index",
        ),
        (
            frame(type="conversation.item.truncate", item_id="i", content_index=0),
            "missing_required_parameter",
            "audio_end_ms",
        ),
        (
            frame(type="conversation.item.truncate", item_id="i", content_index=1, audio_end_ms=1),
            "invalid_value",
            "content_index",
        ),
        (
            frame(type="conversation.item.truncate", item_id="i", content_index=0, audio_end_ms=-1),
            "invalid_value",
            "audio_end_ms",
        ),
        (
            frame(type="conversation.item.truncate", item_id="i", content_index=0, audio_end_ms=0.5),
            "invalid_value",
            "audio_end_ms",
        ),
        (frame(type="response.create", response=3), "invalid_value", "response"),
        (frame(type="response.cancel", response_id=3), "invalid_value", "response_id"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_a_bad_frame_is_refused(message: str | bytes, code: str, param: str | None, strict: bool) -> None:
    with pytest.raises(Refusal) as refused:
        RealtimeCodec(strict=strict).receive(message)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert (refused.value.to_error()["type"], refused.value.event_id) == ("invalid_request_error", None)


def test_what_is_nested_too_deep_is_refused() -> None:
    deep: Any = "x"
    for _ in range(65):
        deep = [deep]
    with pytest.raises(Refusal) as refused:
        read({"type": "session.update", "session": {"tools": deep}})
    assert (refused.value.code, refused.value.param) == ("invalid_value", "session")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.start"},
        {"type": "session.update"},
        {"type": "input_audio_buffer.append", "audio": "?"},
        {"type": "conversation.item.retrieve"},
        {"type": "conversation.item.create", "item": 1},
    ],
)
def test_a_refusal_names_the_clients_event(event: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        read({**event, "event_id": "mine"})
    told = refused.value.to_error()
    assert told["event_id"] == "mine"
    assert set(told) == {"type", "code", "message", "param", "event_id"}


def test_a_refusal_repeats_no_long_name() -> None:
    for codec, event in (
        (RealtimeCodec(), {"type": "x" * 10_000}),
        (RealtimeCodec(strict=True), {"type": "input_audio_buffer.commit", "x" * 10_000: 1}),
    ):
        with pytest.raises(Refusal) as refused:
            codec.receive(json.dumps(event))
        assert len(json.dumps(refused.value.to_error())) < 1_000


def test_a_binary_frame_is_refused_as_no_json() -> None:
    assert events.error(binary_frame())["error"]["code"] == "invalid_json"


def test_unknown_fields_of_an_event_are_counted_or_in_strict_mode_refused() -> None:
    codec = RealtimeCodec()
    codec.receive(frame(type="input_audio_buffer.commit", mood="good", more=1))
    assert codec.ignored == 2
    for event in (
        {"type": "input_audio_buffer.commit", "mood": "good"},
        {"type": "input_audio_buffer.append", "audio": "", "mood": "good"},
    ):
        with pytest.raises(Refusal) as refused:
            RealtimeCodec(strict=True).receive(json.dumps(event))
        assert (refused.value.code, refused.value.param) == ("unknown_parameter", "mood")


known_fields = st.sampled_from(
    "type event_id session audio input output format turn_detection transcription item item_id content role text "
    "response response_id metadata tools name call_id arguments id voice speed content_index audio_end_ms "
    "output_modalities tool_choice truncation tracing include reasoning prompt".split()
)
likely_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.sampled_from(["message", "user", "audio/pcm", "function"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known_fields, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=300)
@given(
    st.sampled_from([*NAMES.values(), "transcription_session.update", "x"]),
    st.dictionaries(known_fields, likely_values, max_size=6),
    st.sampled_from(["ga", "beta"]),
    st.booleans(),
)
def test_nothing_but_a_refusal_is_raised(name: str, fields: dict[str, Any], dialect: Dialect, strict: bool) -> None:
    try:
        event = RealtimeCodec(dialect, strict=strict).receive(msgspec.json.encode({**fields, "type": name}))
        match event:
            case SessionUpdate(session):
                config, ignored = merged(SessionConfig(), session, strict=strict)
                assert isinstance(config, SessionConfig)
                assert ignored >= 0
            case ItemCreate(item):
                assert read_item(item, strict=strict).id
            case ResponseCreate(response):
                assert response_config(SessionConfig(), response, strict=strict).conversation
            case _:
                assert type(event) in NAMES
    except Refusal as refusal:
        msgspec.json.encode(events.error(refusal))


@settings(max_examples=300)
@given(st.text(max_size=60) | st.binary(max_size=60) | json_values.map(json.dumps))
def test_noise_is_refused(message: str | bytes) -> None:
    with pytest.raises(Refusal) as refused:
        RealtimeCodec().receive(message)
    assert refused.value.code in ("invalid_json", "invalid_event")


@given(st.binary(max_size=4_800), ids, ids, st.integers(0, 20))
def test_the_quick_way_to_tell_audio_tells_the_same(audio: bytes, response_id: str, item_id: str, index: int) -> None:
    quick, slow = RealtimeCodec(), RealtimeCodec()
    event = events.audio_delta(response_id, item_id, b64encode(audio).decode(), output_index=index)
    told = msgspec.json.decode(quick.encode_audio_delta(response_id, item_id, index, audio))
    (expected,) = decoded(slow.encode(event))
    assert told.pop("event_id") != expected.pop("event_id")
    assert told == expected
    assert b64decode(told["delta"]) == audio


def test_every_event_has_an_id_of_its_own() -> None:
    codec = RealtimeCodec(item_created=True)
    item = {"id": "i", "type": "message"}
    frames = [text for _ in range(50) for text in codec.encode(events.item_added(item, None))]
    frames += [codec.encode_audio_delta("r", "i", 0, b"") for _ in range(50)]
    seen = {event["event_id"] for event in decoded(frames)}
    assert len(seen) == len(frames) == 150
    assert all(name.startswith("event_") and len(name) <= 32 for name in seen)


def test_an_id_that_is_there_stays() -> None:
    (told,) = decoded(RealtimeCodec().encode({**events.audio_cleared(), "event_id": "event_mine"}))
    assert told == {"type": "input_audio_buffer.cleared", "event_id": "event_mine"}


def test_the_older_event_is_told_beside_the_new_one_when_asked_for() -> None:
    event = events.item_added({"id": "i", "type": "message"}, "p")
    assert [told["type"] for told in decoded(RealtimeCodec().encode(event))] == ["conversation.item.added"]
    both = decoded(RealtimeCodec(item_created=True).encode(event))
    assert [told["type"] for told in both] == ["conversation.item.added", "conversation.item.created"]
    assert both[0]["item"] == both[1]["item"]
    assert both[1]["previous_item_id"] == "p"
    assert len(RealtimeCodec(item_created=True).encode(events.item_done({"id": "i", "type": "message"}, "p"))) == 1


def test_frames_are_compact_utf8() -> None:
    (text,) = RealtimeCodec().encode(events.text_delta("r", "i", "Grüße: 你好"))
    assert "Grüße: 你好" in text
    assert '","' in text
    assert "\n" not in text
