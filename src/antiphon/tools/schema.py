"""From a function's type hints to the JSON Schema that a model sees, and from a model's JSON to checked arguments.

One msgspec struct with a field for each parameter does both, so that what is promised and what is accepted cannot
differ. Pydantic models are taken where the user brings them; this module does not import pydantic.
"""

from __future__ import annotations

import enum
import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints

import msgspec

from antiphon.tools.context import ToolContext

MAX_SCHEMA_BYTES = 64 * 1024
_MOST_FAULTS = 5
_IMMUTABLE = (bool, int, float, str, enum.Enum, type(None))
_DATA = frozenset({"default", "enum", "const", "examples"})
_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?|Attributes):\s*$")
_ARGUMENT = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


class ArgumentsError(ValueError):
    """The model's arguments are wrong; the text names each path at fault, for the model to read."""


class Parameters(Protocol):
    """The parameters of a tool, computed once."""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of type object."""
        ...

    @property
    def context_name(self) -> str | None:
        """The parameter that gets the ``ToolContext``, if there is one."""
        ...

    def decode(self, arguments: str) -> dict[str, Any]:
        """Read and check a model's JSON text; no text means no arguments.

        Raises:
            ArgumentsError: No JSON, not an object, or values that do not fit.
        """
        ...


@dataclass(frozen=True, slots=True)
class HintedParameters:
    """Parameters by a function's type hints.

    Attributes:
        schema: JSON Schema of type object, without references unless a type holds itself.
        context_name: The parameter that gets the ``ToolContext``, if there is one.
    """

    schema: dict[str, Any]
    context_name: str | None
    _struct: type[msgspec.Struct]
    _fields: tuple[msgspec.structs.FieldInfo, ...]
    _decoder: msgspec.json.Decoder[Any]

    def decode(self, arguments: str) -> dict[str, Any]:
        """See ``Parameters``. Defaults are filled in.

        Numbers and booleans that come as text are taken, because models write them so.
        """
        try:
            values = self._decoder.decode(arguments or "{}")
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ArgumentsError(self._faults(arguments, error)) from None
        return {name: getattr(values, name) for name in self._struct.__struct_fields__}

    def _faults(self, arguments: str, error: Exception) -> str:
        """All that is wrong at once, one sentence each, so that the model can repair it in one step."""
        try:
            given = msgspec.json.decode(arguments)
        except (msgspec.DecodeError, RecursionError) as malformed:
            return f"The arguments are not valid JSON: {malformed}."
        if not isinstance(given, dict):
            return f"The arguments must be one JSON object: {error}."
        faults: list[str] = []
        for field in self._fields:
            if field.name not in given:
                if field.required:
                    faults.append(f"`{field.name}` is missing")
                continue
            try:
                msgspec.convert(given[field.name], field.type, strict=False, dec_hook=_decode_foreign)
            except msgspec.ValidationError as fault:
                text, _, path = str(fault).partition(" - at `$")
                faults.append(f"`{field.name}{path.rstrip('`')}`: {text}")
        known = self._struct.__struct_fields__
        faults += [
            f"`{name}` is unknown; known are: {', '.join(known) or 'none'}" for name in given if name not in known
        ]
        return "The arguments do not fit: " + "; ".join(faults or [str(error)]) + "."


@dataclass(frozen=True, slots=True)
class DescribedParameters:
    """Parameters by a JSON Schema that somebody else wrote: a server of tools, a file."""

    schema: dict[str, Any]
    context_name: str | None
    _validator: Any

    def decode(self, arguments: str) -> dict[str, Any]:
        """See ``Parameters``; values stay as the model gave them."""
        try:
            given = msgspec.json.decode(arguments or "{}")
        except (msgspec.DecodeError, RecursionError) as malformed:
            raise ArgumentsError(f"The arguments are not valid JSON: {malformed}.") from None
        if not isinstance(given, dict):
            raise ArgumentsError("The arguments must be one JSON object.")
        faults = [f"`{fault.json_path.removeprefix('$.')}`: {fault.message}" for fault in self._faults(given)]
        if faults:
            raise ArgumentsError("The arguments do not fit: " + "; ".join(faults) + ".")
        return given

    def _faults(self, given: dict[str, Any]) -> Iterable[Any]:
        return itertools.islice(self._validator.iter_errors(given), _MOST_FAULTS)


def parameters_of_schema(schema: Mapping[str, Any], name: str, *, context_name: str | None = None) -> Parameters:
    """Take a JSON Schema for the parameters of a tool.

    Args:
        schema: Of type object.
        name: The tool's name, for messages.
        context_name: The function's parameter that gets the ``ToolContext``.

    Raises:
        TypeError: It is wrong, none of type object, or larger than 64 KiB.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    whole: dict[str, Any] = {"type": "object", "properties": {}, **schema}
    if whole["type"] != "object":
        raise TypeError(f"Tool {name!r}: the schema of its arguments is of type {whole['type']!r}, not object.")
    _check_size(whole, f"Tool {name!r}: the schema of its arguments")
    kind = validator_for(whole)
    try:
        kind.check_schema(whole)
    except SchemaError as error:
        raise TypeError(f"Tool {name!r}: the schema of its arguments is wrong: {error.message}.") from None
    # With a registry of its own a schema cannot make this process fetch another document.
    return DescribedParameters(whole, context_name, kind(whole, registry=REGISTRY))


