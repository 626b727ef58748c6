"""A call's log on disk: one JSON object a line, in the order of the events."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from antiphon.calls.log import CallLog, Entry
from antiphon.store.files import Feed, FileWriter

LOG_NAME = "log.jsonl"
CAPACITY = 5_000


def call_folder(data_dir: Path, call_id: str, started_at: datetime) -> Path:
    """Where a call's files are: ``calls/<date>/<call id>`` below the data folder.

    Args:
        data_dir: The data folder.
        call_id: The carrier's text; whatever it holds, the folder stays below the date's.
        started_at: When the call began, in UTC.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "_", call_id)[:120] or "call"
    return data_dir / "calls" / started_at.strftime("%Y-%m-%d") / name


class JsonLines:
    """A ``Sink`` of log entries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def write(self, items: list[Entry]) -> None:
        """Add these entries."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [self._encoder.encode(entry.to_dict()) for entry in items]
        with self._path.open("ab") as file:
            file.write(b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Nothing is open between writes."""


def keep_log(log: CallLog, folder: Path, writer: FileWriter) -> tuple[Feed, Callable[[], None]]:
    """Write a call's log from now on.

    Returns:
        The feed, to be closed when the call is over, and a function that ends the subscription.
    """
    feed = writer.open(JsonLines(folder / LOG_NAME), capacity=CAPACITY)
    return feed, log.subscribe(feed.put)
