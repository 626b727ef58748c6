"""The conversation's items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.wire.realtime.ids import new_id

Role = Literal["system", "user", "assistant"]
Status = Literal["completed", "incomplete", "in_progress"]


@dataclass(frozen=True, slots=True)
class ContentPart:
    type: str
    text: str | None = None
    transcript: str | None = None
    audio: bytes | None = field(default=None, repr=False)
    image_url: str | None = field(default=None, repr=False)
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    type: str
    role: Role | None = None
    status: Status = "completed"
    content: tuple[ContentPart, ...] = ()
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None
    output: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_item(value: Any, *, path: str = "item", strict: bool = False, new_id: Callable[[str], str] = new_id) -> Item:
    raise NotImplementedError


def read_input(
    values: Any, path: str = "response.input", *, strict: bool = False, new_id: Callable[[str], str] = new_id
) -> tuple[Item, ...]:
    raise NotImplementedError


def item_object(item: Item, *, audio: str | None = None) -> dict[str, Any]:
    raise NotImplementedError


def part_object(part: ContentPart) -> dict[str, Any]:
    raise NotImplementedError
