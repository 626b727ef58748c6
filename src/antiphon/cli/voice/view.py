"""How a spoken conversation looks in a terminal while it goes on, and line by line where there is none."""

from __future__ import annotations

import typer
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from antiphon.realtime.conversation import Turn
from antiphon.realtime.incoming import ServerEvent
from antiphon.transports.local.mic import Level
from antiphon.voice.program import VoiceProgram

SHOWN_TURNS = 12
BAR_CELLS = 24
QUIETEST_DBFS = -60.0


def level_bar(level: Level) -> Text:
    """A level meter; its right end is full scale."""
    share = min(1.0, max(0.0, 1 - level.rms_dbfs / QUIETEST_DBFS))
    filled = round(share * BAR_CELLS)
    style = "red" if level.peak_dbfs > -1 else "green"
    return Text.assemble(
        ("█" * filled, style), ("·" * (BAR_CELLS - filled), "dim"), (f" {level.rms_dbfs:4.0f} dBFS", "dim")
    )


def live_view(program: VoiceProgram, name: str) -> RenderableType:
    """The conversation now.

    Args:
        program: Whose it is.
        name: Of the agent or model.
    """
    return Group(_head(program, name), _conversation(program), _foot(program))


def _head(program: VoiceProgram, name: str) -> Text:
    state = _state(program)
    head = Text.assemble(("Antiphon", "bold"), " · ", name, " · ", state)
    return head if program.settings.turn_detection != "none" else head.append(" · Enter ends your turn", "dim")


def _state(program: VoiceProgram) -> tuple[str, str]:
    client = program.client
    if not client.connected:
        return ("connecting …", "yellow")
    if client.user_speaking:
        return ("you speak", "cyan")
    if program.player.is_playing:
        return ("agent speaks", "green")
    return ("thinking …", "magenta") if client.response_active else ("listening", "dim")


def _conversation(program: VoiceProgram) -> Panel:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for turn in program.client.conversation.turns[-SHOWN_TURNS:]:
        if turn.role == "system":
            table.add_row(Text("note", style="dim"), Text("earlier turns are summarised", style="dim"))
            continue
        table.add_row(Text(_who(turn), style="cyan" if turn.role == "user" else "green"), _words(program, turn))
        for call in turn.calls:
            table.add_row("", Text(f"{call.name} · {call.status}", style="dim"))
    return Panel(table, border_style="dim")


def _words(program: VoiceProgram, turn: Turn) -> Text:
    said = program.history.shown(turn)
    if turn.role == "user" and turn.text is None:
        return Text(program.history.shown_partial(program.partial.get(turn.item_id, "")) or "…", style="dim")
    words = Text(said)
    generated = program.history.shown_generated(turn)
    if turn.interrupted and generated.startswith(said) and len(generated) > len(said):
        words.append(" ⟨not heard: ", "dim").append(generated[len(said) :].strip(), "dim strike").append("⟩", "dim")
    return words


def _foot(program: VoiceProgram) -> Text:
    metrics = program.client.metrics
    delay_ms = metrics.histogram("end_to_end_ms").last_ms
    facts = [f"answer after {delay_ms:.0f} ms"] if delay_ms is not None else []
    for word, name in (("interruptions", "barge_ins_total"), ("reconnects", "reconnections_total")):
        if count := metrics.total(name):
            facts.append(f"{word} {count}")
    if dropped := metrics.total("audio_frames_dropped_total", direction="in", reason="queue_full"):
        facts.append(f"lost chunks {dropped}")
    if program.client.conversation.summarising:
        facts.append("summarising …")
    line = level_bar(program.mic.level)
    return line.append("   " + " · ".join(facts), "dim") if facts else line


class LineView:
    """Prints each turn when its words are final.

    Args:
        program: Whose turns they are; this registers its handler.
    """

    def __init__(self, program: VoiceProgram) -> None:
        self._program = program
        self._printed: set[str] = set()
        program.client.on(
            ("conversation.item.input_audio_transcription.completed", "response.done", "response.output_item.done"),
            self._take,
        )

    def _take(self, event: ServerEvent) -> None:
        for turn in self._program.client.conversation.turns[-SHOWN_TURNS:]:
            if turn.transcript_state == "pending" or turn.item_id in self._printed or turn.role == "system":
                continue
            self._printed.add(turn.item_id)
            if turn.text and not (turn.role == "user" and self._program.is_written):
                typer.echo(f"{_who(turn)}: {self._program.history.shown(turn)}")


def _who(turn: Turn) -> str:
    return "you" if turn.role == "user" else "agent"
