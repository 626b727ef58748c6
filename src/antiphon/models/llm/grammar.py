"""Grammars that keep a small model honest: it answers with known numbers, and takes arguments from what was said.

The grammars are LLGuidance's (a Lark dialect), which llama.cpp applies to each token in some 50 µs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

HEADER: Final = "%llguidance {}\n"
NOT_SAID: Final = "none"

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_UNITS += ["seventeen", "eighteen", "nineteen"]
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_VALUES: Final[Mapping[str, int]] = {**{word: value for value, word in enumerate(_UNITS)}, **_TENS, "oh": 0}
_WORD = re.compile(r"[^\W\d_]+|\d+")
_SPOKEN = r"\p{L} .,;:!?'\"()%&$€£@+\/’“”–—-"
"""What an answer may hold besides numbers: what can be said. No line, list, bracket or markup, so no JSON either."""


def numbers_in(texts: Iterable[str]) -> set[str]:
    """Every number in the texts: runs of digits as they stand, and number words as digits."""
    found: set[str] = set()
    for text in texts:
        words = [word.lower() for word in _WORD.findall(text)]
        for word, following in zip(words, [*words[1:], ""], strict=False):
            if word.isdecimal():
                found.add(word)
                found.add(word.lstrip("0") or "0")
            elif word in _VALUES:
                value = _VALUES[word]
                found.add(str(value))
                if value >= 20 and 0 < _VALUES.get(following, 0) < 10:
                    found.add(str(value + _VALUES[following]))
    return found


def answer_grammar(texts: Iterable[str]) -> str:
    """Plain spoken text in which every number occurs in ``texts``, so that no price or hour is made up."""
    allowed = "|".join(sorted(number for number in numbers_in(texts) if number.isascii()))
    words = f"[{_SPOKEN}]+"
    return HEADER + (f"start: /(({allowed})?{words})+({allowed})?/" if allowed else f"start: /{words}/")


def arguments_grammar(parameters: Mapping[str, Any], said: Sequence[str]) -> str:
    """Lines ``name: value`` for each parameter of a tool's JSON Schema, in its order; ``none`` for what was not said.

    Values of free text are spans of what was said; numbers are numbers that were said; anything richer is JSON.
    """
    rules = ["start: " + " ".join(f'"{name}: " v{place} "\\n"' for place, name in enumerate(parameters))]
    for place, schema in enumerate(parameters.values()):
        rules.append(f"v{place}: {_value(schema, said)} | {_quoted(NOT_SAID)}")
    words = [chunk for line in said for chunk in (*re.findall(r"\s+|[^\s\w]|\w+", _spannable(line)), "\n")]
    rules.append("SPAN: SPANS & /[\\p{L}\\p{N}][^\\n]*[\\p{L}\\p{N}]|[\\p{L}\\p{N}]/")
    rules.append(f"SPANS: %regex {_quoted({'substring_chunks': words or ['']})}")
    return HEADER + "\n".join(rules) + "\n"


def read_arguments(text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the lines that ``arguments_grammar`` allows; parameters that were not said are left out."""
    values: dict[str, Any] = {}
    for line, (name, schema) in zip(text.splitlines(), parameters.items(), strict=False):
        value = line.partition(": ")[2].strip()
        if not value or value == NOT_SAID:
            continue
        values[name] = value if _is_text(schema) else msgspec.json.decode(value)
    return values


def choices(schema: Mapping[str, Any]) -> list[Any]:
    """The values that a schema lists, those of optional ones included; empty where it lists none."""
    listed = [schema["const"]] if "const" in schema else list(schema.get("enum", ()))
    for option in schema.get("anyOf", ()):
        listed += choices(option)
    return [value for value in listed if value is not None]


def _value(schema: Mapping[str, Any], said: Sequence[str]) -> str:
    listed = choices(schema)
    if listed:
        return " | ".join(
            _quoted(value if isinstance(value, str) else msgspec.json.encode(value).decode()) for value in listed
        )
    if _is_text(schema):
        return "SPAN" if not {"pattern", "format"} & schema.keys() else "/[^\\n]+/"
    if _types(schema) & {"integer", "number"}:
        return "|".join(map(_quoted, sorted(numbers_in(said)))) or _quoted(NOT_SAID)
    if "boolean" in _types(schema):
        return '"true" | "false"'
    return f"%json {msgspec.json.encode(schema).decode()}"


def _types(schema: Mapping[str, Any]) -> set[str]:
    named = schema.get("type", ())
    types = {named} if isinstance(named, str) else set(named)
    for option in schema.get("anyOf", ()):
        types |= _types(option)
    return types - {"null"}


def _is_text(schema: Mapping[str, Any]) -> bool:
    listed = choices(schema)
    return all(isinstance(value, str) for value in listed) if listed else _types(schema) <= {"string"}


def _spannable(line: str) -> str:
    return " ".join(line.split())


def _quoted(value: Any) -> str:
    return msgspec.json.encode(value).decode()
