"""YAML as nodes, which know their file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from antiphon.agents.files.findings import Findings

_MOST_BYTES = 1_048_576
_MOST_NODES = 20_000
"""With what aliases stand for: a few lines of them can stand for billions of values."""
_STR, _NULL, _MAP = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "map"))


def compose(
    found: Findings, path: Path, *, may_be_empty: bool = False, what: str = "an agent"
) -> yaml.MappingNode | None:
    """The mapping that a file holds; None where it holds none, which is then told, unless it may be empty."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            found.about(path, "the file has more than 1 MiB; move the prompt to a file of its own.", 1)
            return None
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        loader.name = str(path)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        found.about(path, str(error.problem or error), line)
    except RecursionError:
        found.about(path, "the values stand too deep in one another.", 1)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        found.about(path, " ".join(str(error).split()), 1)
    else:
        if root is None and may_be_empty:
            return None
        if not isinstance(root, yaml.MappingNode):
            found.about(path, f"{what} is a mapping, such as 'name: front-desk'.", 1)
        elif _size(root) > _MOST_NODES:
            found.about(path, f"the file stands for more than {_MOST_NODES} values, or an alias for itself.", 1)
        elif (key := _odd_key(root)) is not None:
            found.fault(key, "a key is a word, not a list or mapping.")
        else:
            return root
    return None


def plain_node(node: yaml.Node) -> Any:
    """The node's value as plain Python, by YAML's safe rules; None where it has none."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):  # the latter for a date such as 2026-13-01
        return None
    finally:
        loader.dispose()


def child(node: yaml.Node, key: str) -> yaml.Node | None:
    """The value under a key of a mapping."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def with_child(node: yaml.MappingNode, key: yaml.ScalarNode, value: yaml.Node) -> yaml.MappingNode:
    """The mapping with another value under a key."""
    pairs = [(name, value if name.value == key.value else old) for name, old in node.value]
    if child(node, key.value) is None:
        pairs.append((key, value))
    return mapping(node, pairs)


def mapping(like: yaml.Node, pairs: Sequence[tuple[yaml.Node, yaml.Node]]) -> yaml.MappingNode:
    """A mapping that stands where another node does."""
    return yaml.MappingNode(_MAP, list(pairs), like.start_mark, like.end_mark)


def word(like: yaml.Node, text: str) -> yaml.ScalarNode:
    """A text that stands where another node does."""
    return yaml.ScalarNode(_STR, text, like.start_mark, like.end_mark)


def expanded(node: yaml.Node, key: str, clears: Sequence[str]) -> yaml.MappingNode:
    """A block with the node under a key, and null under others."""
    null = yaml.ScalarNode(_NULL, "", node.start_mark, node.end_mark)
    return mapping(node, [(word(node, key), node), *((word(node, name), null) for name in clears)])


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    for part in node.value if isinstance(node, yaml.CollectionNode) else ():
        yield from part if isinstance(part, tuple) else (part,)


def _odd_key(node: yaml.Node) -> yaml.Node | None:
    keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    odd = next((key for key in keys if not isinstance(key, yaml.ScalarNode)), None)
    return odd or next((found for part in _parts(node) if (found := _odd_key(part)) is not None), None)


def _size(root: yaml.Node) -> int:
    """How many values a node stands for, aliases included; more than are allowed where one holds itself."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            return _MOST_NODES + 1
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _parts(node)))
            open_nodes.discard(id(node))
        return sizes[id(node)]

    return size(root)