def context_parameter(function: Callable[..., Any], name: str) -> str | None:
    """The parameter of a tool's function that gets the ``ToolContext``, if there is one.

    Raises:
        TypeError: A hint of the function is not known at run time.
    """
    return next((each for each, hint in _hints(function, name).items() if _is_context(hint)), None)


def parameters_of(function: Callable[..., Any], name: str) -> Parameters:
    """Read the parameters of a tool's function.

    Args:
        function: Async or sync; type hints and defaults count, a Google-style ``Args:`` section gives descriptions.
        name: The tool's name, for messages.

    Raises:
        TypeError: A parameter, hint or default cannot be shown to a model, or the schema is larger than 64 KiB.
    """
    signature = inspect.signature(function)
    hints = _hints(function, name)
    described = argument_texts(inspect.getdoc(function) or "")
    context_name: str | None = None
    fields: list[tuple[str, Any, Any]] = []
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(
                f"Tool {name!r}: give {parameter} a plain name; a model passes arguments by name, one by one."
            )
        if parameter.name in ("self", "cls") and parameter.name not in hints:
            raise TypeError(f"Tool {name!r} is a method; make the tool from the bound one: tool(thing.{name}).")
        hint = hints.get(parameter.name, Any)
        if _is_context(hint):
            context_name = parameter.name
            continue
        described_hint = _described(hint, described.get(parameter.name))
        fields.append((parameter.name, described_hint, _default(parameter.default)))
    return _build(fields, context_name, name)


def parameters_of_type(kind: Any, name: str) -> tuple[dict[str, Any], Callable[[str], Any]]:
    """The JSON Schema of a type of data, and what reads a model's JSON text as one.

    Args:
        kind: Pydantic model, TypedDict, dataclass or msgspec struct.
        name: For messages.

    Returns:
        The schema, and a function that raises ``ArgumentsError``.

    Raises:
        TypeError: The type cannot be shown to a model, is none of type object, or its schema is larger than 64 KiB.
    """
    foreign: dict[str, Any] = {}
    try:
        decoder = msgspec.json.Decoder(kind, dec_hook=_decode_foreign)
        raw = msgspec.json.schema(kind, schema_hook=lambda inner: _foreign_schema(inner, foreign))
    except TypeError as error:
        raise TypeError(f"{name} cannot be shown to a model: {error}") from error
    schema = _without_references(raw, {**raw.pop("$defs", {}), **foreign})
    _check_size(schema, f"{name}: its schema")
    if schema.get("type") != "object":
        raise TypeError(f"{name} is no type with fields; use a Pydantic model, dataclass, TypedDict or JSON Schema.")

    def decode(text: str) -> Any:
        try:
            return decoder.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ArgumentsError(f"{error}.") from None

    return schema, decode


def argument_texts(doc: str) -> dict[str, str]:
    """The descriptions of a Google-style ``Args:`` section, by parameter."""
    texts: dict[str, str] = {}
    current = ""
    inside = False
    indent = 0
    for line in doc.splitlines():
        if not line.startswith(" ") and line.strip():
            inside = line.strip() in ("Args:", "Arguments:", "Parameters:")
            indent = 0
            continue
        if not inside or not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        indent = indent or depth
        match = _ARGUMENT.match(line.strip()) if depth == indent else None
        if match:
            current = match[1]
            texts[current] = match[2]
        elif current:
            texts[current] = f"{texts[current]} {line.strip()}".strip()
    return texts


