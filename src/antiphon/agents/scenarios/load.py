"""From a path to the agents and scenarios that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.files.findings import Finding, Findings, nearest
from antiphon.agents.files.load import Examined, examine
from antiphon.agents.files.reading import Reading, allowed_by_settings
from antiphon.agents.scenarios.check import faults
from antiphon.agents.scenarios.reading import FILES, check_scenario, draft_scenario
from antiphon.agents.scenarios.scenario import Scenario
from antiphon.errors import ConfigurationError
from antiphon.logs import Log

_DEFAULT = "default"

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Agents, and the ways in which they work together.

    Attributes:
        agents: In the order in which they answer.
        scenarios: By name.
    """

    agents: tuple[Agent, ...]
    scenarios: tuple[Scenario, ...] = ()

    @property
    def default(self) -> Scenario | None:
        """The scenario that holds where nobody chooses one: the only one, or that of the name ``default``."""
        named = [each for each in self.scenarios if each.name.casefold() == _DEFAULT]
        return next(iter(named or (self.scenarios if len(self.scenarios) == 1 else ())), None)

    def scenario(self, name: str) -> Scenario | None:
        """The scenario of a name, in any case; else the one that has it for an alias."""
        fold = name.casefold()
        named = [each for each in self.scenarios if each.name.casefold() == fold]
        aliased = [each for each in self.scenarios if fold in {alias.casefold() for alias in each.aliases}]
        return next(iter(named or aliased), None)

    def chosen(self, name: str | None) -> Scenario | None:
        """The scenario that is asked for, or else the one that holds anyway.

        Raises:
            ConfigurationError: There is no such scenario.
        """
        if not name:
            return self.default
        scenario = self.scenario(name)
        if scenario is None:
            known = [each.name for each in self.scenarios]
            hint = nearest(name, known) if known else "there is none: put NAME/scenario.yaml into a folder scenarios."
            raise ConfigurationError(f"There is no scenario {name!r} here; {hint}")
        return scenario

    def team(self, name: str | None = None) -> tuple[Agent, ...]:
        """The agents of a scenario, or of the one that holds anyway, or all of them; the first one answers.

        Raises:
            ConfigurationError: There is no such scenario, or it does not fit the agents.
        """
        scenario = self.chosen(name)
        return self.agents if scenario is None else scenario.apply(self.agents)


def load_catalog(path: str | Path, *, environment: Mapping[str, str | None] | None = None) -> Catalog:
    """Load agents as ``load_agents`` does, and the scenarios beside them.

    Args:
        path: What ``load_agents`` takes. The scenarios of a folder are in its folder ``scenarios``, as
            ``NAME/scenario.yaml``, ``NAME/orchestration.yaml`` or ``NAME.yaml``; those of a file of Python are
            its ``Scenario`` objects.
        environment: See ``load_agents``.

    Raises:
        ConfigurationError: A file is missing or wrong; each line of the message begins with ``file:line:``.
    """
    catalog, findings = examine_catalog(path, environment=environment)
    errors = [str(finding) for finding in findings if finding.level == "error"]
    if errors:
        raise ConfigurationError("\n".join(errors))
    for warning in findings:
        _log.warning("agent_file", finding=str(warning))
    return catalog


def examine_catalog(
    path: str | Path, *, environment: Mapping[str, str | None] | None = None
) -> tuple[Catalog, tuple[Finding, ...]]:
    """Load agents and scenarios as ``load_catalog`` does, and give what is wrong instead of raising it."""
    path = Path(path)
    reading = Reading((lambda: environment) if environment is not None else allowed_by_settings())
    drafts = [draft for file in _files_of(reading.found, path) if (draft := draft_scenario(reading, file)) is not None]
    brought = {name for draft in drafts for name in draft.brought()}
    examined = examine(path, environment=environment, brought=brought)
    agents = _agents_of(examined)
    scenarios = [each for each in examined.names.values() if isinstance(each, Scenario)]
    for scenario in scenarios:
        for fault in faults(scenario, agents):
            reading.found.about(path, f"the scenario {scenario.name!r} cannot be used: {fault.message}")
    if not examined.errors:  # Else a scenario would be blamed for agents that could not be read.
        fitting = [each for each in drafts if check_scenario(reading.found, each, agents, brought=brought)]
        scenarios += [each.scenario for each in fitting]
    _check_names(reading.found, path, scenarios)
    findings = tuple(dict.fromkeys((*examined.findings, *reading.found.all())))
    return Catalog(tuple(agents), tuple(sorted(scenarios, key=lambda each: each.name))), findings


def _agents_of(examined: Examined) -> Sequence[Agent]:
    """All agents; of a file of Python with scenarios also those beside the one that is named ``agent``."""
    names: Mapping[str, Any] = examined.names
    if not any(isinstance(each, Scenario) for each in names.values()):
        return examined.agents
    return list({id(each): each for each in (*examined.agents, *names.values()) if isinstance(each, Agent)}.values())


def _files_of(found: Findings, path: Path) -> list[Path]:
    """The scenario files of a folder."""
    folder = path / "scenarios"
    if not folder.is_dir():
        return []
    inner: list[Path] = []
    for place in sorted(folder.iterdir()):
        files = [place / name for name in FILES if (place / name).is_file()]
        if len(files) > 1:
            found.about(files[0], f"{place.name} holds {' and '.join(FILES)}; keep one of them.", 1)
        if not files and place.is_dir() and place.name[0] not in "._":
            message = f"{place} holds no scenario; it needs {' or '.join(FILES)}."
            found.add(Finding(str(place), 0, message, "warning"))
        inner += files[:1]
    files = [*inner, *sorted(folder.glob("*.yaml")), *sorted(folder.glob("*.yml"))]
    return [file for file in files if not file.name.startswith("_") and not file.parent.name.startswith("_")]


def _check_names(found: Findings, path: Path, scenarios: Sequence[Scenario]) -> None:
    seen: set[str] = set()
    for scenario in scenarios:
        if scenario.name.casefold() in seen:
            found.about(path, f"{path.name} holds two scenarios with the name {scenario.name!r}; rename one.")
        seen.add(scenario.name.casefold())
