"""From hints and docstrings to JSON Schema, and from a model's JSON to checked arguments."""

from __future__ import annotations

import enum
import functools
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pydantic
import pytest

from antiphon.tools.context import ToolContext
from antiphon.tools.schema import (
    ArgumentsError,
    argument_texts,
    context_parameter,
    first_paragraph,
    parameters_of,
    parameters_of_schema,
    parameters_of_type,
)

if TYPE_CHECKING:
    from fractions import Fraction

GOLDEN = Path(__file__).parent.parent / "data" / "tools"


class Room(enum.Enum):
    SEA = "sea"
    GARDEN = "garden"


@dataclass
class Guest:
    name: str
    age: int | None = None


class Address(pydantic.BaseModel):
    street: str
    number: int = pydantic.Field(ge=1)


class Order(pydantic.BaseModel):
    to: Address
    notes: list[str] = []


@dataclass
class Node:
    label: str
    children: list[Node]


def scalars(day: str, count: int, share: float = 0.5, sure: bool = False) -> str:
    """Reserve a table.

    Second paragraph that no model reads.

    Args:
        day: The day of the week,
            in English.
        count (int): How many guests.
        share: Part of the price
    """
    return ""


def choices(kind: Literal["check", "clean"], level: Literal[1, 2], room: Room = Room.SEA) -> str:
    return ""


def optional(note: str | None = None, when: date | None = None, limit: int | None = 3) -> str:
    return ""


def annotated(
    day: Annotated[str, "the day"],
    minutes: Annotated[int, msgspec.Meta(ge=15, le=120)],
    price: Annotated[float, pydantic.Field(description="in euros")] = 1.0,
) -> str:
    """Do.

    Args:
        day: is overruled by Annotated
        minutes: How long.
    """
    return ""


def nested(guest: Guest, guests: list[Guest], by_room: dict[str, int]) -> str:
    return ""


def pydantic_models(order: Order, other: Address | None = None) -> str:
    return ""


def recursive(tree: Node) -> str:
    return ""


def nothing(context: ToolContext) -> str:
    return ""


def untyped(thing, other={"a": 1}):  # noqa: B006
    return ""


@pytest.mark.parametrize(
    "function",
    [scalars, choices, optional, annotated, nested, pydantic_models, recursive, nothing, untyped],
    ids=lambda function: function.__name__,
)
def test_schema_equals_the_golden_file(function: Any) -> None:
    schema = parameters_of(function, function.__name__).schema
    expected = json.loads((GOLDEN / f"{function.__name__}.json").read_text())
    assert schema == expected


def test_arguments_become_typed_values_with_defaults() -> None:
    values = parameters_of(nested, "nested").decode(
        '{"guest": {"name": "Ada"}, "guests": [{"name": "Bo", "age": 3}], "by_room": {"a": 1}}'
    )
    assert values == {"guest": Guest("Ada"), "guests": [Guest("Bo", 3)], "by_room": {"a": 1}}
    assert parameters_of(choices, "choices").decode('{"kind": "clean", "level": 2}')["room"] is Room.SEA
    order = parameters_of(pydantic_models, "p").decode('{"order": {"to": {"street": "A", "number": 2}}}')["order"]
    assert order == Order(to=Address(street="A", number=2))


def test_numbers_and_booleans_as_text_are_taken() -> None:
    values = parameters_of(scalars, "s").decode('{"day": "monday", "count": "3", "share": "0.25", "sure": "true"}')
    assert values == {"day": "monday", "count": 3, "share": 0.25, "sure": True}


@pytest.mark.parametrize("arguments", ["", "{}"])
def test_no_arguments_are_fine_where_none_is_needed(arguments: str) -> None:
    assert parameters_of(optional, "o").decode(arguments) == {"note": None, "when": None, "limit": 3}


@pytest.mark.parametrize(
    ("function", "arguments", "paths"),
    [
        (scalars, "{", ["not valid JSON"]),
        (scalars, '{"count": "many", ', ["not valid JSON"]),
        (scalars, '"text"', ["one JSON object"]),
        (scalars, "[1]", ["one JSON object"]),
        (scalars, "null", ["one JSON object"]),
        (scalars, '{"count": "many"}', ["`day` is missing", "`count`: Expected `int`"]),
        (scalars, '{"day": "x", "count": 1, "people": 2}', ["`people` is unknown; known are: day, count, share, sure"]),
        (choices, '{"kind": "other", "level": 3}', ["`kind`", "`level`"]),
        (choices, '{"kind": "check", "level": 1, "room": "roof"}', ["`room`"]),
        (annotated, '{"day": "x", "minutes": 5}', ["`minutes`: Expected `int` >= 15"]),
        (nested, '{"guest": {"age": 1}, "guests": [{"name": 1}], "by_room": {}}', ["`guest`", "`guests[0].name`"]),
        (pydantic_models, '{"order": {"to": {"street": "A", "number": 0}}}', ["`order`", "to.number"]),
        (optional, '{"when": "tomorrow"}', ["`when`"]),
        (nothing, '{"x": 1}', ["`x` is unknown; known are: none"]),
        (recursive, "[" * 100_000, ["not valid JSON"]),
    ],
)
def test_wrong_arguments_name_every_path_at_fault(function: Any, arguments: str, paths: list[str]) -> None:
    with pytest.raises(ArgumentsError) as caught:
        parameters_of(function, "f").decode(arguments)
    for path in paths:
        assert path in str(caught.value)


