"""The table of targets, and the file RESULTS.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks import sweep
from benchmarks.subjects import SUBJECTS
from benchmarks.sweep import Row

_FLOOR = "floor-uvicorn"
_NOISY_PERCENT = 10.0
_TITLES = {subject.name: subject.title for subject in SUBJECTS}
_LAST_RUNGS = {subject.name: max(subject.ladder, default=0) for subject in SUBJECTS}
_COMPARED = ("antiphon", "pipecat", "livekit")


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most calls that a server carries.

    Attributes:
        calls: The highest number that passed; 0 when none did.
        reason: Why the next number tried did not; None when none failed, so that the limit is beyond.
    """

    calls: int
    reason: str | None


class Results:
    """Rows of a run, asked by subject, detector and number of calls."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)

    def of(self, subject: str, vad: str, calls: int | None = None) -> list[Row]:
        """The runs of one kind."""
        wanted = (subject, vad)
        kind = [row for row in self.rows if (row["subject"], row["vad"]) == wanted]
        return kind if calls is None else [row for row in kind if row["calls"] == calls]

    def median(self, subject: str, vad: str, *, calls: int, key: str) -> float | None:
        """Median over the runs of a value such as ``overhead_ms.p50``; None where it was not measured."""
        values: list[float] = []
        for row in self.of(subject, vad, calls):
            value: Any = row
            for part in key.split("."):
                value = value[part]
            if isinstance(value, int | float):
                values.append(value)
        return statistics.median(values) if values else None

    def capacity(self, subject: str, vad: str) -> Capacity | None:
        """The most calls; None where it was not measured."""
        rows = self.of(subject, vad)
        if not rows:
            return None
        base_ms = sweep.base_p95_ms(rows)
        tried = sorted({row["calls"] for row in rows})
        passed = 0
        for calls in tried:
            reason = sweep.majority_failure(self.of(subject, vad, calls), base_ms)
            if reason:
                return Capacity(passed, reason)
            passed = calls
        return Capacity(passed, None)


Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    Attributes:
        label: What it is.
        target: What must be reached, one for each value; empty for a line that only informs.
        aim: What is hoped for, in words.
        read: Gives the values of a subject.
        more_is_better: Whether the target is a lower bound.
        of_floor: Whether the ratio to the bare echo means something.
    """

    label: str
    target: tuple[float, ...]
    aim: str
    read: Callable[[Results, str], Values]
    more_is_better: bool = False
    of_floor: bool = False


def _calls_a_core(vad: str) -> Callable[[Results, str], Values]:
    def read(results: Results, subject: str) -> Values:
        capacity = results.capacity(subject, vad)
        if capacity is None or (capacity.reason is None and capacity.calls < _LAST_RUNGS.get(subject, 0)):
            return (None,)  # it would have carried more than was tried
        return (float(capacity.calls),)

    return read


def _medians(calls: int, *keys: tuple[str, str]) -> Callable[[Results, str], Values]:
    def read(results: Results, subject: str) -> Values:
        return tuple(results.median(subject, vad, calls=calls, key=key) for vad, key in keys)

    return read


def _mb_a_call(results: Results, subject: str) -> Values:
    """With 100 calls, or as many as the server carries: with few, what is loaded once would count most."""
    base_ms = sweep.base_p95_ms(rows) if (rows := results.of(subject, "silero")) else 0.0
    fitting = [
        calls
        for calls in {row["calls"] for row in rows if row["calls"] <= 100}
        if not sweep.majority_failure(results.of(subject, "silero", calls), base_ms)
    ]
    return (results.median(subject, "silero", calls=max(fitting, default=0), key="server_mb_per_call"),)


_CPU = "server_cpu_s_per_call_min"
FIGURES = (
    Figure("calls a core, Silero", (150,), "300", _calls_a_core("silero"), more_is_better=True),
    Figure("calls a core, energy", (250,), "600", _calls_a_core("energy"), more_is_better=True),
    Figure(
        "overhead p50 / p95 at 10 calls, energy (ms)",
        (3, 8),
        "",
        _medians(10, ("energy", "overhead_ms.p50"), ("energy", "overhead_ms.p95")),
    ),
    Figure(
        "overhead p50 / p95 at 100 calls, Silero (ms)",
        (35, 75),
        "",
        _medians(100, ("silero", "overhead_ms.p50"), ("silero", "overhead_ms.p95")),
    ),
    Figure(
        "CPU-s per call-minute at 10 calls, Silero / energy",
        (0.4, 0.28),
        "0.25 / 0.14",
        _medians(10, ("silero", _CPU), ("energy", _CPU)),
        of_floor=True,
    ),
    Figure(
        "CPU-s per call-minute at 100 calls, Silero / energy",
        (),
        "",
        _medians(100, ("silero", _CPU), ("energy", _CPU)),
        of_floor=True,
    ),
    Figure("MB per call, Silero", (0.5,), "", _mb_a_call),
    Figure(
        "barge-in to clear p50, energy (ms)",
        (185,),
        "",
        _medians(10, ("energy", "barge_clear_ms.p50")),
    ),
)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _joined(values: Iterable[float | None]) -> str:
    return " / ".join(map(_number, values)) or "–"


