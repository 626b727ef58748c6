"""What a value in a file may be. Each kind reads a node, and tells an editor the same in JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from antiphon.agents.files.findings import Findings, nearest
from antiphon.agents.files.nodes import expanded, plain_node

MOST_TEXT = 65_536
_MOST_ITEMS = 1_000


class Kind(Protocol):
    """One kind of value."""

    def read(self, found: Findings, node: yaml.Node, where: str) -> Any:
        """The value, or None where it is wrong, which is then told; ``where`` is its key path."""
        ...

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """A value and where it stands."""

    value: Any
    node: yaml.Node


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a block.

    Attributes:
        kind: Of its value.
        about: For editors and the documentation.
        later: It is checked and kept in the agent's metadata, but nothing reads it yet.
    """

    kind: Kind
    about: str
    later: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Words.

    Attributes:
        most: Longest text in characters.
        pattern: What it must match as a whole.
        shape: The pattern in words.
    """

    most: int = MOST_TEXT
    pattern: str = ""
    shape: str = ""

    def read(self, found: Findings, node: yaml.Node, where: str) -> str | None:
        """See ``Kind``."""
        if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":str"):
            found.fault(node, f"{where} must be text; put it in quotes.")
        elif len(node.value) > self.most:
            found.fault(node, f"{where} has {len(node.value)} characters; at most {self.most} are allowed.")
        elif self.pattern and not re.fullmatch(self.pattern, node.value):
            found.fault(node, f"{where} is {node.value!r}; it must be {self.shape}.")
        else:
            return str(node.value)
        return None

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "maxLength": self.most} | (
            {"pattern": f"^(?:{self.pattern})$"} if self.pattern else {}
        )


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds."""

    low: float
    high: float
    whole: bool = False

    def read(self, found: Findings, node: yaml.Node, where: str) -> float | None:
        """See ``Kind``."""
        value = plain_node(node)
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not self.low <= value <= self.high:
            kind = "a whole number" if self.whole else "a number"
            found.fault(node, f"{where} must be {kind} from {_figure(self.low)} to {_figure(self.high)}.")
            return None
        return value

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Percent:
    """A change in percent with its sign, such as ``+10%``."""

    low: int
    high: int

    def read(self, found: Findings, node: yaml.Node, where: str) -> str | None:
        """See ``Kind``."""
        match = re.fullmatch(r"([+-]\d{1,3})%", str(node.value)) if isinstance(node, yaml.ScalarNode) else None
        if match is None or not self.low <= int(match[1]) <= self.high:
            found.fault(node, f'{where} must be a percentage from "{self.low:+}%" to "{self.high:+}%".')
            return None
        return match[0]

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "pattern": r"^[+-]\d{1,3}%$"}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, found: Findings, node: yaml.Node, where: str) -> bool | None:
        """See ``Kind``."""
        value = plain_node(node)
        if not isinstance(value, bool):
            found.fault(node, f"{where} must be true or false.")
            return None
        return value

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "boolean"}


