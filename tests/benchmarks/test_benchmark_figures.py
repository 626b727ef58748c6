"""The benchmark's judgement: when a server degrades, the most calls, and what the table says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import report, sweep


def row(**changes: Any) -> sweep.Row:
    """A good measurement of ten calls, with changes; ``p95`` is the overhead's."""
    p95 = changes.pop("p95", 5.0)
    good: sweep.Row = {
        "subject": "antiphon",
        "vad": "energy",
        "scenario": "talk",
        "calls": 10,
        "failed_connects": 0,
        "dropped_calls": 0,
        "no_reply": 0,
        "overhead_ms": {"p50": 2.0, "p95": p95},
        "barge_clear_ms": {"p50": 180.0, "p95": 184.0},
        "rtt_ms": {"p95": None},
        "late_20ms": 0,
        "frames_heard": 1000,
        "client_late_ms": {"p99": 1.0},
        "server_cpu_s_per_call_min": 0.2,
        "server_cpu_percent": 10.0,
        "server_mb_per_call": 0.3,
        "others_percent": 1.0,
    }
    return good | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"failed_connects": 1}, "could not connect"),
        ({"dropped_calls": 2}, "dropped"),
        ({"no_reply": 1}, "no answer"),
        ({"p95": 206.0}, "p95 206 ms"),
        ({"p95": None}, "nothing was heard"),
        ({"late_20ms": 11}, "1.1% of the frames late"),
        ({"client_late_ms": {"p99": 50.0}}, "load generator"),
    ],
)
def test_each_fault_degrades(changes: dict[str, Any], reason: str) -> None:
    assert reason in (sweep.failure(row(**changes), 5.0) or "")


def test_a_rise_of_up_to_200_ms_and_one_percent_late_frames_are_allowed() -> None:
    assert sweep.failure(row(p95=205.0, late_20ms=10), 5.0) is None


def test_an_echo_is_judged_by_its_round_trip() -> None:
    echo = row(scenario="echo", rtt_ms={"p95": 300.0}, p95=None)
    assert "p95 300 ms" in (sweep.failure(echo, 1.0) or "")


def test_one_bad_run_of_three_is_noise_and_two_are_not() -> None:
    good, bad = row(), row(no_reply=3)
    assert sweep.majority_failure([good, bad, good], 5.0) is None
    assert sweep.majority_failure([bad, good, bad], 5.0) == "3 turns had no answer"


@given(st.lists(st.integers(1, 1000), unique=True, min_size=1).map(sorted), st.integers(0, 1001))
def test_bisection_finds_what_a_scan_finds(ladder: list[int], limit: int) -> None:
    asked: list[int] = []

    def passes(calls: int) -> bool:
        asked.append(calls)
        return calls <= limit

    assert sweep.most(ladder, passes) == max((rung for rung in ladder if rung <= limit), default=None)
    assert len(asked) <= len(ladder).bit_length()


def test_capacity_is_the_last_number_before_the_first_failure() -> None:
    rows = [row(), row(calls=100, p95=20.0), row(calls=300, p95=90.0), row(calls=400, p95=900.0)]
    capacity = report.Results(rows).capacity("antiphon", "energy")
    assert capacity == report.Capacity(300, "p95 900 ms, against 5 ms with few calls")


def test_the_table_passes_what_reaches_its_target_and_fails_what_does_not() -> None:
    rows = [
        *(row(), row(calls=300), row(calls=400, no_reply=1)),
        *(row(vad="silero", server_cpu_s_per_call_min=0.5), row(vad="silero", calls=100, no_reply=1)),
    ]
    verdicts = {line[0]: line[4] for line in report.target_table(report.Results(rows))[1:]}
    assert verdicts["calls a core, energy"] == "pass"
    assert verdicts["calls a core, Silero"] == "FAIL"
    assert verdicts["overhead p50 / p95 at 10 calls, energy (ms)"] == "pass"
    assert verdicts["CPU-s per call-minute at 10 calls, Silero / energy"] == "FAIL"


def test_a_search_that_met_no_limit_gives_no_number_of_calls() -> None:
    figures = {line[0]: line[3:5] for line in report.target_table(report.Results([row(), row(calls=100)]))[1:]}
    assert figures["calls a core, energy"] == ["–", "–"]


def test_the_ratio_to_the_echo_is_of_the_same_number_of_calls() -> None:
    floor = {"subject": "floor-uvicorn", "vad": "none"}
    rows = [
        row(),
        row(vad="silero", server_cpu_s_per_call_min=0.4),
        row(**floor, server_cpu_s_per_call_min=0.1),
        row(**floor, calls=100, server_cpu_s_per_call_min=0.05),
    ]
    ratios = {line[0]: line[5] for line in report.target_table(report.Results(rows))[1:]}
    assert ratios["CPU-s per call-minute at 10 calls, Silero / energy"] == "4 / 2"


def test_nothing_measured_is_neither_passed_nor_failed() -> None:
    lines = report.target_table(report.Results([row(subject="pipecat")]))[1:]
    assert {line[4] for line in lines} == {"–"}


def test_the_file_names_machine_limit_and_noise() -> None:
    rows = [row(others_percent=30.0), row(calls=300, p95=900.0)]
    text = report.markdown(report.Results(rows), {"machine": "a small one"})
    assert "**machine**: a small one" in text
    assert "Antiphon, energy: 10 calls; then p95 900 ms" in text
    assert "1 of 2 measurements had more than 10 %" in text
