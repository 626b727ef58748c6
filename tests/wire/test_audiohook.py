from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.formats import PHONE
from antiphon.wire.audiohook import NO_CONVERSATION, AudioHookCodec
from antiphon.wire.audiohook_caller import AudioHookCaller
from antiphon.wire.caller import Audio, Clear, Ending, Unknown
from antiphon.wire.contract import (
    Digit,
    Fault,
    LanguageChanged,
    Malformed,
    Media,
    Probed,
    Started,
    Stopped,
    StreamPaused,
)

SESSION = "e160e428-53e2-487c-977d-96989bf5c900"
CONVERSATION = "090eaa2f-72fa-480a-83e0-8667ff890001"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d00"
PCMU = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
OPEN: dict[str, Any] = {
    "organizationId": ORGANIZATION,
    "conversationId": CONVERSATION,
    "participant": {"id": "p-1", "ani": "+15550100", "aniName": "Jo Doe", "dnis": "+15550101"},
    "media": [
        {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000},
        PCMU,
        {"type": "audio", "format": "L16", "channels": ["external"], "rate": 8000},
    ],
    "language": "en-US",
    "inputVariables": {"phoneNumber": "+15550100", "tier": "gold", "promptName": "desk", "from": "forged", "n": 3},
    "customConfig": {},
}


class Genesys:
    """Numbers the messages as the client does."""

    def __init__(self) -> None:
        self.seq = 0

    def say(self, kind: str, parameters: dict[str, Any] | None = None, **changes: Any) -> str:
        self.seq += 1
        message = {
            "version": "2",
            "id": SESSION,
            "type": kind,
            "seq": self.seq,
            "serverseq": 0,
            "position": "PT0S",
            "parameters": parameters or {},
        }
        return json.dumps({**message, **changes})


def opened(**changes: Any) -> tuple[Genesys, AudioHookCodec]:
    genesys, codec = Genesys(), AudioHookCodec()
    assert isinstance(codec.receive(genesys.say("open", {**OPEN, **changes})), Started)
    codec.accept()
    return genesys, codec


def test_the_open_tells_who_calls_and_gets_one_choice_of_audio() -> None:
    genesys, codec = Genesys(), AudioHookCodec()
    assert codec.receive(genesys.say("open", OPEN)) == Started(
        SESSION,
        CONVERSATION,
        PHONE,
        {
            "caller_phone": "+15550100",
            "tier": "gold",
            "prompt_name": "desk",
            "n": "3",
            "from": "+15550100",
            "to": "+15550101",
            "caller_name": "Jo Doe",
            "language": "en-US",
            "organization_id": ORGANIZATION,
        },
    )
    assert codec.answers() == ()
    assert json.loads(codec.accept()) == {
        "version": "2",
        "id": SESSION,
        "type": "opened",
        "seq": 1,
        "clientseq": 1,
        "parameters": {"media": [PCMU]},
    }


@pytest.mark.parametrize("name", ["participant", "language", "inputVariables", "customConfig"])
@pytest.mark.parametrize("is_null", [False, True])
def test_an_open_may_leave_out_who_calls(name: str, is_null: bool) -> None:
    told = {key: value for key, value in OPEN.items() if key != name}
    event = AudioHookCodec().receive(Genesys().say("open", {**told, **({name: None} if is_null else {})}))
    assert isinstance(event, Started)
    assert event.parameters["organization_id"] == ORGANIZATION


def test_every_message_has_its_answer_and_its_event() -> None:
    genesys, codec = opened()
    events = []
    for kind, parameters in [
        ("ping", {"rtt": "PT0.05S"}),
        ("playback_started", {}),
        ("playback_completed", {}),
        ("dtmf", {"digit": "#"}),
        ("update", {"language": "es-ES"}),
        ("paused", {}),
        ("resumed", {"start": "PT1S", "discarded": "PT0.5S"}),
        ("discarded", {"start": "PT1S", "discarded": "PT1.2S"}),
        ("error", {"code": 429, "message": "Too many messages", "retryAfter": "PT3S"}),
        ("close", {"reason": "end"}),
    ]:
        events.append(codec.receive(genesys.say(kind, parameters)))
    assert [event for event in events if event] == [
        Digit("#"),
        LanguageChanged("es-ES"),
        StreamPaused(True),
        StreamPaused(False),
        Fault(429, "Too many messages"),
        Stopped("end"),
    ]
    answers = [json.loads(answer) for answer in codec.answers()]
    assert [(answer["type"], answer["seq"], answer["clientseq"]) for answer in answers] == [
        ("pong", 2, 2),
        ("updated", 3, 6),
        ("closed", 4, 11),
    ]
    assert all(answer["parameters"] == {} for answer in answers)
    assert codec.answers() == ()
    assert codec.end("user_hangup", {}) is None


