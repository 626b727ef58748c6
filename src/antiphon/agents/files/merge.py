"""Several files as one: other names of keys, and the defaults of a folder under each of its agents."""

from __future__ import annotations

from pathlib import Path

import yaml

from antiphon.agents.files.fields import AGENT, ALIASES, PROMPT_KEYS
from antiphon.agents.files.findings import Findings
from antiphon.agents.files.kinds import Block, Free, Kind
from antiphon.agents.files.nodes import child, mapping, with_child, word

DEFAULTS = "_defaults.yaml"


def defaults_of(path: Path) -> list[Path]:
    """Where the defaults of an agent file may be, the nearest first."""
    folders = [path.parent, path.parent.parent] if path.name == "agent.yaml" else [path.parent]
    return [folder / DEFAULTS for folder in folders]


def with_own_names(found: Findings, root: yaml.MappingNode) -> yaml.MappingNode:
    """The file with every value under the key's own name, and with blocks where texts stand for them."""
    root = mapping(root, [(key, _expanded(key, value)) for key, value in root.value])
    for alias, name in ALIASES.items():
        value = _at(root, alias)
        if value is None:
            continue
        if _at(root, name) is not None:
            found.fault(value, f"{alias} and {name} say the same; keep {name}.")
        root = _put(_without(root, alias.split(".")), name.split("."), value)
    return root


def under(kind: Kind, defaults: yaml.Node, own: yaml.Node) -> yaml.Node:
    """An agent's node over the defaults: mappings are joined key by key, and anything else is the agent's."""
    if isinstance(kind, Block):
        defaults, own = kind.expand(defaults), kind.expand(own)
    if not isinstance(kind, (Block, Free)) or not _are_mappings(defaults, own):
        return own
    kinds = {key: field.kind for key, field in kind.fields.items()} if isinstance(kind, Block) else {}
    defaults_by_key = {key.value: (key, value) for key, value in defaults.value}
    if kind is AGENT and not PROMPT_KEYS.isdisjoint(key.value for key, _ in own.value):
        defaults_by_key = {key: pair for key, pair in defaults_by_key.items() if key not in PROMPT_KEYS}
    pairs = []
    for key, value in own.value:
        default = defaults_by_key.pop(key.value, None)
        pairs.append((key, value if default is None else under(kinds.get(key.value, Free()), default[1], value)))
    return mapping(own, [*pairs, *defaults_by_key.values()])


def _expanded(key: yaml.Node, value: yaml.Node) -> yaml.Node:
    field = AGENT.fields.get(key.value)
    return field.kind.expand(value) if field is not None and isinstance(field.kind, Block) else value


def _are_mappings(*nodes: yaml.Node) -> bool:
    return all(isinstance(node, yaml.MappingNode) for node in nodes)


def _at(root: yaml.Node, path: str) -> yaml.Node | None:
    node: yaml.Node | None = root
    for key in path.split("."):
        node = child(node, key) if node is not None else None
    return node


def _without(node: yaml.MappingNode, keys: list[str]) -> yaml.MappingNode:
    """The mapping without a value, and without the blocks that are empty then."""
    pairs = []
    for key, value in node.value:
        if key.value == keys[0]:
            if len(keys) == 1:
                continue
            if isinstance(value, yaml.MappingNode):
                value = _without(value, keys[1:])
                if not value.value:
                    continue
        pairs.append((key, value))
    return mapping(node, pairs)


def _put(node: yaml.MappingNode, keys: list[str], value: yaml.Node) -> yaml.MappingNode:
    """The mapping with a value at a path that is free."""
    if len(keys) > 1:
        inner = child(node, keys[0])
        block = inner if isinstance(inner, yaml.MappingNode) else mapping(value, [])
        value = _put(block, keys[1:], value)
    return with_child(node, word(value, keys[0]), value)
