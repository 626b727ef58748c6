"""What the server tells, one function an event, in the names of the GA dialect; the codec adds ``event_id``.

``item``, ``part``, ``response`` and ``session`` are the objects that ``item_object``, ``part_object``,
``response_object`` and ``session_object`` make. All times are whole milliseconds of the session's audio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from antiphon.wire.realtime.refusal import Refusal

Event = dict[str, Any]
Object = Mapping[str, Any]


def error(refusal: Refusal) -> Event:
    """A client's event was refused, or the session failed."""
    return {"type": "error", "error": refusal.to_error()}


def session_created(session: Object) -> Event:
    """The first event of a connection."""
    return {"type": "session.created", "session": session}


def session_updated(session: Object) -> Event:
    """The configuration after an update."""
    return {"type": "session.updated", "session": session}


def conversation_created(conversation_id: str) -> Event:
    """The second event of a connection."""
    return {"type": "conversation.created", "conversation": {"id": conversation_id, "object": "realtime.conversation"}}


def rate_limits_updated(rate_limits: Sequence[Object]) -> Event:
    """What is left of the configured limits.

    Args:
        rate_limits: Objects with ``name`` (``requests`` or ``tokens``), ``limit``, ``remaining``, ``reset_seconds``.
    """
    return {"type": "rate_limits.updated", "rate_limits": list(rate_limits)}


# The user's audio.


def speech_started(item_id: str, audio_start_ms: int) -> Event:
    """The user speaks; the item will hold the turn."""
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": audio_start_ms, "item_id": item_id}


def speech_stopped(item_id: str, audio_end_ms: int) -> Event:
    """The user's turn is over."""
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": audio_end_ms, "item_id": item_id}


def audio_committed(item_id: str, previous_item_id: str | None) -> Event:
    """The buffered audio became an item."""
    return {"type": "input_audio_buffer.committed", "previous_item_id": previous_item_id, "item_id": item_id}


def audio_cleared() -> Event:
    """The buffered audio is forgotten."""
    return {"type": "input_audio_buffer.cleared"}


def timeout_triggered(item_id: str, *, audio_start_ms: int, audio_end_ms: int) -> Event:
    """The user was silent for the idle timeout."""
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "audio_start_ms": audio_start_ms,
        "audio_end_ms": audio_end_ms,
        "item_id": item_id,
    }


def dtmf_received(key: str, received_at: int) -> Event:
    """A key of the telephone was pressed.

    Args:
        key: One of ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        received_at: Unix time in whole seconds.
    """
    return {"type": "input_audio_buffer.dtmf_event_received", "event": key, "received_at": received_at}


# Items of the conversation.


def item_added(item: Object, previous_item_id: str | None) -> Event:
    """An item joined the conversation."""
    return {"type": "conversation.item.added", "previous_item_id": previous_item_id, "item": item}


def item_done(item: Object, previous_item_id: str | None) -> Event:
    """An item of the conversation will not grow any more."""
    return {"type": "conversation.item.done", "previous_item_id": previous_item_id, "item": item}


def item_retrieved(item: Object) -> Event:
    """The item that the client asked for."""
    return {"type": "conversation.item.retrieved", "item": item}


def item_truncated(item_id: str, audio_end_ms: int, *, content_index: int = 0) -> Event:
    """The audio after this time is forgotten."""
    return {
        "type": "conversation.item.truncated",
        "item_id": item_id,
        "content_index": content_index,
        "audio_end_ms": audio_end_ms,
    }


def item_deleted(item_id: str) -> Event:
    """The item is gone."""
    return {"type": "conversation.item.deleted", "item_id": item_id}


_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def transcription_delta(item_id: str, delta: str, *, content_index: int = 0) -> Event:
    """More of what the user said."""
    return {"type": f"{_TRANSCRIPTION}.delta", "item_id": item_id, "content_index": content_index, "delta": delta}


def transcription_completed(
    item_id: str,
    transcript: str,
    *,
    usage: Object,
    content_index: int = 0,
    languages: Sequence[str] | None = None,
    logprobs: Sequence[Object] | None = None,
) -> Event:
    """All that the user said.

    Args:
        item_id: The user's item.
        transcript: The text.
        usage: See ``response.transcription_usage``.
        content_index: The part of the item.
        languages: Codes of the languages that were heard.
        logprobs: Objects with ``token``, ``logprob``, ``bytes``.
    """
    event: Event = {
        "type": f"{_TRANSCRIPTION}.completed",
        "item_id": item_id,
        "content_index": content_index,
        "transcript": transcript,
        "usage": usage,
    }
    if languages is not None:
        event["languages"] = [{"code": language} for language in languages]
    if logprobs is not None:
        event["logprobs"] = list(logprobs)
    return event


def transcription_failed(item_id: str, *, code: str, message: str, content_index: int = 0) -> Event:
    """What the user said could not be written down; the session goes on."""
    return {
        "type": f"{_TRANSCRIPTION}.failed",
        "item_id": item_id,
        "content_index": content_index,
        "error": {"type": "transcription_error", "code": code, "message": message, "param": None},
    }


def transcription_segment(
    segment_id: str, item_id: str, *, text: str, speaker: str, start: float, end: float, content_index: int = 0
) -> Event:
    """What one speaker said; ``start`` and ``end`` are seconds."""
    return {
        "type": f"{_TRANSCRIPTION}.segment",
        "id": segment_id,
        "item_id": item_id,
        "content_index": content_index,
        "text": text,
        "speaker": speaker,
        "start": start,
        "end": end,
    }


# Responses.


def response_created(response: Object) -> Event:
    """A response began."""
    return {"type": "response.created", "response": response}


