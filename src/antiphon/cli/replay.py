"""``antiphon replay``: does a recorded call still lead to the same decisions?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from antiphon.clock import WallClock
from antiphon.evals.replay import Replay, read_log, replay_decisions, replay_voice
from antiphon.models.catalog import load_vad
from antiphon.settings import load_settings

_SHOWN = 10


def replay(
    log: Annotated[Path, typer.Argument(help="The log of a call, log.jsonl, or the call's folder.")],
    recording: Annotated[Path | None, typer.Option(help="The recording; the one beside the log unless given.")] = None,
    audio: Annotated[bool, typer.Option(help="Hear the recording again too.")] = True,
    vad: Annotated[str | None, typer.Option(help="Another detector: silero or energy.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Take every decision of a recorded call again and compare; exit code 1 when something goes another way."""
    path = log / "log.jsonl" if log.is_dir() else log
    entries = read_log(path)
    result = replay_decisions(entries)
    sound = recording or path.with_name("recording.wav")
    if audio and (recording is not None or sound.exists()):
        asyncio.run(_hear_again(entries, sound, vad, result))
    if as_json:
        body = {"same": result.same, **asdict(result)}
        typer.echo(msgspec.json.encode(body).decode())
    else:
        _show(path, result, heard=bool(result.voices))
    raise typer.Exit(0 if result.same else 1)


async def _hear_again(entries: list[dict[str, object]], sound: Path, vad: str | None, result: Replay) -> None:
    models = entries[0].get("models")
    recorded = models.get("vad") if isinstance(models, dict) else None
    detector = await load_vad(vad or str(recorded or "silero"), load_settings(), clock=WallClock())
    try:
        await replay_voice(entries, sound, vad=detector, replay=result)
    finally:
        await detector.aclose()


def _show(path: Path, result: Replay, *, heard: bool) -> None:
    console = Console()
    console.print(f"[bold]{path}[/bold]")
    console.print(f"decisions  {result.steps - len(result.differences)} of {result.steps} the same")
    if heard:
        again = [match for match in result.voices if match.now_at is not None]
        console.print(f"voice      {len(again)} of {len(result.voices)} starts and stops heard again", end="")
        console.print(f", {result.extra_voices} new" if result.extra_voices else "")
    else:
        console.print("voice      no recording: the sound was not heard again")
    if result.differences:
        table = Table("at", "event", "then", "now", title="What goes another way")
        for difference in result.differences[:_SHOWN]:
            table.add_row(
                f"{difference.at:.2f} s",
                str(difference.event.get("type")),
                _short(difference.then),
                _short(difference.now),
            )
        console.print(table)
    console.print("[green]the same[/green]" if result.same else "[red]not the same[/red]")


def _short(step: dict[str, object]) -> str:
    actions = step["actions"]
    names = [str(action.get("type")) for action in actions] if isinstance(actions, list) else []
    return f"{', '.join(names) or 'nothing'} → {step['phase']}"
