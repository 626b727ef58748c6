"""From a path to agents, and to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.files.draft import Draft, draft
from antiphon.agents.files.findings import Finding
from antiphon.agents.files.handoffs import Team, handoffs_of, trigger_of
from antiphon.agents.files.prompts import check_templates
from antiphon.agents.files.reading import Reading, allowed_by_settings
from antiphon.agents.modules import ModuleFault, load_module
from antiphon.errors import ConfigurationError
from antiphon.logs import Log

YAML = (".yaml", ".yml")

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a path holds.

    Attributes:
        agents: Those that could be made, in the order in which they answer.
        findings: What is wrong, by file and line.
        names: What a file of Python defines.
    """

    agents: tuple[Agent, ...]
    findings: tuple[Finding, ...]
    names: Mapping[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep agents from being loaded."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The others."""
        return tuple(finding for finding in self.findings if finding.level == "warning")


def load_agents(path: str | Path, *, environment: Mapping[str, str | None] | None = None) -> list[Agent]:
    """Load agents.

    Args:
        path: A ``.yaml`` file; a folder with ``NAME/agent.yaml`` or ``NAME.yaml`` files (those that begin with ``_``
            are none), or with these in its folder ``agents``; or a ``.py`` file with an ``Agent`` in ``agent`` or in
            any other name of the module.
        environment: The variables that YAML files may read, None for one that is not set; those that the setting
            ``yaml_env_allow`` names unless given.

    Returns:
        At least one agent, in the order of the files' names; the one that is marked as entry point is the first.

    Raises:
        ConfigurationError: A file is missing or wrong; each line of the message begins with ``file:line:``.
    """
    examined = examine(path, environment=environment)
    if examined.errors:
        raise ConfigurationError("\n".join(map(str, examined.errors)))
    for warning in examined.warnings:
        _log.warning("agent_file", finding=str(warning))
    return list(examined.agents)


def load_yaml_agent(path: str | Path, *, environment: Mapping[str, str | None] | None = None) -> Agent:
    """Load one YAML agent; see ``load_agents``."""
    return load_agents(path, environment=environment)[0]


def examine(
    path: str | Path, *, environment: Mapping[str, str | None] | None = None, brought: Iterable[str] = ()
) -> Examined:
    """Load agents as ``load_agents`` does, and give what is wrong instead of raising it.

    Args:
        path: See ``load_agents``.
        environment: See ``load_agents``.
        brought: Variables of templates that come from elsewhere.
    """
    path = Path(path)
    reading = Reading((lambda: environment) if environment is not None else allowed_by_settings())
    names: Mapping[str, Any] = {}
    if path.is_dir():
        agents = _from_yaml(reading, _files_of(reading, agents_folder(path)), brought=brought)
    elif not path.is_file():
        reading.found.about(path, f"There is no agent file or folder {str(path)!r}; check the path.")
        agents = []
    elif path.suffix == ".py":
        names = _names_of(reading, path)
        agents = _from_python(reading, path, names)
    elif path.suffix in YAML:
        agents = _from_yaml(reading, [path], is_folder=False)
    else:
        reading.found.about(path, f"{path.name} is no agent; give a .py file, a .yaml file or a folder of them.")
        agents = []
    _check_names(reading, path, agents)
    return Examined(tuple(agents), reading.found.all(), names)


def agents_folder(path: Path) -> Path:
    """Where the agents of a folder are: in its folder ``agents``, if that has some and is no agent itself."""
    inner = path / "agents"
    return inner if files_in(inner) and not (inner / "agent.yaml").is_file() else path


def files_in(folder: Path) -> list[Path]:
    """The agent files of a folder."""
    found = [*folder.glob("*/agent.yaml"), *folder.glob("*.yaml"), *folder.glob("*.yml")]
    return sorted(file for file in found if not file.name.startswith("_") and not file.parent.name.startswith("_"))


def _files_of(reading: Reading, folder: Path) -> list[Path]:
    files = files_in(folder)
    if not files:
        reading.found.about(folder, f"{folder} holds no agent; it needs NAME/agent.yaml or NAME.yaml files.")
    return files


def _names_of(reading: Reading, path: Path) -> Mapping[str, Any]:
    try:
        return vars(load_module(path))
    except ModuleFault as fault:
        reading.found.about(path, fault.reason, fault.line)
        return {}


def _from_python(reading: Reading, path: Path, names: Mapping[str, Any]) -> list[Agent]:
    if isinstance(names.get("agent"), Agent):
        return [names["agent"]]
    agents = list({id(value): value for value in names.values() if isinstance(value, Agent)}.values())
    if not agents and names:
        reading.found.about(path, "the file defines no agent; it needs 'agent = Agent(...)' at the top level.", 1)
    return agents


def _from_yaml(
    reading: Reading, files: Sequence[Path], *, is_folder: bool = True, brought: Iterable[str] = ()
) -> list[Agent]:
    reading.triggers = {trigger for file in files if (trigger := trigger_of(file)) is not None}
    drafts = [made for file in files if (made := draft(reading, file)) is not None]
    team = Team(drafts, is_whole=is_folder)
    known = frozenset(brought)
    return [agent for one in _entry_first(reading, drafts) if (agent := _agent(reading, one, team, known)) is not None]


def _agent(reading: Reading, one: Draft, team: Team, brought: frozenset[str]) -> Agent | None:
    before = reading.found.errors()
    handoffs = handoffs_of(reading.found, one, team)
    known = brought.union(one.fields.get("variables", {}), team.brought_to(one))
    check_templates(reading.found, one.values, one.instructions, known=known)
    try:
        return Agent(**one.fields, handoffs=handoffs)
    except (TypeError, ValueError) as error:
        # What a key of the file is to blame for was told already.
        if reading.found.errors() == before:
            reading.found.fault(one.root, str(error))
        return None


def _entry_first(reading: Reading, drafts: Sequence[Draft]) -> Iterable[Draft]:
    entries = [one for one in drafts if one.part("handoff", "is_entry_point")]
    for other in entries[1:]:
        node = other.values["handoff"].node
        reading.found.fault(node, f"handoff.is_entry_point is set by {entries[0].name!r} too; one agent answers first.")
    return sorted(drafts, key=lambda one: one not in entries)


def _check_names(reading: Reading, path: Path, agents: Iterable[Agent]) -> None:
    seen: set[str] = set()
    for agent in agents:
        if agent.name.casefold() in seen:
            reading.found.about(path, f"{path.name} holds two agents with the name {agent.name!r}; rename one.")
        seen.add(agent.name.casefold())
