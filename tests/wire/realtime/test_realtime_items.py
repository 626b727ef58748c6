"""Items that clients add, and how items are told."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.wire.realtime.ids import MAX_MADE, new_id
from antiphon.wire.realtime.items import ContentPart, Item, item_object, part_object, read_input, read_item
from antiphon.wire.realtime.refusal import Refusal

PNG = "data:image/png;base64,iVBORw0KGgo="
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)


def message(role: str, *content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content), **fields}


@pytest.mark.parametrize("prefix", ["item", "resp", "call", "event", "sess", "conv", "rtc"])
def test_made_ids_are_short_and_plain(prefix: str) -> None:
    made = {new_id(prefix) for _ in range(100)}
    assert len(made) == 100
    assert all(name.startswith(f"{prefix}_") and len(name) <= MAX_MADE for name in made)
    assert all(name.replace("_", "").isalnum() and name.isascii() for name in made)


@pytest.mark.parametrize(
    ("role", "given_part", "part"),
    [
        ("system", {"type": "input_text", "text": "a"}, ContentPart("input_text", "a")),
        ("system", {"type": "text", "text": "a"}, ContentPart("input_text", "a")),
        ("user", {"type": "input_text", "text": ""}, ContentPart("input_text", "")),
        ("user", {"type": "text", "text": "a"}, ContentPart("input_text", "a")),
        ("user", {"type": "input_audio", "audio": "AAE="}, ContentPart("input_audio", audio=b"\x00\x01")),
        ("user", {"type": "audio", "audio": "AAE="}, ContentPart("input_audio", audio=b"\x00\x01")),
        ("user", {"type": "input_audio", "transcript": "a"}, ContentPart("input_audio", transcript="a")),
        ("user", {"type": "input_image", "image_url": PNG}, ContentPart("input_image", image_url=PNG, detail="auto")),
        (
            "user",
            {"type": "input_image", "image_url": PNG, "detail": "low"},
            ContentPart("input_image", image_url=PNG, detail="low"),
        ),
        ("assistant", {"type": "output_text", "text": "a"}, ContentPart("output_text", "a")),
        ("assistant", {"type": "text", "text": "a"}, ContentPart("output_text", "a")),
        ("assistant", {"type": "output_audio", "text": "a", "transcript": "b"}, ContentPart("output_text", "a")),
    ],
)
def test_content_is_read_by_role(role: Any, given_part: dict[str, Any], part: ContentPart) -> None:
    assert read_item(message(role, given_part, id="i")) == Item("i", "message", role, content=(part,))


@pytest.mark.parametrize("kind", ["output_audio", "audio"])
def test_audio_of_the_assistant_cannot_be_made(kind: str) -> None:
    parts = [{"type": "output_text", "text": "a"}, {"type": kind, "audio": "AAAA", "transcript": "b"}]
    with pytest.raises(Refusal) as refused:
        read_item(message("assistant", *parts))
    assert (refused.value.code, refused.value.param) == ("missing_required_parameter", "item.content[1].text")


def test_a_developer_is_told_as_the_system() -> None:
    item = read_item(message("developer", {"type": "input_text", "text": "a"}))
    assert item_object(item)["role"] == "system"


def test_a_replayed_item_becomes_complete_under_its_own_id() -> None:
    item = read_item(message("user", id="mine", object="realtime.item", status="in_progress"), strict=True)
    assert (item.id, item.status) == ("mine", "completed")


@pytest.mark.parametrize(
    ("value", "item"),
    [
        (
            {"type": "function_call", "id": "i", "name": "f", "arguments": "{}", "call_id": "c"},
            Item("i", "function_call", name="f", arguments="{}", call_id="c"),
        ),
        (
            {"type": "function_call", "name": "f", "arguments": ""},
            Item("new item", "function_call", name="f", arguments="", call_id="new call"),
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": ""},
            Item("new item", "function_call_output", call_id="c", output=""),
        ),
        (
            {"type": "mcp_approval_response", "approval_request_id": "r", "approve": False, "reason": "no"},
            Item(
                "new item",
                "mcp_approval_response",
                extra={"approval_request_id": "r", "approve": False, "reason": "no"},
            ),
        ),
        (
            {"type": "mcp_call", "server_label": "s", "name": "f", "arguments": "{}", "output": "x"},
            Item("new item", "mcp_call", name="f", arguments="{}", output="x", extra={"server_label": "s"}),
        ),
        (
            {"type": "mcp_approval_request", "server_label": "s", "name": "f", "arguments": "{}"},
            Item("new item", "mcp_approval_request", name="f", arguments="{}", extra={"server_label": "s"}),
        ),
        (
            {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "f", "input_schema": {}}]},
            Item(
                "new item",
                "mcp_list_tools",
                extra={"server_label": "s", "tools": [{"name": "f", "input_schema": {}}]},
            ),
        ),
    ],
)
def test_other_items_are_read_and_told(value: dict[str, Any], item: Item) -> None:
    assert read_item(value, new_id=lambda prefix: f"new {prefix}") == item
    told = item_object(item)
    assert {key: told[key] for key in value} == value
    assert (told["object"], told["status"]) == ("realtime.item", "completed")


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        (3, "invalid_value", "item"),
        ({}, "missing_required_parameter", "item.type"),
        ({"type": "tool_call"}, "invalid_value", "item.type"),
        ({"type": "item_reference", "id": "x"}, "invalid_value", "item.type"),
        (message("user", id=""), "invalid_value", "item.id"),
        (message("user", id="x" * 129), "string_above_max_length", "item.id"),
        ({"type": "message", "content": []}, "missing_required_parameter", "item.role"),
        (message("tool"), "invalid_value", "item.role"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "message", "role": "user", "content": "hi"}, "invalid_value", "item.content"),
        (message("user", {"text": "a"}), "missing_required_parameter", "item.content[0].type"),
        (message("user", {"type": "output_text", "text": "a"}), "invalid_value", "item.content[0].type"),
        (message("system", {"type": "input_audio", "audio": ""}), "invalid_value", "item.content[0].type"),
        (message("user", {"type": "input_text"}), "missing_required_parameter", "item.content[0].text"),
        (message("user", {"type": "input_audio"}), "missing_required_parameter", "item.content[0].audio"),
        (message("user", {"type": "input_audio", "audio": "?"}), "invalid_value", "item.content[0].audio"),
        (message("user", {"type": "input_image"}), "missing_required_parameter", "item.content[0].image_url"),
        (
            message("user", {"type": "input_image", "image_url": "https://a.example/b.png"}),
            "invalid_value",
            "item.content[0].image_url",
        ),
        (
            message("user", {"type": "input_image", "image_url": PNG + "A" * 14_000_000}),
            "string_above_max_length",
            "item.content[0].image_url",
        ),
        (
            message("user", {"type": "input_text", "text": "x" * 262_145}),
            "string_above_max_length",
            "item.content[0].text",
        ),
        (
            message("user", *[{"type": "input_text", "text": "x" * 200_000}] * 2),
            "string_above_max_length",
            "item.content",
        ),
        (message("user", {"type": "input_text", "text": "\U0001f600" * 250_000}), "string_above_max_length", "item"),
        ({"type": "function_call", "arguments": "{}"}, "missing_required_parameter", "item.name"),
        ({"type": "function_call", "name": "f"}, "missing_required_parameter", "item.arguments"),
        ({"type": "function_call_output", "output": "x"}, "missing_required_parameter", "item.call_id"),
        ({"type": "function_call_output", "call_id": "c"}, "missing_required_parameter", "item.output"),
        ({"type": "function_call_output", "call_id": "c", "output": {}}, "invalid_value", "item.output"),
        (
            {"type": "mcp_approval_response", "approval_request_id": "r"},
            "missing_required_parameter",
            "item.approve",
        ),
    ],
)
def test_a_bad_item_is_refused(value: Any, code: str, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_item(value)
    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        (message("user", mood="good"), "unknown_parameter", "item.mood"),
        (message("user", {"type": "input_text", "text": "a", "x": 1}), "unknown_parameter", "item.content[0].x"),
        ({"type": "function_call", "name": "f", "arguments": "[1]"}, "invalid_value", "item.arguments"),
        (
            message("user", {"type": "input_audio", "transcript": "a"}),
            "missing_required_parameter",
            "item.content[0].audio",
        ),
    ],
)
def test_strict_mode_refuses_more(value: dict[str, Any], code: str, param: str) -> None:
    read_item(value)
    with pytest.raises(Refusal) as refused:
        read_item(value, strict=True)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_input_may_refer_to_items() -> None:
    items = read_input([{"type": "item_reference", "id": "x"}, message("user", id="y")])
    assert items == (Item("x", "item_reference"), Item("y", "message", "user"))
    with pytest.raises(Refusal) as refused:
        read_input([message("user"), {"type": "item_reference"}])
    assert refused.value.param == "response.input[1].id"
    with pytest.raises(Refusal) as refused:
        read_input({})
    assert refused.value.param == "response.input"


def test_audio_is_told_only_where_it_is_asked_for() -> None:
    item = Item("i", "message", "user", content=(ContentPart("input_audio", transcript="a", audio=b"\0\0"),))
    assert item_object(item)["content"] == [{"type": "input_audio", "transcript": "a"}]
    assert item_object(item, audio="AAA=")["content"] == [{"type": "input_audio", "transcript": "a", "audio": "AAA="}]


def test_a_large_image_is_not_told_back() -> None:
    small = message("user", {"type": "input_image", "image_url": PNG})
    large = message("user", {"type": "input_image", "image_url": PNG + "A" * 1_000_000})
    assert item_object(read_item(small))["content"] == [{"type": "input_image", "image_url": PNG, "detail": "auto"}]
    assert item_object(read_item(large))["content"] == [{"type": "input_image", "detail": "auto"}]


def test_parts_have_names_of_their_own() -> None:
    assert part_object(ContentPart("output_audio")) == {"type": "audio", "transcript": ""}
    assert part_object(ContentPart("output_text", "a")) == {"type": "text", "text": "a"}


user_parts = st.one_of(
    st.builds(lambda text: {"type": "input_text", "text": text}, texts),
    st.builds(
        lambda audio, said: {"type": "input_audio", "audio": b64encode(audio).decode(), "transcript": said},
        st.binary(max_size=40),
        st.none() | texts,
    ),
    st.builds(
        lambda detail: {"type": "input_image", "image_url": PNG, "detail": detail}, st.sampled_from(["auto", "low"])
    ),
)
items = st.one_of(
    st.builds(lambda name, parts: message("user", *parts, id=name), ids, st.lists(user_parts, max_size=4)),
    st.builds(lambda name, said: message("assistant", {"type": "output_text", "text": said}, id=name), ids, texts),
    st.builds(
        lambda name, call, said: {
            "type": "function_call",
            "id": name,
            "name": said,
            "arguments": said,
            "call_id": call,
        },
        ids,
        ids,
        texts,
    ),
    st.builds(
        lambda name, call, said: {"type": "function_call_output", "id": name, "call_id": call, "output": said},
        ids,
        ids,
        texts,
    ),
)


@given(items)
def test_an_item_is_told_as_it_came(value: dict[str, Any]) -> None:
    told = item_object(read_item(value))
    for part in value.get("content", []):
        part.pop("audio", None)
    assert told == {**value, "object": "realtime.item", "status": "completed"}
