"""Text frames to client events, and server events to text frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from secrets import token_hex
from typing import Any, Literal

import msgspec

from antiphon.wire.reading import DECODE_ERRORS
from antiphon.wire.realtime import beta
from antiphon.wire.realtime.client_events import (
    AudioAppend,
    AudioClear,
    AudioCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    KeyPressed,
    OutputClear,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from antiphon.wire.realtime.fields import Fields
from antiphon.wire.realtime.items import MAX_AUDIO_TEXT, decode_audio
from antiphon.wire.realtime.refusal import Refusal, missing

Dialect = Literal["ga", "beta"]
"""``ga`` has today's names; ``beta`` the older ones."""

MAX_EVENT_ID = 512
"""Longest ``event_id`` of a client, in characters."""

MAX_DEPTH = 64
"""Deepest nesting of a client's objects: what is deeper could not be told back."""

_KEYS = tuple("0123456789*#ABCD")
_MAX_AUDIO = MAX_AUDIO_TEXT // 4 * 3
_MAX_MS = 2**53


class _AudioDelta(msgspec.Struct, gc=False):
    type: str
    event_id: str
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: bytes


_encode = msgspec.json.encode
_decode_append = msgspec.json.Decoder(AudioAppend).decode


class RealtimeCodec:
    """Reads what a client sends and makes what it takes, in its dialect.

    Args:
        dialect: The names that the client speaks.
        strict: Whether unknown fields are refused; else they are ignored and counted.
        item_created: Whether the older ``conversation.item.created`` is told beside ``conversation.item.added``.

    Attributes:
        dialect: The names that the client speaks now: a session in today's shape turns ``beta`` into ``ga``.
        ignored: Unknown fields of events so far. Those of a session or a response count where they are merged.
    """

    def __init__(self, dialect: Dialect = "ga", *, strict: bool = False, item_created: bool = False) -> None:
        self.dialect: Dialect = dialect
        self.ignored = 0
        self._strict = strict
        self._item_created = item_created
        # Unique for the connection, and quicker than a random id for each.
        self._event_id = f"event_{token_hex(6)}_"
        self._events = count(1)

    def receive(self, message: str | bytes) -> ClientEvent:
        """Read one frame.

        Args:
            message: JSON text, as characters or UTF-8. A binary frame is refused before: see ``binary_frame``.

        Raises:
            Refusal: The event cannot be read; it tells the event's id where that can be.
        """
        if not self._strict:
            # Nearly all frames are audio. What is not, or is bad, is read slowly.
            try:
                event = _decode_append(message)
            except DECODE_ERRORS:
                pass
            else:
                if len(event.audio) <= _MAX_AUDIO and len(event.event_id or "") <= MAX_EVENT_ID:
                    return event
        content = _read_object(message)
        event_id = content.get("event_id")
        try:
            return self._read(content)
        except Refusal as refusal:
            if isinstance(event_id, str) and len(event_id) <= MAX_EVENT_ID:
                refusal.event_id = event_id
            raise

    def encode(self, event: Mapping[str, Any]) -> list[str]:
        """A server event as text frames: one, none where the dialect has no such event, or two.

        Args:
            event: The event in today's names; an ``event_id`` is added where it has none.
        """
        if self.dialect == "beta":
            told = beta.event_to_beta(event)
            return [] if told is None else [self._frame(told)]
        frames = [self._frame(event)]
        if self._item_created and event["type"] == "conversation.item.added":
            frames.append(self._frame({**event, "type": "conversation.item.created", "event_id": self._new_event_id()}))
        return frames

    def encode_audio_delta(self, response_id: str, item_id: str, output_index: int, audio: bytes) -> str:
        """More audio of an answer as a text frame.

        Args:
            response_id: The response.
            item_id: Its message.
            output_index: The message's place in the response.
            audio: Whole samples in the session's output format.
        """
        name = "response.output_audio.delta" if self.dialect == "ga" else "response.audio.delta"
        return _encode(_AudioDelta(name, self._new_event_id(), response_id, item_id, output_index, 0, audio)).decode()

    def _new_event_id(self) -> str:
        return f"{self._event_id}{next(self._events)}"

    def _frame(self, event: Mapping[str, Any]) -> str:
        return _encode(event if "event_id" in event else {"event_id": self._new_event_id(), **event}).decode()

    def _read(self, content: Mapping[str, Any]) -> ClientEvent:
        name = content.get("type")
        if not isinstance(name, str):
            raise Refusal("invalid_event", "The event has no type: send a text as 'type'.", "type")
        readers = _BETA_READERS if self.dialect == "beta" else _READERS
        read = readers.get(name)
        if read is None:
            message = f"Unknown event type '{name[:100]}': send one of {', '.join(_READERS)}."
            raise Refusal("invalid_event", message, "type")
        fields = Fields(content, "", strict=self._strict)
        fields.get("type")
        event = read(self, fields, fields.text("event_id", limit=MAX_EVENT_ID))
        fields.close()
        self.ignored += fields.ignored
        return event

    def _read_session(self, fields: Fields, event_id: str | None) -> ClientEvent:
        session = _needed_object(fields, "session")
        if self.dialect == "beta":
            if not beta.is_ga_session(session):
                return SessionUpdate(
                    {"type": "realtime", **_without_temperature(beta.session_to_ga(session))}, event_id
                )
            self.dialect = "ga"
        # Clients mix the dialects.
        return SessionUpdate(session if self._strict else beta.session_to_ga(session), event_id)

    def _read_transcription_session(self, fields: Fields, event_id: str | None) -> ClientEvent:
        session = beta.session_to_ga(_needed_object(fields, "session"))
        return SessionUpdate({**session, "type": "transcription"}, event_id)

    def _read_append(self, fields: Fields, event_id: str | None) -> ClientEvent:
        audio = fields.needed_text("audio", limit=MAX_AUDIO_TEXT)
        return AudioAppend(decode_audio(audio, "audio"), event_id)

    def _read_commit(self, _: Fields, event_id: str | None) -> ClientEvent:
        return AudioCommit(event_id)

    def _read_clear(self, _: Fields, event_id: str | None) -> ClientEvent:
        return AudioClear(event_id)

    def _read_key(self, fields: Fields, event_id: str | None) -> ClientEvent:
        key = fields.choice("event", _KEYS)
        if key is None:
            raise missing("event")
        return KeyPressed(key, event_id)

    def _read_output_clear(self, _: Fields, event_id: str | None) -> ClientEvent:
        return OutputClear(event_id)

    def _read_item_create(self, fields: Fields, event_id: str | None) -> ClientEvent:
        return ItemCreate(_needed_object(fields, "item"), fields.id("previous_item_id"), event_id)

    def _read_item_retrieve(self, fields: Fields, event_id: str | None) -> ClientEvent:
        return ItemRetrieve(fields.needed_id("item_id"), event_id)

    def _read_item_truncate(self, fields: Fields, event_id: str | None) -> ClientEvent:
        item_id = fields.needed_id("item_id")
        index = fields.integer("content_index", 0, 0)
        end_ms = fields.integer("audio_end_ms", 0, _MAX_MS)
        if index is None:
            raise missing("content_index")
        if end_ms is None:
            raise missing("audio_end_ms")
        return ItemTruncate(item_id, index, end_ms, event_id)

    def _read_item_delete(self, fields: Fields, event_id: str | None) -> ClientEvent:
        return ItemDelete(fields.needed_id("item_id"), event_id)

    def _read_response_create(self, fields: Fields, event_id: str | None) -> ClientEvent:
        response = {} if fields.get("response") is None else _needed_object(fields, "response")
        if self.dialect == "beta":
            response = _without_temperature(beta.response_to_ga(response))
        return ResponseCreate(response, event_id)

    def _read_response_cancel(self, fields: Fields, event_id: str | None) -> ClientEvent:
        return ResponseCancel(fields.id("response_id"), event_id)


