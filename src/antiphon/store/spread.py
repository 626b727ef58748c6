"""How values are spread: by nearest rank, of any number of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WARNING_MS = 500.0
ERROR_MS = 1000.0

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Durations of one kind; all but ``count`` are None where there is none.

    Attributes:
        count: How many.
        severity: By the average: ``warning`` from 500 ms on, ``error`` from 1000 ms on.
        relative_pct: The average in percent of that of the headline, the voice-to-voice latency.
    """

    count: int
    avg_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    relative_pct: float | None = None
    severity: Severity | None = None


def spread_of(values_ms: Sequence[float], *, headline_ms: float | None = None) -> Spread:
    """The spread of some durations.

    Args:
        values_ms: They, in any order.
        headline_ms: The average of the headline.
    """
    if not values_ms:
        return Spread(0)
    ordered = sorted(values_ms)
    average = sum(ordered) / len(ordered)
    return Spread(
        len(ordered),
        avg_ms=round(average, 1),
        min_ms=ordered[0],
        max_ms=ordered[-1],
        p50_ms=nearest_rank(ordered, 0.5),
        p95_ms=nearest_rank(ordered, 0.95),
        p99_ms=nearest_rank(ordered, 0.99),
        relative_pct=round(100 * average / headline_ms, 1) if headline_ms else None,
        severity=severity_of(average),
    )


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed.

    Args:
        ordered: The values, ascending; not empty.
        share: Above 0 and at most 1.
    """
    # Rounded first: a share such as 0.95 is a little more or less than it says.
    return ordered[max(1, math.ceil(round(share * len(ordered), 9))) - 1]


def severity_of(average_ms: float) -> Severity:
    """What an average says."""
    return "error" if average_ms >= ERROR_MS else "warning" if average_ms >= WARNING_MS else "ok"
