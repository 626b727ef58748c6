"""Facts between runs: one small SQLite file, written as a whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from antiphon.errors import ConfigurationError
from antiphon.voice.facts import Fact, FactsSheet

BUSY_S = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL, source_item_id TEXT, pinned INTEGER NOT NULL,
    place INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS synopsis (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL);
"""


class MemoryStore:
    """Keeps the facts sheet and the synopsis. Its methods wait for the disk: call them in a thread.

    Args:
        path: The file; made when something is saved.
        redact: Takes personal data out of what is saved.
    """

    def __init__(self, path: Path, *, redact: Callable[[str], str] = lambda text: text) -> None:
        self._path = path
        self._redact = redact

    def load(self) -> tuple[str, FactsSheet]:
        """The synopsis of the last conversation, and the facts; empty where nothing was saved.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        if not self._path.exists():
            return "", FactsSheet()
        with self._open() as database:
            found = database.execute("SELECT text FROM synopsis").fetchone()
            columns = "key, value, updated_at, source_item_id, pinned"
            rows = database.execute(f"SELECT {columns} FROM facts ORDER BY place").fetchall()
        facts = {
            key: Fact(value, datetime.fromisoformat(at), source, bool(pinned))
            for key, value, at, source, pinned in rows
        }
        return found[0] if found else "", FactsSheet(facts)

    def save(self, synopsis: str, sheet: FactsSheet) -> None:
        """Replace all that is saved.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        rows = [
            (
                self._redact(key),
                self._redact(fact.value),
                fact.updated_at.isoformat(),
                fact.source_item_id,
                fact.pinned,
                place,
            )
            for place, (key, fact) in enumerate(sheet.facts.items())
        ]
        with self._open() as database, database:
            database.execute("DELETE FROM facts")
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.execute("INSERT OR REPLACE INTO synopsis VALUES (1, ?)", (self._redact(synopsis),))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=BUSY_S)) as database:
                database.executescript(_TABLES)
                yield database
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"The memory {self._path} cannot be used ({error}): set MEMORY_PATH to a file of this program."
            ) from None
