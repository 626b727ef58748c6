"""``antiphon validate``: what is wrong with agents, without a server, a model or the network."""

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
    from antiphon.agents.files import Examined, Finding

_STYLES = {"error": "bold red", "warning": "yellow"}


def validate(
    paths: Annotated[list[Path] | None, typer.Argument(help="YAML files, Python files or folders.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of an agent file for editors.")
    ] = False,
) -> None:
    """Check agents as `serve` would read them; exit code 1 when something is wrong.

    No server is started and no model is asked. Python files, and each tools.py beside a YAML file, are run.
    """
    # Every command imports this file, and only this one needs the agents.
    from antiphon.agents.files import examine
    from antiphon.agents.files.schema import agent_schema

    if schema:
        typer.echo(json.dumps(agent_schema(), indent=1))
        return
    if not paths:
        raise ConfigurationError("Name the agents to check: a file or a folder, such as agents/.")
    # What the files themselves print is not part of the answer.
    with redirect_stdout(sys.stderr):
        examined = [(path, examine(path)) for path in paths]
    findings = list(dict.fromkeys(finding for _, each in examined for finding in each.findings))
    if as_json:
        typer.echo(json.dumps(_document(examined, findings), indent=1))
    else:
        _print(Console(highlight=False), [agent for _, each in examined for agent in each.agents], findings)
    if any(strict or finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _print(console: Console, agents: Sequence[Agent], findings: Sequence[Finding]) -> None:
    if agents:
        table = Table(
            Column("agent", no_wrap=True), "model", "tools", "hands over to", Column("version", no_wrap=True), box=None
        )
        for agent in agents:
            row = _row(agent)
            table.add_row(*map(Text, (row["name"], row["model"] or "as configured", *_lists(row), row["version"])))
        console.print(table)
    for finding in findings:
        line = Text(f"{finding.level}: ", style=_STYLES[finding.level])
        # Not wrapped: a line is one finding for people, editors and grep.
        console.print(line.append(str(finding), style="default"), soft_wrap=True)
    console.print(_summary(agents, findings))


def _lists(row: dict[str, Any]) -> list[str]:
    return [", ".join(row[key]) or "none" for key in ("tools", "handoffs")]


def _summary(agents: Sequence[Agent], findings: Sequence[Finding]) -> str:
    levels = Counter(finding.level for finding in findings)
    parts = [(len(agents), "agent"), (levels["error"], "error"), (levels["warning"], "warning")]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts) + "."


def _document(examined: Sequence[tuple[Path, Examined]], findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "agents": [{**_row(agent), "path": str(path)} for path, each in examined for agent in each.agents],
        "findings": [
            {"file": each.file, "line": each.line, "level": each.level, "message": each.message} for each in findings
        ],
    }


def _row(agent: Agent) -> dict[str, Any]:
    model = agent.model
    return {
        "name": agent.name,
        "model": model if model is None or isinstance(model, str) else model.name,
        "tools": [*agent.toolset, *(f"{source.name} (server)" for source in agent.sources)],
        "handoffs": [handoff.target_name for handoff in agent.routes],
        "version": agent.version,
    }