def verdict(figure: Figure, values: Values) -> str:
    """``pass``, ``FAIL``, or a dash where there is no target or no value."""
    if not figure.target or None in values:
        return "–"
    pairs = [(value, bound) for value, bound in zip(values, figure.target, strict=True) if value is not None]
    good = all(value >= bound if figure.more_is_better else value <= bound for value, bound in pairs)
    return "pass" if good else "FAIL"


def _ratio(results: Results, figure: Figure, values: Values) -> str:
    calls = 100 if "100 calls" in figure.label else 10
    floor = results.median(_FLOOR, "none", calls=calls, key=_CPU)
    if not figure.of_floor or not floor or None in values:
        return "–"
    return _joined(round(value / floor, 1) for value in values if value is not None)


def target_table(results: Results) -> list[list[str]]:
    """The lines of the table, the first one its head."""
    lines = [["", "target", "aim", "Antiphon", "", "of the echo's", *(_TITLES[name] for name in _COMPARED[1:])]]
    for figure in FIGURES:
        values = figure.read(results, "antiphon")
        bound = "≥ " if figure.more_is_better else "≤ "
        target = bound + _joined(figure.target) if figure.target else "–"
        peers = [_joined(figure.read(results, peer)) for peer in _COMPARED[1:]]
        ratio = _ratio(results, figure, values)
        lines.append([figure.label, target, figure.aim or "–", _joined(values), verdict(figure, values), ratio, *peers])
    return lines


def limits(results: Results) -> list[str]:
    """A sentence for each server: how many calls, and what ended it."""
    sentences = []
    for subject, vad in dict.fromkeys((row["subject"], row["vad"]) for row in results.rows):
        capacity = results.capacity(subject, vad)
        if capacity is None or subject.startswith("floor"):
            continue
        end = f"then {capacity.reason}" if capacity.reason else "no more were tried"
        sentences.append(f"{_TITLES[subject]}, {vad}: {capacity.calls} calls; {end}.")
    return sentences


_DETAILS = (
    ("over p50", "overhead_ms.p50"),
    ("over p95", "overhead_ms.p95"),
    ("clear p50", "barge_clear_ms.p50"),
    ("clear p95", "barge_clear_ms.p95"),
    ("rtt p95", "rtt_ms.p95"),
    ("late > 20 ms", "late_20ms"),
    ("frames", "frames_heard"),
    ("no reply", "no_reply"),
    ("CPU-s / call-min", _CPU),
    ("CPU %", "server_cpu_percent"),
    ("MB / call", "server_mb_per_call"),
    ("client late p99", "client_late_ms.p99"),
    ("others %", "others_percent"),
)


def detail_table(results: Results) -> list[list[str]]:
    """All that was measured, medians of the runs with each number of calls; the first line is the head."""
    lines = [["", "VAD", "calls", "runs", *(title for title, _ in _DETAILS)]]
    order = {subject.name: place for place, subject in enumerate(SUBJECTS)}
    kinds = {(row["subject"], row["vad"], row["calls"]) for row in results.rows}
    for subject, vad, calls in sorted(kinds, key=lambda kind: (order[kind[0]], kind[1], kind[2])):
        values = [_number(results.median(subject, vad, calls=calls, key=key)) for _, key in _DETAILS]
        lines.append([_TITLES[subject], vad, str(calls), str(len(results.of(subject, vad, calls))), *values])
    return lines


def noise(results: Results) -> str:
    """What other programs took of the server's core."""
    shares = [row["others_percent"] for row in results.rows]
    noisy = sum(share > _NOISY_PERCENT for share in shares)
    return (
        f"Other programs took {statistics.median(shares):.0f} % of the server's core in the median measurement, "
        f"{max(shares):.0f} % at most; {noisy} of {len(shares)} measurements had more than {_NOISY_PERCENT:.0f} %."
    )


def _markdown_table(lines: list[list[str]]) -> str:
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])


def markdown(results: Results, facts: dict[str, str]) -> str:
    """The whole of RESULTS.md.

    Args:
        results: What was measured.
        facts: Machine, date, command and versions.
    """
    parts = [
        "# Results",
        "Written by `make bench`; see `README.md` beside this file for what the words mean.",
        "\n".join(f"- **{name}**: {value}" for name, value in facts.items()),
        "## Targets",
        _markdown_table(target_table(results)),
        "Medians of the runs. *Of the echo's*: the CPU time as a multiple of what a bare echo on uvicorn takes with the"
        " same number of calls.",
        "## Where each one ended",
        "\n".join(f"- {sentence}" for sentence in limits(results)),
        "## All measurements",
        _markdown_table(detail_table(results)),
        noise(results),
    ]
    return "\n\n".join(parts) + "\n"
