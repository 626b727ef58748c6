"""The local history: the service's order, missing words, what was heard, and how it is told to a new connection."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.clock import WallClock
from antiphon.realtime.conversation import INAUDIBLE, MAX_ID, ConversationState
from antiphon.realtime.heard import Spoken
from antiphon.realtime.incoming import ServerEvent
from antiphon.realtime.item_order import ItemOrder
from antiphon.realtime.metrics import ClientMetrics


class HandClock(WallClock):
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s


class History:
    """A conversation and short words for its events."""

    def __init__(self) -> None:
        self.metrics = ClientMetrics()
        self.clock = HandClock()
        self.state = ConversationState(self.clock, self.metrics)

    def take(self, kind: str, **fields: Any) -> None:
        self.state.take(ServerEvent(kind, fields, self.clock.now()))

    def added(self, item_id: str, role: str, previous: str | None, *parts: dict[str, Any]) -> None:
        item = {"id": item_id, "type": "message", "role": role, "content": list(parts)}
        self.take("conversation.item.added", item=item, previous_item_id=previous)

    def spoken(self, item_id: str, previous: str | None, words: str | None = None) -> None:
        self.added(item_id, "user", previous, {"type": "input_audio", "transcript": None})
        if words is not None:
            self.take("conversation.item.input_audio_transcription.completed", item_id=item_id, transcript=words)

    def answer(self, item_id: str, *pieces: str, response_id: str = "r1") -> None:
        item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        self.take("response.output_item.added", response_id=response_id, item=item)
        for piece in pieces:
            self.take("response.output_audio_transcript.delta", response_id=response_id, item_id=item_id, delta=piece)

    def words(self) -> list[tuple[str, str | None]]:
        return [(turn.role, turn.text) for turn in self.state.turns]


def test_turns_stand_in_the_services_order_whenever_their_words_come() -> None:
    talk = History()
    talk.spoken("u1", None)
    talk.answer("a1", "Hello ", "there.")
    talk.take(
        "conversation.item.added", item={"id": "a1", "type": "message", "role": "assistant"}, previous_item_id="u1"
    )
    talk.spoken("u2", "a1", "And now?")
    talk.take("conversation.item.input_audio_transcription.completed", item_id="u1", transcript=" Hi. ")
    assert talk.words() == [("user", "Hi."), ("assistant", "Hello there."), ("user", "And now?")]
    assert talk.metrics.total("turns_total", role="user") == 2
    assert talk.metrics.total("turns_total", role="assistant") == 1


@given(st.permutations(range(6)))
def test_items_find_their_places_in_whatever_order_they_are_told(order: list[int]) -> None:
    items = ItemOrder()
    for number in order:
        items.add(f"i{number}", f"i{number - 1}" if number else None)
    assert list(items) == [f"i{number}" for number in range(6)]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["a", "b", "c", "d", None, 7])), max_size=12))
def test_order_survives_nonsense(told: list[tuple[str, object]]) -> None:
    items = ItemOrder()
    for item_id, previous in told:
        items.add(item_id, previous)
    assert sorted(items) == sorted({item_id for item_id, _ in told})


def test_item_at_the_root_goes_first_and_deleted_ones_go() -> None:
    talk = History()
    talk.spoken("u1", None, "Hi.")
    talk.added("s1", "system", None, {"type": "input_text", "text": "Synopsis: hi."})
    assert talk.words() == [("system", "Synopsis: hi."), ("user", "Hi.")]
    talk.take("conversation.item.deleted", item_id="u1")
    assert talk.words() == [("system", "Synopsis: hi.")]


def test_words_that_come_before_their_item_are_kept() -> None:
    talk = History()
    talk.take("conversation.item.input_audio_transcription.completed", item_id="u1", transcript="Hi.")
    talk.spoken("u1", None)
    assert talk.words() == [("user", "Hi.")]
    assert talk.metrics.total("turns_total") == 1


def test_missing_words_are_asked_for_three_times_and_then_given_up() -> None:
    talk = History()
    talk.spoken("u1", None)
    asked = []
    for quarter in range(70):
        talk.clock.now_s = quarter / 4
        asked += [(talk.clock.now_s, item_id) for item_id in talk.state.due_retrievals()]
    assert asked == [(3.0, "u1"), (6.0, "u1"), (12.0, "u1")]
    assert talk.words() == [("user", INAUDIBLE)]
    assert talk.state.turns[0].transcript_state == "failed"


def test_words_that_were_asked_for_fill_the_turn() -> None:
    talk = History()
    talk.spoken("u1", None)
    item = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "Hi."}]}
    talk.take("conversation.item.retrieved", item=item)
    assert talk.words() == [("user", "Hi.")]
    assert talk.state.due_retrievals() == []


def test_failed_transcription_and_a_written_turn_wait_for_nothing() -> None:
    talk = History()
    talk.spoken("u1", None)
    talk.take("conversation.item.input_audio_transcription.failed", item_id="u1", error={})
    talk.added("u2", "user", "u1", {"type": "input_text", "text": "Typed."})
    assert talk.words() == [("user", INAUDIBLE), ("user", "Typed.")]


def test_answers_beside_the_conversation_are_no_turns() -> None:
    talk = History()
    talk.take("response.created", response={"id": "r9", "conversation_id": None})
    talk.answer("x1", "Aside.", response_id="r9")
    talk.take("response.done", response={"id": "r9", "usage": {"total_tokens": 999}})
    assert talk.words() == []
    assert talk.state.latest_tokens == 0


@pytest.mark.parametrize(
    ("heard_ms", "text"),
    [
        (0, ""),
        (100, ""),
        (500, "One two"),
        (999, "One two three"),
        (1_000, "One two three four"),
        (9_000, "One two three four"),
    ],
)
def test_interrupted_answer_is_cut_back_to_whole_words_by_its_share(heard_ms: float, text: str) -> None:
    talk = History()
    talk.answer("a1", "One two ", "three four")
    talk.state.interrupted("a1", heard_ms=heard_ms, generated_ms=1_000)
    turn = talk.state.turns[0]
    assert (turn.text, turn.text_generated, turn.interrupted) == (text, "One two three four", True)


def test_times_of_words_are_better_than_shares() -> None:
    spoken = Spoken()
    for word, start_s in (("One ", 0.0), ("two ", 1.0), ("three", 1.2)):
        spoken.add(word, start_s)
    assert spoken.heard(600, 2_000) == ""
    assert spoken.heard(1_000, 2_000) == "One"
    assert spoken.heard(1_200, 2_000) == "One two"
    assert spoken.heard(2_000, 2_000) == "One two three"


@given(st.text("ab c", max_size=30), st.floats(0, 2_000), st.floats(0, 2_000))
def test_heard_text_is_a_beginning_of_whole_words(text: str, heard_ms: float, generated_ms: float) -> None:
    spoken = Spoken()
    spoken.add(text, None)
    heard = spoken.heard(heard_ms, generated_ms)
    assert text.startswith(heard)
    assert heard.split() == text.split()[: len(heard.split())]


def test_corrected_words_of_an_interrupted_answer_are_cut_again() -> None:
    talk = History()
    talk.answer("a1", "One two three four")
    talk.state.interrupted("a1", heard_ms=500, generated_ms=1_000)
    talk.take("response.output_audio_transcript.done", item_id="a1", transcript="Uno dos tres cuatro")
    assert talk.words() == [("assistant", "Uno dos")]


def test_usage_is_taken_or_estimated() -> None:
    talk = History()
    talk.added("u1", "user", None, {"type": "input_text", "text": "x" * 400})
    talk.take("response.done", response={"id": "r1", "usage": None})
    assert talk.state.latest_tokens == 100
    talk.take("response.done", response={"id": "r2", "usage": {"total_tokens": 300}})
    talk.take("response.done", response={"id": "r3", "usage": {"total_tokens": 50}})
    assert (talk.state.latest_tokens, talk.state.peak_tokens) == (50, 300)
    talk.state.forget_peak()
    assert talk.state.peak_tokens == 50


def call(talk: History, call_id: str, *, status: str = "completed") -> None:
    item = {"id": f"i_{call_id}", "type": "function_call", "call_id": call_id, "name": "clock"}
    talk.take("response.output_item.added", response_id="r1", item={**item, "arguments": ""})
    talk.take(
        "response.output_item.done", response_id="r1", item={**item, "arguments": '{"zone":"UTC"}', "status": status}
    )


def test_history_tells_calls_with_their_outputs_and_the_heard_words_only() -> None:
    talk = History()
    talk.added("s1", "system", None, {"type": "input_text", "text": "Synopsis."})
    talk.spoken("u1", "s1", "What time is it?")
    call(talk, "c1")
    call(talk, "c2")
    call(talk, "c3", status="incomplete")
    output = {"id": "o1", "type": "function_call_output", "call_id": "c1", "output": "noon"}
    talk.take("conversation.item.added", item=output, previous_item_id="i_c1")
    talk.answer("a1", "It is noon now.", response_id="r2")
    talk.state.interrupted("a1", heard_ms=500, generated_ms=1_000)
    talk.spoken("u2", "a1")
    told = [(item["type"], item.get("call_id") or item["content"][0]) for item in talk.state.history()]
    assert told == [
        ("message", {"type": "input_text", "text": "Synopsis."}),
        ("message", {"type": "input_text", "text": "What time is it?"}),
        ("function_call", "c1"),
        ("function_call_output", "c1"),
        ("function_call", "c2"),  # It still runs: its output will come.
        ("message", {"type": "output_text", "text": "It is"}),
        ("message", {"type": "input_text", "text": INAUDIBLE}),
    ]
    assert [found.status for found in talk.state.turns[1].calls] == ["done", "running", "skipped"]


def test_ids_that_are_too_long_are_exchanged_once() -> None:
    talk = History()
    talk.spoken("u" * 100, None, "Hi.")
    talk.answer("a1", "Hello.")
    first = [item["id"] for item in talk.state.history()]
    assert all(len(item_id) <= MAX_ID for item_id in first)
    assert first == [item["id"] for item in talk.state.history()] == [turn.item_id for turn in talk.state.turns]
    talk.spoken(first[0], None)  # A new connection confirms it.
    assert talk.words() == [("user", "Hi."), ("assistant", "Hello.")]
    assert talk.metrics.total("turns_total", role="user") == 1
