"""Server-sent events, whatever their splits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.models.llm.sse import MAX_EVENT_BYTES, EventTooLong, SSEParser


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