def first_paragraph(doc: str) -> str:
    """The first paragraph of a docstring in one line; a section such as ``Args:`` is none."""
    lines: list[str] = []
    for line in doc.strip().splitlines():
        if not line.strip() or _SECTION.match(line):
            break
        lines.append(line.strip())
    return " ".join(lines)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The hints of the parameters; the return type is nobody's business and may not even be importable."""
    plain: Any = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        plain = plain.func
    plain = getattr(plain, "__func__", plain)
    if not hasattr(plain, "__globals__"):
        plain = type(plain).__call__
    annotations = {key: hint for key, hint in getattr(plain, "__annotations__", {}).items() if key != "return"}
    try:
        return get_type_hints(
            SimpleNamespace(__annotations__=annotations), getattr(plain, "__globals__", {}), include_extras=True
        )
    except NameError as error:
        raise TypeError(
            f"Tool {name!r}: the type {error.name!r} of a parameter is not known at run time; import or define it at "
            "the top of the module, outside of TYPE_CHECKING."
        ) from error


def _is_context(hint: Any) -> bool:
    return hint is ToolContext or ToolContext in get_args(hint)


def _described(hint: Any, text: str | None) -> Any:
    """The hint with its description where msgspec looks for one: ``Annotated`` text wins over the docstring."""
    notes: list[Any] = []
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        for extra in extras:
            if isinstance(extra, str):
                text = extra
            elif isinstance(extra, msgspec.Meta):
                notes.append(extra)
            else:
                text = getattr(extra, "description", None) or text
    if text and not any(note.description for note in notes):
        notes.append(msgspec.Meta(description=text))
    for note in notes:
        hint = Annotated[hint, note]
    return hint


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return msgspec.NODEFAULT
    if isinstance(value, _IMMUTABLE):
        return value
    return msgspec.field(default_factory=lambda: value)


def _build(fields: list[tuple[str, Any, Any]], context_name: str | None, name: str) -> Parameters:
    try:
        struct = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
        decoder = msgspec.json.Decoder(struct, strict=False, dec_hook=_decode_foreign)
        foreign: dict[str, Any] = {}
        raw = msgspec.json.schema(struct, schema_hook=lambda kind: _foreign_schema(kind, foreign))
    except TypeError as error:
        raise TypeError(f"Tool {name!r} has a parameter that cannot be shown to a model: {error}") from error
    definitions = {**raw["$defs"], **foreign}
    root = definitions.pop("Arguments")
    schema = _without_references(root, definitions)
    _check_size(schema, f"Tool {name!r}: the schema of its arguments")
    return HintedParameters(schema, context_name, struct, msgspec.structs.fields(struct), decoder)


def _check_size(schema: Mapping[str, Any], what: str) -> None:
    size = len(msgspec.json.encode(schema))
    if size > MAX_SCHEMA_BYTES:
        raise TypeError(
            f"{what} has {size} bytes; at most {MAX_SCHEMA_BYTES} bytes are sent. Use fewer or simpler types."
        )


def _decode_foreign(kind: type, value: Any) -> Any:
    """Types that msgspec does not know: pydantic models check themselves."""
    validate = getattr(kind, "model_validate", None)
    if validate is None:
        raise NotImplementedError
    try:
        return validate(value)
    except ValueError as error:
        details: list[Any] = getattr(error, "errors", list)()
        text = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in details)
        raise ValueError(text or str(error)) from None


def _foreign_schema(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    describe = getattr(kind, "model_json_schema", None)
    if describe is None:
        raise TypeError(
            f"{kind.__qualname__} is no type that JSON can hold; use a dataclass, enum, pydantic model or built-in."
        )
    schema: dict[str, Any] = describe()
    definitions.update(schema.pop("$defs", {}))
    return schema


def _without_references(root: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Put each definition where it is used: many providers, and grammars, read no ``$ref``.

    A type that holds itself keeps its reference and its definition.
    """
    kept: dict[str, Any] = {}

    def walk(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [walk(item, inside) for item in node]
        if not isinstance(node, dict):
            return node
        target = node.get("$ref", "").rpartition("/")[2]
        if not target:
            # Titles say the name again; a model reads and pays for them. A property of that name is a mapping.
            plain = {
                key: value if key in _DATA else walk(value, inside)
                for key, value in node.items()
                if not (key == "title" and isinstance(value, str))
            }
            if "enum" in plain and "type" not in plain and all(isinstance(item, str) for item in plain["enum"]):
                plain["type"] = "string"
            return plain
        if target in inside:
            kept.setdefault(target, None)
            return node
        around = {key: value for key, value in node.items() if key != "$ref"}
        return {**walk(definitions[target], (*inside, target)), **around}

    schema: dict[str, Any] = walk(root, ())
    for target in kept:
        kept[target] = walk(definitions[target], (target,))
    if kept:
        schema["$defs"] = kept
    schema.setdefault("properties", {})
    return schema