class Choice:
    """One of a few words, in any case. A word that YAML takes for something else, such as ``off``, is a word here."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def read(self, found: Findings, node: yaml.Node, where: str) -> str | None:
        """See ``Kind``."""
        given = node.value if isinstance(node, yaml.ScalarNode) else None
        by_fold = {word.casefold(): word for word in self.words}
        if given is None or given.casefold() not in by_fold:
            said = f" is {given!r}" if given is not None else ""
            found.fault(node, f"{where}{said}; choose {' or '.join(self.words)}.")
            return None
        return by_fold[given.casefold()]

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        read = [yaml.safe_load(word) for word in self.words]
        return {"enum": [*self.words, *(value for value in read if not isinstance(value, str))]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """Several values of a kind; gives a list of ``Read``."""

    kind: Kind
    least: int = 0
    most: int = _MOST_ITEMS

    def read(self, found: Findings, node: yaml.Node, where: str) -> list[Read] | None:
        """See ``Kind``."""
        if not isinstance(node, yaml.SequenceNode):
            found.fault(node, f"{where} must be a list.")
            return None
        if not self.least <= len(node.value) <= self.most:
            found.fault(node, f"{where} has {len(node.value)} entries; {self.least} to {self.most} are allowed.")
        items = [Read(self.kind.read(found, item, f"an entry of {where}"), item) for item in node.value]
        return [item for item in items if item.value is not None]

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "array", "items": self.kind.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class Named:
    """A name, or one with options, as in ``{collect_digits: {num_digits: 6}}``; gives both, options perhaps empty."""

    most: int = 64

    def read(self, found: Findings, node: yaml.Node, where: str) -> tuple[str, dict[str, Any]] | None:
        """See ``Kind``."""
        if not isinstance(node, yaml.MappingNode):
            name = Text(self.most).read(found, node, where)
            return None if name is None else (name, {})
        if len(node.value) != 1:
            found.fault(node, f"{where} must be a name, or one name with its options.")
            return None
        name_node, options_node = node.value[0]
        name = Text(self.most).read(found, name_node, where)
        options = {} if options_node.tag.endswith(":null") else Free().read(found, options_node, f"{where}.{name}")
        return None if name is None or options is None else (name, options)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        options = {"anyOf": [Free().schema(), {"type": "null"}]}
        block = {"type": "object", "additionalProperties": options, "minProperties": 1, "maxProperties": 1}
        return {"anyOf": [Text(self.most).schema(), block]}


@dataclass(frozen=True, slots=True)
class MapOf:
    """Values of a kind under keys that are free; gives a dict of ``Read``."""

    kind: Kind

    def read(self, found: Findings, node: yaml.Node, where: str) -> dict[str, Read] | None:
        """See ``Kind``."""
        if not isinstance(node, yaml.MappingNode):
            found.fault(node, f"{where} must be a mapping.")
            return None
        read = {
            str(key.value): Read(self.kind.read(found, value, f"{where}.{key.value}"), value)
            for key, value in node.value
        }
        return {key: each for key, each in read.items() if each.value is not None}

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "object", "additionalProperties": self.kind.schema()}


@dataclass(frozen=True, slots=True)
class Free:
    """A mapping with anything in it; its keys are text."""

    def read(self, found: Findings, node: yaml.Node, where: str) -> dict[str, Any] | None:
        """See ``Kind``."""
        value = plain_node(node)
        if not isinstance(value, dict):
            found.fault(node, f"{where} must be a mapping.")
            return None
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            found.fault(node, f"{where} has the key {wrong!r}; put it in quotes.")
        return value

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "object"}


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping with known keys; gives a dict of ``Read``. A key whose value is null is as if it were not there.

    Attributes:
        fields: The keys.
        short: The key that a mere text in the place of the block stands for; empty where there must be a block.
        clears: The keys that such a text sets to null, so that a default does not go on beside it.
        others: Whether further keys are free, with values of any kind.
    """

    fields: Mapping[str, Field]
    short: str = ""
    clears: tuple[str, ...] = ()
    others: bool = False

    def expand(self, node: yaml.Node) -> yaml.Node:
        """The node as a block, where it is a mere text that stands for one."""
        if self.short and isinstance(node, yaml.ScalarNode) and not node.tag.endswith(":null"):
            return expanded(node, self.short, self.clears)
        return node

    def read(self, found: Findings, node: yaml.Node, where: str) -> dict[str, Read] | None:
        """See ``Kind``."""
        node = self.expand(node)
        if not isinstance(node, yaml.MappingNode):
            found.fault(node, f"{where} must be a mapping with some of the keys {', '.join(self.fields)}.")
            return None
        values: dict[str, Read] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            path = f"{where}.{key}" if where else key
            if key not in self.fields and not self.others:
                found.fault(key_node, f"unknown key {path!r}; {nearest(key, self.fields)}")
            elif key in values:
                found.fault(key_node, f"{path} stands here for the second time.")
            elif value_node.tag.endswith(":null"):
                continue
            elif key not in self.fields:
                values[key] = Read(plain_node(value_node), value_node)
            elif (value := self.fields[key].kind.read(found, value_node, path)) is not None:
                values[key] = Read(value, value_node)
        return values

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        properties = {key: _described(field) for key, field in self.fields.items()}
        block = {"type": "object", "properties": properties, "additionalProperties": self.others}
        return {"anyOf": [self.fields[self.short].kind.schema(), block]} if self.short else block


def plain(value: Any) -> Any:
    """A value without the places where its parts stand."""
    if isinstance(value, Read):
        return plain(value.value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def _described(field: Field) -> dict[str, Any]:
    about = f"{field.about} (Read by a later version.)" if field.later else field.about
    return {"anyOf": [field.kind.schema(), {"type": "null"}], "description": about}


def _figure(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"
