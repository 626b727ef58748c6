from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.wire.contract import Cleared, Digit, Malformed, MarkPlayed, Media, Started, Stopped
from antiphon.wire.plivo import PlivoCodec, parse_extra_headers

STREAM = "87654321-4321-4321-4321-cba987654321"
CALL = "12345678-1234-1234-1234-123456789abc"
MULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000}
L16 = {"encoding": "audio/x-l16", "sampleRate": 16000}


def start(media_format: object = MULAW, extra_headers: object = "") -> str:
    body = {"callId": CALL, "streamId": STREAM, "accountId": "MA0", "tracks": ["inbound"], "mediaFormat": media_format}
    return json.dumps({"event": "start", "sequenceNumber": 1, "start": body, "extra_headers": extra_headers})


def frame(chunk: int, audio: bytes = b"\xff\x7f", **changes: Any) -> str:
    media = {
        "track": "inbound",
        "timestamp": str(1_767_603_600_000 + 20 * chunk),
        "chunk": chunk,
        "payload": base64.b64encode(audio).decode(),
    }
    return json.dumps({"sequenceNumber": 2, "streamId": STREAM, "event": "media", "media": {**media, **changes}})


def started(media_format: object = MULAW) -> PlivoCodec:
    codec = PlivoCodec()
    assert isinstance(codec.receive(start(media_format)), Started)
    return codec


def code_of(event: object) -> str:
    assert isinstance(event, Malformed)
    return event.code


@pytest.mark.parametrize(
    ("told", "audio"),
    [
        (MULAW, PHONE),
        ({"type": "audio/x-mulaw", "rate": 8000}, PHONE),
        ({**MULAW, "type": "audio/x-mulaw", "rate": 8000}, PHONE),
        ({"encoding": "audio/x-mulaw;rate=8000"}, PHONE),
        ({"encoding": "Audio/X-Mulaw"}, PHONE),
        ({"encoding": "audio/x-l16", "sampleRate": 8000}, AudioFormat("pcm16", 8_000)),
        ({"encoding": "audio/x-l16", "sampleRate": "16000"}, AudioFormat("pcm16", 16_000)),
        ({"type": "audio/x-l16", "rate": 16000}, AudioFormat("pcm16", 16_000)),
        ({"type": "audio/x-l16;rate=16000"}, AudioFormat("pcm16", 16_000)),
    ],
)
def test_both_spellings_of_the_format_are_read(told: dict[str, Any], audio: AudioFormat) -> None:
    codec = PlivoCodec()
    assert codec.receive(start(told)) == Started(STREAM, CALL, audio, {})
    assert codec.audio == audio


@pytest.mark.parametrize(
    "told",
    [
        {},
        7,
        {"encoding": "audio/opus", "sampleRate": 48000},
        {"encoding": "audio/x-mulaw", "sampleRate": 16000},
        {"encoding": "audio/x-l16", "sampleRate": 44100},
        {"encoding": "audio/x-mulaw;rate=" + "9" * 5000},
    ],
)
def test_a_format_that_the_protocol_has_not_is_no_start(told: object) -> None:
    codec = PlivoCodec()
    assert code_of(codec.receive(start(told))) == "bad_field"
    assert isinstance(codec.receive(start()), Started)


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ("", {}),
        ("{}", {}),
        ("tenant=acme;agentUuid=3333", {"tenant": "acme", "agentUuid": "3333"}),
        (" tenant = acme ; ; novalue ; =x ; token=a=b ", {"tenant": "acme", "token": "a=b"}),
        ('{"tenant": "acme", "n": 7, "deep": {}}', {"tenant": "acme", "n": "7"}),
        ({"tenant": "acme"}, {"tenant": "acme"}),
        ('{"tenant": ', {}),
        ("{" * 5000, {}),
        ("[1]", {}),
        (None, {}),
        (7, {}),
    ],
)
def test_extra_headers_become_parameters(headers: object, parameters: dict[str, str]) -> None:
    assert parse_extra_headers(headers) == parameters
    event = PlivoCodec().receive(start(extra_headers=headers))
    assert isinstance(event, Started)
    assert event.parameters == parameters


def test_a_call_as_the_service_sends_it() -> None:
    codec = PlivoCodec()
    messages = [
        start(),
        frame(1),
        frame(2),
        json.dumps({"event": "playedStream", "streamId": STREAM, "name": "greeting"}),
        json.dumps({"event": "clearedAudio", "sequenceNumber": 4, "streamId": STREAM}),
        json.dumps({"event": "dtmf", "streamId": STREAM, "dtmf": {"track": "inbound", "digit": "*", "timestamp": "1"}}),
        json.dumps({"event": "stop", "sequenceNumber": 6, "streamId": STREAM}),
    ]
    assert [codec.receive(message) for message in messages] == [
        Started(STREAM, CALL, PHONE, {}),
        Media(b"\xff\x7f", 0, 1),
        Media(b"\xff\x7f", 20, 2),
        MarkPlayed("greeting"),
        Cleared(),
        Digit("*"),
        Stopped(),
    ]
    assert code_of(codec.receive(frame(3))) == "out_of_order"


