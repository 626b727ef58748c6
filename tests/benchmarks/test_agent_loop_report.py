"""The judgement over the agent loop's figures: best of the rounds, targets, what the tables and the file say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import agent_loop_report as report
from benchmarks.agent_subjects import script
from benchmarks.agent_subjects.worker import kept

TOOL = report.Figure("tool_over_us", "tool turn over the client (µs)", 60)
GARBAGE = report.Figure("garbage", "cyclic garbage", 0)
KEPT = report.Figure("kept_closed", "kept", "user + the heard words")


def good() -> dict[str, list[report.Value]]:
    """What reaches every target."""
    return {figure.key: [figure.target if figure.target is not None else 1.0] for figure in report.FIGURES}


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_best_round_counts(values: list[float]) -> None:
    assert report.best([*values, None]) == min(values)


def test_words_that_differ_are_all_told_and_never_is_none() -> None:
    assert report.best(["user", "nothing", "user"]) == "nothing / user"
    assert report.best([None, None]) is None


@pytest.mark.parametrize(
    ("value", "verdict"), [(60.0, "met"), (60.1, "within 25 %"), (75.0, "within 25 %"), (75.1, "MISSED")]
)
def test_a_target_may_be_missed_by_a_quarter(value: float, verdict: str) -> None:
    assert report.verdict(TOOL, [value, 500.0]) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.0, "met"), (0.05, "MISSED")])
def test_a_quarter_of_no_garbage_is_none(value: float, verdict: str) -> None:
    assert report.verdict(GARBAGE, [value]) == verdict


def test_words_must_be_the_right_ones_in_every_round() -> None:
    assert report.verdict(KEPT, ["user + the heard words"] * 2) == "met"
    assert report.verdict(KEPT, ["user + the heard words", "user"]) == "MISSED"


def test_never_misses_a_target_and_nothing_measured_is_not_judged() -> None:
    figure = report.Figure("break_ms", "closed after break", 50)
    assert report.verdict(figure, [None]) == "MISSED"
    assert report.verdict(figure, []) == "–"
    assert report.verdict(report.Figure("text_over_us", "informs"), [1.0]) == "–"


def test_a_check_of_what_reaches_all_targets_finds_nothing() -> None:
    assert report.missed({"antiphon": good()}) == []


def test_a_check_names_what_is_missed_and_what_was_not_measured() -> None:
    ours = good() | {"http_cpu_ms": [5.1, 6.0], "garbage": []}
    assert report.missed({"antiphon": ours, "bare": {"text_us": [1e9]}}) == [
        "HTTP: CPU per turn (ms): 5.1, the target is 4.",
        "cyclic garbage per streamed turn (objects): not measured.",
    ]


def test_the_table_says_who_is_not_installed() -> None:
    lines = report.table(
        {"antiphon": {"text_us": [61.0]}, "bare": {"text_us": [0.93]}}, {"pydantic_ai": "not installed"}
    )
    assert lines[0] == ["", "target", "Antiphon", "", "Pydantic AI", "bare loop"]
    assert lines[1] == ["text turn (µs)", "≤ 60", "61", "within 25 %", "not installed", "0.93"]
    assert lines[3] == ["tool turn (µs)", "≤ 150", "–", "–", "not installed", "–"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "never"), (0.0, "0"), (-2e-7, "0"), (1.234, "1.2"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_figures_are_shown_as_exact_as_they_are(value: report.Value, text: str) -> None:
    assert report.shown(value) == text


def test_the_file_holds_facts_table_and_notes() -> None:
    lines = report.table({"antiphon": good()}, {})
    text = report.markdown(lines, {"machine": "a small one"}, ["tool turn: 90, the target is 60."])
    assert "- **machine**: a small one" in text
    assert "| tool turn (µs) | ≤ 150 | 150 | met |" in text
    assert "- tool turn: 90, the target is 60." in text


def test_the_document_keeps_every_round_and_the_verdicts() -> None:
    document = report.document({"antiphon": {"tool_us": [160.12345, 150.0], "break_ms": [None]}}, {}, {})
    assert document["rounds"] == {"antiphon": {"tool_us": [160.123, 150.0], "break_ms": [None]}}
    assert document["targets"]["tool_us"] == {"target": 150, "verdict": "met"}
    assert document["targets"]["break_ms"] == {"target": 50, "verdict": "MISSED"}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "nothing"),
        ([("user", script.HELLO)], "user"),
        ([("user", script.HELLO), ("assistant", "".join(script.WORDS[: script.HEARD]))], "user + the heard words"),
        ([("user", script.HELLO), ("assistant", script.ANSWER)], "user + 50 words"),
    ],
)
def test_what_a_cut_conversation_keeps_is_told_in_words(entries: list[tuple[str, str]], words: str) -> None:
    assert kept(entries) == words
