"""The rules without a socket: pauses, renewal, the session's merge, what may wait, which sound is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.dialect import to_beta
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.metrics import ClientMetrics
from antiphon.realtime.outbox import MAX_WAITING, Outbox
from antiphon.realtime.reconnect import FATAL_CODES, Backoff, fatal_code, is_repeatable
from antiphon.realtime.renewal import Renewal
from antiphon.realtime.session import answers_turns, bytes_per_ms, cancels_on_speech, detects_turns, merged
from antiphon.realtime.uncommitted import UncommittedAudio


@given(failures=st.integers(1, 2_000), share=st.floats(0, 1))
def test_pause_is_between_half_and_all_of_the_doubled_base(failures: int, share: float) -> None:
    full_s = min(8.0, 0.5 * 2 ** min(failures - 1, 60))
    assert full_s / 2 <= Backoff().delay_s(failures, share) <= full_s


def test_pauses_double_up_to_the_limit() -> None:
    assert [Backoff().delay_s(n, 1) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]


@pytest.mark.parametrize(
    ("tries", "first", "later"), [(0, [False] * 4 + [True], [False] * 5), (2, [False, True], [False, True])]
)
def test_first_connection_is_given_up_sooner(tries: int, first: list[bool], later: list[bool]) -> None:
    backoff = Backoff(max_tries=tries)
    assert [backoff.gives_up(n + 1, was_connected=False) for n in range(len(first))] == first
    assert [backoff.gives_up(n + 1, was_connected=True) for n in range(len(later))] == later


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
def test_fatal_words_are_found_as_code_and_as_type(code: str) -> None:
    assert fatal_code({"code": code, "type": "x"}) == code
    assert fatal_code({"code": None, "type": code}) == code
    assert fatal_code({"code": ["a list"], "type": {}}) is None


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_error", "inference_rate_limit_exceeded"])
def test_passing_failures_are_worth_a_repeat(code: str) -> None:
    assert is_repeatable({"code": code})
    assert is_repeatable({"code": None, "type": code})
    assert not is_repeatable({"code": "content_filter", "type": "server_error"})


def test_session_is_renewed_in_a_quiet_moment_of_its_last_minute_or_at_the_last() -> None:
    renewal = Renewal()
    assert not renewal.is_due(5, quiet=True)
    renewal.begin(3_600, 0)
    assert not renewal.is_due(3_539, quiet=True)
    assert renewal.is_due(3_540, quiet=True)
    assert not renewal.is_due(3_589, quiet=False)
    assert renewal.is_due(3_590, quiet=False)


@pytest.mark.parametrize("expires_at", [None, "soon", 19, -3_600])
def test_session_without_a_believable_end_is_left_alone(expires_at: object) -> None:
    renewal = Renewal()
    renewal.begin(expires_at, 0)
    assert not renewal.is_due(18, quiet=True)


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"instructions": ""}, {"instructions": ""}),
        ({"audio": {"output": {"speed": 1.2}}}, {"voice": "marin", "speed": 1.2}),
        ({"audio": {"input": {"turn_detection": {"threshold": 0.7}}}}, {"type": "server_vad", "threshold": 0.7}),
        ({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}, {"type": "semantic_vad"}),
        ({"audio": {"input": {"turn_detection": None}}}, None),
        ({"tools": []}, []),
    ],
)
def test_configuration_merges_as_a_service_does(update: dict[str, Any], expected: Any) -> None:
    current = {
        "instructions": "Be brief.",
        "tools": [{"name": "clock"}],
        "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "marin"}},
    }
    result = merged(current, update)
    found = {
        "instructions": {"instructions": result["instructions"]},
        "tools": result["tools"],
        "output": result["audio"]["output"],
        "input": result["audio"]["input"]["turn_detection"],
    }
    assert expected in [found[key] for key in (*update, *update.get("audio", {})) if key in found]
    assert current["audio"] == {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "marin"}}


def test_session_says_how_it_treats_turns_and_sound() -> None:
    vad = {"audio": {"input": {"turn_detection": {"type": "server_vad"}, "format": {"type": "audio/pcmu"}}}}
    assert detects_turns(vad)
    assert answers_turns(vad)
    assert not cancels_on_speech(vad)  # Only where it is said.
    assert bytes_per_ms(vad, "input") == 8
    assert bytes_per_ms(vad, "output") == 48
    assert not detects_turns({})
    assert not answers_turns({"audio": {"input": {"turn_detection": None}}})


def test_older_dialect_has_its_own_places_for_everything() -> None:
    session = {
        "type": "realtime",
        "instructions": "Be brief.",
        "output_modalities": ["audio"],
        "max_output_tokens": 100,
        "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "turn_detection": None, "transcription": {"model": "w"}},
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy", "speed": 1.1},
        },
    }
    assert to_beta({"type": "session.update", "session": session})["session"] == {
        "instructions": "Be brief.",
        "modalities": ["text", "audio"],
        "max_response_output_tokens": 100,
        "input_audio_format": "g711_ulaw",
        "turn_detection": None,
        "input_audio_transcription": {"model": "w"},
        "output_audio_format": "pcm16",
        "voice": "alloy",
        "speed": 1.1,
    }
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    older = to_beta({"type": "conversation.item.create", "item": item})["item"]["content"]
    assert older == [{"type": "text", "text": "Hi"}]
    response = to_beta({"type": "response.create", "response": {"output_modalities": ["text"], "input": [item]}})
    assert response["response"]["modalities"] == ["text"]
    assert response["response"]["input"][0]["content"] == older
    assert to_beta({"type": "response.cancel"}) == {"type": "response.cancel"}


def ask(name: str) -> dict[str, Any]:
    return {"type": "response.create", "event_id": name}


def item(name: str) -> dict[str, Any]:
    return {"type": "conversation.item.create", "event_id": f"e_{name}", "item": {"id": name}}


def said(kind: str, **fields: Any) -> ServerEvent:
    return ServerEvent(kind, fields, 0.0)


def refused(name: str, code: str) -> ServerEvent:
    return said("error", error={"code": code, "event_id": name})


def test_one_response_is_asked_for_at_a_time() -> None:
    outbox = Outbox()
    outbox.connected(0)
    assert outbox.push(ask("a"), 0) == [ask("a")]
    assert outbox.push(ask("b"), 0) == []
    assert outbox.take(said("session.updated", session={}), 0) == []
    assert outbox.take(said("response.created", response={"id": "r1"}), 0) == [ask("b")]
    assert outbox.push(ask("c"), 0) == []
    assert outbox.take(refused("b", "invalid_value"), 0) == [ask("c")]
    assert outbox.push(ask("d"), 0) == []
    assert outbox.take(said("response.done", response={"id": "r1"}), 0) == [ask("d")]


def test_wish_that_came_too_early_waits_for_the_response_to_end() -> None:
    outbox = Outbox()
    outbox.connected(0)
    outbox.push(ask("a"), 0)
    assert outbox.take(refused("a", "conversation_already_has_active_response"), 0) == []
    assert outbox.take(said("response.created", response={"id": "r0"}), 0) == []
    assert outbox.tick(100) == []
    assert outbox.take(said("response.done", response={"id": "r0"}), 101) == [ask("a")]


def test_wish_that_is_never_answered_holds_nothing_up() -> None:
    outbox = Outbox()
    outbox.connected(0)
    outbox.push(ask("a"), 0)
    outbox.push(ask("b"), 5)
    assert outbox.tick(9) == []
    assert outbox.tick(11) == [ask("b")]


def test_events_wait_for_a_connection_ten_seconds_and_a_hundred_of_them() -> None:
    outbox = Outbox()
    for number in range(MAX_WAITING + 20):
        assert outbox.push(item(str(number)), number / 100) == []
    assert outbox.dropped == 20
    outbox.tick(10.5)
    assert outbox.connected(10.5) == [item(str(number)) for number in range(50, MAX_WAITING + 20)]
    assert outbox.dropped == 50


def test_items_that_no_service_confirmed_are_sent_again() -> None:
    outbox = Outbox()
    outbox.connected(0)
    for name in ("a", "b", "c"):
        outbox.push(item(name), 0)
    outbox.push(ask("r"), 0)
    outbox.take(said("conversation.item.added", item={"id": "a"}), 0)
    outbox.take(refused("e_b", "invalid_value"), 0)
    outbox.disconnected(1)
    assert outbox.push(item("d"), 1) == []
    assert outbox.connected(2) == [item("c"), item("d"), ask("r")]


def test_sound_of_a_turn_is_kept_until_the_service_holds_it() -> None:
    audio = UncommittedAudio(ClientMetrics())
    audio.connected(0)
    for number in range(10):
        audio.add(bytes([number]) * 480, sent=True)  # 10 ms each
    audio.turn_ends(45)
    audio.add(b"x" * 480, sent=True)
    audio.committed()
    audio.disconnected(1)
    audio.connected(2)
    assert audio.take_unsent() == [bytes([number]) * 480 for number in range(4, 10)] + [b"x" * 480]
    assert audio.take_unsent() == []


def test_sound_of_a_long_outage_is_stale_and_what_never_was_sent_is_counted() -> None:
    metrics = ClientMetrics()
    audio = UncommittedAudio(metrics)
    audio.connected(0)
    audio.add(b"s" * 480, sent=True)
    audio.disconnected(1)
    for _ in range(600):
        audio.add(b"u" * 480, sent=False)
    assert audio.pending_ms == 5_000
    assert metrics.total("audio_frames_dropped_total", direction="in", reason="disconnected") == 100
    audio.connected(7)
    assert audio.take_unsent() == []
    assert metrics.total("audio_frames_dropped_total", direction="in", reason="stale") == 500


@given(st.lists(st.tuples(st.integers(1, 900), st.sampled_from([0.1, 3.0, 6.0])), max_size=30))
def test_every_chunk_is_sent_kept_or_counted_as_dropped(stretches: list[tuple[int, float]]) -> None:
    metrics = ClientMetrics()
    audio = UncommittedAudio(metrics)
    audio.bytes_per_ms = 1  # 5 000 bytes are kept.
    captured, sent, now_s = 0, set[bytes](), 0.0
    for number, (chunks, lasts_s) in enumerate(stretches):
        online = number % 2 == 1  # Outages and connections take turns.
        if online:
            audio.connected(now_s)
            sent |= set(audio.take_unsent())
        for _ in range(chunks):
            captured += 1
            chunk = captured.to_bytes(8, "big")
            audio.add(chunk, sent=online)
            sent |= {chunk} if online else set()
        now_s += lasts_s
        if online:
            audio.disconnected(now_s)
    audio.connected(now_s)
    sent |= set(audio.take_unsent())
    assert len(sent) + metrics.total("audio_frames_dropped_total", direction="in") == captured