def test_audio_is_bytes_both_ways() -> None:
    _, codec = opened()
    assert codec.receive(b"\xff\x7f" * 80) == Media(b"\xff\x7f" * 80, 0)
    assert codec.receive(b"\x01" * 160) == Media(b"\x01" * 160, 20)
    assert codec.media(b"\x01" * 2000) == b"\x01" * 2000


@pytest.mark.parametrize(("channels", "at"), [(["external", "internal"], 0), (["internal", "external"], 1)])
@given(frames=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
def test_of_two_channels_the_callers_is_heard(channels: list[str], at: int, frames: list[bytes]) -> None:
    _, codec = opened(media=[{**PCMU, "channels": channels}])
    for frame in frames:
        mixed = bytearray(b"\xd5" * (2 * len(frame)))
        mixed[at::2] = frame
        event = codec.receive(bytes(mixed))
        assert isinstance(event, Media)
        assert event.payload == frame
    bad = codec.receive(b"\xff")
    assert isinstance(bad, Malformed)
    assert bad.code == "bad_payload"


def test_the_phone_interleaves_what_the_server_takes_apart() -> None:
    caller, codec = AudioHookCaller("s", "c", channels=("internal", "external")), AudioHookCodec()
    codec.receive(caller.opening()[0])
    assert caller.media(b"\x01\x02") is None
    caller.receive(codec.accept())
    frame = caller.media(b"\x01\x02")
    assert frame == b"\xff\x01\xff\x02"
    assert codec.receive(frame) == Media(b"\x01\x02", 0)


def test_a_barge_in_is_an_event_with_the_next_number() -> None:
    genesys, codec = opened()
    codec.receive(genesys.say("ping"))
    codec.answers()
    told = json.loads(codec.clear())
    assert told["parameters"] == {"entities": [{"type": "barge_in", "data": {}}]}
    assert (told["type"], told["seq"], told["clientseq"]) == ("event", 3, 2)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("agent_hangup", "completed"),
        ("error", "error"),
        ("no start", "error"),
        ("not authorized", "unauthorized"),
    ],
)
def test_the_end_leaves_variables_to_the_flow(reason: str, told: str) -> None:
    genesys, codec = opened()
    message = json.loads(codec.end(reason, {"order": "A7"}) or "")
    assert message["parameters"] == {"reason": told, "info": reason, "outputVariables": {"order": "A7"}}
    assert codec.end(reason, {}) is None
    assert codec.receive(genesys.say("close", {"reason": "disconnect"})) == Stopped("disconnect")
    assert [json.loads(answer)["type"] for answer in codec.answers()] == ["closed"]
    assert isinstance(codec.receive(genesys.say("ping")), Malformed)


def test_a_server_that_shuts_down_asks_the_carrier_to_connect_anew() -> None:
    genesys, codec = opened()
    told = json.loads(codec.end("drained", {"a": "1"}) or "")
    assert (told["type"], told["parameters"]) == ("reconnect", {"info": "the server shuts down"})
    assert codec.end("error", {}) is None
    assert codec.receive(genesys.say("close", {"reason": "reconnect"})) == Stopped("reconnect")
    assert [json.loads(answer)["type"] for answer in codec.answers()] == ["closed"]
    assert AudioHookCaller(SESSION, "c").receive(json.dumps({**told, "seq": 1, "clientseq": 0})) == Ending("reconnect")


def test_an_open_tells_which_session_it_continues() -> None:
    codec = AudioHookCodec()
    event = codec.receive(Genesys().say("open", {**OPEN, "continuedSessions": ["s-1", "s-2", {"x": 1}]}))
    assert isinstance(event, Started)
    assert event.parameters["continues"] == "s-1,s-2"


