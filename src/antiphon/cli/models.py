"""``antiphon models``: which weights there are, where they are, and whether they are whole."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from antiphon.models.weights.manifest import WEIGHTS, Weight, default_names
from antiphon.models.weights.store import CheckedWeight, WeightStore
from antiphon.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="The embedded models' weights: list them, fetch them, check them.")

Names = Annotated[list[str] | None, typer.Argument(help="Names of weights; the default set unless given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_STYLES = {"ok": "green", "missing": "yellow", "damaged": "red"}


@app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """Show every weight, and whether it is in the cache."""
    store = _store()
    rows = [(weight, "here" if store.has(weight.name) else "missing") for weight in WEIGHTS.values()]
    if as_json:
        typer.echo(json.dumps([_described(weight, state=state) for weight, state in rows], indent=1))
        return
    table = Table(
        *(Column(name, no_wrap=True) for name in ("weight", "size", "licence", "state")), "what it is", box=None
    )
    for weight, state in rows:
        about = weight.about if weight.is_default else f"{weight.about} (optional)"
        table.add_row(weight.name, _megabytes(weight.size), weight.licence, state, about)
    Console().print(table)


@app.command()
def pull(
    names: Names = None,
    offline: Annotated[bool, typer.Option(help="Ask only the cache and a mirror that is a folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch weights that are not here yet, and those that are damaged."""
    from antiphon.server.greeting import PullBar

    wanted = names or default_names()
    store = _store(offline=offline)
    bar = PullBar(Console(stderr=True, quiet=as_json))
    try:
        asyncio.run(store.ensure(wanted, bar, recheck=True))
    finally:
        bar.close()
    if as_json:
        typer.echo(json.dumps([{"name": name, "path": str(store.path(name))} for name in wanted], indent=1))
    else:
        total = _megabytes(sum(WEIGHTS[name].size for name in wanted))
        typer.echo(f"Here and whole, {total}: {', '.join(wanted)}.")


@app.command()
def verify(names: Names = None, as_json: AsJson = False) -> None:
    """Read weights again and compare their hashes; exit code 2 when one is missing or damaged."""
    checked = asyncio.run(_store().verify(names or default_names()))
    if as_json:
        typer.echo(json.dumps([_described(one.weight, state=one.state) for one in checked], indent=1))
    else:
        table = Table(Column("weight", no_wrap=True), "state", Column("file", overflow="fold"), box=None)
        for one in checked:
            table.add_row(one.weight.name, f"[{_STYLES[one.state]}]{one.state}[/]", str(one.path))
        Console().print(table)
    _exit_when_bad(checked)


def _store(*, offline: bool = False) -> WeightStore:
    settings = load_settings()
    return WeightStore(settings.data_dir, mirror=settings.model_mirror, offline=offline)


def _described(weight: Weight, *, state: str) -> dict[str, Any]:
    return {
        "name": weight.name,
        "about": weight.about,
        "sha256": weight.sha256,
        "size": weight.size,
        "licence": weight.licence,
        "default": weight.is_default,
        "state": state,
    }


def _exit_when_bad(checked: list[CheckedWeight]) -> None:
    bad = [one.weight.name for one in checked if one.state != "ok"]
    if bad:
        typer.echo(f"Not whole: {', '.join(bad)}. Run `antiphon models pull {' '.join(bad)}`.", err=True)
        raise typer.Exit(2)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
