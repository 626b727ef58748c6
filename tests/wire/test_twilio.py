from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.audio.formats import PHONE
from antiphon.wire.contract import Connected, Digit, Malformed, MarkPlayed, Media, Started, Stopped
from antiphon.wire.twilio import TwilioCodec

STREAM = "MZ18ad3ab5a668481ce02b83e7395059f0"
CALL = "CA1234567890abcdef1234567890abcdef"
# As the service writes them: numbers are text, and there is more than we read.
CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC1234567890abcdef1234567890abcdef",
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"session": "7f3", "name": "Zoë"},
    },
    "streamSid": STREAM,
}
MEDIA: dict[str, Any] = {
    "event": "media",
    "sequenceNumber": "3",
    "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "/38AgA=="},
    "streamSid": STREAM,
}
MARK = {"event": "mark", "sequenceNumber": "4", "streamSid": STREAM, "mark": {"name": "clause-1"}}
DTMF = {"event": "dtmf", "sequenceNumber": "5", "streamSid": STREAM, "dtmf": {"track": "inbound_track", "digit": "1"}}
STOP = {
    "event": "stop",
    "sequenceNumber": "5",
    "streamSid": STREAM,
    "stop": {"accountSid": "AC1234567890abcdef1234567890abcdef", "callSid": CALL},
}


def started(**options: int) -> TwilioCodec:
    codec = TwilioCodec(**options)
    codec.receive(json.dumps(CONNECTED))
    assert isinstance(codec.receive(json.dumps(START)), Started)
    return codec


def frame(chunk: object, **changes: Any) -> str:
    return json.dumps({**MEDIA, "media": {**MEDIA["media"], "chunk": chunk, **changes}})


def code_of(event: object) -> str:
    assert isinstance(event, Malformed)
    assert event.detail.endswith(".")
    return event.code


def test_a_call_as_the_service_sends_it() -> None:
    codec = TwilioCodec()
    said = [codec.receive(json.dumps(message)) for message in (CONNECTED, START, MEDIA, MARK, DTMF, STOP)]
    assert said == [
        Connected("Call", "1.0.0"),
        Started(STREAM, CALL, PHONE, {"session": "7f3", "name": "Zoë"}),
        Media(b"\xff\x7f\x00\x80", 5, 1),
        MarkPlayed("clause-1"),
        Digit("1"),
        Stopped(),
    ]


def test_what_we_send_is_what_the_service_takes() -> None:
    codec = started()
    assert json.loads(codec.media(b"\xff\x7f\x00\x80")) == {
        "event": "media",
        "streamSid": STREAM,
        "media": {"payload": "/38AgA=="},
    }
    assert json.loads(codec.mark('a "mark"')) == {"event": "mark", "streamSid": STREAM, "mark": {"name": 'a "mark"'}}
    assert json.loads(codec.clear()) == {"event": "clear", "streamSid": STREAM}


def test_nothing_is_sent_before_the_start() -> None:
    codec = TwilioCodec()
    codec.receive(json.dumps(CONNECTED))
    for send in (lambda: codec.media(b"\xff"), lambda: codec.mark("m"), codec.clear):
        with pytest.raises(RuntimeError, match="wait for Started"):
            send()


def test_a_stream_id_with_quotes_is_escaped() -> None:
    codec = TwilioCodec()
    strange = 'MZ"\\\n'
    codec.receive(json.dumps({**START, "streamSid": strange, "start": {**START["start"], "streamSid": strange}}))
    for message in (codec.media(b"\xff"), codec.mark("m"), codec.clear()):
        assert json.loads(message)["streamSid"] == strange


def test_audio_that_we_sent_ourselves_is_not_heard() -> None:
    codec = started()
    assert codec.receive(frame("1", track="outbound")) is None
    assert codec.receive(frame("1")) == Media(b"\xff\x7f\x00\x80", 5, 1)


def test_numbers_may_be_numbers_too() -> None:
    assert started().receive(frame(7, timestamp=140)) == Media(b"\xff\x7f\x00\x80", 140, 7)


def test_frames_that_do_not_tell_number_or_time_are_heard() -> None:
    codec = started()
    bare = json.dumps({"event": "media", "media": {"payload": "/38AgA=="}})
    assert codec.receive(bare) == codec.receive(bare) == Media(b"\xff\x7f\x00\x80", -1, -1)


def test_frames_come_twice_late_and_not_at_all() -> None:
    codec = started()
    events = [codec.receive(frame(str(chunk))) for chunk in (1, 2, 2, 5, 4, 6)]
    assert [event.chunk if isinstance(event, Media) else code_of(event) for event in events] == [
        1,
        2,
        "out_of_order",
        5,
        "out_of_order",
        6,
    ]
    assert codec.missing == 2


@pytest.mark.parametrize("message", [MEDIA, MARK, DTMF, STOP], ids=lambda message: message["event"])
def test_everything_but_a_greeting_before_the_start_is_out_of_order(message: dict[str, Any]) -> None:
    codec = TwilioCodec()
    assert code_of(codec.receive(json.dumps(message))) == "out_of_order"
    assert isinstance(codec.receive(json.dumps(START)), Started)


@pytest.mark.parametrize("message", [CONNECTED, START], ids=lambda message: message["event"])
def test_a_stream_starts_once(message: dict[str, Any]) -> None:
    codec = started()
    assert code_of(codec.receive(json.dumps(message))) == "out_of_order"
    other = json.dumps({**START, "start": {**START["start"], "streamSid": "MZother"}})
    assert code_of(codec.receive(other)) == "out_of_order"
    assert json.loads(codec.clear())["streamSid"] == STREAM