@pytest.mark.parametrize(("is_caller", "channel"), [(True, "external"), (False, "internal")])
def test_words_are_told_as_a_transcript_of_their_channel(is_caller: bool, channel: str) -> None:
    _, codec = opened()
    partial = json.loads(codec.words("We open", number=1, is_caller=is_caller, is_final=False))
    final = json.loads(codec.words("We open at nine.", number=1, is_caller=is_caller, is_final=True))
    other = json.loads(codec.words("Good.", number=2, is_caller=is_caller, is_final=True))
    [entity] = final["parameters"]["entities"]
    assert entity["type"] == "transcript"
    interpretations = [{"type": "normalized", "transcript": "We open at nine."}]
    assert entity["data"] == {
        "id": partial["parameters"]["entities"][0]["data"]["id"],
        "channel": channel,
        "isFinal": True,
        "alternatives": [{"confidence": 1.0, "interpretations": interpretations}],
    }
    assert other["parameters"]["entities"][0]["data"]["id"] != entity["data"]["id"]
    assert [told["seq"] for told in (partial, final, other)] == [2, 3, 4]


def test_the_outcome_of_a_turn_is_told() -> None:
    _, codec = opened()
    told = json.loads(codec.turn("match", "At nine."))
    assert told["parameters"]["entities"] == [
        {"type": "bot_turn_response", "data": {"disposition": "match", "text": "At nine."}}
    ]
    assert json.loads(codec.turn("no_input", ""))["parameters"]["entities"][0]["data"] == {"disposition": "no_input"}


def test_a_connection_check_is_opened_without_audio() -> None:
    genesys, codec = Genesys(), AudioHookCodec()
    assert codec.receive(genesys.say("open", {**OPEN, "conversationId": NO_CONVERSATION})) == Probed()
    assert json.loads(codec.accept())["parameters"] == {"media": []}
    assert isinstance(codec.receive(b"\xff" * 160), Malformed)
    assert codec.receive(genesys.say("close", {"reason": "end"})) == Stopped("end")


@pytest.mark.parametrize(
    ("media", "channels"),
    [
        ([], None),
        ([{**PCMU, "format": "L16"}], None),
        ([{**PCMU, "rate": 16_000}], None),
        ([{**PCMU, "channels": ["internal"]}], None),
        ([{**PCMU, "channels": ["external"] * 2}], None),
        ([{**PCMU, "channels": ["external", "internal"]}], ["external", "internal"]),
    ],
)
def test_only_mulaw_with_the_callers_channel_is_taken(media: list[Any], channels: list[str] | None) -> None:
    genesys, codec = Genesys(), AudioHookCodec()
    event = codec.receive(genesys.say("open", {**OPEN, "media": media}))
    if channels is None:
        assert isinstance(event, Malformed)
        assert event.is_fatal
    else:
        assert json.loads(codec.accept())["parameters"]["media"] == [{**PCMU, "channels": channels}]


