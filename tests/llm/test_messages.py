"""Messages and contents come out of JSON as they went in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.models.llm.content import (
    TYPES,
    AgentToolEnded,
    AgentToolStarted,
    ApprovalRequest,
    ApprovalResponse,
    Audio,
    Content,
    ErrorNote,
    Filler,
    FunctionCall,
    FunctionResult,
    HandedOff,
    HostedFile,
    HostedTool,
    InputRequest,
    InputResponse,
    LateResult,
    Media,
    Part,
    Reasoning,
    Text,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    Unknown,
    Usage,
    content_from_dict,
    content_to_dict,
)
from antiphon.models.llm.messages import Message, as_messages, tool_message

WORDS = st.text(max_size=8)
NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
MAYBE = st.none() | WORDS
FLOATS = st.floats(0, 1e6, allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=3)
NEWER = st.dictionaries(NAMES.map(lambda name: f"x_{name}"), JSON, max_size=2)
COUNTS = st.integers(0, 10**9)


def of(kind: type[Part], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, more=NEWER, **fields)


CALLS = of(FunctionCall, call_id=WORDS, name=WORDS, arguments=WORDS)
MEDIA = of(Media, uri=WORDS, media_type=WORDS, name=MAYBE)
STATUS = st.sampled_from(["ok", "error", "timeout", "rejected", "interrupted", "pending", "unknown"])
RESULTS = of(
    FunctionResult,
    call_id=WORDS,
    name=WORDS,
    status=STATUS,
    text=WORDS,
    duration_ms=FLOATS,
    media=st.lists(MEDIA, max_size=2).map(tuple),
    exception=MAYBE,
)
AUDIO = of(
    Audio,
    media_type=WORDS,
    rate_hz=st.none() | COUNTS,
    duration_ms=st.none() | FLOATS,
    transcript=WORDS,
    alignment=st.lists(st.tuples(COUNTS, FLOATS), max_size=3).map(tuple),
    heard_ms=st.none() | FLOATS,
    heard_text=MAYBE,
    ref=MAYBE,
)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "text": of(Text, text=WORDS, annotations=st.lists(OBJECTS, max_size=2).map(tuple)),
    "text_reasoning": of(Reasoning, text=WORDS, protected=MAYBE, provider=MAYBE),
    "uri": MEDIA,
    "audio": AUDIO,
    "function_call": CALLS,
    "function_result": RESULTS,
    "approval_request": of(ApprovalRequest, id=WORDS, call=CALLS, prompt=WORDS, expires_at=MAYBE),
    "approval_response": of(
        ApprovalResponse,
        id=WORDS,
        approved=st.booleans(),
        call=st.none() | CALLS,
        reason=WORDS,
        scope=st.sampled_from(["once", "session", "always"]),
    ),
    "input_request": of(InputRequest, id=WORDS, data=JSON, response_schema=OBJECTS),
    "input_response": of(InputResponse, id=WORDS, value=JSON),
    "late_result": of(LateResult, call=CALLS, result=RESULTS),
    "error": of(ErrorNote, code=WORDS, message=WORDS),
    "hosted_file": of(HostedFile, file_id=WORDS, provider=WORDS, media_type=MAYBE),
    "hosted_tool": of(HostedTool, provider=WORDS, payload=OBJECTS),
    "usage": of(
        Usage,
        input_tokens=COUNTS,
        output_tokens=COUNTS,
        cache_read_tokens=COUNTS,
        cache_write_tokens=COUNTS,
        reasoning_tokens=COUNTS,
        other=st.dictionaries(NAMES, COUNTS, max_size=2),
    ),
    "tool_started": of(ToolStarted, call=CALLS),
    "tool_progress": of(ToolProgress, call=CALLS, text=WORDS),
    "tool_finished": of(ToolFinished, call=CALLS, result=RESULTS),
    "filler": of(Filler, text=WORDS, call_id=WORDS),
    "agent_tool_started": of(AgentToolStarted, call=CALLS, tool_type=WORDS),
    "agent_tool_ended": of(AgentToolEnded, call=CALLS, result=RESULTS, tool_type=WORDS),
    "handoff": of(
        HandedOff, source=WORDS, target=WORDS, handoff_type=st.sampled_from(["announced", "discrete"]), reason=WORDS
    ),
}
UNKNOWN = st.builds(lambda name, fields: Unknown({**fields, "type": f"new_{name}"}), NAMES, OBJECTS)
CONTENTS = st.one_of(*KINDS.values(), UNKNOWN)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(CONTENTS, max_size=3).map(tuple),
    author_name=MAYBE,
    message_id=MAYBE,
    created_at=MAYBE,
    interrupted=st.booleans(),
    generated_text=MAYBE,
    spoken_text=MAYBE,
    pinned=st.booleans(),
    additional_properties=OBJECTS,
)


def through_json(fields: dict[str, Any]) -> dict[str, Any]:
    passed: dict[str, Any] = json.loads(json.dumps(fields))
    return passed


def test_every_known_type_is_tried_here() -> None:
    assert KINDS.keys() == TYPES.keys()


@pytest.mark.parametrize("kind", [*KINDS, "unknown"])
def test_the_json_of_a_content_is_an_identity(kind: str) -> None:
    @given(KINDS.get(kind, UNKNOWN))
    def check(content: Content) -> None:
        fields = through_json(content_to_dict(content))
        again = content_from_dict(fields)
        assert again == content
        assert through_json(content_to_dict(again)) == fields

    check()


@given(MESSAGES)
def test_the_json_of_a_message_is_an_identity(message: Message) -> None:
    fields = through_json(message.to_dict())
    again = Message.from_dict(fields)
    assert again == message
    assert through_json(again.to_dict()) == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "hologram", "beams": [1, 2], "nested": {"type": "text", "text": "x"}},
        {"type": "text", "text": "Hello.", "mood": "glad"},
        {"type": "function_call", "call_id": "1", "name": "a", "arguments": "{}", "signature": "s"},
        {
            "type": "approval_request",
            "id": "1",
            "call": {"type": "function_call", "call_id": "1", "name": "a", "arguments": "{}", "signature": "s"},
        },
        {
            "type": "function_result",
            "call_id": "1",
            "name": "a",
            "media": [{"type": "uri", "uri": "data:,", "media_type": "text/plain", "width": 3}],
        },
    ],
)
def test_what_a_newer_version_has_written_comes_out_as_it_went_in(fields: dict[str, Any]) -> None:
    assert through_json(content_to_dict(content_from_dict(fields))) == fields
    message = {"role": "user", "contents": [fields]}
    assert through_json(Message.from_dict(message).to_dict()) == message


def test_audio_keeps_its_transcript_its_alignment_and_what_was_heard() -> None:
    audio = Audio(
        media_type="audio/pcmu",
        rate_hz=8000,
        duration_ms=1800.0,
        transcript="We open at ten.",
        alignment=((2, 200.0), (7, 500.0), (10, 650.0), (15, 1100.0)),
        heard_ms=700.0,
        heard_text="We open at",
        ref="rec/1.wav",
    )
    again = content_from_dict(through_json(content_to_dict(audio)))
    assert again == audio
    assert isinstance(again, Audio)
    assert (again.transcript, again.alignment, again.heard_ms) == (audio.transcript, audio.alignment, 700.0)
    assert Message("assistant", again).text == "We open at"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": "no type"},
        {"type": 3},
        {"type": []},
        {"type": "text"},
        {"type": "text", "text": 3},
        {"type": "usage", "other": 1},
    ],
)
def test_what_is_no_content_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"type|text|other|Object|Expected"):
        content_from_dict(fields)


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValueError, match="role"):
        Message.from_dict({"role": "narrator", "contents": []})
    with pytest.raises(ValueError, match="role"):
        Message.from_dict({})


def test_a_messages_further_keys_are_kept_for_a_newer_version() -> None:
    message = Message.from_dict({"role": "user", "contents": "Hello.", "mood": "glad"})
    assert message.text == "Hello."
    assert message.additional_properties == {"mood": "glad"}


def test_contents_are_text_one_content_or_several() -> None:
    assert Message("user", "Hello.").contents == (Text("Hello."),)
    assert Message("user", Text("Hello.")).contents == (Text("Hello."),)
    assert Message("user", [Text("Hel"), Text("lo.")]).text == "Hello."
    assert Message("user", "").contents == ()


def test_a_message_does_not_change() -> None:
    message = Message("user", "Hello.")
    with pytest.raises(AttributeError):
        message.role = "system"  # type: ignore[misc]
    assert message.replace(role="system").role == "system"
    assert message.role == "user"


def test_thoughts_are_no_words_of_a_message() -> None:
    assert Message("assistant", (Reasoning("Hm."), Text("Yes."))).text == "Yes."


def test_what_may_be_passed_for_messages() -> None:
    result = FunctionResult("c1", "add", "ok", "5")
    request = ApprovalRequest("a1", FunctionCall("c1", "add", "{}"))
    given_messages = ["Hello.", Text("you"), Message("assistant", "Hm."), result, request.approve()]
    assert as_messages(given_messages) == [
        Message("user", "Hello."),
        Message("user", "you"),
        Message("assistant", "Hm."),
        tool_message(result),
        Message("user", request.approve()),
    ]


@given(st.lists(KINDS["usage"], max_size=4))
def test_usage_adds_key_by_key(given_usage: list[Usage]) -> None:
    total = sum(given_usage, Usage())
    assert total.input_tokens == sum(usage.input_tokens for usage in given_usage)
    assert total.total_tokens == sum(usage.input_tokens + usage.output_tokens for usage in given_usage)
    names = {name for usage in given_usage for name in usage.other}
    assert total.other == {name: sum(usage.other.get(name, 0) for usage in given_usage) for name in names}
