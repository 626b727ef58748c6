"""Sources of tools of the agents that answer: connected before the first call, closed when nobody can reach them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from antiphon.agents.agent import Agent
from antiphon.errors import IntegrationUnavailableException
from antiphon.server.agents import AgentBook
from antiphon.server.run import running
from antiphon.server.warming import warm_agents
from antiphon.settings import Settings
from antiphon.tools.mcp import MCPStdioTool
from antiphon.tools.tool import FunctionTool
from tests.server.harness import Serve, phone, scripted_models, start_stream


class Source:
    """A source of tools that counts."""

    def __init__(self, name: str, *, is_dead: bool = False) -> None:
        self.name = name
        self.listed = 0
        self.closed = 0
        self._is_dead = is_dead

    async def list_tools(self) -> Sequence[FunctionTool]:
        self.listed += 1
        if self._is_dead:
            raise IntegrationUnavailableException(f"The server {self.name} cannot be reached: start it.")
        return ()

    async def aclose(self) -> None:
        self.closed += 1


async def test_sources_are_connected_at_the_start_and_closed_at_the_end_also_those_of_targets(serve: Serve) -> None:
    own, targets = Source("own"), Source("targets")
    agent = Agent("desk", tools=[own], handoffs=[Agent("billing", tools=[targets])])
    async with serve(agents=[agent]):
        assert (own.listed, targets.listed) == (1, 1)
        assert (own.closed, targets.closed) == (0, 0)
    assert (own.closed, targets.closed) == (1, 1)


async def test_a_source_that_is_required_and_dead_ends_the_start_with_its_sentence(serve: Serve) -> None:
    alive, dead = Source("alive"), Source("dead", is_dead=True)
    with pytest.raises(IntegrationUnavailableException, match="The server dead cannot be reached"):
        async with serve(agents=[Agent("desk", tools=[alive, dead])]):
            pass
    assert (alive.closed, dead.closed) == (1, 1)


async def test_a_program_that_is_required_and_missing_is_one_sentence(tmp_path: Path) -> None:
    tool = MCPStdioTool("files", str(tmp_path / "no-such-program"), required=True)
    settings = Settings(_env_file=None, port=0, api_keys="k", data_dir=tmp_path)
    with pytest.raises(IntegrationUnavailableException, match="files") as raised:
        async with running(
            AgentBook([Agent("desk", tools=[tool])]), settings, models=scripted_models(), keep_files=False
        ):
            pass
    assert "\n" not in str(raised.value)


async def test_an_earlier_versions_sources_are_closed_when_its_last_call_is_over(serve: Serve) -> None:
    old, new = Source("old"), Source("new")
    async with serve(agents=[Agent("desk", tools=[old], greeting="Hello.")]) as up:
        async with phone(up) as socket:
            await start_stream(socket)
            await socket.recv()  # the greeting: the call is on
            later = [Agent("desk", tools=[new])]
            await warm_agents(up.board, later)
            up.board.agents = AgentBook(later)
            await up.board.close_unused_sources()
            assert (old.closed, new.listed, new.closed) == (0, 1, 0)
        await up.board.all_over()
        await up.board.close_unused_sources()
        assert (old.closed, new.closed) == (1, 0)
    assert (old.closed, new.closed) == (1, 1)


async def test_a_version_that_cannot_be_used_leaves_no_source_open(serve: Serve) -> None:
    old, new, dead = Source("old"), Source("new"), Source("dead", is_dead=True)
    async with serve(agents=[Agent("desk", tools=[old])]) as up:
        with pytest.raises(IntegrationUnavailableException):
            await warm_agents(up.board, [Agent("desk", tools=[new, dead])])
        assert (old.closed, new.closed, dead.closed) == (0, 1, 1)
