"""Reading a client's JSON object field by field: right types, right ranges, nothing unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from antiphon.wire.realtime.ids import MAX_TAKEN
from antiphon.wire.realtime.refusal import Refusal, invalid_value, missing

MAX_TEXT = 262_144
"""Longest text of an item, or instructions, in characters."""

MAX_TOLD = 890_000
"""Largest session or item as JSON, in bytes: events tell it whole, and clients take frames of 900 000."""


class Fields:
    """One object of a client. A getter gives None for a field that is absent or null; ``in`` tells the two apart.

    Every getter refuses a value of the wrong type or range. ``close`` deals with the fields that nobody asked for.

    Args:
        value: What should be an object.
        path: Where it stands, such as ``session.audio``; empty for a whole event.
        strict: Whether unknown fields are refused.
        parent: The object around it, which counts for both.

    Attributes:
        ignored: Unknown fields so far, also in the objects within.
    """

    __slots__ = ("_known", "_parent", "_value", "ignored", "path", "strict")

    def __init__(self, value: Any, path: str, *, strict: bool, parent: Fields | None = None) -> None:
        if not isinstance(value, Mapping):
            raise invalid_value(f"'{path}' must be an object.", path)
        self._value = value
        self._parent = parent
        self._known: set[str] = set()
        self.path = path
        self.strict = strict
        self.ignored = 0

    def __contains__(self, name: str) -> bool:
        self._known.add(name)
        return name in self._value

    def get(self, name: str) -> Any:
        """The value as it is."""
        self._known.add(name)
        return self._value.get(name)

    def where(self, name: str) -> str:
        """The field's path."""
        return f"{self.path}.{name}" if self.path else name

    def refuse(self, name: str, rule: str) -> Refusal:
        """The refusal of a field that breaks a rule, such as ``must be a text``."""
        return invalid_value(f"'{self.where(name)}' {rule}.", self.where(name))

    def text(self, name: str, *, limit: int = MAX_TEXT) -> str | None:
        """A text of at most ``limit`` characters."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.refuse(name, "must be a text")
        if len(value) > limit:
            raise too_long(self.where(name), limit)
        return value

    def needed_text(self, name: str, *, limit: int = MAX_TEXT) -> str:
        """A text that must be there; it may be empty."""
        value = self.text(name, limit=limit)
        if value is None:
            raise missing(self.where(name))
        return value

    def id(self, name: str) -> str | None:
        """An id of 1 to 128 characters."""
        value = self.text(name, limit=MAX_TAKEN)
        if value == "":
            raise self.refuse(name, "must not be empty")
        return value

    def needed_id(self, name: str) -> str:
        """An id that must be there."""
        value = self.id(name)
        if value is None:
            raise missing(self.where(name))
        return value

    def choice(self, name: str, options: Sequence[str]) -> str | None:
        """One of a few words."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or value not in options:
            raise self.refuse(name, f"must be one of {', '.join(options)}")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number of a range."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refuse(name, f"must be a number from {low} to {high}")
        return float(value)

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number of a range."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(name, f"must be a whole number from {low} to {high}")
        return value

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.refuse(name, "must be true or false")
        return value

    def texts(self, name: str) -> list[str] | None:
        """A list of texts."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.refuse(name, "must be a list of texts")
        return list(value)

    def mapping(self, name: str) -> dict[str, Any] | None:
        """An object that is kept as it is."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.refuse(name, "must be an object")
        return value

    def fields(self, name: str) -> Fields | None:
        """An object within, to be read by its fields."""
        value = self.get(name)
        return None if value is None else Fields(value, self.where(name), strict=self.strict, parent=self)

    def close(self) -> None:
        """Refuse (strict) or count the fields that were not asked for."""
        if unknown := [name for name in self._value if name not in self._known]:
            if self.strict:
                path = self.where(unknown[0][:100])
                raise Refusal("unknown_parameter", f"Unknown parameter: '{path}'.", path)
            self._count(len(unknown))

    def _count(self, ignored: int) -> None:
        self.ignored += ignored
        if self._parent is not None:
            self._parent._count(ignored)


def too_long(path: str, limit: int) -> Refusal:
    """A text is above its limit, in characters."""
    return Refusal("string_above_max_length", f"'{path}' is longer than {limit} characters.", path)


def check_size(told: Mapping[str, Any], path: str) -> None:
    """Refuse what could not be told back to the client.

    Args:
        told: The session or the item as events tell it.
        path: Where it stands.

    Raises:
        Refusal: It is too large.
    """
    if len(msgspec.json.encode(told)) > MAX_TOLD:
        message = f"'{path}' is larger than {MAX_TOLD} bytes of JSON: shorten its texts."
        raise Refusal("string_above_max_length", message, path)
