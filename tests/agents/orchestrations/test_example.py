"""The example runs offline and prints what it says it does."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "agents" / "orchestrations.py"


def test_the_example_shows_all_four(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(runpy.run_path(str(EXAMPLE))["main"]())
    printed = capsys.readouterr().out
    outcomes = [line for line in printed.splitlines() if line.startswith("->")]
    assert outcomes == [
        "-> 'Open Mondays, 9 to 5.'",
        "-> 'The tooth can be saved.\\n\\nThat costs 90 euros.'",
        "-> 'Open at nine, closed on Sundays.'",
        "-> 'Ms Lind comes on Tuesday at ten.'",
    ]
    assert "   finder: Tuesday at ten is free." in printed
