"""Validates recorded server events against the union of openai-python, in strict mode and with no field unknown.

tests/clients/.envs/openai/bin/python -m tests.clients.validate.openai_types RECORD ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.clients.validate.records import main

ADDED = frozenset(
    {
        "antiphon",
        "start_time",
        "session.id",
        "session.object",
        "session.expires_at",
        # Of MCP items; those of all others are in the types.
        "item.object",
        "item.status",
        "response.output.object",
        "response.output.status",
    }
)
"""What is sent though the types do not have it: additions that clients ignore, and what OpenAI's service sends too."""

_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def check(event: dict[str, Any]) -> str:
    """What the library's types say against an event; nothing when it is right."""
    try:
        parsed = _EVENTS.validate_python(event, strict=True)
    except ValidationError as exc:
        return str(closest(event["type"], exc))
    if parsed.type != event["type"]:
        return f"it was taken for {parsed.type}"
    unknown = sorted(set(extras(parsed, "")) - ADDED)
    return f"unknown fields {unknown}" if unknown else ""


def closest(kind: str, exc: ValidationError) -> list[str]:
    """The errors of the union's member that has the event's type."""
    by_member: dict[str, list[str]] = {}
    for error in exc.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in error["loc"][1:])
        by_member.setdefault(str(error["loc"][0]), []).append(f"{where}: {error['msg']}")
    right = {name: errors for name, errors in by_member.items() if not any(e.startswith("type:") for e in errors)}
    return min((right or by_member).values(), key=len)[:3]


def extras(value: object, path: str) -> Iterator[str]:
    """Names of fields that the types do not have."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield name if name in ("antiphon", "start_time") else f"{path}{name}"
        for name in value.model_fields_set:
            yield from extras(getattr(value, name), f"{path}{name}.")
    elif isinstance(value, list):
        for entry in value:
            yield from extras(entry, path)


if __name__ == "__main__":
    main("types", check)
