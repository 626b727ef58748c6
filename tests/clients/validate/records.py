"""Recorded events, for the validators; the standard library alone."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

SHOWN = 5
OLDER_DIALECT = frozenset({"azure"})
"""Scenarios whose events have names that no type of today has."""


def server_events(paths: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every event that a server has sent, with the name of the record and the scenario."""
    for path in paths:
        with Path(path).open(encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if entry["from"] == "server" and entry["scenario"] not in OLDER_DIALECT:
                    yield f"{Path(path).stem.partition('.')[0]} {entry['scenario']}", entry["event"]


def main(name: str, check: Callable[[dict[str, Any]], str], *, but: Collection[str] = ()) -> None:
    """Check all events of the records that the command line names, and end with one verdict.

    Args:
        name: Of the verdict.
        check: What is wrong with an event, or nothing.
        but: Scenarios that are left out.
    """
    seen: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for where, event in server_events(sys.argv[1:]):
        if where.rpartition(" ")[2] in but:
            continue
        seen[event["type"]] += 1
        fault = check(event)
        if fault:
            faults[f"{event['type']}: {fault}"] += 1
            if faults.total() <= 200:
                print(where, json.dumps(event)[:2000], fault, file=sys.stderr)
    for fault, count in faults.most_common(SHOWN):
        print(f"FAIL {name:10} {count} x {fault}".replace("\n", " "))
    if not seen:
        print(f"FAIL {name:10} there is no recorded event")
    elif not faults:
        print(f"PASS {name:10} {seen.total()} events of {len(seen)} types")
    sys.exit(1 if faults or not seen else 0)
