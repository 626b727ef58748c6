"""The agents that answer, and their file when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.files import load_agents, stamp
from antiphon.clock import Clock
from antiphon.errors import AntiphonException, ConfigurationError

WATCH_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


class AgentBook:
    """Agents by name; the first one answers when nobody asks for another.

    Args:
        agents: At least one, with different names.
        path: Where they came from, for ``watch``.

    Raises:
        ConfigurationError: There is no agent, or two have the same name.
    """

    def __init__(self, agents: Sequence[Agent], *, path: Path | None = None) -> None:
        self._path = path
        self._by_name = _by_name(agents)

    @property
    def agents(self) -> tuple[Agent, ...]:
        """All of them, in order."""
        return tuple(self._by_name.values())

    def pick(self, name: str | None = None) -> Agent | None:
        """The agent with this name, or the first one; None when there is no such name."""
        return self._by_name.get(name) if name else next(iter(self._by_name.values()))

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
            check: Prepares the new agents, or raises an ``AntiphonException``.
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
                agents = await asyncio.to_thread(load_agents, self._path)
                found = _by_name(agents)
                await check(agents)
            except AntiphonException as exc:
                _log.error("agents_not_reloaded", reason=str(exc))
            else:
                self._by_name = found
                _log.info("agents_reloaded", agents=list(found))
                if changed is not None:
                    await changed()


def _by_name(agents: Sequence[Agent]) -> dict[str, Agent]:
    if not agents:
        raise ConfigurationError("There is no agent to serve: name a file or a folder that holds one.")
    found: dict[str, Agent] = {}
    for agent in agents:
        if agent.name in found:
            raise ConfigurationError(f"Two agents have the name {agent.name!r}: rename one of them.")
        found[agent.name] = agent
    return found
