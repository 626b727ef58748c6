"""Server-sent events, whatever their splits."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ChatClientException
from antiphon.models.llm.content import FunctionCall
from antiphon.models.llm.openai_answer import Answer
from antiphon.models.llm.responses_answer import ResponsesAnswer
from antiphon.models.sse import MAX_EVENT_BYTES, EventTooLong, SSEParser
from tests.llm.vendor import delta, event, pieces


def parse(*chunks: bytes) -> list[bytes]:
    parser = SSEParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.finish()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_three_ways(end: bytes) -> None:
    assert parse(b"data: a" + end + end + b"data: b" + end + end) == [b"a", b"b"]


def test_comments_and_other_fields_are_skipped() -> None:
    assert parse(b": ping\n\nevent: x\nid: 1\nretry: 5\nnonsense\ndata: a\n\n") == [b"a"]


def test_several_data_lines_are_joined_and_one_space_is_cut() -> None:
    assert parse(b"data: a\ndata:b\ndata:  c\ndata\n\n") == [b"a\nb\n c\n"]


def test_a_byte_order_mark_is_no_part_of_the_field() -> None:
    assert parse(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


def test_the_last_event_counts_without_its_blank_line_but_a_cut_line_does_not() -> None:
    assert parse(b"data: a\n") == [b"a"]
    assert parse(b"data: a\n\ndata: [DO") == [b"a"]


def test_other_separators_than_line_ends_are_content() -> None:
    text = "data: a\x0bb\x0c\x1c\x85\u2028c\n\n".encode()
    assert parse(text) == [text[6:-2]]


@pytest.mark.parametrize("chunk", [b"x" * 70_000, b"data: " + b"x" * 70_000 + b"\n"])
def test_an_event_without_end_is_refused(chunk: bytes) -> None:
    with pytest.raises(EventTooLong):
        parse(*[chunk] * (MAX_EVENT_BYTES // 70_000 + 1))


DATA = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
EVENTS = st.lists(st.lists(DATA, min_size=1, max_size=3), max_size=6)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(EVENTS, ENDS, st.lists(st.integers(0, 400), max_size=12))
def test_any_split_gives_the_same_events(events: list[list[str]], end: str, cuts: list[int]) -> None:
    text = "".join("".join(f"data: {line}{end}" for line in event) + f": note{end}{end}" for event in events)
    wire = text.encode()
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    chunks = [wire[start:stop] for start, stop in pairwise(places)]
    assert parse(*chunks) == ["\n".join(event).encode() for event in events]
    assert parse(*(wire[index : index + 1] for index in range(len(wire)))) == parse(wire)


def answer_of(*chunks: bytes) -> tuple[str, str, tuple[FunctionCall, ...], str | None]:
    """What a stream of Chat Completions says, and thinks, calls and ends with, read in these chunks."""
    parser, answer = SSEParser(), Answer("p")
    data = [event for chunk in chunks for event in parser.feed(chunk)] + parser.finish()
    deltas = [delta for event in data if (delta := answer.take(event)) is not None]
    last = answer.end()
    text = "".join(delta.text for delta in deltas)
    return text, "".join(delta.reasoning for delta in deltas), last.calls, last.finish_reason


STREAM = b"".join(
    [
        b": keep-alive\r\n\r\n",
        event(delta(role="assistant", content=None)),
        event(delta(reasoning_content="Hm, grün ✓ ")),
        event(delta(content="日本 ")),
        event({"choices": []}),
        event(delta(content="✓")),
        event(delta(tool_calls=pieces(id="c1", name="add", arguments=""))),
        event(delta(tool_calls=pieces(arguments='{"a": "日'))),
        event(delta(tool_calls=pieces(arguments='本"}'))),
        event(delta(finish="stop")),
        event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        event("[DONE]"),
    ]
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_split_of_an_answer_gives_the_same_answer(cuts: list[int]) -> None:
    places = sorted({0, len(STREAM), *cuts})
    said = answer_of(*(STREAM[start:stop] for start, stop in pairwise(places)))
    assert said == ("日本 ✓", "Hm, grün ✓ ", (FunctionCall("c1", "add", '{"a": "日本"}'),), "tool_calls")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_one_of_our_errors(data: bytes) -> None:
    with suppress(ChatClientException):
        answer_of(b"data: " + data + b"\n\n")


KEYS = "choices delta content tool_calls index id error item response usage summary encrypted_content".split()
EVENTS_OF_RESPONSES = st.sampled_from(
    "output_item.done output_item.added output_text.delta completed incomplete failed created".split()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["choices", "delta", "content", "tool_calls", "index", "id", "error"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_read_or_refused_with_one_of_our_errors(value: object) -> None:
    with suppress(ChatClientException):
        answer_of(b"data: " + json.dumps(value).encode() + b"\n\n")


@given(st.lists(st.tuples(EVENTS_OF_RESPONSES, st.dictionaries(st.sampled_from(KEYS), JSON)), max_size=3))
def test_so_are_the_events_of_responses(events: list[tuple[str, dict[str, object]]]) -> None:
    answer = ResponsesAnswer("p")
    with suppress(ChatClientException):
        for kind, fields in events:
            answer.take(json.dumps({"type": f"response.{kind}", **fields}).encode())
        answer.end()
