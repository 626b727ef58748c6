"""Both ends of every protocol against each other, and against noise."""

from __future__ import annotations

import json
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.errors import AudioError
from antiphon.wire.caller import Accepted, Audio, Clear, Ending, Mark, MediaCaller, PlivoCaller, Unknown
from antiphon.wire.contract import (
    Cleared,
    Connected,
    Digit,
    Malformed,
    MarkPlayed,
    Media,
    MediaCodec,
    Started,
    Stopped,
    WireEvent,
)
from antiphon.wire.plivo import PlivoCodec
from antiphon.wire.table import CALLERS, CODECS

CARRIERS = sorted(CODECS)
WITH_MARKS = [name for name in CARRIERS if CODECS[name]().has_marks]
FORMATS = {"twilio": PHONE, "plivo": PHONE, "acs": AudioFormat("pcm16", 16_000), "audiohook": PHONE}
CODES = {
    "not_json",
    "not_object",
    "binary",
    "too_large",
    "unknown_event",
    "bad_field",
    "bad_payload",
    "out_of_order",
}
EVENTS = typing.get_args(WireEvent)

payloads = st.binary(min_size=2, max_size=640).map(lambda data: data[: len(data) // 2 * 2])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=";="), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)
digits = st.sampled_from("0123456789*#ABCD")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def pair(carrier: str) -> tuple[MediaCaller, MediaCodec]:
    return CALLERS[carrier]("stream-1", "call-1", {}), CODECS[carrier]()


def connected(carrier: str) -> tuple[MediaCaller, MediaCodec]:
    caller, codec = pair(carrier)
    for message in caller.opening():
        codec.receive(message)
    accepted = codec.accept()
    if accepted is not None:
        assert caller.receive(accepted) == Accepted()
    return caller, codec


def test_every_carrier_has_both_sides() -> None:
    assert set(CODECS) == set(CALLERS) == set(FORMATS)
    for carrier in CARRIERS:
        caller, codec = pair(carrier)
        assert caller.name == codec.name == carrier
        assert caller.audio == codec.audio == FORMATS[carrier]


@pytest.mark.parametrize("carrier", ["twilio", "plivo", "audiohook"])
@given(parameters=st.dictionaries(names, names, max_size=4))
def test_the_opening_starts_the_stream_with_its_parameters(carrier: str, parameters: dict[str, str]) -> None:
    parameters = {name: value for name, value in parameters.items() if not name.startswith("{")}
    codec = CODECS[carrier]()
    events = [codec.receive(message) for message in CALLERS[carrier]("stream-1", "call-1", parameters).opening()]
    started = events[-1]
    assert isinstance(started, Started)
    assert (started.stream_id, started.call_id, started.audio) == ("stream-1", "call-1", PHONE)
    assert parameters.items() <= started.parameters.items()
    assert set(started.parameters) - set(parameters) <= {"organization_id"}
    assert all(isinstance(event, Connected) for event in events[:-1])


@pytest.mark.parametrize("carrier", CARRIERS)
@given(frames=st.lists(payloads, max_size=6))
def test_what_the_caller_says_is_what_the_server_hears(carrier: str, frames: list[bytes]) -> None:
    caller, codec = connected(carrier)
    heard = [codec.receive(caller.media(frame)) for frame in frames]
    sent = 0
    for chunk, (frame, event) in enumerate(zip(frames, heard, strict=True), 1):
        assert isinstance(event, Media)
        assert (event.payload, event.chunk) == (frame, chunk if codec.has_marks else -1)
        assert event.timestamp_ms == pytest.approx(codec.audio.seconds(sent) * 1000, abs=1)
        sent += len(frame)
    closing = caller.closing()
    if closing is not None:
        assert isinstance(codec.receive(closing), Stopped)


@pytest.mark.parametrize("carrier", CARRIERS)
@given(payload=st.binary(max_size=640), name=texts)
def test_what_the_server_says_is_what_the_caller_hears(carrier: str, payload: bytes, name: str) -> None:
    caller, codec = connected(carrier)
    assert caller.receive(codec.media(payload)) == Audio(payload, codec.audio)
    if codec.has_marks:
        assert caller.receive(codec.mark(name)) == Mark(name)
        assert codec.receive(caller.mark_played(name)) == MarkPlayed(name)
    else:
        assert codec.mark(name) is caller.mark_played(name) is None
    assert caller.receive(codec.clear()) == Clear()


@pytest.mark.parametrize("carrier", CARRIERS)
@given(digit=digits)
def test_keys_arrive(carrier: str, digit: str) -> None:
    caller, codec = connected(carrier)
    assert codec.receive(caller.dtmf(digit)) == Digit(digit)


@pytest.mark.parametrize("carrier", WITH_MARKS)
def test_a_clear_is_answered_by_the_marks_or_by_a_message_of_its_own(carrier: str) -> None:
    caller, codec = connected(carrier)
    answer = caller.cleared()
    assert caller.marks_return_on_clear == (answer is None)
    if answer is not None:
        assert codec.receive(answer) == Cleared()


@given(
    audio=st.sampled_from([PHONE, AudioFormat("pcm16", 8_000), AudioFormat("pcm16", 16_000)]),
    frames=st.lists(payloads, min_size=1, max_size=4),
)
def test_plivo_carries_all_its_formats_both_ways(audio: AudioFormat, frames: list[bytes]) -> None:
    caller, codec = PlivoCaller("stream-1", "call-1", audio=audio, epoch_ms=1_767_603_600_000), PlivoCodec()
    (opening,) = caller.opening()
    assert codec.receive(opening) == Started("stream-1", "call-1", audio, {})
    for frame in frames:
        event = codec.receive(caller.media(frame))
        assert isinstance(event, Media)
        assert event.payload == frame
        assert caller.receive(codec.media(frame)) == Audio(frame, audio)


@pytest.mark.parametrize("audio", [AudioFormat("mulaw", 16_000), AudioFormat("alaw", 8_000)])
def test_a_format_that_plivo_cannot_carry_is_an_audio_error(audio: AudioFormat) -> None:
    with pytest.raises(AudioError, match="Plivo carries"):
        PlivoCaller("stream-1", "call-1", audio=audio)


@pytest.mark.parametrize("carrier", ["twilio", "plivo", "audiohook"])
def test_a_caller_takes_no_message_of_another_stream(carrier: str) -> None:
    caller, _ = connected(carrier)
    other = CODECS[carrier]()
    for message in CALLERS[carrier]("stream-2", "call-2", {}).opening():
        other.receive(message)
    other.accept()
    for message in (other.clear(), other.mark("m")):
        assert message is None or isinstance(caller.receive(message), Unknown)


def test_a_caller_cannot_play_a_format_that_plivo_has_not() -> None:
    caller, _ = connected("plivo")
    media = {"contentType": "audio/opus", "sampleRate": 48_000, "payload": "AAAA"}
    assert isinstance(caller.receive(json.dumps({"event": "playAudio", "media": media})), Unknown)


def real_messages(carrier: str) -> list[str | bytes]:
    """One of each message that the carrier sends."""
    caller, _ = connected(carrier)
    messages = [
        *CALLERS[carrier]("stream-1", "call-1", {"tenant": "acme"}).opening(),
        caller.dtmf("5"),
        caller.media(b"\xff\x7f" * 80),
        caller.mark_played("clause-1"),
        caller.cleared(),
        caller.closing(),
    ]
    return [message for message in messages if message is not None]


@st.composite
def mutations(draw: st.DrawFn, carrier: str) -> str | bytes:
    """A real message with a field changed, lost or added, or with its text cut, turned or repeated."""
    text = draw(st.sampled_from(real_messages(carrier)))
    if isinstance(text, bytes):
        return text[: draw(st.integers(0, len(text)))] * draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["field", "cut", "bytes", "twice"]))
    if kind == "field":
        content: dict[str, Any] = json.loads(text)
        inside = [value for value in content.values() if isinstance(value, dict)]
        part = draw(st.sampled_from([content, *inside]))
        key = draw(st.sampled_from([*part, "event", "payload"]))
        if draw(st.booleans()):
            part[key] = draw(json_values)
        else:
            part.pop(key, None)
        return json.dumps(content)
    at = draw(st.integers(0, len(text)))
    if kind == "cut":
        return text[:at]
    if kind == "twice":
        return text[:at] + text
    raw = bytearray(text.encode())
    raw[at % len(raw)] = draw(st.integers(0, 255))
    return bytes(raw)


