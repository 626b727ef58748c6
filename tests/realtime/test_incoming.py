"""Events of the service: both dialects, what is missing, what is unknown, and noise."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.errors import UnreadableEvent
from antiphon.realtime.incoming import OLDER_NAMES, REQUIRED, ServerEvent, read_event

VALUES: dict[type, Any] = {str: "AAAA", dict: {"id": "x1"}}


def frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "e", **fields})


@pytest.mark.parametrize("kind", sorted(REQUIRED))
def test_every_known_event_is_read_with_what_it_must_have_and_refused_without(kind: str) -> None:
    needed = {name: VALUES[wanted] for name, wanted in REQUIRED[kind].items()}
    assert read_event(frame(kind, **needed), at_s=1.5).type == kind
    for name in needed:
        for wrong in (None, 7):
            with pytest.raises(UnreadableEvent, match=name):
                read_event(frame(kind, **{**needed, name: wrong}), at_s=0)


@pytest.mark.parametrize(("older", "name"), sorted(OLDER_NAMES.items()))
def test_older_names_are_read_as_the_current_ones(older: str, name: str) -> None:
    needed = {field: VALUES[wanted] for field, wanted in REQUIRED[name].items()}
    event = read_event(frame(older, **needed), at_s=0)
    assert event.type == name
    assert event.item_id == ("AAAA" if "item_id" in needed else "x1" if "item" in needed else "")


@pytest.mark.parametrize("kind", ["response.output_audio.delta", "response.audio.delta"])
@given(sound=st.binary(max_size=2_000))
def test_sound_is_in_the_delta_in_both_dialects(kind: str, sound: bytes) -> None:
    delta = base64.b64encode(sound).decode()
    event = read_event(frame(kind, response_id="r", item_id="i", delta=delta), at_s=0)
    assert event.audio == sound
    assert (event.response_id, event.item_id) == ("r", "i")


def test_sound_that_is_none_is_refused() -> None:
    with pytest.raises(UnreadableEvent, match="base64"):
        read_event(frame("response.output_audio.delta", response_id="r", item_id="i", delta="=*="), at_s=0)


def test_unknown_event_is_kept_as_it_is() -> None:
    event = read_event(frame("antiphon.latency", ms=7), at_s=2)
    assert event == ServerEvent("antiphon.latency", {"type": "antiphon.latency", "event_id": "e", "ms": 7}, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["item", "item_id", "response", "response_id", "delta", "transcript", "session", "error"])


@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_noise_is_refused_or_is_an_event(message: str | bytes) -> None:
    try:
        event = read_event(message, at_s=0)
    except UnreadableEvent:
        return
    assert isinstance(event.body["type"], str)


@given(kind=st.sampled_from(sorted(REQUIRED)), fields=st.dictionaries(FIELDS, JSON))
def test_known_event_with_any_fields_is_refused_or_usable(kind: str, fields: dict[str, Any]) -> None:
    try:
        event = read_event(frame(kind, **fields), at_s=0)
    except UnreadableEvent:
        return
    assert all(isinstance(event.body[name], wanted) for name, wanted in REQUIRED[kind].items())
    assert isinstance(event.item_id, str)
    assert isinstance(event.response_id, str)