@pytest.mark.parametrize(
    ("told", "content_type", "rate_hz"), [(MULAW, "audio/x-mulaw", 8000), (L16, "audio/x-l16", 16000)]
)
def test_what_we_send_is_what_the_service_takes(told: dict[str, Any], content_type: str, rate_hz: int) -> None:
    codec = started(told)
    assert json.loads(codec.media(b"\xff\x7f\x00\x80")) == {
        "event": "playAudio",
        "media": {"contentType": content_type, "sampleRate": rate_hz, "payload": "/38AgA=="},
    }
    assert json.loads(codec.mark("a;b")) == {"event": "checkpoint", "streamId": STREAM, "name": "a;b"}
    assert json.loads(codec.clear()) == {"event": "clearAudio", "streamId": STREAM}
    assert json.loads(codec.keys("12#")) == {"event": "sendDTMF", "dtmf": "12#"}


def test_nothing_is_sent_before_the_start() -> None:
    codec = PlivoCodec()
    for send in (lambda: codec.media(b"\xff"), lambda: codec.mark("m"), codec.clear):
        with pytest.raises(RuntimeError, match="wait for Started"):
            send()


def test_a_frame_that_ends_within_a_sample_is_a_bad_payload() -> None:
    codec = started(L16)
    assert code_of(codec.receive(frame(1, b"\x00\x01\x02"))) == "bad_payload"
    assert codec.receive(frame(1, b"\x00\x01")) == Media(b"\x00\x01", 0, 1)
    assert isinstance(started(MULAW).receive(frame(1, b"\x00\x01\x02")), Media)


def test_frames_come_twice_late_and_not_at_all() -> None:
    codec = started()
    events = [codec.receive(frame(chunk)) for chunk in (1, 1, 4, 2, 5)]
    assert [isinstance(event, Media) for event in events] == [True, False, True, False, True]
    assert codec.missing == 2


def test_a_clock_that_goes_back_gives_no_negative_time() -> None:
    codec = started()
    codec.receive(frame(1))
    assert codec.receive(frame(2, timestamp="5")) == Media(b"\xff\x7f", 0, 2)
    assert codec.receive(frame(3, timestamp=-1)) == Media(b"\xff\x7f", -1, 3)


def test_the_other_track_is_not_heard() -> None:
    assert started().receive(frame(1, track="outbound")) is None


@pytest.mark.parametrize("event", ["media", "playedStream", "clearedAudio", "dtmf", "stop"])
def test_everything_before_the_start_is_out_of_order(event: str) -> None:
    codec = PlivoCodec()
    assert code_of(codec.receive(json.dumps({"event": event}))) == "out_of_order"
    assert isinstance(codec.receive(start()), Started)


def test_a_stream_starts_once() -> None:
    codec = started(L16)
    assert code_of(codec.receive(start(MULAW))) == "out_of_order"
    assert codec.audio == AudioFormat("pcm16", 16_000)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", "not_json"),
        ("[]", "not_object"),
        (b"\xff" * 320, "binary"),
        (json.dumps({"type": "session.started"}), "bad_field"),
        (json.dumps({"event": "playAudio", "media": {"payload": ""}}), "unknown_event"),
        (json.dumps({"event": "playedStream", "streamId": STREAM}), "bad_field"),
        (json.dumps({"event": "dtmf", "dtmf": {"digit": "55"}}), "bad_field"),
        (json.dumps({"event": "dtmf"}), "bad_field"),
        (json.dumps({"event": "stop", "streamId": "other"}), "bad_field"),
        (json.dumps({"event": "clearedAudio", "streamId": "other"}), "bad_field"),
        (json.dumps({"event": "media"}), "bad_field"),
        (frame(2, payload="!"), "bad_payload"),
        (frame(2, b""), "bad_payload"),
        (json.dumps({**json.loads(frame(2)), "streamId": "other"}), "bad_field"),
        ("x" * 65_537, "too_large"),
    ],
)
def test_garbage_is_named_and_changes_nothing(message: str | bytes, code: str) -> None:
    codec = started()
    codec.receive(frame(1))
    assert code_of(codec.receive(message)) == code
    assert codec.receive(frame(2)) == Media(b"\xff\x7f", 20, 2)
    assert codec.missing == 0
