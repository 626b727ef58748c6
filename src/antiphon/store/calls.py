"""Past calls, read from their folders: ``calls/<date>/<folder>/log.jsonl`` and the recording beside it.

The files are the truth, and there is no second copy of it: a page of calls reads the logs of that page alone, and a
bounded memory keeps what was summed up. All functions here read files, and are called in a thread.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from antiphon.store.calllog import LOG_NAME
from antiphon.store.recording import RECORDING_NAME
from antiphon.store.summary import CallSummary, Tally

MEMORY = 5_000
"""Calls whose sums are remembered."""
MAX_READ = 300
"""Logs that one page may read when few of them fit the search; the next page goes on from there."""
CHUNK = 1 << 18
TYPE_WITHIN = 64
"""A line's type is told within its first bytes: ``{"seq":1,"at":0.0018,"type":"session.started",``."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ID = re.compile(rf"({_DATE.pattern})\.([A-Za-z0-9_-]{{1,160}})")
_CURSOR = re.compile(rf"({_DATE.pattern})\.(\d{{1,20}})\.([A-Za-z0-9_-]{{1,160}})")
_MARKS = tuple(f'"type":"{name}"'.encode() for name in sorted(Tally.TYPES))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls; an empty word fits all.

    Attributes:
        q: Words that were said, or a part of the call's, agent's or carrier's name.
        agent: The agent's name.
        carrier: The carrier's name.
    """

    q: str = ""
    agent: str = ""
    carrier: str = ""

    def fits(self, summary: CallSummary, said: str) -> bool:
        """Whether a call is wanted.

        Args:
            summary: The call.
            said: What was said in it, in lower case.
        """
        if (self.agent and self.agent != summary.agent) or (self.carrier and self.carrier != summary.carrier):
            return False
        word = self.q.strip().lower()
        names = (summary.call_id, summary.agent, summary.carrier)
        return not word or word in said or any(word in name.lower() for name in names)


@dataclass(frozen=True, slots=True)
class Page:
    """Some calls, the latest first.

    Attributes:
        calls: They.
        next: Where the next page begins; None at the end.
    """

    calls: list[CallSummary]
    next: str | None


class StoredEntry(NamedTuple):
    """A line of a log: its number, and the JSON object as it was written."""

    seq: int
    json: bytes


class _Numbered(msgspec.Struct):
    seq: int
    type: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A log's place in the order of calls."""

    date: str
    mtime_ns: int
    name: str
    size: int

    @property
    def id(self) -> str:
        return f"{self.date}.{self.name}"

    @property
    def cursor(self) -> str:
        return f"{self.date}.{self.mtime_ns}.{self.name}"


@dataclass(frozen=True, slots=True)
class _Known:
    """What was summed up from a log as it was then."""

    mtime_ns: int
    size: int
    summary: CallSummary
    said: str
    models: dict[str, str]


def call_name(folder: Path) -> str:
    """The id of the call whose files are in a folder."""
    return f"{folder.parent.name}.{folder.name}"


