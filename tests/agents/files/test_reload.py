"""Changes on disk: each file that an agent is made of counts, and is really read again."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from antiphon.agents.agent import Agent
from antiphon.agents.files import load_agents, stamp
from antiphon.clock import VirtualClock
from antiphon.server.agents import WATCH_EVERY_S, AgentBook
from tests.agents.files.writing import write


def folder_of(tmp_path: Path) -> Path:
    write(tmp_path, "_defaults.yaml", "greeting: Hello.\n")
    write(tmp_path, "desk/agent.yaml", "prompts: {path: texts/prompt.md}\ntools: [price]\n")
    write(tmp_path, "desk/texts/prompt.md", "You are the desk.")
    write(tmp_path, "desk/tools.py", "from prices import PRICE\n\n\ndef price() -> int:\n    return PRICE\n")
    write(tmp_path, "desk/prices.py", "PRICE = 1\n")
    return tmp_path


@pytest.mark.parametrize("watched", ["", "desk/agent.yaml"])
@pytest.mark.parametrize(
    "changed", ["_defaults.yaml", "desk/agent.yaml", "desk/texts/prompt.md", "desk/tools.py", "desk/prices.py"]
)
def test_a_change_of_any_file_is_seen(tmp_path: Path, watched: str, changed: str) -> None:
    path = folder_of(tmp_path) / watched
    before = stamp(path)
    assert stamp(path) == before
    os.utime(tmp_path / changed, ns=(1, 1))
    assert stamp(path) != before


def test_new_files_count_and_what_python_and_version_control_leave_does_not(tmp_path: Path) -> None:
    before = stamp(folder_of(tmp_path))
    write(tmp_path, "desk/__pycache__/tools.pyc", "x")
    write(tmp_path, ".git/index", "x")
    assert stamp(tmp_path / "desk/agent.yaml") == stamp(tmp_path / "desk/agent.yaml")
    assert {name for name, _, _ in stamp(tmp_path)} == {name for name, _, _ in before}
    write(tmp_path, "billing.yaml", "name: billing\n")
    assert stamp(tmp_path) != before
    (tmp_path / "billing.yaml").unlink()
    assert {name for name, _, _ in stamp(tmp_path)} == {name for name, _, _ in before}


def test_python_beside_an_agent_is_read_again_even_within_the_same_second_and_size(tmp_path: Path) -> None:
    path = folder_of(tmp_path)
    os.utime(tmp_path / "desk/prices.py", (1_000_000_000, 1_000_000_000))
    (before,) = load_agents(path)
    assert before.toolset["price"]() == 1
    write(tmp_path, "desk/prices.py", "PRICE = 2\n")
    os.utime(tmp_path / "desk/prices.py", (1_000_000_000, 1_000_000_000))
    (after,) = load_agents(path)
    assert (before.toolset["price"](), after.toolset["price"]()) == (1, 2)
    text = (
        (tmp_path / "desk/tools.py")
        .read_text()
        .replace("PRICE\n\n", "PRICE\n\n", 1)
        .replace("return PRICE", "return     7")
    )
    write(tmp_path, "desk/tools.py", text)
    assert load_agents(path)[0].toolset["price"]() == 7
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_tools_py_that_breaks_leaves_the_agents_that_were_made_of_it(tmp_path: Path) -> None:
    path = folder_of(tmp_path)
    (before,) = load_agents(path)
    write(tmp_path, "desk/tools.py", "1 / 0\n")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        load_agents(path)
    assert before.toolset["price"]() == 1


def test_agents_with_neighbours_of_the_same_name_have_each_their_own(tmp_path: Path) -> None:
    for name, price in (("a", 1), ("b", 2)):
        write(tmp_path, f"{name}/agent.yaml", "tools: [price]\n")
        write(tmp_path, f"{name}/tools.py", "from costs.all import PRICE\n\n\ndef price() -> int:\n    return PRICE\n")
        write(tmp_path, f"{name}/costs/all.py", f"PRICE = {price}\n")
    assert [agent.toolset["price"]() for agent in load_agents(tmp_path)] == [1, 2]


def test_what_the_program_itself_has_imported_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder_of(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "desk"))
    monkeypatch.delitem(sys.modules, "prices", raising=False)
    prices = importlib.import_module("prices")
    try:
        load_agents(path)
        assert load_agents(path)[0].toolset["price"]() == 1
        assert sys.modules["prices"] is prices
    finally:
        del sys.modules["prices"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ("_defaults.yaml", "greeting: Good day.\n"),
        ("desk/texts/prompt.md", "You are the new desk."),
        ("desk/prices.py", "PRICE = 3\n"),
    ],
)
def test_the_book_gives_the_next_call_the_new_agent(tmp_path: Path, changed: str, text: str) -> None:
    path = folder_of(tmp_path)
    book = AgentBook(load_agents(path), path=path)
    clock = VirtualClock()
    old = book.agents[0]

    async def check(agents: Sequence[Agent]) -> None:
        assert agents[0].name == "desk"

    async def main() -> Agent:
        watching = asyncio.create_task(book.watch(clock, check))
        await clock.sleep(1.5 * WATCH_EVERY_S)
        write(tmp_path, changed, text)
        async with asyncio.timeout(10 * WATCH_EVERY_S):
            while book.agents[0] is old:
                await clock.sleep(WATCH_EVERY_S)
        watching.cancel()
        return book.agents[0]

    new = clock.run(main())
    before = (old.greeting, old.instructions, old.toolset["price"]())
    after = (new.greeting, new.instructions, new.toolset["price"]())
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
