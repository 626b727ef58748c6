"""Structured answers: from a type to the schema that the model is held to, and from its text to a checked value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from antiphon.models.llm.contract import OutputFormat
from antiphon.tools.schema import ArgumentsError, parameters_of_schema, parameters_of_type

_REPAIR = (
    "That answer cannot be used: {fault} Answer again with nothing but the JSON, corrected. "
    "The JSON Schema is: {schema}"
)
_ASK = "Answer with nothing but one JSON object that fits this JSON Schema: {schema}"


@dataclass(frozen=True, slots=True)
class OutputType:
    """What an agent's answer is to be.

    Attributes:
        format: What the model gets.
        decode: From the answer's text to the value; raises ``ArgumentsError``.
    """

    format: OutputFormat
    _decode: Any

    def parse(self, text: str) -> Any:
        """The value.

        Raises:
            ArgumentsError: The text is no JSON, or does not fit.
        """
        return self._decode(_json_in(text))

    def repair_prompt(self, fault: ArgumentsError) -> str:
        """What the model is told after a wrong answer."""
        return _REPAIR.format(fault=fault, schema=self._schema_text())

    def instructions(self) -> str:
        """What a model is told that cannot be held to a schema."""
        return _ASK.format(schema=self._schema_text())

    def _schema_text(self) -> str:
        return msgspec.json.encode(self.format.schema).decode()


def output_type(kind: Any) -> OutputType:
    """Read an ``output_type``: a Pydantic model, TypedDict, dataclass, msgspec struct, or a JSON Schema.

    Raises:
        TypeError: It cannot be shown to a model.
    """
    if isinstance(kind, Mapping):
        described = parameters_of_schema(kind, "output_type")
        return OutputType(OutputFormat(described.schema), described.decode)
    name = getattr(kind, "__name__", "answer")
    schema, decode = parameters_of_type(kind, name)
    return OutputType(OutputFormat(schema, name), decode)


def partial_value(text: str) -> Any:
    """The sound beginning of a JSON text that is still being written; None where nothing is known yet."""
    from pydantic_core import from_json

    begins = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    try:
        return from_json(text[min(begins) :], allow_partial="trailing-strings") if begins else None
    except ValueError:
        return None


def _json_in(text: str) -> str:
    """The JSON of an answer, without the fence that models like to put around it."""
    body = text.strip()
    return body.partition("\n")[2].removesuffix("```").strip() if body.startswith("```") else body