@pytest.mark.parametrize("message", [MEDIA, MARK, DTMF, STOP, START], ids=lambda message: message["event"])
def test_nothing_comes_after_the_stop(message: dict[str, Any]) -> None:
    codec = started()
    codec.receive(json.dumps(STOP))
    assert code_of(codec.receive(json.dumps(message))) == "out_of_order"


def without(key: str) -> str:
    return json.dumps({**START, "start": {k: v for k, v in START["start"].items() if k != key}})


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (json.dumps({"event": "start"}), "bad_field"),
        (without("callSid"), "bad_field"),
        (json.dumps({"event": "start", "start": {"callSid": CALL}}), "bad_field"),
        (json.dumps({**START, "start": {**START["start"], "mediaFormat": {"encoding": "audio/opus"}}}), "bad_field"),
        (json.dumps({**START, "start": {**START["start"], "mediaFormat": {"sampleRate": 16000}}}), "bad_field"),
        (json.dumps({**START, "start": {**START["start"], "customParameters": ["a"]}}), "bad_field"),
    ],
)
def test_a_start_that_cannot_be_used_changes_nothing(message: str, code: str) -> None:
    codec = TwilioCodec()
    assert code_of(codec.receive(message)) == code
    assert isinstance(codec.receive(json.dumps(START)), Started)


def test_parameters_that_are_no_text_become_text_and_nested_ones_are_left_out() -> None:
    parameters = {"n": 7, "yes": True, "none": None, "big": 10**30, "deep": {"a": 1}, "list": [1]}
    event = TwilioCodec().receive(json.dumps({**START, "start": {**START["start"], "customParameters": parameters}}))
    assert isinstance(event, Started)
    assert event.parameters == {"n": "7", "yes": "true", "none": "null", "big": str(10**30)}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "not_json"),
        ("hello", "not_json"),
        ('{"event":"media"', "not_json"),
        ('{"event":"media"} {}', "not_json"),
        ("\ud800", "not_json"),
        ('{"event":"stop","deep":' + "[" * 20_000, "not_json"),
        ("[1, 2]", "not_object"),
        ('"media"', "not_object"),
        ("7", "not_object"),
        ("null", "not_object"),
        ("{}", "bad_field"),
        ('{"event":7}', "bad_field"),
        ('{"event":"dance"}', "unknown_event"),
        ('{"event":"dance","media":7}', "unknown_event"),
        ('{"event":""}', "unknown_event"),
        ('{"event":"media"}', "bad_field"),
        ('{"event":"media","media":7}', "bad_field"),
        ('{"event":"media","media":{}}', "bad_payload"),
        ('{"event":"media","media":{"payload":""}}', "bad_payload"),
        ('{"event":"media","media":{"payload":7}}', "bad_payload"),
        ('{"event":"media","media":{"payload":"/38AgA="}}', "bad_payload"),
        ('{"event":"media","media":{"payload":"/38A gA=="}}', "bad_payload"),
        ('{"event":"media","media":{"payload":"/38AgA==","chunk":"one"}}', "bad_field"),
        ('{"event":"media","media":{"payload":"/38AgA==","chunk":' + "9" * 5000 + "}}", "not_json"),
        ('{"event":"media","streamSid":"MZother","media":{"payload":"/38AgA=="}}', "bad_field"),
        ('{"event":"stop","streamSid":"MZother"}', "bad_field"),
        ('{"event":"mark","streamSid":"MZother","mark":{"name":"clause-1"}}', "bad_field"),
        ('{"event":"mark"}', "bad_field"),
        ('{"event":"mark","mark":{"name":7}}', "bad_field"),
        ('{"event":"dtmf"}', "bad_field"),
        ('{"event":"dtmf","dtmf":{"digit":"12"}}', "bad_field"),
        ('{"event":"dtmf","dtmf":{"digit":""}}', "bad_field"),
        ('{"event":"dtmf","dtmf":{"digit":"x"}}', "bad_field"),
        (b"\xff\xfe\x00", "binary"),
        (b"\x80" * 160, "binary"),
        (b'{"event":"\xff"}', "binary"),
        (b"7", "not_object"),
    ],
)
def test_garbage_is_named_and_changes_nothing(message: str | bytes, code: str) -> None:
    codec = started()
    codec.receive(frame("1"))
    assert code_of(codec.receive(message)) == code
    assert codec.receive(frame("2")) == Media(b"\xff\x7f\x00\x80", 5, 2)
    assert codec.missing == 0
    assert json.loads(codec.clear())["streamSid"] == STREAM


def test_a_message_in_bytes_is_read_if_it_is_the_protocol() -> None:
    assert started().receive(frame("1").encode()) == Media(b"\xff\x7f\x00\x80", 5, 1)


def test_what_is_wrong_is_told_without_the_contents() -> None:
    codec = started()
    secret = "4111111111111111"
    for message in (
        json.dumps({"event": "dtmf", "dtmf": {"digit": secret}}),
        json.dumps({"event": "dtmf", "dtmf": {"digit": [secret]}}),
        json.dumps({"event": secret}),
        json.dumps({"event": "mark", "mark": secret}),
        json.dumps([secret]),
        frame(secret + "x"),
        frame("1", payload=secret + "="),
        secret + "{",
    ):
        event = codec.receive(message)
        assert isinstance(event, Malformed)
        assert secret not in event.detail


def test_a_large_message_is_refused_before_it_is_read() -> None:
    codec = started()
    fits = frame("1", payload="/38A" * 16_000)
    assert len(fits) < 65_536
    assert isinstance(codec.receive(fits), Media)
    assert code_of(codec.receive("{" * 65_537)) == "too_large"
    assert code_of(codec.receive(b"\x00" * 65_537)) == "too_large"
    assert isinstance(codec.receive(frame("2")), Media)
    assert code_of(started(max_message=700).receive(fits)) == "too_large"
