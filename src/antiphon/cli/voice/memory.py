"""``antiphon summary show``."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.errors import ConfigurationError
from antiphon.settings_voice import load_voice_settings
from antiphon.voice.memory import MemoryStore


def show_memory(path: Path | None) -> None:
    """Print what a memory holds.

    Raises:
        ConfigurationError: No file is named, there is none, or it cannot be read.
    """
    chosen = path or load_voice_settings(provider="antiphon").memory_path
    if chosen is None:
        raise ConfigurationError("No memory is named: give --memory FILE, or set MEMORY_PATH.")
    if not chosen.is_file():
        raise ConfigurationError(
            f"There is no memory {chosen} yet: it is made when a conversation has something to keep."
        )
    synopsis, sheet = MemoryStore(chosen).load()
    console = Console()
    console.print("Synopsis", style="bold")
    console.print(synopsis or "none", markup=False)
    table = Table("fact", "value", "since", box=None)
    for key, fact in sheet.facts.items():
        table.add_row(Text(key), Text(fact.value), fact.updated_at.strftime("%Y-%m-%d %H:%M"))
    console.print(table if len(sheet) else "No facts.")