def _read_object(message: str | bytes) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(message)
    except DECODE_ERRORS:
        raise Refusal("invalid_json", "The frame is not JSON text.") from None
    if not isinstance(content, dict):
        raise Refusal("invalid_event", "The event is JSON, but not an object.")
    return content


def _needed_object(fields: Fields, name: str) -> dict[str, Any]:
    value = fields.mapping(name)
    if value is None:
        raise missing(name)
    if _is_deeper(value, MAX_DEPTH):
        raise fields.refuse(name, f"is nested deeper than {MAX_DEPTH} levels")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if depth == 0:
        return True
    return any(_is_deeper(within, depth - 1) for within in (value.values() if isinstance(value, dict) else value))


def _without_temperature(values: dict[str, Any]) -> dict[str, Any]:
    """The beta dialect had it, and nothing has taken its place."""
    return {name: value for name, value in values.items() if name != "temperature"}


_Reader = Callable[[RealtimeCodec, Fields, str | None], ClientEvent]

_READERS: Mapping[str, _Reader] = {
    "session.update": RealtimeCodec._read_session,
    "input_audio_buffer.append": RealtimeCodec._read_append,
    "input_audio_buffer.commit": RealtimeCodec._read_commit,
    "input_audio_buffer.clear": RealtimeCodec._read_clear,
    "input_audio_buffer.dtmf_event": RealtimeCodec._read_key,
    "output_audio_buffer.clear": RealtimeCodec._read_output_clear,
    "conversation.item.create": RealtimeCodec._read_item_create,
    "conversation.item.retrieve": RealtimeCodec._read_item_retrieve,
    "conversation.item.truncate": RealtimeCodec._read_item_truncate,
    "conversation.item.delete": RealtimeCodec._read_item_delete,
    "response.create": RealtimeCodec._read_response_create,
    "response.cancel": RealtimeCodec._read_response_cancel,
}
_BETA_READERS: Mapping[str, _Reader] = {
    **_READERS,
    "transcription_session.update": RealtimeCodec._read_transcription_session,
}