def response_done(response: Object) -> Event:
    """A response is over; nothing of it follows."""
    return {"type": "response.done", "response": response}


def output_item_added(response_id: str, item: Object, *, output_index: int = 0) -> Event:
    """An item joined the response."""
    return {
        "type": "response.output_item.added",
        "response_id": response_id,
        "output_index": output_index,
        "item": item,
    }


def output_item_done(response_id: str, item: Object, *, output_index: int = 0) -> Event:
    """An item of the response will not grow any more."""
    return {
        "type": "response.output_item.done",
        "response_id": response_id,
        "output_index": output_index,
        "item": item,
    }


def content_part_added(response_id: str, item_id: str, part: Object, *, output_index: int = 0) -> Event:
    """A message of the response got its content part."""
    return {**_of_part("response.content_part.added", response_id, item_id, output_index), "part": part}


def content_part_done(response_id: str, item_id: str, part: Object, *, output_index: int = 0) -> Event:
    """A content part will not grow any more."""
    return {**_of_part("response.content_part.done", response_id, item_id, output_index), "part": part}


def audio_delta(response_id: str, item_id: str, delta: str, *, output_index: int = 0) -> Event:
    """More audio of the answer, in base64. The codec's ``encode_audio_delta`` is the quick way."""
    return {**_of_part("response.output_audio.delta", response_id, item_id, output_index), "delta": delta}


def audio_done(response_id: str, item_id: str, *, output_index: int = 0) -> Event:
    """The message's audio is over."""
    return _of_part("response.output_audio.done", response_id, item_id, output_index)


def transcript_delta(
    response_id: str, item_id: str, delta: str, *, output_index: int = 0, start_time: float | None = None
) -> Event:
    """More words of the spoken answer.

    Args:
        response_id: The response.
        item_id: Its message.
        delta: The words.
        output_index: The message's place in the response.
        start_time: Seconds from the item's audio start at which the words are spoken: an extension.
    """
    head = _of_part("response.output_audio_transcript.delta", response_id, item_id, output_index)
    return {**head, "delta": delta} if start_time is None else {**head, "delta": delta, "start_time": start_time}


def transcript_done(response_id: str, item_id: str, transcript: str, *, output_index: int = 0) -> Event:
    """All words of the spoken answer."""
    head = _of_part("response.output_audio_transcript.done", response_id, item_id, output_index)
    return {**head, "transcript": transcript}


def text_delta(response_id: str, item_id: str, delta: str, *, output_index: int = 0) -> Event:
    """More of a written answer."""
    return {**_of_part("response.output_text.delta", response_id, item_id, output_index), "delta": delta}


def text_done(response_id: str, item_id: str, text: str, *, output_index: int = 0) -> Event:
    """All of a written answer."""
    return {**_of_part("response.output_text.done", response_id, item_id, output_index), "text": text}


def arguments_delta(response_id: str, item_id: str, delta: str, *, call_id: str, output_index: int = 0) -> Event:
    """More of a function call's arguments."""
    head = _of_item("response.function_call_arguments.delta", response_id, item_id, output_index)
    return {**head, "call_id": call_id, "delta": delta}


def arguments_done(
    response_id: str, item_id: str, arguments: str, *, call_id: str, name: str, output_index: int = 0
) -> Event:
    """A function call is complete.

    Args:
        response_id: The response.
        item_id: Its ``function_call``.
        arguments: JSON text of an object.
        call_id: What the client's output answers to.
        name: The function.
        output_index: The call's place in the response.
    """
    head = _of_item("response.function_call_arguments.done", response_id, item_id, output_index)
    return {**head, "call_id": call_id, "name": name, "arguments": arguments}


# Playback, where the server plays: WebRTC and telephone calls.


def playback_started(response_id: str) -> Event:
    """The first audio of the response leaves."""
    return {"type": "output_audio_buffer.started", "response_id": response_id}


def playback_stopped(response_id: str) -> Event:
    """All audio of the response was played."""
    return {"type": "output_audio_buffer.stopped", "response_id": response_id}


def playback_cleared(response_id: str) -> Event:
    """The rest of the response's audio will not be played."""
    return {"type": "output_audio_buffer.cleared", "response_id": response_id}


# MCP.

McpState = Literal["in_progress", "completed", "failed"]


def mcp_list_tools(item_id: str, state: McpState) -> Event:
    """A server's list of tools is fetched, known, or cannot be had."""
    return {"type": f"mcp_list_tools.{state}", "item_id": item_id}


def mcp_arguments_delta(response_id: str, item_id: str, delta: str, *, output_index: int = 0) -> Event:
    """More of an MCP call's arguments."""
    head = _of_item("response.mcp_call_arguments.delta", response_id, item_id, output_index)
    return {**head, "delta": delta}


def mcp_arguments_done(response_id: str, item_id: str, arguments: str, *, output_index: int = 0) -> Event:
    """All arguments of an MCP call."""
    head = _of_item("response.mcp_call_arguments.done", response_id, item_id, output_index)
    return {**head, "arguments": arguments}


def mcp_call(item_id: str, state: McpState, *, output_index: int = 0) -> Event:
    """An MCP call runs, ended well, or failed."""
    return {"type": f"response.mcp_call.{state}", "item_id": item_id, "output_index": output_index}


def _of_item(name: str, response_id: str, item_id: str, output_index: int) -> Event:
    return {"type": name, "response_id": response_id, "item_id": item_id, "output_index": output_index}


def _of_part(name: str, response_id: str, item_id: str, output_index: int) -> Event:
    """A message of a response has exactly one content part."""
    return {**_of_item(name, response_id, item_id, output_index), "content_index": 0}
