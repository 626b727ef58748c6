"""What ``antiphon top`` makes of a server's metrics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

STAGES = {
    "first_audio": "agent_first_audio",
    "turn_decision": "turn_decision",
    "stt": "stt_latency",
    "llm_ttft": "llm_ttft",
    "llm_total": "llm_duration",
    "tts_ttfb": "tts_ttfb",
    "barge_in_stop": "barge_in_stop",
}
"""Names of stages, and their histograms."""

DROPS = ("frames_dropped", "frames_malformed", "file_items_dropped", "stream_items_dropped")


class Spread(msgspec.Struct, frozen=True):
    """A distribution, in milliseconds, as exactly as the histogram's bounds allow; None without a value."""

    p50_ms: float | None
    p95_ms: float | None
    count: int


class AgentRow(msgspec.Struct, frozen=True):
    """What one agent did since the server began."""

    agent: str
    live: int
    calls: int
    turns: int
    barge_ins: int
    tool_errors: int
    first_audio: Spread


class Snapshot(msgspec.Struct, frozen=True):
    """A server at one moment.

    Attributes:
        url: Where it is.
        live, slots: Calls that go on, and how many there may be.
        draining: It takes no call any more.
        loop_lag_ms: How late the event loop is, by quantile.
        stages: Latencies by stage, of all turns since the server began.
        agents: The agents, the busiest first.
        dropped: What was lost, by kind.
        refused: Calls that were not taken, by reason.
        errors: Parts of calls that failed, by code.
        cost_usd: Of ended calls, by list prices.
        unpriced: Ended calls of which the cost is not known.
        resting: Models that cannot be had now, as ``role name``.
        pools: Of each pool of connections, how many are active, warm and dedicated.
        calls: Sums of calls, as ``/v1/calls`` has them.
    """

    url: str
    live: int
    slots: int
    draining: bool
    loop_lag_ms: dict[str, float]
    stages: dict[str, Spread]
    agents: tuple[AgentRow, ...]
    dropped: dict[str, int]
    refused: dict[str, int]
    errors: dict[str, int]
    cost_usd: float
    unpriced: int
    resting: tuple[str, ...]
    pools: dict[str, dict[str, int]]
    calls: tuple[Mapping[str, Any], ...]


class Figures:
    """The samples of a Prometheus text.

    Args:
        text: As ``/metrics`` gives it; a text of something else has no samples.
    """

    def __init__(self, text: str) -> None:
        self._samples: defaultdict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    self._samples[sample.name].append((sample.labels, sample.value))
        except ValueError:
            self._samples.clear()

    def has(self, name: str) -> bool:
        """Whether there is such a sample."""
        return name in self._samples

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all samples with these labels."""
        return sum(value for have, value in self._samples.get(f"antiphon_{name}", ()) if labels.items() <= have.items())

    def by(self, name: str, label: str) -> dict[str, int]:
        """The sums by the values of a label."""
        sums: defaultdict[str, int] = defaultdict(int)
        for labels, value in self._samples.get(f"antiphon_{name}", ()):
            sums[labels.get(label, "")] += int(value)
        return dict(sums)

    def with_labels(self, name: str) -> list[tuple[dict[str, str], float]]:
        """All samples of a name."""
        return self._samples.get(f"antiphon_{name}", [])

    def spread(self, name: str, **labels: str) -> Spread:
        """The distribution of a histogram in seconds, over all samples with these labels."""
        buckets: defaultdict[float, float] = defaultdict(float)
        for have, value in self._samples.get(f"antiphon_{name}_seconds_bucket", ()):
            if labels.items() <= have.items():
                buckets[float(have["le"])] += value
        count = int(max(buckets.values(), default=0))
        return Spread(quantile_ms(buckets, 0.5), quantile_ms(buckets, 0.95), count)


def quantile_ms(buckets: Mapping[float, float], share: float) -> float | None:
    """A quantile of cumulative buckets, with the values of a bucket spread evenly over it.

    Args:
        buckets: Counts of values up to each bound, in seconds; the last bound is infinite.
        share: Such as 0.5 for the median.

    Returns:
        Milliseconds; for what lies above all finite bounds the highest of them, None without a value.
    """
    total = max(buckets.values(), default=0.0)
    if not total:
        return None
    below, start = 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= share * total:
            if math.isinf(bound):
                return round(start * 1000, 1)
            part = (share * total - below) / (count - below)
            return round((start + (bound - start) * part) * 1000, 1)
        below, start = count, bound
    return None


def snapshot_of(url: str, figures: Figures, calls: Sequence[Mapping[str, Any]]) -> Snapshot:
    """The picture of a server."""
    names = figures.by("agent_calls_total", "agent").keys() | {str(call["agent"]) for call in calls}
    agents = [_agent(figures, name, calls) for name in sorted(names)]
    return Snapshot(
        url=url,
        live=int(figures.sum("calls_live")),
        slots=int(figures.sum("slots")),
        draining=bool(figures.sum("draining")),
        loop_lag_ms={
            name: max(0.0, round(figures.sum(f"loop_lag_{name}_ms"), 2)) for name in ("p50", "p95", "p99", "max")
        },
        stages={stage: figures.spread(name) for stage, name in STAGES.items()},
        agents=tuple(sorted(agents, key=lambda row: (-row.live, -row.turns))),
        dropped={name: int(figures.sum(f"{name}_total")) for name in DROPS},
        refused=figures.by("calls_refused_total", "reason"),
        errors=figures.by("call_errors_total", "code"),
        cost_usd=round(figures.sum("cost_usd_total"), 6),
        unpriced=int(figures.sum("calls_unpriced_total")),
        resting=tuple(
            f"{labels['role']} {labels['model']}" for labels, well in figures.with_labels("model_available") if not well
        ),
        pools=_pools(figures),
        calls=tuple(calls),
    )


def _pools(figures: Figures) -> dict[str, dict[str, int]]:
    pools: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for labels, count in figures.with_labels("pool_connections"):
        pools[labels["pool"]][labels["state"]] = int(count)
    return dict(pools)


def _agent(figures: Figures, name: str, calls: Sequence[Mapping[str, Any]]) -> AgentRow:
    return AgentRow(
        agent=name,
        live=sum(call["agent"] == name and call["state"] == "live" for call in calls),
        calls=int(figures.sum("agent_calls_total", agent=name)),
        turns=int(figures.sum("agent_turns_total", agent=name)),
        barge_ins=int(figures.sum("barge_ins_total", agent=name)),
        tool_errors=int(figures.sum("tool_calls_total", agent=name, status="error")),
        first_audio=figures.spread("agent_first_audio", agent=name),
    )
