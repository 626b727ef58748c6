"""When a server degrades, and the search for the most calls that it carries."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Row = dict[str, Any]
"""One measurement: what ``loadgen`` prints, with ``subject``, ``vad`` and ``repeat``."""

RISE_MS = 200.0
"""A p95 so much above that of the smallest number of calls is degraded."""
LATE_SHARE = 0.01
"""So many frames more than 20 ms late are degraded."""
CLIENT_LATE_MS = 10.0
"""A generator that is itself so late (p99) measures itself."""


def latency_key(row: Row) -> str:
    """The figure that degradation is judged by: the echo has no turns, only round trips."""
    return "rtt_ms" if row["scenario"] == "echo" else "overhead_ms"


def failure(row: Row, base_p95_ms: float) -> str | None:
    """Why this measurement is degraded; None when it is not.

    Args:
        row: The measurement.
        base_p95_ms: The p95 of the same figure with the smallest number of calls.
    """
    for name, words in (
        ("failed_connects", "calls could not connect"),
        ("dropped_calls", "calls were dropped"),
        ("no_reply", "turns had no answer"),
    ):
        if row[name]:
            return f"{row[name]} {words}"
    p95_ms = row[latency_key(row)]["p95"]
    if p95_ms is None:
        return "nothing was heard"
    if p95_ms > base_p95_ms + RISE_MS:
        return f"p95 {p95_ms:.0f} ms, against {base_p95_ms:.0f} ms with few calls"
    late = row["late_20ms"] / max(1, row["frames_heard"])
    if late > LATE_SHARE:
        return f"{late:.1%} of the frames late"
    client_late_ms = row["client_late_ms"]["p99"]
    if client_late_ms > CLIENT_LATE_MS:
        return f"the load generator was late itself (p99 {client_late_ms:.0f} ms)"
    return None


def base_p95_ms(rows: Iterable[Row]) -> float:
    """The p95 with the smallest number of calls, median of its runs; infinite without an answer."""
    rows = list(rows)
    fewest = min(row["calls"] for row in rows)
    values = [row[latency_key(row)]["p95"] for row in rows if row["calls"] == fewest]
    return statistics.median(float("inf") if value is None else value for value in values)


def majority_failure(runs: Sequence[Row], base_ms: float) -> str | None:
    """Why most of the runs with one number of calls are degraded; None when most are not."""
    reasons = [reason for row in runs if (reason := failure(row, base_ms))]
    return reasons[-1] if 2 * len(reasons) > len(runs) else None


def most(ladder: Sequence[int], passes: Callable[[int], bool]) -> int | None:
    """The highest rung that passes, by bisection; None when even the lowest fails.

    Args:
        ladder: Rising numbers.
        passes: Asked about few of them; must be true up to some rung and false from there.
    """
    low, high = -1, len(ladder)
    while high - low > 1:
        middle = (low + high) // 2
        if passes(ladder[middle]):
            low = middle
        else:
            high = middle
    return ladder[low] if low >= 0 else None
