from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.formats import AudioFormat
from antiphon.wire.acs import AcsCodec
from antiphon.wire.acs_caller import AcsCaller
from antiphon.wire.caller import Audio, Clear
from antiphon.wire.contract import Committed, Digit, Malformed, Media, Started

SUBSCRIPTION = "8a9b2c3d-0000-4000-8000-000000000001"
# One line for each message, as the service writes them.
GOLDEN = """
{"kind":"AudioMetadata","audioMetadata":{"subscriptionId":"8a9b2c3d-0000-4000-8000-000000000001","encoding":"PCM","sampleRate":16000,"channels":1,"length":640}}
{"kind":"AudioData","audioData":{"timestamp":"2026-01-05T10:00:00.000Z","data":"AQACAAMABAA=","silent":false}}
{"kind":"AudioData","audioData":{"timestamp":"2026-01-05T10:00:00.0200000Z","participantRawID":"4:+15550100","data":"AQACAAMABAA=","silent":true}}
{"kind":"AudioData","audioData":{"timestamp":"2026-01-05T10:00:00.040Z","silent":true}}
{"kind":"DtmfData","dtmfData":{"data":"5"}}
{"kind":"StopAudio"}
""".strip().splitlines()
PCM = b"\x01\x00\x02\x00\x03\x00\x04\x00"


def metadata(**changes: Any) -> str:
    fields = {"subscriptionId": SUBSCRIPTION, "encoding": "PCM", "sampleRate": 16_000, "channels": 1, "length": 640}
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": {**fields, **changes}})


def started(**options: Any) -> AcsCodec:
    codec = AcsCodec(**options)
    assert isinstance(codec.receive(metadata()), Started)
    return codec


def code_of(event: object) -> str:
    assert isinstance(event, Malformed)
    assert event.detail.endswith(".")
    assert not event.is_fatal
    return event.code


def test_a_call_as_the_service_sends_it() -> None:
    codec = AcsCodec()
    assert [codec.receive(line) for line in GOLDEN] == [
        Started(SUBSCRIPTION, SUBSCRIPTION, AudioFormat("pcm16", 16_000)),
        Media(PCM, 0),
        Media(bytes(8), 20),
        Media(bytes(640), 40),
        Digit("5"),
        Committed(),
    ]


def test_what_we_send_is_what_the_service_takes() -> None:
    codec = started()
    assert json.loads(codec.media(PCM)) == {
        "kind": "AudioData",
        "audioData": {"data": "AQACAAMABAA="},
        "stopAudio": None,
    }
    assert json.loads(codec.clear()) == {"kind": "StopAudio", "audioData": None, "stopAudio": {}}
    assert codec.end("agent_hangup", {}) is None


def test_our_keys_may_be_capitalised() -> None:
    codec = started(case="pascal")
    assert json.loads(codec.media(PCM)) == {
        "Kind": "AudioData",
        "AudioData": {"Data": "AQACAAMABAA="},
        "StopAudio": None,
    }
    assert json.loads(codec.clear()) == {"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}
    caller = AcsCaller("s", "c")
    assert caller.receive(codec.media(PCM)) == Audio(PCM, caller.audio)
    assert caller.receive(codec.clear()) == Clear()


def respelt(value: Any, spell: Any) -> Any:
    if isinstance(value, dict):
        return {spell(key): respelt(inner, spell) for key, inner in value.items()}
    return value


@given(flips=st.lists(st.booleans(), min_size=20, max_size=20))
def test_keys_are_read_without_regard_to_case(flips: list[bool]) -> None:
    def spell(key: str) -> str:
        return "".join(letter.swapcase() if flips[at % 20] else letter for at, letter in enumerate(key))

    usual, other = AcsCodec(), AcsCodec()
    for line in GOLDEN:
        assert usual.receive(line) == other.receive(json.dumps(respelt(json.loads(line), spell)))


@pytest.mark.parametrize(("rate_hz", "size"), [(16_000, 640), (24_000, 960)])
def test_r6_the_rate_is_that_of_the_metadata(rate_hz: int, size: int) -> None:
    codec = AcsCodec()
    event = codec.receive(metadata(sampleRate=rate_hz, length=size))
    assert event == Started(SUBSCRIPTION, SUBSCRIPTION, AudioFormat("pcm16", rate_hz))
    assert codec.audio.frame_bytes(20) == size
    assert codec.receive('{"kind":"AudioData","audioData":{"silent":true}}') == Media(bytes(size))


@pytest.mark.parametrize("length", [0, -1, 3, 10**12])
def test_a_silent_frame_of_an_absurd_length_lasts_20_ms(length: int) -> None:
    codec = AcsCodec()
    codec.receive(metadata(length=length))
    assert codec.receive('{"kind":"AudioData","audioData":{"silent":true}}') == Media(bytes(640))


@pytest.mark.parametrize(
    ("told", "key"), [("0", "0"), ("#", "#"), ("D", "D"), ("five", "5"), ("Pound", "#"), ("asterisk", "*"), (7, "7")]
)
def test_r7_keys_are_told_as_signs_words_or_numbers(told: Any, key: str) -> None:
    assert started().receive(json.dumps({"kind": "DtmfData", "dtmfData": {"data": told}})) == Digit(key)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("42", "not_object"),
        ("[1]", "not_object"),
        ("{", "not_json"),
        (b"\xff\xfe", "binary"),
        ("x" * 70_000, "too_large"),
        ("{}", "bad_field"),
        ('{"kind":"Video"}', "unknown_event"),
        ('{"kind":"AudioData"}', "bad_field"),
        ('{"kind":"AudioData","audioData":{"data":"AQ=="}}', "bad_payload"),
        ('{"kind":"AudioData","audioData":{"data":"***"}}', "bad_payload"),
        ('{"kind":"AudioData","audioData":{"data":""}}', "bad_payload"),
        ('{"kind":"DtmfData","dtmfData":{"data":"55"}}', "bad_field"),
        ('{"kind":"DtmfData"}', "bad_field"),
        (metadata(), "out_of_order"),
    ],
)
def test_what_cannot_be_understood_is_told_and_harms_nothing(message: str | bytes, code: str) -> None:
    codec = started()
    assert code_of(codec.receive(message)) == code
    assert codec.receive(GOLDEN[1]) == Media(PCM, 0)


@pytest.mark.parametrize("changes", [{"sampleRate": 8_000}, {"encoding": "opus"}, {"channels": 2}, {"sampleRate": "x"}])
def test_a_format_that_is_not_known_does_not_start_the_stream(changes: dict[str, Any]) -> None:
    codec = AcsCodec()
    assert code_of(codec.receive(metadata(**changes))) == "bad_field"
    assert isinstance(codec.receive(metadata()), Started)


def test_nothing_comes_or_goes_before_the_metadata() -> None:
    codec = AcsCodec()
    assert [code_of(codec.receive(line)) for line in GOLDEN[1:]] == ["out_of_order"] * 5
    for send in (lambda: codec.media(PCM), codec.clear):
        with pytest.raises(RuntimeError, match="wait for Started"):
            send()


@pytest.mark.parametrize("timestamp", [None, "", "yesterday", "2026-01-05T10:00:00"])
def test_a_time_that_cannot_be_read_costs_no_audio(timestamp: str | None) -> None:
    codec = started()
    codec.receive(GOLDEN[1])
    frame = {"timestamp": timestamp, "data": base64.b64encode(PCM).decode()}
    assert codec.receive(json.dumps({"kind": "AudioData", "audioData": frame})) == Media(PCM, -1)
