"""The keys of a scenario file, and what each may hold: for the reader, its messages and the editors' schema."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from antiphon.agents.files.kinds import Block, Choice, Field, Flag, Free, ListOf, Named, Percent, Text
from antiphon.agents.scenarios.scenario import MOST_AGENTS, MOST_EDGES

_NAME = Text(64, ".+", "a name on one line")
_TOOL_NAME = Text(64, "[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, _ or -")
_TYPE = Choice("announced", "discrete")

EDGE = Block(
    {
        "from": Field(_NAME, "The agent that hands over."),
        "to": Field(_NAME, "The agent that takes over."),
        "tool": Field(_TOOL_NAME, "Name of the tool; the target's `handoff.trigger` or handoff_to_NAME unless given."),
        "type": Field(_TYPE, "Whether the new agent greets; the scenario's `handoff_type` unless given."),
        "share_context": Field(Flag(), "Whether the target sees the whole conversation; true unless given."),
        "handoff_condition": Field(Text(2048), "When to hand over; the target's description unless given."),
        "context_vars": Field(Free(), "Values for the target's templates; texts may be templates."),
    }
)

SCENARIO = Block(
    {
        "kind": Field(Choice("scenario"), "What the file describes."),
        "name": Field(_NAME, "The scenario's name; the file's or folder's unless given."),
        "description": Field(Text(512), "What it is for."),
        "icon": Field(Text(8), "A sign for lists."),
        "agents": Field(ListOf(_NAME, most=MOST_AGENTS), "The agents that take part; all of them unless given."),
        "start_agent": Field(_NAME, "Who answers first; the first of `agents` unless given."),
        "handoff_type": Field(_TYPE, "Of handoffs that do not say it; announced unless given."),
        "handoffs": Field(ListOf(EDGE, most=MOST_EDGES), "Who can hand over to whom."),
        "generic_handoff": Field(
            Block(
                {
                    "enabled": Field(Flag(), "Whether there are such handoffs; false unless given."),
                    "allowed_targets": Field(ListOf(_NAME, most=MOST_AGENTS), "To whom; to all unless given."),
                    "require_client_id": Field(Flag(), "Whether it must be known who the caller is."),
                    "default_type": Field(_TYPE, "Of such a handoff; announced unless given."),
                    "share_context": Field(Flag(), "Whether the target sees the whole conversation."),
                }
            ),
            "Handoffs to agents without an edge, by the tool handoff_to_agent.",
        ),
        "agent_defaults": Field(
            Block(
                {
                    "greeting": Field(Text(1024), "In the place of the agents' own; may be a template."),
                    "return_greeting": Field(Text(1024), "In the place of the agents' own; may be a template."),
                    "description": Field(Text(512), "In the place of the agents' own; may be a template."),
                    "template_vars": Field(Free(), "Values for templates, over those of the scenario."),
                    "voice": Field(
                        Block(
                            {
                                "name": Field(Text(256), "The speech provider's name of the voice."),
                                "rate": Field(Percent(-50, 100), "Faster or slower."),
                            },
                            short="name",
                        ),
                        "What is heard of all agents.",
                    ),
                },
                others=True,
            ),
            "What holds for all agents. Any other key is a value for templates.",
        ),
        "template_vars": Field(Free(), "Values for templates, over the agents' own; texts may be templates."),
        "tools": Field(
            ListOf(Named()),
            "Added to every agent: names in tools.py, of agents' tools, or of Antiphon's; collectors may have options.",
        ),
    }
)

ALIASES: Mapping[str, str] = MappingProxyType({"global_template_vars": "template_vars"})
"""Older names of keys."""
EDGE_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "from_agent": "from",
        "to_agent": "to",
        "tool_name": "tool",
        "condition": "handoff_condition",
        "handoff_context": "context_vars",
        "greet_on_switch": "type",
    }
)
"""The same of an entry of ``handoffs``; ``greet_on_switch: true`` is ``type: announced``, and false is discrete."""


def scenario_schema() -> dict[str, Any]:
    """JSON Schema (draft 7) of a scenario file, for editors."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Antiphon scenario",
        **SCENARIO.schema(),
    }
    properties = schema["properties"]
    _add_aliases(properties, ALIASES)
    (edges,) = (form for form in properties["handoffs"]["anyOf"] if "items" in form)
    edge = edges["items"]
    _add_aliases(edge["properties"], EDGE_ALIASES)
    edge["properties"]["greet_on_switch"] = {"type": "boolean", "deprecationMessage": "Write type."}
    return schema


def _add_aliases(properties: dict[str, Any], aliases: Mapping[str, str]) -> None:
    for alias, name in aliases.items():
        properties[alias] = properties[name] | {"deprecationMessage": f"Write {name}."}
