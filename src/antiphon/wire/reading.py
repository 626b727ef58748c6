"""What the JSON protocols share when they read: why a message is bad, and which frames of audio are good."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Any

import msgspec

from antiphon.wire.contract import Malformed

MAX_MESSAGE = 64 * 1024
"""Largest message that is read, in bytes (or characters of text), unless a codec is told otherwise."""

KEYS = frozenset("0123456789*#ABCD")
"""The keys of a telephone."""

DECODE_ERRORS = (ValueError, RecursionError)
"""All that msgspec can raise for a hostile message: its own errors and those of UTF-8 are ``ValueError``."""

SENT_TOO_EARLY = "Nothing can be sent before the stream has started: wait for Started."

TOO_LARGE = Malformed("too_large", "The message is larger than the limit.")
NOT_STARTED = Malformed("out_of_order", "The message came before the stream's start, or after its end.")
STARTED_TWICE = Malformed("out_of_order", "The stream was started before.")
FRAME_OUT_OF_ORDER = Malformed("out_of_order", "The frame came twice, too late, or far too early.")
OTHER_STREAM = Malformed("bad_field", "The message is of another stream.")
UNKNOWN_EVENT = Malformed("unknown_event", "The event is not known to the protocol.")
EMPTY_PAYLOAD = Malformed("bad_payload", "The frame holds no audio.")
ODD_PAYLOAD = Malformed("bad_payload", "The frame ends within a sample.")
BAD_KEY = Malformed("bad_field", "The digit is not a key of a telephone.")


def explain(message: str | bytes, error: Exception, events: Container[str], *, key: str = "event") -> Malformed:
    """Say why a message did not decode. Slow: for bad messages only.

    Args:
        message: The message.
        error: What the typed decoder raised.
        events: The protocol's event names.
        key: The field that tells the event.
    """
    try:
        content = msgspec.json.decode(message)
    except DECODE_ERRORS:
        if isinstance(message, bytes):
            return Malformed("binary", "The message is binary; the protocol is JSON text.")
        return Malformed("not_json", "The message is not JSON.")
    if not isinstance(content, dict):
        return Malformed("not_object", "The message is JSON, but not an object.")
    event = content.get(key)
    if isinstance(event, str) and event not in events:
        return UNKNOWN_EVENT
    # msgspec's text names fields and types, never values.
    code = "bad_payload" if "payload" in str(error) else "bad_field"
    return Malformed(code, f"{error}.")


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as text: text as it is, numbers and truth values as JSON. Nested values are no parameters."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if not isinstance(value, dict | list)
    }


class FrameOrder:
    """Decides by a frame's number whether it may still be heard.

    A frame that came before, or after a later one, is refused. Frames that never come are counted, that is all. A
    number far from the last one is taken for damage, until the frame after it proves that the numbering has really
    changed (as RFC 3550, appendix A.1, does); so one forged frame cannot silence a stream.

    Attributes:
        missing: Frames that were skipped so far.
    """

    __slots__ = ("_last", "_next_if_renumbered", "missing")

    MAX_GAP = 3_000  # a minute of 20 ms frames

    def __init__(self) -> None:
        self._last = -1
        self._next_if_renumbered = -1
        self.missing = 0

    def accept(self, number: int) -> bool:
        """Whether the frame with this number is good; a negative number says nothing and is always good."""
        step = number - self._last
        if step == 1 or number < 0:
            self._last = max(self._last, number)
            return True
        if self._last < 0 or number == self._next_if_renumbered:
            self._last = number
            return True
        if 1 < step <= self.MAX_GAP:
            self.missing += step - 1
            self._last = number
            return True
        if abs(step) > self.MAX_GAP:
            self._next_if_renumbered = number + 1
        return False
