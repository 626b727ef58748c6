"""Folders of agents and scenarios for tests."""

from __future__ import annotations

from pathlib import Path

from antiphon import Agent
from antiphon.agents.scenarios.load import Catalog, examine_catalog
from tests.agents.files.writing import write

AGENTS = {
    "desk": "description: Welcomes callers.\nprompt: You welcome the callers of {{ bank }}.\n",
    "billing": "description: Explains bills.\nprompt: You explain bills.\nhandoff: {trigger: ask_billing}\n",
    "fraud": "description: Looks into fraud.\nprompt: You look into fraud.\n",
}


def folder_of(folder: Path, scenario: str, *, name: str = "bank", **agents: str) -> Path:
    """A folder with agents and one scenario."""
    for agent, text in (AGENTS | agents).items():
        write(folder, f"agents/{agent}/agent.yaml", text)
    write(folder, f"scenarios/{name}/scenario.yaml", scenario)
    return folder


def catalog_of(folder: Path, scenario: str, **agents: str) -> Catalog:
    """What a folder with one sound scenario holds."""
    catalog, findings = examine_catalog(folder_of(folder, scenario, **agents), environment={})
    assert [finding for finding in findings if finding.level == "error"] == []
    return catalog


def team_of(folder: Path, scenario: str, **agents: str) -> dict[str, Agent]:
    """The agents of a sound scenario by name."""
    return {agent.name: agent for agent in catalog_of(folder, scenario, **agents).team()}


def findings_of(folder: Path, level: str = "error") -> list[str]:
    """What is wrong with a folder's scenarios, without the path before each file."""
    _, findings = examine_catalog(folder, environment={})
    told = [str(finding) for finding in findings if finding.level == level]
    return [text.removeprefix(f"{folder}/scenarios/") for text in told]
