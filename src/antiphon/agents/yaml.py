"""Agents in files: a YAML agent, a folder of them, or a Python file.

Reading is strict. An unknown key, a missing tool or a value out of its bounds is an error with file and line, and all
errors of a file are told at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from antiphon.agents.agent import Agent, RunLimits
from antiphon.agents.instructions import check_template
from antiphon.agents.modules import load_module, tools_in
from antiphon.errors import ConfigurationError
from antiphon.models.llm.contract import ChatClient, ChatOptions
from antiphon.tools.prebuilt import PREBUILT
from antiphon.tools.tool import FunctionTool


def load_agents(path: str | Path) -> list[Agent]:
    """Load agents.

    Args:
        path: A ``.yaml`` file; a folder with ``NAME/agent.yaml`` or ``NAME.yaml`` files (those that begin with ``_``
            are none); or a ``.py`` file with an ``Agent`` in ``agent`` or in any other name of the module.

    Returns:
        At least one agent, in the order of the files' names.

    Raises:
        ConfigurationError: A file is missing or wrong; the message begins with ``file:line:``.
    """
    path = Path(path)
    if path.is_dir():
        agents = _load_folder(path)
    elif not path.is_file():
        raise ConfigurationError(f"There is no agent file or folder {str(path)!r}; check the path.")
    elif path.suffix == ".py":
        agents = _load_python(path)
    elif path.suffix in (".yaml", ".yml"):
        agents = [load_yaml_agent(path)]
    else:
        raise ConfigurationError(f"{path.name} is no agent; give a .py file, a .yaml file or a folder of them.")
    seen: dict[str, str] = {}
    for agent in agents:
        other = seen.setdefault(agent.name.casefold(), agent.name)
        if other is not agent.name:
            raise ConfigurationError(f"{path.name} holds two agents with the name {agent.name!r}; rename one.")
    return agents


def load_yaml_agent(path: Path) -> Agent:
    """Load one YAML agent; see ``load_agents``."""
    file = _File(path)
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: {error.problem or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}:1: {error}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigurationError(f"{path}:1: an agent is a mapping, such as 'name: front-desk'.")
    values = _AGENT(file, root, "")
    fields = _agent_fields(file, values)
    if file.findings:
        raise ConfigurationError("\n".join(file.findings))
    return Agent(**fields)


def _load_folder(folder: Path) -> list[Agent]:
    found = [*folder.glob("*/agent.yaml"), *folder.glob("*.yaml"), *folder.glob("*.yml")]
    files = sorted(file for file in found if not file.name.startswith("_") and not file.parent.name.startswith("_"))
    if not files:
        raise ConfigurationError(f"{folder} holds no agent; it needs NAME/agent.yaml or NAME.yaml files.")
    return [load_yaml_agent(file) for file in files]


def _load_python(path: Path) -> list[Agent]:
    names = vars(load_module(path))
    if isinstance(names.get("agent"), Agent):
        return [names["agent"]]
    agents = list({id(value): value for value in names.values() if isinstance(value, Agent)}.values())
    if not agents:
        raise ConfigurationError(f"{path.name} defines no agent; it needs 'agent = Agent(...)' at the top level.")
    return agents


@dataclass(slots=True)
class _File:
    """A file while it is read, and what is wrong with it."""

    path: Path
    findings: list[str] = field(default_factory=list)

    def fault(self, node: yaml.Node, message: str) -> None:
        self.findings.append(f"{self.path}:{node.start_mark.line + 1}: {message}")


@dataclass(frozen=True, slots=True)
class _Read:
    """A value and where it stands."""

    value: Any
    node: yaml.Node


_Reader = Callable[[_File, yaml.Node, str], Any]
"""Reads one node; the text is its key path, for messages. Faults go to the file."""


def _text(limit: int = 262_144) -> _Reader:
    def read(file: _File, node: yaml.Node, where: str) -> str | None:
        if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":str"):
            file.fault(node, f"{where} must be text; put it in quotes.")
        elif len(node.value) > limit:
            file.fault(node, f"{where} has {len(node.value)} characters; at most {limit} are allowed.")
        else:
            return str(node.value)
        return None

    return read


def _number(low: float, high: float, *, whole: bool = False) -> _Reader:
    def read(file: _File, node: yaml.Node, where: str) -> float | None:
        value = _plain(node)
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            file.fault(node, f"{where} must be {kind} from {low:g} to {high:g}.")
            return None
        return value

    return read


def _texts(file: _File, node: yaml.Node, where: str) -> list[_Read]:
    if not isinstance(node, yaml.SequenceNode):
        file.fault(node, f"{where} must be a list.")
        return []
    read = _text()
    texts = [_Read(read(file, item, f"an entry of {where}"), item) for item in node.value]
    return [text for text in texts if text.value is not None]


def _free(file: _File, node: yaml.Node, where: str) -> dict[str, Any]:
    value = _plain(node)
    if not isinstance(value, dict):
        file.fault(node, f"{where} must be a mapping.")
        return {}
    return value


def _block(readers: Mapping[str, _Reader]) -> _Reader:
    def read(file: _File, node: yaml.Node, where: str) -> dict[str, _Read]:
        if not isinstance(node, yaml.MappingNode):
            file.fault(node, f"{where} must be a mapping with some of the keys {', '.join(readers)}.")
            return {}
        values: dict[str, _Read] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            path = f"{where}.{key}" if where else key
            if key not in readers:
                file.fault(key_node, f"unknown key {path!r}; {_nearest(key, readers)}")
            elif key in values:
                file.fault(key_node, f"{path} stands here for the second time.")
            elif value_node.tag.endswith(":null"):
                continue
            elif (value := readers[key](file, value_node, path)) is not None:
                values[key] = _Read(value, value_node)
        return values

    return read


def _text_or(block: _Reader) -> _Reader:
    def read(file: _File, node: yaml.Node, where: str) -> Any:
        return (_text() if isinstance(node, yaml.ScalarNode) else block)(file, node, where)

    return read


_MODEL = {
    "provider": _text(64),
    "name": _text(256),
    "base_url": _text(2048),
    "temperature": _number(0, 2),
    "max_tokens": _number(1, 1_000_000, whole=True),
}
_LIMITS = {
    "max_model_steps": _number(1, 100, whole=True),
    "max_tool_calls": _number(1, 1000, whole=True),
    "max_parallel_tools": _number(1, 100, whole=True),
    "max_consecutive_errors": _number(1, 100, whole=True),
    "max_seconds": _number(1, 3600),
}
_AGENT = _block(
    {
        "name": _text(64),
        "description": _text(512),
        "instructions": _text(),
        "prompt": _text(),
        "prompts": _block({"path": _text(1024), "content": _text()}),
        "greeting": _text(1024),
        "tools": _texts,
        "model": _text_or(_block(_MODEL)),
        "voice": _text_or(_block({"name": _text(256)})),
        "language": _text(35),
        "fillers": _texts,
        "limits": _block(_LIMITS),
        "template_vars": _free,
        "metadata": _free,
    }
)


def _agent_fields(file: _File, values: Mapping[str, _Read]) -> dict[str, Any]:
    """From what stands in the file to the arguments of ``Agent``."""
    path = file.path
    fields: dict[str, Any] = {"name": path.parent.resolve().name if path.name == "agent.yaml" else path.stem}
    same = ("name", "description", "greeting", "language", "metadata")
    fields |= {key: values[key].value for key in same if key in values}
    if "fillers" in values:
        fields["fillers"] = [read.value for read in values["fillers"].value]
    if "template_vars" in values:
        fields["variables"] = values["template_vars"].value
    if "limits" in values:
        fields["limits"] = RunLimits(**_values(values["limits"].value))
    if "voice" in values:
        voice = values["voice"].value
        fields["voice"] = voice if not isinstance(voice, dict) else _values(voice).get("name")
    fields["instructions"] = _instructions(file, values)
    fields["tools"] = list(_tools(file, values["tools"].value)) if "tools" in values else []
    if "model" in values:
        fields["model"], fields["options"] = _model(file, values["model"])
    for key in ("greeting", "instructions", "prompt"):
        if key in values:
            _check_template(file, values[key].node, values[key].value)
    return fields


def _instructions(file: _File, values: Mapping[str, _Read]) -> str:
    prompts: Mapping[str, _Read] = values["prompts"].value if "prompts" in values else {}
    given = {key: values[key] for key in ("instructions", "prompt") if key in values}
    given |= {f"prompts.{key}": read for key, read in prompts.items()}
    if len(given) > 1:
        second = list(given.values())[1]
        file.fault(second.node, f"the instructions stand in {' and in '.join(given)}; keep one.")
    for key, read in given.items():
        if key != "prompts.path":
            return str(read.value)
        return _prompt_file(file, read)
    return ""


def _prompt_file(file: _File, read: _Read) -> str:
    folder = file.path.parent.resolve()
    path: Path = (folder / read.value).resolve()
    if not path.is_relative_to(folder):
        file.fault(read.node, f"prompts.path {read.value!r} leads out of the agent's folder.")
        return ""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        file.fault(read.node, f"prompts.path {read.value!r} cannot be read: {getattr(error, 'strerror', error)}.")
        return ""
    _check_template(file, read.node, text)
    return text


def _tools(file: _File, names: Iterable[_Read]) -> Iterable[FunctionTool | Callable[..., Any]]:
    """The tools by name, from the ``tools.py`` beside the file and from those that come with Antiphon."""
    source = file.path.parent / "tools.py"
    known: dict[str, FunctionTool | Callable[..., Any]] = dict(PREBUILT)
    if source.is_file():
        known |= tools_in(load_module(source))
    seen: set[str] = set()
    for read in names:
        if read.value in seen:
            file.fault(read.node, f"the tool {read.value!r} stands here for the second time.")
        elif read.value not in known:
            where = f"in {source.name}" if source.is_file() else f"because there is no {source.name} beside the file"
            file.fault(read.node, f"there is no tool {read.value!r} {where}; {_nearest(read.value, known)}")
        else:
            yield known[read.value]
        seen.add(read.value)


def _model(file: _File, read: _Read) -> tuple[str | ChatClient | None, ChatOptions]:
    if not isinstance(read.value, dict):
        return read.value, ChatOptions()
    model = _values(read.value)
    options = ChatOptions(temperature=model.get("temperature"), max_tokens=model.get("max_tokens"))
    name, provider, base_url = model.get("name"), model.get("provider"), model.get("base_url")
    if name is None and (provider or base_url):
        file.fault(read.node, "model.name is missing.")
        return None, options
    if base_url is not None:
        from antiphon.models.llm.openai_compatible import OpenAICompatibleClient

        # No key goes along: the operator's key is for the endpoint that the operator has set, not for one in a file.
        try:
            return OpenAICompatibleClient(str(name), base_url=base_url, provider=provider), options
        except ConfigurationError as error:
            file.fault(read.value["base_url"].node, str(error))
    return f"{provider}:{name}" if provider else name, options


def _check_template(file: _File, node: yaml.Node, text: str) -> None:
    try:
        check_template(text)
    except ConfigurationError as error:
        file.fault(node, str(error))


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}."


def _values(block: Mapping[str, _Read]) -> dict[str, Any]:
    return {key: read.value for key, read in block.items()}


def _plain(node: yaml.Node) -> Any:
    """The node's value as plain Python, by YAML's safe rules."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except yaml.YAMLError:
        return None
    finally:
        loader.dispose()
