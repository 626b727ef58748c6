"""R33: a published number comes with the machine, the date, the engines and how often it was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
FILES = sorted(FOLDER.glob("*.json"))
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_r33_a_file_of_figures_says_when_and_where_it_was_measured(path: Path) -> None:
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    facts = told.get("facts", told)
    assert re.match(r"20\d\d-\d\d-\d\d", facts["date"])
    assert "core" in json.dumps(facts["machine"])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_r33_a_page_of_figures_says_when_and_where_they_were_measured(path: Path) -> None:
    head = path.read_text(encoding="utf-8")[:1500]
    assert re.search(r"20\d\d-\d\d-\d\d", head)
    assert re.search(r"\bcores\b", head)


def test_r33_the_cost_of_spans_has_its_engines_its_number_and_its_pairs() -> None:
    told = json.loads((FOLDER / "telemetry.json").read_text(encoding="utf-8"))
    assert told["engines"]
    assert all(len(rows) == told["n"] for rows in told["rounds"].values())
    for case, rows in told["rounds"].items():
        values = sorted(row["server_cpu_s_per_call_min"] for row in rows)
        assert values[0] <= told["cpu_s_per_call_min"][case] <= values[-1]
