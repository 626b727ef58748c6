"""Files of agents for tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from antiphon.agents.agent import Agent
from antiphon.agents.files import examine, load_agents


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file below a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


def loaded(folder: Path, text: str) -> Agent:
    """The agent of a file."""
    (agent,) = load_agents(write(folder, "a.yaml", text), environment={})
    return agent


def errors_of(path: Path, **environment: str | None) -> list[str]:
    """What keeps the agents of a path from being loaded, without the folder before each file."""
    folder = path if path.is_dir() else path.parent
    return [str(error).removeprefix(f"{folder}/") for error in examine(path, environment=environment).errors]


def warnings_of(path: Path) -> list[str]:
    """What is doubtful in a path, without the folder before each file."""
    folder = path if path.is_dir() else path.parent
    return [str(warning).removeprefix(f"{folder}/") for warning in examine(path, environment={}).warnings]
