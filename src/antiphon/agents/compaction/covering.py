"""Which messages a summary or a fact sheet covers, told so that another process finds them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

from antiphon.models.llm.messages import Message


def covering(messages: Sequence[Message], end: int) -> dict[str, Any]:
    """Note, in JSON values, that the messages before ``end`` are covered."""
    return {"covers": end - _leading_system(messages), "last": _mark(messages[end - 1])}


def covered_until(messages: Sequence[Message], noted: Mapping[str, Any] | None) -> int:
    """Where the covered messages end; 0 when the last of them is not in this conversation."""
    if not noted:
        return 0
    last = noted["last"]
    end: int = noted["covers"] + _leading_system(messages)
    if 0 < end <= len(messages) and _mark(messages[end - 1]) == last:
        return end
    # The beginning was left away: look for the message itself.
    return next((n for n in range(len(messages), 0, -1) if messages[n - 1].message_id == last), 0)


@lru_cache(maxsize=1_000)
def note(title: str, text: str) -> Message:
    """The system message that carries a summary or facts; the same object for the same text, which is counted once."""
    return Message("system", f"{title}\n{text}", pinned=True)


def _mark(message: Message) -> str:
    if message.message_id is None and message.result is not None:
        return f"tool:{message.result.call_id}"  # Its text may have been cut since.
    return message.message_id or f"{message.role}:{crc32(message.text.encode(errors='replace')):08x}"


def _leading_system(messages: Sequence[Message]) -> int:
    return next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
