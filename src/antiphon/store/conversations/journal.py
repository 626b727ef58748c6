"""A conversation's record as a journal, which is the same in a file, a table and a Redis list.

An entry is what was written in one operation: a JSON array of messages, or ``{"replace": id, "message": ...}``. Nothing
that was written is ever written over, so an entry is there whole or not at all, and two writers never meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import structlog

from antiphon.models.llm.messages import Message

MORE_ENTRIES = 32
"""Entries that are read beyond the asked number of messages, since an entry may replace a message."""

_log = structlog.get_logger(__name__)


def added(messages: Sequence[Message]) -> bytes:
    """The entry of new messages."""
    return msgspec.json.encode([message.to_dict() for message in messages])


def replaced(message_id: str, message: Message) -> bytes:
    """The entry of a message that takes the place of another."""
    return msgspec.json.encode({"replace": message_id, "message": message.to_dict()})


def read(entries: Iterable[bytes | str], *, session_id: str) -> list[Message]:
    """The messages that entries give, in order. An entry that cannot be read is left out, which is logged."""
    messages: list[Message] = []
    for number, entry in enumerate(entries, 1):
        try:
            _apply(messages, msgspec.json.decode(entry))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # A process was killed while it wrote, or somebody else wrote here: the rest of the record is sound.
            _log.error("history.entry_skipped", session_id=session_id, entry=number, error=str(error))
    return messages


async def read_aside(entries: Iterable[bytes | str], *, session_id: str) -> list[Message]:
    """``read`` in a thread: thousands of messages take long enough to be heard in a call."""
    return await asyncio.to_thread(read, entries, session_id=session_id)


def last(messages: list[Message], limit: int | None) -> list[Message]:
    """The last ``limit`` messages; all unless given."""
    return messages if limit is None else messages[max(len(messages) - limit, 0) :]


def is_enough(messages: Sequence[Message], limit: int, *, entries: int) -> bool:
    """Whether the last ``entries`` entries gave ``limit`` messages, or there are no further entries."""
    return len(messages) >= limit or entries < limit + MORE_ENTRIES


def _apply(messages: list[Message], entry: Any) -> None:
    if isinstance(entry, list):
        messages += [Message.from_dict(fields) for fields in entry]
        return
    message = Message.from_dict(entry["message"])
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].message_id == entry["replace"]:
            messages[place] = message
            return