FAULTS: dict[str, Any] = {
    "not JSON": (lambda genesys: "{", "not_json"),
    "a number": (lambda genesys: "42", "not_object"),
    "a list": (lambda genesys: "[1]", "not_object"),
    "too large": (lambda genesys: "x" * 65_537, "too_large"),
    "a number left out": (lambda genesys: genesys.say("ping", seq=3), "out_of_order"),
    "a number twice": (lambda genesys: genesys.say("ping", seq=1), "out_of_order"),
    "an answer to what was not sent": (lambda genesys: genesys.say("ping", serverseq=2), "out_of_order"),
    "a negative number": (lambda genesys: genesys.say("ping", serverseq=-1), "out_of_order"),
    "another id": (lambda genesys: genesys.say("ping", id="other"), "bad_field"),
    "another version": (lambda genesys: genesys.say("ping", version="3"), "bad_field"),
    "no position": (lambda genesys: genesys.say("ping", position=""), "bad_field"),
    "a position in minutes": (lambda genesys: genesys.say("ping", position="PT1M"), "bad_field"),
    "a second open": (lambda genesys: genesys.say("open", OPEN), "out_of_order"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_message_out_of_its_place_ends_the_stream(name: str) -> None:
    genesys, codec = opened()
    make, code = FAULTS[name]
    event = codec.receive(make(genesys))
    assert isinstance(event, Malformed)
    assert (event.code, event.is_fatal) == (code, True)
    assert json.loads(codec.end("error", {}) or "")["parameters"]["reason"] == "error"
    again = codec.receive(make(genesys))
    assert isinstance(again, Malformed)
    assert not again.is_fatal
    assert codec.receive(genesys.say("close", {"reason": "disconnect"}, seq=77)) == Stopped("disconnect")


@pytest.mark.parametrize(
    ("kind", "parameters", "code"),
    [
        ("hello", {}, "unknown_event"),
        ("dtmf", {"digit": "12"}, "bad_field"),
        ("dtmf", {}, "bad_field"),
        ("update", {"language": 1}, "bad_field"),
        ("error", {"code": "x"}, "bad_field"),
    ],
)
def test_a_message_in_its_place_that_is_not_understood_is_only_told(
    kind: str, parameters: dict[str, Any], code: str
) -> None:
    genesys, codec = opened()
    event = codec.receive(genesys.say(kind, parameters))
    assert isinstance(event, Malformed)
    assert (event.code, event.is_fatal) == (code, False)
    assert codec.receive(genesys.say("dtmf", {"digit": "1"})) == Digit("1")


def test_only_an_open_begins_the_stream() -> None:
    genesys, codec = Genesys(), AudioHookCodec(session_id=SESSION)
    early = codec.receive(b"\xff" * 160)
    assert isinstance(early, Malformed)
    assert not early.is_fatal
    event = codec.receive(genesys.say("ping"))
    assert isinstance(event, Malformed)
    assert event.is_fatal
    assert json.loads(codec.end("error", {}) or "")["id"] == SESSION


def test_the_session_of_the_upgrade_is_that_of_the_messages() -> None:
    event = AudioHookCodec(session_id="other").receive(Genesys().say("open", OPEN))
    assert isinstance(event, Malformed)
    assert event.is_fatal


def test_nothing_is_sent_before_the_stream_is_accepted() -> None:
    genesys, codec = Genesys(), AudioHookCodec()
    for send in (lambda: codec.media(b"\xff"), codec.clear, codec.accept):
        with pytest.raises(RuntimeError):
            send()
    codec.receive(genesys.say("open", OPEN))
    with pytest.raises(RuntimeError):
        codec.media(b"\xff")
    assert AudioHookCodec().end("no start", {}) is None


def test_a_phone_notices_a_wrong_number_and_audio_too_early() -> None:
    caller, codec = AudioHookCaller("s", "c"), AudioHookCodec()
    assert isinstance(caller.receive(b"\xff"), Unknown)
    codec.receive(caller.opening()[0])
    caller.receive(codec.accept())
    lost, second = codec.clear(), codec.clear()
    assert isinstance(caller.receive(second), Unknown)
    assert caller.receive(lost) == Clear()
    assert caller.receive(second) == Clear()
    assert caller.receive(codec.media(b"\xff" * 2000)) == Audio(b"\xff" * 2000, PHONE)
    assert caller.receive(codec.end("agent_hangup", {"a": "b"}) or "") == Ending("completed", {"a": "b"})


@given(st.lists(st.sampled_from(["ping", "dtmf", "update", "clear", "audio", "bad"]), max_size=30))
def test_all_numbers_of_both_sides_fit_whatever_is_said(steps: list[str]) -> None:
    caller, codec = AudioHookCaller("s", "c"), AudioHookCodec()
    codec.receive(caller.opening()[0])
    caller.receive(codec.accept())
    for step in steps:
        if step == "clear":
            assert caller.receive(codec.clear()) == Clear()
        elif step == "audio":
            assert isinstance(codec.receive(caller.media(b"\xff" * 160) or b""), Media)
        else:
            parameters = {"dtmf": {"digit": "5"}, "update": {"language": "fr"}}.get(step, {})
            event = codec.receive(caller.control(step, **parameters))
            assert not (isinstance(event, Malformed) and event.is_fatal)
        for answer in codec.answers():
            assert not isinstance(caller.receive(answer), Unknown)
    assert codec.receive(caller.closing()) == Stopped("end")