class PastCalls:
    """The calls of a data folder. May be used by several threads.

    Args:
        data_dir: The data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._calls = data_dir / "calls"
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def page(self, limit: int, before: str | None = None, *, wanted: Wanted, without: Collection[str] = ()) -> Page:
        """The next calls, the latest day first and in it the call that ended last.

        Args:
            limit: Calls at most; there may be fewer although ``next`` is given.
            before: ``next`` of the page before.
            wanted: Which calls.
            without: Ids that are told elsewhere, those of live calls.

        Raises:
            ValueError: ``before`` is no cursor.
        """
        calls: list[CallSummary] = []
        read = 0
        last: _Found | None = None
        for found in self._in_order(before):
            if last is not None and (len(calls) >= limit or read >= MAX_READ):
                return Page(calls, last.cursor)
            last = found
            if found.id in without:
                continue
            known = self._recall(found)
            if known is None:
                read += 1
                known = self._sum_up(found)
            if known is not None and wanted.fits(known.summary, known.said):
                calls.append(known.summary)
        return Page(calls, None)

    def summary(self, call: str) -> tuple[CallSummary, dict[str, str]] | None:
        """A call and its models by role; None when there is no such call."""
        folder = self._folder(call)
        found = _look(folder.parent.name, folder) if folder is not None else None
        known = (self._recall(found) or self._sum_up(found)) if found is not None else None
        return (known.summary, known.models) if known is not None else None

    def entries(self, call: str) -> list[StoredEntry]:
        """The entries of a call's log; none when there is no such call.

        A line that is broken, or not whole yet, is left out.
        """
        folder = self._folder(call)
        if folder is None:
            return []
        try:
            with (folder / LOG_NAME).open("rb") as file:
                return [entry for line in file if (entry := _stored(line)) is not None]
        except OSError:
            return []

    def recording(self, call: str) -> Path | None:
        """The file of a call's sound; None when there is none."""
        folder = self._folder(call)
        path = folder / RECORDING_NAME if folder is not None else None
        return path if path is not None and path.is_file() else None

    def _folder(self, call: str) -> Path | None:
        """Where a call's files are. An id holds neither ``/`` nor ``..``, so this is always below the calls."""
        parts = _ID.fullmatch(call)
        return self._calls / parts[1] / parts[2] if parts is not None else None

    def _in_order(self, before: str | None) -> Iterator[_Found]:
        start = _CURSOR.fullmatch(before) if before is not None else None
        if before is not None and start is None:
            raise ValueError("This is no place in the list of calls: take `next` of the page before.")
        for date in sorted((name for name in _names(self._calls) if _DATE.fullmatch(name)), reverse=True):
            if start is not None and date > start[1]:
                continue
            day = self._calls / date
            names = (name for name in _names(day) if _ID.fullmatch(f"{date}.{name}"))
            looked = [found for name in names if (found := _look(date, day / name)) is not None]
            looked.sort(key=lambda found: (found.mtime_ns, found.name), reverse=True)
            for found in looked:
                if start is None or date < start[1] or (found.mtime_ns, found.name) < (int(start[2]), start[3]):
                    yield found

    def _recall(self, found: _Found) -> _Known | None:
        with self._lock:
            known = self._known.get(found.id)
            if known is None or (known.mtime_ns, known.size) != (found.mtime_ns, found.size):
                return None
            self._known.move_to_end(found.id)
            return known

    def _sum_up(self, found: _Found) -> _Known | None:
        folder = self._calls / found.date / found.name
        tally = Tally()
        try:
            for line in _telling_lines(folder / LOG_NAME):
                entry = _decoded(line)
                if entry is not None:
                    tally.add(entry)
        except OSError:
            return None
        if not tally.started:
            return None
        summary = tally.summary(found.id, is_live=False, has_recording=(folder / RECORDING_NAME).is_file())
        known = _Known(found.mtime_ns, found.size, summary, tally.said, tally.models)
        with self._lock:
            self._known[found.id] = known
            self._known.move_to_end(found.id)
            while len(self._known) > MEMORY:
                self._known.popitem(last=False)
        return known


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _look(date: str, folder: Path) -> _Found | None:
    try:
        status = os.stat(folder / LOG_NAME)
    except OSError:
        return None
    return _Found(date, status.st_mtime_ns, folder.name, status.st_size)


def _telling_lines(path: Path) -> Iterator[bytes]:
    """The lines that a tally needs, and the last one. Most lines are only looked at, which is much cheaper."""
    last = rest = b""
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                head = line[:TYPE_WITHIN]
                if any(mark in head for mark in _MARKS):
                    yield line
            if lines:
                last = lines[-1]
    yield from (line for line in (last, rest) if not any(mark in line[:TYPE_WITHIN] for mark in _MARKS))


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None


def _stored(line: bytes) -> StoredEntry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return StoredEntry(msgspec.json.decode(line, type=_Numbered).seq, line[:-1])
    except msgspec.MsgspecError:
        return None
