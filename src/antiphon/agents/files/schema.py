"""The agent file as JSON Schema, for editors. It is made of the table by which files are read."""

from __future__ import annotations

from typing import Any

from antiphon.agents.files.fields import AGENT, ALIASES


def agent_schema() -> dict[str, Any]:
    """JSON Schema (draft 7) of an agent file."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Antiphon agent",
        **AGENT.schema(),
    }
    for alias, name in ALIASES.items():
        *blocks, key = alias.split(".")
        place = schema
        for block in blocks:
            place = _block(place["properties"].setdefault(block, _empty()))
        if "properties" in place:
            found = _at(schema, name.split("."))
            place["properties"].setdefault(key, found | {"deprecationMessage": f"Write {name}."})
    return schema


def _empty() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "additionalProperties": False}


def _block(described: dict[str, Any]) -> dict[str, Any]:
    """The block among the forms that a value may have."""
    if "properties" in described:
        return described
    blocks = [_block(form) for form in described.get("anyOf", ())]
    return next((block for block in blocks if "properties" in block), {})


def _at(schema: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = schema
    for key in keys:
        found = _block(found)["properties"][key]
    return found
