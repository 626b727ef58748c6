"""From a scenario file to a scenario, and to all that is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from antiphon.agents.agent import Agent
from antiphon.agents.files.environment import fill_in
from antiphon.agents.files.findings import Findings
from antiphon.agents.files.kinds import Read, plain
from antiphon.agents.files.nodes import child, compose, mapping, plain_node, word
from antiphon.agents.files.reading import Reading
from antiphon.agents.modules import tools_in
from antiphon.agents.scenarios.check import Place, doubts, faults
from antiphon.agents.scenarios.fields import ALIASES, EDGE_ALIASES, SCENARIO
from antiphon.agents.scenarios.scenario import AgentDefaults, GenericHandoff, Scenario, ScenarioEdge
from antiphon.tools.prebuilt import MAKERS

FILES = ("scenario.yaml", "orchestration.yaml")
"""A scenario in a folder of its own."""

_EDGE = {
    "from": "source",
    "to": "target",
    "tool": "tool",
    "type": "type",
    "share_context": "share_context",
    "handoff_condition": "condition",
    "context_vars": "context_vars",
}
_TEXTS = ("greeting", "return_greeting", "description")
_OF_DEFAULTS = (*_TEXTS, "voice", "template_vars")


@dataclass(frozen=True, slots=True)
class ScenarioDraft:
    """A scenario that is read by itself, before it is known which agents there are.

    Attributes:
        path: The file.
        read: What stands in it.
        scenario: What it says.
    """

    path: Path
    read: Read
    scenario: Scenario

    def brought(self) -> set[str]:
        """The variables of templates that it brings to agents."""
        scenario = self.scenario
        dotted = [name for edge in scenario.handoffs for name in edge.context_vars]
        return {*scenario.variables, *scenario.agent_defaults.variables, *(name.partition(".")[0] for name in dotted)}


def draft_scenario(reading: Reading, path: Path) -> ScenarioDraft | None:
    """Read a file; None where it holds no scenario at all. What is wrong is told."""
    found = reading.found
    node = compose(found, path, what="a scenario")
    if node is None:
        return None
    root = _with_own_names(found, fill_in(found, node, reading.allowed))
    values: dict[str, Read] = SCENARIO.read(found, root, "") or {}
    if "handoffs" in values:
        values["handoffs"] = _whole_edges(found, values["handoffs"])
    if "tools" in values:
        values["tools"] = _made_tools(reading, path, values["tools"])
    file_name = path.parent.resolve().name if path.name in FILES else path.stem
    name = plain(values.get("name")) or file_name
    fields: dict[str, Any] = {key: plain(values[key]) for key in ("description", "icon", "agents") if key in values}
    fields |= {key: plain(values[key]) for key in ("start_agent", "handoff_type") if key in values}
    scenario = Scenario(
        name,
        **fields,
        handoffs=_edges(values),
        generic_handoff=_generic(values),
        agent_defaults=_defaults(found, values),
        variables=plain(values.get("template_vars")) or {},
        tools=plain(values.get("tools")) or (),
        aliases=() if file_name == name else (file_name,),
    )
    return ScenarioDraft(path, Read(values, root), scenario)


def check_scenario(found: Findings, draft: ScenarioDraft, agents: Sequence[Agent], *, brought: Container[str]) -> bool:
    """See whether a scenario fits the agents that there are; what is wrong is told.

    Args:
        found: Told what is wrong.
        draft: The scenario.
        agents: All that there are.
        brought: Variables of templates that any of the scenarios brings.
    """
    wrong = list(faults(draft.scenario, agents))
    for fault in wrong:
        found.fault(_node_at(draft.read, fault.place), fault.message)
    for doubt in () if wrong else doubts(draft.scenario, agents, brought=brought):
        found.warn(_node_at(draft.read, doubt.place), doubt.message)
    return not wrong


def _with_own_names(found: Findings, root: yaml.MappingNode) -> yaml.MappingNode:
    """The file with every value under the key's own name."""
    pairs = [
        (key, _edges_with_own_names(found, value) if key.value == "handoffs" else value)
        for key, value in _renamed(found, root, ALIASES)
    ]
    return mapping(root, pairs)


