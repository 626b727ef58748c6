"""How a demo call looks: the transcript while it grows, the time of each turn's stages, and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from antiphon.cli.transcript import Row, Transcript

SHOWN_ROWS = 14
SHOWN_TURNS = 8
STAGES = {
    "end_of_turn_ms": "end of\nturn",
    "transcript_ms": "\ntranscript",
    "first_token_ms": "first\ntoken",
    "first_audio_ms": "first\naudio",
}
"""Stages of a turn, in milliseconds after the end of the caller's speech."""


def live_view(transcript: Transcript) -> RenderableType:
    """The call while it goes on."""
    return Group(_models(transcript), _conversation(transcript.rows[-SHOWN_ROWS:]), _stages(transcript, SHOWN_TURNS))


def print_summary(console: Console, transcript: Transcript, result: Mapping[str, Any]) -> None:
    """Print the whole call, and what it came to."""
    latencies = [turn["voice_to_voice_ms"] for turn in result["turns"] if turn["voice_to_voice_ms"] is not None]
    facts = {
        "voice to voice": _spread(latencies),
        "word errors": f"{100 * result['wer']:.1f} % of the caller's words",
        "note": result["notice"],
        "recording": result["recording"],
        "log": result["log"],
        "next": "antiphon serve --dev, then antiphon call ws://127.0.0.1:8000/telephony/twilio --say YOUR.wav",
    }
    console.print(_models(transcript), _conversation(transcript.rows), _stages(transcript, None), sep="\n")
    for name, fact in facts.items():
        if fact:  # Not in a table: a path that is broken into lines cannot be copied.
            console.print(Text.assemble((f"{name:<16}", "bold"), str(fact)), soft_wrap=True)


def _models(transcript: Transcript) -> Text:
    names = " · ".join(f"{role} {name}" for role, name in transcript.models.items())
    return Text(f"Antiphon · {names}" if names else "Antiphon · calling", style="bold")


def _conversation(rows: Sequence[Row]) -> Panel:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for row in rows:
        table.add_row(f"{row.at_s:.1f}", *_spoken(row))
    return Panel(table, title="call", title_align="left", border_style="dim")


def _spoken(row: Row) -> tuple[Text, Text]:
    style = {"caller": "cyan", "agent": "green", "note": "dim"}[row.who]
    text = Text(row.text, style="" if row.is_final and row.who != "note" else "dim")
    if row.unheard:
        text.append(" ⟨not heard: ", style="dim")
        text.append(row.unheard, style="dim strike")
        text.append("⟩", style="dim")
    return Text("" if row.who == "note" else row.who, style=style), text


def _stages(transcript: Transcript, limit: int | None) -> Table:
    table = Table(box=None, padding=(0, 1), caption="ms after the caller's last sound", caption_justify="left")
    table.add_column("\nturn", justify="right")
    # The only column that may wrap: on a narrow terminal it makes room, and no figure loses a digit.
    table.add_column("\ncaller", max_width=48)
    for title in STAGES.values():
        table.add_column(title, justify="right", no_wrap=True, min_width=max(map(len, title.split("\n"))))
    table.add_column("", no_wrap=True, min_width=3)
    turns = [turn for turn in transcript.turns if turn.metrics is not None]
    for turn in turns if limit is None else turns[-limit:]:
        cells = [_ms(getattr(turn.metrics, stage)) for stage in STAGES]
        cells[-1] = f"[bold]{cells[-1]}[/]"
        table.add_row(str(turn.number), Text(turn.user_text), *cells, "cut" if turn.interrupted else "")
    return table


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "no turn was answered"
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.0f} ms · p95 {p95:.0f} ms over {len(ordered)} turns"
