"""``${NAME}`` and ``${NAME:-default}`` in texts: variables that the operator has allowed to agent files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from antiphon.agents.files.findings import Findings
from antiphon.agents.files.nodes import mapping

Allowed = Callable[[], Mapping[str, str | None]]
"""The variables that may be read, with their values; None for one that is not set. Asked only when a file needs one."""

_VARIABLE = re.compile(r"(?P<escape>\$)?\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def fill_in(found: Findings, node: yaml.Node, allowed: Allowed) -> Any:
    """The node with values in the place of variables; ``$${NAME}`` stays as ``${NAME}``. Keys are left alone."""
    if isinstance(node, yaml.MappingNode):
        return mapping(node, [(key, fill_in(found, value, allowed)) for key, value in node.value])
    if isinstance(node, yaml.SequenceNode):
        items = [fill_in(found, item, allowed) for item in node.value]
        return yaml.SequenceNode(node.tag, items, node.start_mark, node.end_mark)
    if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str") and "${" in node.value:
        text = _VARIABLE.sub(lambda match: _value(found, node, match, allowed), node.value)
        return yaml.ScalarNode(node.tag, text, node.start_mark, node.end_mark)
    return node


def value_of(found: Findings, node: yaml.Node, name: str, allowed: Allowed) -> str | None:
    """A variable that must be there; None where it is not, which is then told."""
    values = allowed()
    if name not in values:
        found.fault(
            node,
            f"agent files may not read the environment variable {name}; add it to ANTIPHON_YAML_ENV_ALLOW, or write "
            f"$${{{name}}} for the text itself.",
        )
    elif values[name] is None:
        found.fault(node, f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}.")
    else:
        return values[name]
    return None


def _value(found: Findings, node: yaml.Node, match: re.Match[str], allowed: Allowed) -> str:
    if match["escape"]:
        return match[0][1:]
    name, default = match["name"], match["default"]
    values = allowed()
    if default is not None and name in values and not values[name]:
        return default
    return value_of(found, node, name, allowed) or ""