def _edges_with_own_names(found: Findings, node: yaml.Node) -> yaml.Node:
    if not isinstance(node, yaml.SequenceNode):
        return node
    entries = [
        mapping(entry, _renamed(found, entry, EDGE_ALIASES)) if isinstance(entry, yaml.MappingNode) else entry
        for entry in node.value
    ]
    return yaml.SequenceNode(node.tag, entries, node.start_mark, node.end_mark)


def _renamed(
    found: Findings, node: yaml.MappingNode, aliases: Mapping[str, str]
) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    pairs = []
    for key, value in node.value:
        own = aliases.get(key.value)
        if own is not None and child(node, own) is not None:
            found.fault(key, f"{key.value} and {own} say the same; keep {own}.")
            continue
        if key.value == "greet_on_switch":
            value = _as_type(found, value)
        pairs.append((key if own is None else word(key, own), value))
    return pairs


def _as_type(found: Findings, node: yaml.Node) -> yaml.Node:
    value = plain_node(node)
    if isinstance(value, bool):
        return word(node, "announced" if value else "discrete")
    found.fault(node, "greet_on_switch must be true or false.")
    return yaml.ScalarNode("tag:yaml.org,2002:null", "", node.start_mark, node.end_mark)


def _whole_edges(found: Findings, entries: Read) -> Read:
    """The entries with both ends. One whose end is there and wrong was told already."""
    whole: list[Read] = []
    for entry in entries.value:
        missing = [key for key in ("from", "to") if key not in entry.value]
        if any(child(entry.node, key) is None for key in missing):
            found.fault(entry.node, f"an entry of handoffs needs {' and '.join(missing)}.")
        elif not missing:
            whole.append(entry)
    return Read(whole, entries.node)


def _edges(values: Mapping[str, Read]) -> list[ScenarioEdge]:
    entries = values["handoffs"].value if "handoffs" in values else ()
    return [ScenarioEdge(**{_EDGE[key]: plain(read) for key, read in entry.value.items()}) for entry in entries]


def _generic(values: Mapping[str, Read]) -> GenericHandoff | None:
    given = plain(values.get("generic_handoff")) or {}
    return GenericHandoff(**given) if given.pop("enabled", False) else None


def _defaults(found: Findings, values: Mapping[str, Read]) -> AgentDefaults:
    if "agent_defaults" not in values:
        return AgentDefaults()
    block: Mapping[str, Read] = values["agent_defaults"].value
    voice = plain(block.get("voice")) or {}
    fields: dict[str, Any] = {name: plain(block[name]) for name in _TEXTS if name in block}
    fields["voice"] = voice.get("name")
    if "rate" in voice:
        fields["speed"] = round(1 + int(voice["rate"].removesuffix("%")) / 100, 2)
    others = {name: plain(read) for name, read in block.items() if name not in _OF_DEFAULTS}
    for name in others:
        meant = difflib.get_close_matches(name, _OF_DEFAULTS, n=1, cutoff=0.8)
        if meant:
            hint = f"did you mean {meant[0]!r}? A variable stands in template_vars."
            found.warn(block[name].node, f"agent_defaults.{name} is taken for a template variable; {hint}")
    return AgentDefaults(**fields, variables={**(plain(block.get("template_vars")) or {}), **others})


def _made_tools(reading: Reading, path: Path, entries: Read) -> Read:
    """The tools that can be made, each with its place: those of ``tools.py`` as such, and others by their names."""
    beside = reading.tools_beside(path) if entries.value else None
    own = tools_in(beside) if beside is not None else {}
    tools: list[Read] = []
    for read in entries.value:
        name, options = read.value
        try:
            made = MAKERS[name](**options) if name in MAKERS and name not in own else own.get(name, name)
        except (TypeError, ValueError) as error:
            reading.found.fault(read.node, f"the tool {name!r} cannot be used: {error}")
            continue
        if options and isinstance(made, str):
            reading.found.fault(read.node, f"the tool {name!r} takes no options; write its name alone.")
        tools.append(Read(made, read.node))
    return Read(tools, entries.node)


def _node_at(read: Read, place: Place) -> yaml.Node:
    """What stands at a place, or what it should stand in."""
    for part in place:
        inner = read.value
        held = inner[part] if isinstance(inner, list) and isinstance(part, int) else None
        held = inner.get(part) if isinstance(inner, dict) else held
        if not isinstance(held, Read):  # below are values that were read as a whole
            return child(read.node, str(part)) or read.node
        read = held
    return read.node
