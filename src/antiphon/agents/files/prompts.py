"""The instructions of a file, and the templates in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from antiphon.agents.files.findings import Findings, nearest
from antiphon.agents.files.kinds import MOST_TEXT, Read
from antiphon.agents.templates import check_template, undefined_variables
from antiphon.errors import ConfigurationError

_LEAST_TEXT = 10
_GREETINGS = ("greeting", "return_greeting")

BUILT_IN = frozenset(
    (
        "agent_name institution_name caller_name client_id session_profile customer_intelligence previous_agent "
        "active_agent visited_agents is_handoff handoff_reason handoff_context handoff_message details "
        "user_last_utterance share_context greet_on_switch session_overrides"
    ).split()
)
"""Variables that a conversation may bring."""


def instructions_of(found: Findings, path: Path, values: Mapping[str, Read]) -> Read | None:
    """The instructions, from the one place where they stand."""
    prompts: Mapping[str, Read] = values["prompts"].value if "prompts" in values else {}
    given = {key: values[key] for key in ("instructions", "prompt") if key in values}
    given |= {f"prompts.{key}": read for key, read in prompts.items()}
    if len(given) > 1:
        found.fault(list(given.values())[1].node, f"the instructions stand in {' and in '.join(given)}; keep one.")
    key, read = next(iter(given.items()), ("", None))
    if read is not None and key == "prompts.path":
        read = _from_file(found, path, read)
    if read is not None and len(read.value.strip()) < _LEAST_TEXT:
        found.warn(read.node, f"the instructions have less than {_LEAST_TEXT} characters; say what the agent is to do.")
    return read


def prompt_path(path: Path, name: str) -> Path | None:
    """The prompt file of an agent file; None where it is not in the agent's folder."""
    folder = path.parent.resolve()
    prompt = (folder / name).resolve()
    return prompt if prompt.is_relative_to(folder) else None


def check_templates(
    found: Findings, values: Mapping[str, Read], instructions: Read | None, *, known: Iterable[str]
) -> None:
    """See whether the templates of a file are sound, and know their variables.

    Args:
        found: Told what is wrong.
        values: Of the file.
        instructions: Of the file.
        known: Variables beside those that a conversation may bring.
    """
    names = BUILT_IN.union(known)
    for read in (instructions, *(values.get(key) for key in _GREETINGS)):
        if read is not None:
            _check(found, read.node, read.value, names)
    if "template_vars" in values:
        read = values["template_vars"]
        for text in read.value.values():
            if isinstance(text, str):
                _check(found, read.node, text, names)


def _check(found: Findings, node: yaml.Node, text: str, names: Iterable[str]) -> None:
    try:
        check_template(text)
    except ConfigurationError as error:
        found.fault(node, str(error))
        return
    for name in undefined_variables(text, names):
        hint = nearest(name, sorted(names))
        if not hint.startswith("did you"):
            hint = f"put it in template_vars, or write {{{{ {name} | default('') }}}}."
        found.warn(node, f"the template variable {name!r} is not known here; {hint}")


def _from_file(found: Findings, path: Path, read: Read) -> Read | None:
    prompt = prompt_path(path, read.value)
    if prompt is None:
        found.fault(read.node, f"prompts.path {read.value!r} leads out of the agent's folder.")
        return None
    try:
        text = prompt.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found.fault(read.node, f"prompts.path {read.value!r} cannot be read: {getattr(error, 'strerror', error)}.")
        return None
    if len(text) > MOST_TEXT:
        found.fault(read.node, f"{prompt.name} has {len(text)} characters; at most {MOST_TEXT} are allowed.")
        return None
    return Read(text, read.node)
