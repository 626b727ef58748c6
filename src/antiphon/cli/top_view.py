"""How ``antiphon top`` looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from antiphon.cli.top_figures import AgentRow, Snapshot, Spread

SLOW_FIRST_AUDIO_MS = 1_000.0
LATE_LOOP_MS = 20.0
SHOWN_CALLS = 15
SHOWN_AGENTS = 10
SHOWN_ID_CHARS = 14


def view(now: Snapshot, *, trouble: str = "") -> RenderableType:
    """The whole screen; ``trouble`` is a sentence about what keeps it from being new."""
    parts: list[RenderableType] = [_head(now)]
    if trouble:
        parts.append(Text(trouble, style="bold red"))
    parts += [Columns([_stages(now.stages), _agents(now.agents)], padding=(0, 2)), _calls(now.calls), _foot(now)]
    return Group(*parts)


def _head(now: Snapshot) -> Text:
    lag = now.loop_lag_ms
    late = "red" if lag["p95"] > LATE_LOOP_MS else "green"
    return Text.assemble(
        ("antiphon top", "bold"),
        f"  {now.url}   ",
        (f"{now.live}/{now.slots} calls", "bold cyan"),
        ("   draining", "bold yellow") if now.draining else "",
        "   loop lag ",
        (f"p50 {lag['p50']:.1f}  p95 {lag['p95']:.1f}  max {lag['max']:.1f} ms", late),
        f"   cost {now.cost_usd:.4f} USD" + (f" + {now.unpriced} calls unpriced" if now.unpriced else ""),
    )


def _stages(stages: Mapping[str, Spread]) -> Table:
    table = _table("stage", "p50 ms", "p95 ms", "n")
    for name, spread in stages.items():
        table.add_row(name.replace("_", " "), _ms(spread.p50_ms), _ms(spread.p95_ms), str(spread.count))
    return table


def _agents(agents: Sequence[AgentRow]) -> Table:
    table = _table("agent", "live", "calls", "turns", "barge-ins", "tool errors", "p50 ms", "p95 ms")
    for row in agents[:SHOWN_AGENTS]:
        counts = (row.live, row.calls, row.turns, row.barge_ins, row.tool_errors)
        table.add_row(row.agent, *map(str, counts), _ms(row.first_audio.p50_ms), _ms(row.first_audio.p95_ms))
    return table


def _calls(calls: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("call", "carrier", "agent", "state", "s", "turns", "cut", "p50 ms", "words", left=4, words=True)
    shown = sorted(calls, key=lambda call: (call["state"] != "live", call["started_at"]))
    for call in shown[:SHOWN_CALLS]:
        state = "live" if call["state"] == "live" else str(call["end_reason"])
        table.add_row(
            Text(_end_of(str(call["call_id"]))),
            Text(str(call["carrier"])),
            Text(str(call["agent"])),
            Text(state, style="green" if state == "live" else "dim"),
            f"{call['duration_s']:.0f}",
            str(call["turns"]),
            str(call["interruptions"]),
            _ms(call["first_audio_p50_ms"]),
            Text(str(call["preview"])),
        )
    return table


def _foot(now: Snapshot) -> Text:
    groups = {"dropped": now.dropped, "refused": now.refused, "errors": now.errors}
    foot = Text()
    if now.resting:
        foot.append(f"resting {', '.join(now.resting)}\n", style="bold yellow")
    for name, counts in now.pools.items():
        told = "  ".join(f"{state} {count}" for state, count in counts.items())
        foot.append(f"connections {name}  {told}\n", style="dim")
    for title, counts in groups.items():
        told = "  ".join(f"{name} {count}" for name, count in counts.items() if count) or "none"
        foot.append(f"{title} ", style="bold")
        foot.append(f"{told}   ", style="green" if told == "none" else "yellow")
    return foot


def _end_of(name: str) -> str:
    """A carrier's ids differ at their end."""
    return name if len(name) <= SHOWN_ID_CHARS else f"…{name[1 - SHOWN_ID_CHARS :]}"


def _ms(value: float | None) -> Text:
    if value is None:
        return Text("–", style="dim")
    return Text(f"{value:.0f}", style="yellow" if value > SLOW_FIRST_AUDIO_MS else "")


def _table(*columns: str, left: int = 1, words: bool = False) -> Table:
    """A table whose first ``left`` columns are texts and the rest figures, but for a last one of ``words``."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for place, name in enumerate(columns):
        is_last = words and place == len(columns) - 1
        table.add_column(name, justify="left" if place < left or is_last else "right", no_wrap=True)
    return table