def test_the_context_is_found_and_not_shown() -> None:
    assert parameters_of(nothing, "n").context_name == "context"
    assert parameters_of(scalars, "s").context_name is None

    def optional_context(ctx: ToolContext | None = None) -> None: ...

    assert parameters_of(optional_context, "o").context_name == "ctx"


def test_a_bound_method_a_partial_and_a_callable_object_can_be_tools() -> None:
    class Desk:
        def book(self, day: str) -> str:
            return day

        def __call__(self, day: str) -> str:
            return day

    for function in (Desk().book, Desk(), functools.partial(scalars, count=3)):
        assert parameters_of(function, "x").schema["properties"]["day"]["type"] == "string"


def test_what_a_model_cannot_fill_is_refused_with_a_reason() -> None:
    def many(*names: str) -> None: ...

    def any_options(**options: str) -> None: ...

    def method(self, day: str) -> None: ...

    def foreign(what: threading_lock) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def unseen(value: Fraction) -> None: ...

    def odd(value: Path) -> None: ...

    for function, words in (
        (many, "plain name"),
        (any_options, "plain name"),
        (method, "bound one"),
        (foreign, "'threading_lock'"),
        (unseen, "TYPE_CHECKING"),
        (odd, "Path"),
    ):
        with pytest.raises(TypeError, match=words):
            parameters_of(function, "broken")


def test_a_return_type_that_cannot_be_imported_does_no_harm() -> None:
    def share(of: int) -> Fraction: ...  # type: ignore[empty-body]

    assert parameters_of(share, "share").schema["required"] == ["of"]


def test_docstrings_in_googles_style_are_read() -> None:
    assert first_paragraph("One\n  two.\n\nThree.") == "One two."
    assert first_paragraph("Args:\n    a: b") == ""
    doc = "Do.\n\nArgs:\n    a (int): one\n        more: yes\n    b: two\n\n    c: three\n\nReturns:\n    d: four"
    assert argument_texts(doc) == {"a": "one more: yes", "b": "two", "c": "three"}


@pytest.mark.parametrize("kind", [Guest, Order, Node])
def test_a_type_of_data_gives_its_schema_and_reads_itself(kind: Any) -> None:
    schema, _ = parameters_of_type(kind, kind.__name__)
    assert schema["type"] == "object"
    if kind is not Node:
        assert "$ref" not in json.dumps(schema)


def test_what_does_not_fit_a_type_of_data_names_the_fault() -> None:
    _, decode = parameters_of_type(Guest, "Guest")
    assert decode('{"name": "Ada", "age": 3}') == Guest("Ada", 3)
    for text, words in (("{", "truncated"), ('{"age": 1}', "name"), ("[]", "object"), ('{"name":' + "[" * 100_000, "")):
        with pytest.raises(ArgumentsError, match=f"(?i){words}"):
            decode(text)


def test_arguments_are_checked_against_a_schema_that_somebody_else_wrote() -> None:
    described = parameters_of_schema(
        {"properties": {"a": {"type": "integer"}, "b": {"enum": ["x"]}}, "required": ["a"]}, "t"
    )
    assert described.decode('{"a": 1, "b": "x"}') == {"a": 1, "b": "x"}
    with pytest.raises(ArgumentsError) as caught:
        described.decode('{"a": "1", "b": "y"}')
    assert "`a`" in str(caught.value)
    assert "`b`" in str(caught.value)
    for text in ("{", "[]", "null", "[" * 100_000):
        with pytest.raises(ArgumentsError):
            described.decode(text)
    with pytest.raises(ArgumentsError, match="required"):
        described.decode("")


def test_the_context_is_found_beside_a_schema_too() -> None:
    async def relay(ctx: ToolContext | None = None, **arguments: Any) -> None: ...

    assert context_parameter(relay, "relay") == "ctx"
    assert context_parameter(scalars, "scalars") is None