def check_unharmed(caller: MediaCaller, codec: MediaCodec, noise: str | bytes) -> None:
    """The noise gives an event of the contract, and a stream that it did not end goes on as if nothing had been."""
    event = codec.receive(noise)
    assert event is None or isinstance(event, EVENTS)
    if isinstance(event, Malformed):
        assert event.code in CODES
        if event.is_fatal:
            check_ends(caller, codec)
            return
        assert codec.receive(caller.media(b"\xff\x7f")) == Media(b"\xff\x7f", 0, 1 if codec.has_marks else -1)
        if codec.has_marks:
            assert codec.receive(caller.mark_played("m")) == MarkPlayed("m")
        assert caller.receive(codec.media(b"\xff\x7f")) == Audio(b"\xff\x7f", codec.audio)


def check_ends(caller: MediaCaller, codec: MediaCodec) -> None:
    """The server says that the stream ends for a fault, and both sides take leave."""
    assert codec.name == "audiohook"
    ending = codec.end("error", {})
    assert ending is not None
    assert caller.receive(ending) == Ending("error", {})
    assert codec.receive(caller.closing()) == Stopped("end")
    assert len(codec.answers()) == 1


@pytest.mark.parametrize("carrier", CARRIERS)
@given(noise=st.one_of(st.text(max_size=60), st.binary(max_size=60), json_values.map(json.dumps)))
def test_noise_is_an_event_and_harms_nothing(carrier: str, noise: str | bytes) -> None:
    check_unharmed(*connected(carrier), noise)


@pytest.mark.parametrize("carrier", CARRIERS)
@settings(max_examples=300)
@given(data=st.data())
def test_damaged_messages_are_events_and_harm_nothing(carrier: str, data: st.DataObject) -> None:
    check_unharmed(*connected(carrier), data.draw(mutations(carrier)))


@pytest.mark.parametrize("carrier", CARRIERS)
@settings(max_examples=200)
@given(data=st.data())
def test_damaged_messages_before_the_start_harm_nothing(carrier: str, data: st.DataObject) -> None:
    caller, codec = pair(carrier)
    event = codec.receive(data.draw(mutations(carrier)))
    assert event is None or isinstance(event, EVENTS)
    if isinstance(event, Malformed) and event.is_fatal:
        assert codec.end("error", {}) is None or carrier == "audiohook"
    elif isinstance(event, Malformed):
        assert isinstance([codec.receive(message) for message in caller.opening()][-1], Started)


@pytest.mark.parametrize("carrier", CARRIERS)
@given(noise=st.one_of(st.text(max_size=60), json_values.map(json.dumps)))
def test_a_caller_reads_noise_as_unknown(carrier: str, noise: str) -> None:
    caller, _ = connected(carrier)
    assert isinstance(caller.receive(noise), Unknown)
