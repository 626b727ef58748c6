"""``antiphon report``: how long each stage of a call took, what it used, and what deserves a look."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from antiphon.calls.log import Entry
from antiphon.errors import ConfigurationError
from antiphon.evals.replay import read_log
from antiphon.settings import load_settings
from antiphon.store.calls import PastCalls
from antiphon.store.report import Report, report_of

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def tell(call: str, *, as_json: bool) -> None:
    """Print the report of a call.

    Args:
        call: Its folder, its log, or its id.
        as_json: As one JSON document.

    Raises:
        ConfigurationError: There is no such call.
    """
    told = report_of(_entries(call))
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
    else:
        show(told, Console())


def _entries(call: str) -> list[Entry]:
    path = Path(call)
    if path.exists():
        lines = read_log(path / "log.jsonl" if path.is_dir() else path)
    else:
        lines = [msgspec.json.decode(stored.json) for stored in PastCalls(load_settings().data_dir).entries(call)]
    if not lines:
        raise ConfigurationError(
            f"There is no call {call}: give its folder, its log.jsonl, or its id as /v1/calls lists it."
        )
    return [entry for line in lines if (entry := Entry.from_dict(line)) is not None]


def show(told: Report, console: Console) -> None:
    """Print a report for people."""
    cost = "unknown" if told.cost_usd is None else f"{told.cost_usd:.4f} USD"
    console.print(
        f"{told.turns} turns, {told.interrupted} cut   {told.barge_ins} barge-ins   {told.handoffs} handoffs   "
        f"{told.tool_calls} tool calls, {told.tool_errors} failed"
    )
    console.print(f"tokens {told.input_tokens} in, {told.output_tokens} out   cost {cost}")
    for role, names in told.models.items():
        console.print(f"{role:4} {', '.join(names)}", highlight=False)
    columns = ("stage", "n", "avg", "min", "max", "p50", "p95", "p99", "% of first audio")
    table = Table(*columns, title="milliseconds", title_justify="left")
    for name, spread in told.stages.items():
        if not spread.count:
            continue
        values = (spread.avg_ms, spread.min_ms, spread.max_ms, spread.p50_ms, spread.p95_ms, spread.p99_ms)
        share = "" if spread.relative_pct is None else f"{spread.relative_pct:.0f}"
        cells = [f"{value:.0f}" for value in values if value is not None]
        style = _COLOURS.get(spread.severity or "")
        table.add_row(name, str(spread.count), f"[{style}]{cells[0]}[/{style}]", *cells[1:], share)
    console.print(table)
    for insight in told.insights:
        colour = _COLOURS[insight.severity]
        console.print(f"[{colour}]{insight.severity}[/{colour}] {insight.text}", highlight=False)
