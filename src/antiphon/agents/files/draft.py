"""A file as it is read by itself, before it is known which other agents there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from antiphon.agents.files.backgrounds import background_of
from antiphon.agents.files.environment import fill_in
from antiphon.agents.files.fields import AGENT
from antiphon.agents.files.kinds import Block, Read, plain
from antiphon.agents.files.manners import manners_of
from antiphon.agents.files.merge import DEFAULTS, defaults_of, under, with_own_names
from antiphon.agents.files.models import check_model, model_of
from antiphon.agents.files.nodes import compose
from antiphon.agents.files.prompts import instructions_of
from antiphon.agents.files.reading import Reading
from antiphon.agents.files.shortening import compaction_of
from antiphon.agents.files.toolbox import named_objects, tools_of
from antiphon.agents.keypad import KeypadManner
from antiphon.agents.limits import RunLimits
from antiphon.agents.passing import speed_of
from antiphon.agents.structured import output_type

_SAME = ("description", "greeting", "return_greeting")


@dataclass(frozen=True, slots=True)
class Draft:
    """An agent to be.

    Attributes:
        path: The file.
        root: What stands in it, for findings about the whole.
        name: The agent's.
        values: What stands in it.
        instructions: Of the agent.
        fields: The arguments of ``Agent``, without handoffs.
    """

    path: Path
    root: yaml.Node
    name: str
    values: Mapping[str, Read]
    instructions: Read | None
    fields: Mapping[str, Any]

    def part(self, block: str, key: str) -> Any:
        """A value of one of the file's blocks; None where it is not given."""
        return plain(self.values[block].value.get(key)) if block in self.values else None


def draft(reading: Reading, path: Path) -> Draft | None:
    """Read a file; None where it holds no mapping at all. What is wrong is told."""
    root = node_of(reading, path)
    if root is None:
        return None
    values: Mapping[str, Read] = AGENT.read(reading.found, root, "") or {}
    named = values.get("name")
    name = named.value if named is not None else path.parent.resolve().name if path.name == "agent.yaml" else path.stem
    instructions = instructions_of(reading.found, path, values)
    fields = _fields(reading, path, values) | {"name": name}
    fields["instructions"] = instructions.value if instructions is not None else ""
    return Draft(path, root, name, values, instructions, fields)


def node_of(reading: Reading, path: Path) -> yaml.Node | None:
    """What stands in a file, over the defaults of its folder."""
    own = _composed(reading, path)
    for defaults in defaults_of(path):
        if own is not None and defaults.is_file() and (below := _composed(reading, defaults)) is not None:
            own = under(AGENT, below, own)
    return own


def _composed(reading: Reading, path: Path) -> yaml.Node | None:
    root = compose(reading.found, path, may_be_empty=path.name == DEFAULTS)
    return with_own_names(reading.found, fill_in(reading.found, root, reading.allowed)) if root is not None else None


def _fields(reading: Reading, path: Path, values: Mapping[str, Read]) -> dict[str, Any]:
    """From what stands in the file to the arguments of ``Agent``."""
    fields: dict[str, Any] = {key: values[key].value for key in _SAME if key in values}
    if "fillers" in values:
        fields["fillers"] = plain(values["fillers"])
    if "handoff" in values and "trigger" in values["handoff"].value:
        fields["handoff_tool"] = plain(values["handoff"].value["trigger"])
    if "dtmf" in values:
        fields["keypad"] = KeypadManner(**plain(values["dtmf"]))
    fields["background"] = background_of(reading.found, path, values)
    fields["manners"] = manners_of(values)
    if "template_vars" in values:
        fields["variables"] = values["template_vars"].value
    if "limits" in values:
        fields["limits"] = RunLimits(**plain(values["limits"]))
    if "compaction" in values:
        fields["compaction"] = compaction_of(reading.found, values["compaction"])
    fields |= _models(reading, values) | _speech(values) | _output(reading, values) | _code(reading, path, values)
    fields["metadata"] = _metadata(reading, values)
    return fields


def _models(reading: Reading, values: Mapping[str, Read]) -> dict[str, Any]:
    block = {
        key: read for name in ("model", "cascade_model") if name in values for key, read in values[name].value.items()
    }
    if "realtime_model" in values:
        check_model(reading.found, values["realtime_model"].value)
    if not block:
        return {}
    model, options = model_of(reading, block)
    return {"model": model, "options": options}


def _speech(values: Mapping[str, Read]) -> dict[str, Any]:
    voice: Mapping[str, Read] = values["voice"].value if "voice" in values else {}
    speech: Mapping[str, Read] = values["speech"].value if "speech" in values else {}
    candidates = plain(speech.get("candidate_languages")) or []
    languages = [plain(read) for read in (values.get("language"), voice.get("language")) if read is not None]
    fields = {"voice": plain(voice.get("name")), "language": next(iter([*languages, *candidates]), None)}
    if "rate" in voice:
        fields["speed"] = speed_of(voice["rate"].value)
    if "phrases" in speech:
        fields["phrases"] = plain(speech["phrases"])
    return fields


def _output(reading: Reading, values: Mapping[str, Read]) -> dict[str, Any]:
    if "output_schema" not in values:
        return {}
    try:
        output_type(values["output_schema"].value)
    except (TypeError, ValueError) as error:
        reading.found.fault(values["output_schema"].node, f"output_schema cannot be used: {error}")
        return {}
    return {"output_type": values["output_schema"].value}


def _code(reading: Reading, path: Path, values: Mapping[str, Read]) -> dict[str, Any]:
    folder_tools = reading.tools_beside(path)
    if path.parent / "tools.py" in reading.failed:
        return {}
    return {
        "tools": tools_of(reading, values, folder_tools),
        "context_providers": named_objects(reading, values, "context_providers", folder_tools),
        "middleware": named_objects(reading, values, "middleware", folder_tools),
    }


def _metadata(reading: Reading, values: Mapping[str, Read]) -> dict[str, Any]:
    """The file's own metadata, and what nothing reads yet, under the name of its field."""
    metadata: dict[str, Any] = dict(values["metadata"].value) if "metadata" in values else {}
    for key, read in values.items():
        kept = _kept(key, read)
        if kept is None:
            continue
        if key in metadata:
            reading.found.fault(
                values["metadata"].node, f"metadata.{key} is where {key} is kept; give it another name."
            )
        metadata[key] = kept
    return metadata


def _kept(key: str, read: Read) -> Any:
    field = AGENT.fields[key]
    if field.later:
        return plain(read)
    if not isinstance(field.kind, Block):
        return None
    inner = field.kind.fields
    return {name: plain(value) for name, value in read.value.items() if inner[name].later} or None
