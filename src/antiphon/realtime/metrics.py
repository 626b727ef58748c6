"""The client's own numbers: plain counters, gauges and histograms, which Prometheus may read."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

COUNTERS: dict[str, tuple[str, ...]] = {
    "turns_total": ("role",),
    "responses_total": ("status", "reason"),
    "tool_calls_total": ("name", "outcome"),
    "reconnections_total": (),
    "renewals_total": (),
    "connect_failures_total": ("reason",),
    "audio_frames_dropped_total": ("direction", "reason"),
    "barge_ins_total": (),
    "underruns_total": (),
    "late_deltas_total": (),
    "summaries_total": ("outcome",),
    "tokens_total": ("direction", "modality"),
    "redactions_total": ("kind",),
    "unknown_events_total": ("type",),
    "errors_total": ("category", "code"),
}
"""Counters and their labels."""

GAUGES = ("audio_input_queue_depth", "audio_output_queue_depth_ms", "mic_level_dbfs", "connected")

HISTOGRAMS = (
    "eos_to_first_delta_ms",
    "first_delta_to_playback_ms",
    "end_to_end_ms",
    "barge_in_stop_ms",
    "tool_ms",
    "summary_ms",
    "connect_ms",
)

BUCKETS_MS = (5, 10, 20, 50, 100, 150, 200, 300, 400, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000)

MAX_LABELS = 100
"""Values of one label set that are told apart; a service that makes up names fills no memory."""

_KEPT = 1_024
_PREFIX = "antiphon_realtime_"


@dataclass(slots=True)
class Histogram:
    """How long something took, in milliseconds.

    Attributes:
        count: Values so far.
        sum_ms: Their sum.
        last_ms: The newest.
        max_ms: The largest.
        buckets: Values up to each of ``BUCKETS_MS``, not cumulative, and one more for the rest.
    """

    count: int = 0
    sum_ms: float = 0.0
    last_ms: float | None = None
    max_ms: float | None = None
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, value_ms: float) -> None:
        """Take one value."""
        self.count += 1
        self.sum_ms += value_ms
        self.last_ms = value_ms
        self.max_ms = value_ms if self.max_ms is None else max(self.max_ms, value_ms)
        self.buckets[next((n for n, bound in enumerate(BUCKETS_MS) if value_ms <= bound), -1)] += 1
        self._recent.append(value_ms)

    def quantile_ms(self, share: float) -> float | None:
        """The value that this share of the last thousand does not exceed; None: there is none yet."""
        ordered = sorted(self._recent)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    @property
    def p50_ms(self) -> float | None:
        """The median of the last thousand."""
        return self.quantile_ms(0.5)

    @property
    def p95_ms(self) -> float | None:
        """The 95th percentile of the last thousand."""
        return self.quantile_ms(0.95)


class ClientMetrics:
    """All numbers of one client; parts that stand on it (playout, summaries, redaction) count here too."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in COUNTERS}
        self._gauges: dict[str, float] = dict.fromkeys(GAUGES, 0.0)
        self._histograms = {name: Histogram() for name in HISTOGRAMS}

    def count(self, name: str, number: int = 1, /, **labels: str) -> None:
        """Add to a counter of ``COUNTERS``; all its labels are needed, and none of them is ever what a person said."""
        counts = self._counts[name]
        key = tuple(labels[label] for label in COUNTERS[name])
        if key not in counts and len(counts) >= MAX_LABELS:
            key = ("other",) * len(key)
        counts[key] += number

    def total(self, name: str, /, **labels: str) -> int:
        """A counter's value, summed over the labels that are not given."""
        names = COUNTERS[name]
        return sum(
            number
            for key, number in self._counts[name].items()
            if all(key[names.index(label)] == value for label, value in labels.items())
        )

    def set(self, name: str, value: float) -> None:
        """Set a gauge of ``GAUGES``."""
        if name not in self._gauges:
            raise KeyError(name)
        self._gauges[name] = value

    def gauge(self, name: str) -> float:
        """A gauge's value."""
        return self._gauges[name]

    def observe(self, name: str, value_ms: float) -> None:
        """Add to a histogram of ``HISTOGRAMS``."""
        self._histograms[name].add(value_ms)

    def histogram(self, name: str) -> Histogram:
        """A histogram, with last, p50, p95 and max."""
        return self._histograms[name]

    def collect(self) -> Iterator[Metric]:
        """All numbers as Prometheus families: register this object in a ``CollectorRegistry``."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, labels in COUNTERS.items():
            family = CounterMetricFamily(_PREFIX + name, name.replace("_", " "), labels=labels)
            for key, number in self._counts[name].items():
                family.add_metric(key, number)
            yield family
        for name, value in self._gauges.items():
            yield GaugeMetricFamily(_PREFIX + name, name.replace("_", " "), value=value)
        for name, histogram in self._histograms.items():
            running = 0
            buckets: list[tuple[str, float]] = []
            for bound, number in zip((*BUCKETS_MS, "+Inf"), histogram.buckets, strict=True):
                running += number
                buckets.append((str(bound), running))
            yield HistogramMetricFamily(
                _PREFIX + name, name.replace("_", " "), buckets=buckets, sum_value=histogram.sum_ms
            )
