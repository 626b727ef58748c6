"""A call's log on disk: one JSON object a line, in the order of the events."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from antiphon.calls.log import CallLog, Entry
from antiphon.store.files import Feed, FileWriter
from antiphon.store.scrub import EntryScrubber

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
    """A ``Sink`` of log entries.

    Args:
        path: The file.
        scrubber: Takes personal data out of the entries.
    """

    def __init__(self, path: Path, scrubber: EntryScrubber | None = None) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        self._scrubber = scrubber

    def write(self, items: list[Entry]) -> None:
        """Add these entries."""
        bodies = [entry.to_dict() for entry in items]
        self._add(bodies if self._scrubber is None else self._scrubber.take(bodies))

    def close(self) -> None:
        """Add what was held back; nothing is open between writes."""
        if self._scrubber is not None:
            self._add(self._scrubber.finish())

    def _add(self, bodies: list[dict[str, Any]]) -> None:
        if not bodies:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [self._encoder.encode(body) for body in bodies]
        with self._path.open("ab") as file:
            file.write(b"\n".join(lines) + b"\n")


def keep_log(
    log: CallLog, folder: Path, writer: FileWriter, *, scrubs: bool = False
) -> tuple[Feed, Callable[[], None]]:
    """Write a call's log from now on.

    Args:
        log: The call's.
        folder: Where the file goes.
        writer: Writes it.
        scrubs: Take personal data out of it.

    Returns:
        The feed, to be closed when the call is over, and a function that ends the subscription.
    """
    sink = JsonLines(folder / LOG_NAME, EntryScrubber() if scrubs else None)
    feed = writer.open(sink, capacity=CAPACITY)
    return feed, log.subscribe(feed.put)
