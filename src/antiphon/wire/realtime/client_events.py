"""What a client can ask for, one type an event, in the names of the GA dialect."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class SessionUpdate(Struct, frozen=True):
    """Change the session's configuration.

    Attributes:
        session: The fields to change, still unchecked: see ``session.merged``.
        event_id: The client's id of the event.
    """

    session: dict[str, Any]
    event_id: str | None = None


class AudioAppend(Struct, frozen=True, gc=False, tag="input_audio_buffer.append", tag_field="type"):
    """More audio of the user, in the session's input format; it may end within a sample.

    Attributes:
        audio: The bytes, already decoded.
        event_id: The client's id of the event.
    """

    audio: bytes
    event_id: str | None = None


class AudioCommit(Struct, frozen=True):
    """Make a user item of the audio so far."""

    event_id: str | None = None


class AudioClear(Struct, frozen=True):
    """Forget the audio that was not committed."""

    event_id: str | None = None


class KeyPressed(Struct, frozen=True):
    """A key of the telephone was pressed: an extension, for clients that show a keypad.

    Attributes:
        event: One of ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        event_id: The client's id of the event.
    """

    event: str
    event_id: str | None = None


class OutputClear(Struct, frozen=True):
    """Stop the playback of a WebRTC or phone call at once."""

    event_id: str | None = None


class ItemCreate(Struct, frozen=True):
    """Add an item to the conversation.

    Attributes:
        item: The item, still unchecked: see ``items.read_item``.
        previous_item_id: The item to stand after; ``root`` is the start and None the end.
        event_id: The client's id of the event.
    """

    item: dict[str, Any]
    previous_item_id: str | None = None
    event_id: str | None = None


class ItemRetrieve(Struct, frozen=True):
    """Send an item as a whole, with its audio."""

    item_id: str
    event_id: str | None = None


class ItemTruncate(Struct, frozen=True):
    """Forget the part of an answer that was not heard.

    Attributes:
        item_id: The assistant's item.
        content_index: The part; always 0.
        audio_end_ms: How much of its audio was heard.
        event_id: The client's id of the event.
    """

    item_id: str
    content_index: int
    audio_end_ms: int
    event_id: str | None = None


class ItemDelete(Struct, frozen=True):
    """Remove an item from the conversation."""

    item_id: str
    event_id: str | None = None


class ResponseCreate(Struct, frozen=True):
    """Answer now.

    Attributes:
        response: What this response has different from the session, unchecked: see ``response.response_config``.
        event_id: The client's id of the event.
    """

    response: dict[str, Any]
    event_id: str | None = None


class ResponseCancel(Struct, frozen=True):
    """Stop a response.

    Attributes:
        response_id: Which; None is the active one.
        event_id: The client's id of the event.
    """

    response_id: str | None = None
    event_id: str | None = None


ClientEvent = (
    SessionUpdate
    | AudioAppend
    | AudioCommit
    | AudioClear
    | KeyPressed
    | OutputClear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
)
