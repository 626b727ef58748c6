"""Events of the service, read with tolerance: older names become today's, what is unknown stays as it is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from antiphon.realtime.errors import UnreadableEvent

AUDIO_DELTA = "response.output_audio.delta"
TRANSCRIPT_DELTA = "response.output_audio_transcript.delta"
TEXT_DELTA = "response.output_text.delta"

OWN = "client."
"""What the names of the client's own events begin with; a service has none of these."""

OUTPUT_DELTAS = frozenset({AUDIO_DELTA, TRANSCRIPT_DELTA, TEXT_DELTA})
"""What a response says, piece by piece."""

OLDER_NAMES = {
    "conversation.item.created": "conversation.item.added",
    "response.audio.delta": AUDIO_DELTA,
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": TRANSCRIPT_DELTA,
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": TEXT_DELTA,
    "response.text.done": "response.output_text.done",
    "transcription_session.created": "session.created",
    "transcription_session.updated": "session.updated",
}

_DELTA = {"response_id": str, "item_id": str, "delta": str}
_ITEM = {"item": dict}
_ITEM_ID = {"item_id": str}
_RESPONSE = {"response": dict}
_OUTPUT_ITEM = {"response_id": str, "item": dict}

REQUIRED: Mapping[str, Mapping[str, type]] = {
    "session.created": {"session": dict},
    "session.updated": {"session": dict},
    "conversation.created": {},
    "input_audio_buffer.speech_started": {},
    "input_audio_buffer.speech_stopped": {},
    "input_audio_buffer.committed": _ITEM_ID,
    "input_audio_buffer.cleared": {},
    "input_audio_buffer.timeout_triggered": {},
    "input_audio_buffer.dtmf_event_received": {},
    "output_audio_buffer.started": {},
    "output_audio_buffer.stopped": {},
    "output_audio_buffer.cleared": {},
    "conversation.item.added": _ITEM,
    "conversation.item.done": _ITEM,
    "conversation.item.retrieved": _ITEM,
    "conversation.item.truncated": _ITEM_ID,
    "conversation.item.deleted": _ITEM_ID,
    "conversation.item.input_audio_transcription.delta": _ITEM_ID,
    "conversation.item.input_audio_transcription.segment": _ITEM_ID,
    "conversation.item.input_audio_transcription.completed": {"item_id": str, "transcript": str},
    "conversation.item.input_audio_transcription.failed": _ITEM_ID,
    "response.created": _RESPONSE,
    "response.done": _RESPONSE,
    "response.output_item.added": _OUTPUT_ITEM,
    "response.output_item.done": _OUTPUT_ITEM,
    "response.content_part.added": _ITEM_ID,
    "response.content_part.done": _ITEM_ID,
    AUDIO_DELTA: _DELTA,
    "response.output_audio.done": _ITEM_ID,
    TRANSCRIPT_DELTA: _DELTA,
    "response.output_audio_transcript.done": {"item_id": str, "transcript": str},
    TEXT_DELTA: _DELTA,
    "response.output_text.done": {"item_id": str, "text": str},
    "response.function_call_arguments.delta": {"item_id": str, "delta": str},
    "response.function_call_arguments.done": {"item_id": str, "call_id": str, "arguments": str},
    "mcp_list_tools.in_progress": {},
    "mcp_list_tools.completed": {},
    "mcp_list_tools.failed": {},
    "response.mcp_call_arguments.delta": {},
    "response.mcp_call_arguments.done": {},
    "response.mcp_call.in_progress": {},
    "response.mcp_call.completed": {},
    "response.mcp_call.failed": {},
    "rate_limits.updated": {},
    "error": {"error": dict},
}
"""The known events, and what each must hold to be of use here. More may come and is kept."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event, under the names of the current protocol.

    Attributes:
        type: Its name. Those that begin with ``OWN`` are the client's.
        body: All its fields.
        at_s: When it came, by the client's clock.
        audio: The decoded sound of an audio delta.
    """

    type: str
    body: Mapping[str, Any]
    at_s: float
    audio: bytes = b""

    @property
    def item_id(self) -> str:
        """The item that it is about, named or held; empty where there is none."""
        item = self.body.get("item")
        found = self.body.get("item_id") or (item.get("id") if isinstance(item, dict) else None)
        return found if isinstance(found, str) else ""

    @property
    def response_id(self) -> str:
        """The response that it belongs to; empty where there is none."""
        response = self.body.get("response")
        found = self.body.get("response_id") or (response.get("id") if isinstance(response, dict) else None)
        return found if isinstance(found, str) else ""

    def part(self, name: str) -> dict[str, Any]:
        """An object among its fields, such as ``item``; empty where there is none."""
        value = self.body.get(name)
        return value if isinstance(value, dict) else {}


def read_event(message: str | bytes, *, at_s: float) -> ServerEvent:
    """Read one frame.

    Args:
        message: The frame's text.
        at_s: When it came.

    Raises:
        UnreadableEvent: It is no event, or a known event without what it must have.
    """
    try:
        body = msgspec.json.decode(message)
    except (ValueError, RecursionError):
        raise UnreadableEvent("A frame of the service is not JSON; it is skipped.") from None
    name = body.get("type") if isinstance(body, dict) else None
    if not isinstance(name, str) or name.startswith(OWN):
        raise UnreadableEvent("A frame of the service has no usable type; it is skipped.")
    name = OLDER_NAMES.get(name, name)
    for field, kind in REQUIRED.get(name, {}).items():
        if not isinstance(body.get(field), kind):
            raise UnreadableEvent(f"An event {name} of the service has no usable {field}; it is skipped.")
    return ServerEvent(name, body, at_s, _sound(body["delta"]) if name == AUDIO_DELTA else b"")


def _sound(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableEvent("An audio delta of the service is not base64; it is skipped.") from None
