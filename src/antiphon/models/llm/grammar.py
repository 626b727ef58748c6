"""Grammars that keep a small model honest: it answers with known numbers, and takes arguments from what was said.

The grammars are LLGuidance's (a Lark dialect), which llama.cpp applies to each token in some 50 µs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from antiphon.models.llm.facts import shares_a_word

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
    """Every number in the texts as digits: runs of digits, number words, and digits that are said one by one."""
    found: set[str] = set()
    for text in texts:
        run = ""
        before = 0
        for word in _WORD.findall(text.lower()):
            value = int(word) if word.isdecimal() else _VALUES.get(word)
            if value is None:
                run, before = "", 0
                continue
            found |= {str(value), word} if word.isdecimal() else {str(value)}
            if before and 0 < value < 10:
                found.add(str(before + value))  # "twenty", "one"
            before = value if word in _TENS else 0
            run = f"{run}{value}" if value < 10 else ""
            found |= {run} if run else set()
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
        rules.append(f"v{place}: {_value(schema, said)}")
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
    """The rule of one value. Of listed values only those that were named; where none was, the model may map words."""
    absent = _quoted(NOT_SAID)
    listed = [value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in choices(schema)]
    if listed:
        named = [value for value in listed if any(shares_a_word(value, line) for line in said)]
        return _quoted(named[0]) if len(named) == 1 else " | ".join(map(_quoted, [*(named or listed), NOT_SAID]))
    if _is_text(schema):
        return f"SPAN | {absent}" if not {"pattern", "format"} & schema.keys() else f"/[^\\n]+/ | {absent}"
    if _types(schema) & {"integer", "number"}:
        return " | ".join(
            map(_quoted, [*sorted(number for number in numbers_in(said) if number == str(int(number))), NOT_SAID])
        )
    if "boolean" in _types(schema):
        return f'"true" | "false" | {absent}'
    return f"%json {msgspec.json.encode(schema).decode()} | {absent}"


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
