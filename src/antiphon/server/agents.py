"""The agents that answer, and their files when these change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.files import stamp
from antiphon.agents.scenarios.load import Catalog, load_catalog
from antiphon.agents.scenarios.scenario import Scenario
from antiphon.clock import Clock
from antiphon.errors import AntiphonException, ConfigurationError

WATCH_EVERY_S = 1.0

_log = structlog.get_logger(__name__)

Team = tuple[Agent, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """One version of what is served.

    Attributes:
        catalog: Agents and scenarios.
        default: The scenario of calls that choose none.
        teams: The agents of each scenario by its name; under "" those of calls that choose none.
    """

    catalog: Catalog
    default: Scenario | None
    teams: Mapping[str, Team]


class AgentBook:
    """Agents by name; the first one answers when nobody asks for another. A scenario has agents of its own.

    Args:
        agents: At least one, with different names.
        scenarios: How they may work together.
        scenario: The scenario of calls that choose none; see ``Catalog.chosen``.
        path: Where all of it came from, for ``watch``.

    Raises:
        ConfigurationError: There is no agent, two have the same name, or there is no such scenario.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        *,
        scenarios: Sequence[Scenario] = (),
        scenario: str | None = None,
        path: Path | None = None,
    ) -> None:
        self._path = path
        self._wanted = scenario
        self._page = _page(Catalog(tuple(agents), tuple(scenarios)), scenario)

    @classmethod
    def at(cls, path: str | Path, *, scenario: str | None = None) -> AgentBook:
        """The book of a file or folder.

        Raises:
            ConfigurationError: What is there cannot be loaded, or there is no such scenario.
        """
        catalog = load_catalog(path)
        return cls(catalog.agents, scenarios=catalog.scenarios, scenario=scenario, path=Path(path))

    @property
    def agents(self) -> Team:
        """Those that answer calls that choose no scenario, in order."""
        return self._page.teams[""]

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """All of them, by name."""
        return self._page.catalog.scenarios

    @property
    def scenario(self) -> Scenario | None:
        """The one of calls that choose none."""
        return self._page.default

    @property
    def teams(self) -> tuple[Team, ...]:
        """All agents that may answer, by those that may be met in one call."""
        return tuple(dict.fromkeys(self._page.teams.values()))

    def find(self, scenario: str) -> Scenario | None:
        """The scenario of a name; None when there is none."""
        return self._page.catalog.scenario(scenario)

    def team(self, scenario: str | None = None) -> Team:
        """The agents of a scenario; no agent when there is no such scenario."""
        page = self._page
        if not scenario:
            return page.teams[""]
        found = page.catalog.scenario(scenario)
        return page.teams[found.name] if found is not None else ()

    def pick(self, name: str | None = None, *, scenario: str | None = None) -> Agent | None:
        """The agent with this name, in any case, or the first one; None when there is none.

        Args:
            name: The agent's.
            scenario: The scenario's that the call chooses.
        """
        team = self.team(scenario)
        fold = name.casefold() if name else None
        return next((agent for agent in team if fold is None or agent.name.casefold() == fold), None)

    async def watch(
        self,
        clock: Clock,
        check: Callable[[Sequence[Agent]], Awaitable[None]],
        changed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Load the file or folder again whenever it, or what it reads, has changed; the next call gets the new agents.

        A version that cannot be loaded, or does not pass, is told in the log, and the old one stays.

        Args:
            clock: Time.
            check: Prepares new agents that may meet in one call, or raises an ``AntiphonException``.
            changed: Told when they are in use.
        """
        assert self._path is not None
        seen = await asyncio.to_thread(stamp, self._path)
        while True:
            await clock.sleep(WATCH_EVERY_S)
            now = await asyncio.to_thread(stamp, self._path)
            if now == seen:
                continue
            seen = now
            try:
                page = _page(await asyncio.to_thread(load_catalog, self._path), self._wanted)
                for team in dict.fromkeys(page.teams.values()):
                    await check(team)
            except AntiphonException as exc:
                _log.error("agents_not_reloaded", reason=str(exc))
            else:
                self._page = page
                _log.info("agents_reloaded", agents=[agent.name for agent in self.agents])
                if changed is not None:
                    await changed()


def _page(catalog: Catalog, scenario: str | None) -> _Page:
    if not catalog.agents:
        raise ConfigurationError("There is no agent to serve: name a file or a folder that holds one.")
    seen: set[str] = set()
    for agent in catalog.agents:
        if agent.name in seen:
            raise ConfigurationError(f"Two agents have the name {agent.name!r}: rename one of them.")
        seen.add(agent.name)
    default = catalog.chosen(scenario)
    teams = {each.name: each.apply(catalog.agents) for each in catalog.scenarios}
    return _Page(catalog, default, {**teams, "": catalog.agents if default is None else teams[default.name]})
