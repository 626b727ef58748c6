"""Every event of the server holds exactly its documented fields."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.wire.realtime import events
from antiphon.wire.realtime.refusal import Refusal

OBJECT: dict[str, Any] = {"id": "x"}
USAGE = {"type": "duration", "seconds": 1.0}
TRANSCRIPTION = "conversation.item.input_audio_transcription"

EVENTS: list[tuple[dict[str, Any], str, str]] = [
    (events.error(Refusal("x", "y")), "error", "error"),
    (events.session_created(OBJECT), "session.created", "session"),
    (events.session_updated(OBJECT), "session.updated", "session"),
    (events.conversation_created("c"), "conversation.created", "conversation"),
    (events.rate_limits_updated([OBJECT]), "rate_limits.updated", "rate_limits"),
    (events.speech_started("i", 1), "input_audio_buffer.speech_started", "audio_start_ms item_id"),
    (events.speech_stopped("i", 1), "input_audio_buffer.speech_stopped", "audio_end_ms item_id"),
    (events.audio_committed("i", None), "input_audio_buffer.committed", "item_id previous_item_id"),
    (events.audio_cleared(), "input_audio_buffer.cleared", ""),
    (
        events.timeout_triggered("i", audio_start_ms=1, audio_end_ms=2),
        "input_audio_buffer.timeout_triggered",
        "audio_start_ms audio_end_ms item_id",
    ),
    (events.dtmf_received("#", 1), "input_audio_buffer.dtmf_event_received", "event received_at"),
    (events.item_added(OBJECT, "p"), "conversation.item.added", "item previous_item_id"),
    (events.item_done(OBJECT, None), "conversation.item.done", "item previous_item_id"),
    (events.item_retrieved(OBJECT), "conversation.item.retrieved", "item"),
    (events.item_truncated("i", 3), "conversation.item.truncated", "item_id content_index audio_end_ms"),
    (events.item_deleted("i"), "conversation.item.deleted", "item_id"),
    (events.transcription_delta("i", "a"), f"{TRANSCRIPTION}.delta", "item_id content_index delta"),
    (
        events.transcription_completed("i", "a", usage=USAGE),
        f"{TRANSCRIPTION}.completed",
        "item_id content_index transcript usage",
    ),
    (
        events.transcription_completed("i", "a", usage=USAGE, languages=["en"], logprobs=[]),
        f"{TRANSCRIPTION}.completed",
        "item_id content_index transcript usage languages logprobs",
    ),
    (
        events.transcription_failed("i", code="c", message="m"),
        f"{TRANSCRIPTION}.failed",
        "item_id content_index error",
    ),
    (
        events.transcription_segment("s", "i", text="a", speaker="b", start=0.0, end=1.0),
        f"{TRANSCRIPTION}.segment",
        "id item_id content_index text speaker start end",
    ),
    (events.response_created(OBJECT), "response.created", "response"),
    (events.response_done(OBJECT), "response.done", "response"),
    (events.output_item_added("r", OBJECT), "response.output_item.added", "response_id output_index item"),
    (events.output_item_done("r", OBJECT), "response.output_item.done", "response_id output_index item"),
    (
        events.content_part_added("r", "i", OBJECT),
        "response.content_part.added",
        "response_id item_id output_index content_index part",
    ),
    (
        events.content_part_done("r", "i", OBJECT),
        "response.content_part.done",
        "response_id item_id output_index content_index part",
    ),
    (
        events.audio_delta("r", "i", "AA=="),
        "response.output_audio.delta",
        "response_id item_id output_index content_index delta",
    ),
    (
        events.audio_done("r", "i"),
        "response.output_audio.done",
        "response_id item_id output_index content_index",
    ),
    (
        events.transcript_delta("r", "i", "a"),
        "response.output_audio_transcript.delta",
        "response_id item_id output_index content_index delta",
    ),
    (
        events.transcript_delta("r", "i", "a", start_time=0.5),
        "response.output_audio_transcript.delta",
        "response_id item_id output_index content_index delta start_time",
    ),
    (
        events.transcript_done("r", "i", "a"),
        "response.output_audio_transcript.done",
        "response_id item_id output_index content_index transcript",
    ),
    (
        events.text_delta("r", "i", "a"),
        "response.output_text.delta",
        "response_id item_id output_index content_index delta",
    ),
    (
        events.text_done("r", "i", "a"),
        "response.output_text.done",
        "response_id item_id output_index content_index text",
    ),
    (
        events.arguments_delta("r", "i", "{", call_id="c"),
        "response.function_call_arguments.delta",
        "response_id item_id output_index call_id delta",
    ),
    (
        events.arguments_done("r", "i", "{}", call_id="c", name="f"),
        "response.function_call_arguments.done",
        "response_id item_id output_index call_id name arguments",
    ),
    (events.playback_started("r"), "output_audio_buffer.started", "response_id"),
    (events.playback_stopped("r"), "output_audio_buffer.stopped", "response_id"),
    (events.playback_cleared("r"), "output_audio_buffer.cleared", "response_id"),
    (events.mcp_list_tools("i", "in_progress"), "mcp_list_tools.in_progress", "item_id"),
    (events.mcp_list_tools("i", "completed"), "mcp_list_tools.completed", "item_id"),
    (events.mcp_list_tools("i", "failed"), "mcp_list_tools.failed", "item_id"),
    (
        events.mcp_arguments_delta("r", "i", "{"),
        "response.mcp_call_arguments.delta",
        "response_id item_id output_index delta",
    ),
    (
        events.mcp_arguments_done("r", "i", "{}"),
        "response.mcp_call_arguments.done",
        "response_id item_id output_index arguments",
    ),
    (events.mcp_call("i", "in_progress"), "response.mcp_call.in_progress", "item_id output_index"),
    (events.mcp_call("i", "completed"), "response.mcp_call.completed", "item_id output_index"),
    (events.mcp_call("i", "failed"), "response.mcp_call.failed", "item_id output_index"),
]


@pytest.mark.parametrize(("event", "name", "fields"), EVENTS)
def test_an_event_has_its_name_and_its_fields(event: dict[str, Any], name: str, fields: str) -> None:
    assert event["type"] == name
    assert set(event) == {"type", *fields.split()}


def test_every_event_of_today_can_be_told() -> None:
    # The 46th is ``conversation.item.created``, which the codec makes.
    assert len({event["type"] for event, _, _ in EVENTS}) == 45


def test_a_failed_transcription_has_all_four_fields_of_an_error() -> None:
    error = events.transcription_failed("i", code="engine_error", message="m")["error"]
    assert error == {"type": "transcription_error", "code": "engine_error", "message": "m", "param": None}


def test_places_in_a_response_are_told() -> None:
    assert events.audio_done("r", "i", output_index=2)["output_index"] == 2
    assert events.audio_done("r", "i", output_index=2)["content_index"] == 0
    assert events.item_truncated("i", 700)["audio_end_ms"] == 700
