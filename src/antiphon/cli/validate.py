"""``antiphon validate``: what is wrong with agents and scenarios, without a server, a model or the network."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from antiphon.errors import ConfigurationError

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.files import Finding
    from antiphon.agents.scenarios.load import Catalog
    from antiphon.agents.scenarios.scenario import Scenario

_STYLES = {"error": "bold red", "warning": "yellow"}


def validate(
    paths: Annotated[list[Path] | None, typer.Argument(help="YAML files, Python files or folders.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of an agent file for editors.")
    ] = False,
    scenario_schema: Annotated[
        bool, typer.Option("--scenario-schema", help="Print the JSON Schema of a scenario file for editors.")
    ] = False,
) -> None:
    """Check agents and scenarios as `serve` would read them; exit code 1 when something is wrong.

    No server is started and no model is asked. Python files, and each tools.py beside a YAML file, are run.
    """
    # Every command imports this file, and only this one needs the agents.
    from antiphon.agents.files.schema import agent_schema
    from antiphon.agents.scenarios.fields import scenario_schema as schema_of_scenarios
    from antiphon.agents.scenarios.load import examine_catalog

    if schema or scenario_schema:
        typer.echo(json.dumps(agent_schema() if schema else schema_of_scenarios(), indent=1))
        return
    if not paths:
        raise ConfigurationError("Name the agents to check: a file or a folder, such as agents/.")
    # What the files themselves print is not part of the answer.
    with redirect_stdout(sys.stderr):
        examined = [(path, *examine_catalog(path)) for path in paths]
    catalogs = [(path, catalog) for path, catalog, _ in examined]
    findings = list(dict.fromkeys(finding for _, _, found in examined for finding in found))
    if as_json:
        typer.echo(json.dumps(_document(catalogs, findings), indent=1))
    else:
        _print(Console(highlight=False), [catalog for _, catalog in catalogs], findings)
    if any(strict or finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _print(console: Console, catalogs: Sequence[Catalog], findings: Sequence[Finding]) -> None:
    agents = [agent for catalog in catalogs for agent in catalog.agents]
    if agents:
        table = Table(
            Column("agent", no_wrap=True), "model", "tools", "hands over to", Column("version", no_wrap=True), box=None
        )
        for agent in agents:
            row = _row(agent)
            table.add_row(*map(Text, (row["name"], row["model"] or "as configured", *_lists(row), row["version"])))
        console.print(table)
    for catalog in catalogs:
        for scenario in catalog.scenarios:
            _print_graph(console, _graph(scenario, catalog))
    for finding in findings:
        line = Text(f"{finding.level}: ", style=_STYLES[finding.level])
        # Not wrapped: a line is one finding for people, editors and grep.
        console.print(line.append(str(finding), style="default"), soft_wrap=True)
    scenarios = sum(len(catalog.scenarios) for catalog in catalogs)
    console.print(_summary(len(agents), scenarios, findings))


def _print_graph(console: Console, graph: dict[str, Any]) -> None:
    """Who answers first, and a line for each handoff."""
    console.print(Text(f"scenario {graph['name']}", style="bold").append(f": {graph['start_agent']} answers first"))
    for edge in graph["handoffs"]:
        arrow = "··>" if edge["type"] == "discrete" else "──>"
        when = f"  {edge['condition']}" if edge["condition"] else ""
        line = Text(f"  {edge['from']} {arrow} {edge['to']}").append(f"  {edge['tool']}{when}", style="dim")
        console.print(line, soft_wrap=True)
    generic = graph["generic_handoff"]
    if generic is not None:
        arrow = "··>" if generic["type"] == "discrete" else "──>"
        line = Text(f"  any agent {arrow} {', '.join(generic['targets'])}").append("  handoff_to_agent", style="dim")
        console.print(line, soft_wrap=True)


def _lists(row: dict[str, Any]) -> list[str]:
    return [", ".join(row[key]) or "none" for key in ("tools", "handoffs")]


def _summary(agents: int, scenarios: int, findings: Sequence[Finding]) -> str:
    levels = Counter(finding.level for finding in findings)
    parts = [(agents, "agent"), *([(scenarios, "scenario")] if scenarios else [])]
    parts += [(levels["error"], "error"), (levels["warning"], "warning")]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts) + "."


def _document(catalogs: Sequence[tuple[Path, Catalog]], findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "agents": [{**_row(agent), "path": str(path)} for path, catalog in catalogs for agent in catalog.agents],
        "scenarios": [
            {**_graph(scenario, catalog), "path": str(path)}
            for path, catalog in catalogs
            for scenario in catalog.scenarios
        ],
        "findings": [
            {"file": each.file, "line": each.line, "level": each.level, "message": each.message} for each in findings
        ],
    }


def _graph(scenario: Scenario, catalog: Catalog) -> dict[str, Any]:
    from antiphon.agents.scenarios.graph import graph_of

    return {"name": scenario.name, **graph_of(scenario, scenario.apply(catalog.agents))}


def _row(agent: Agent) -> dict[str, Any]:
    model = agent.model
    return {
        "name": agent.name,
        "model": model if model is None or isinstance(model, str) else model.name,
        "tools": [*agent.toolset, *(f"{source.name} (server)" for source in agent.sources)],
        "handoffs": [handoff.target_name for handoff in agent.routes],
        "version": agent.version,
    }
