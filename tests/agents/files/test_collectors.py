"""Collectors that a file names, with their options."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.agents.files.schema import agent_schema
from antiphon.tools.collect import CollectTool
from tests.agents.files.writing import errors_of, loaded, write


def test_a_collector_is_named_alone_or_with_its_options(tmp_path: Path) -> None:
    agent = loaded(
        tmp_path,
        """
        name: desk
        tools:
          - collect_email
          - end_call
          - collect_digits: {num_digits: 6, label: booking number, timeout_s: 90}
          - collect_digits: {tool_name: ask_pin, require_confirmation: false}
          - collect_name:
        """,
    )
    assert list(agent.toolset) == ["collect_email", "end_call", "collect_digits", "ask_pin", "collect_name"]
    digits, pin = agent.toolset["collect_digits"], agent.toolset["ask_pin"]
    assert isinstance(digits, CollectTool)
    assert isinstance(pin, CollectTool)
    assert (digits.form.wants, digits.timeout_s, digits.form.confirms) == ("the booking number", 90, True)
    assert digits.form.fields[0].digits == 6
    assert pin.form.confirms is False


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("collect_digits: {digits: 6}", "no option 'digits'"),
        ("collect_digits: {num_digits: 100}", "num_digits is 100"),
        ("collect_email: {timeout_s: soon}", "timeout_s is 'soon'; give a number"),
        ("collect_emial", "collect_email"),
        ("end_call: {goodbye: Bye}", "takes no options"),
        ("collect_email: [1]", "must be a mapping"),
        ("{collect_email: {}, collect_name: {}}", "one name with its options"),
    ],
)
def test_what_is_wrong_with_options_is_told_with_its_line(tmp_path: Path, entry: str, fault: str) -> None:
    [error] = errors_of(write(tmp_path, "a.yaml", f"name: desk\ntools:\n  - {entry}\n"))
    assert error.startswith("a.yaml:3:")
    assert fault in error


def test_the_same_tool_twice_is_told(tmp_path: Path) -> None:
    text = "name: desk\ntools: [collect_email, {collect_email: {timeout_s: 5}}]\n"
    [error] = errors_of(write(tmp_path, "a.yaml", text))
    assert "stands here for the second time" in error


def test_an_own_tool_of_that_name_is_used_instead(tmp_path: Path) -> None:
    write(tmp_path, "tools.py", 'def collect_email() -> str:\n    """Ask."""\n    return "none"\n')
    agent = loaded(tmp_path, "name: desk\ntools: [collect_email]\n")
    assert not isinstance(agent.toolset["collect_email"], CollectTool)


def test_an_editor_is_told_that_options_may_follow() -> None:
    tools = str(agent_schema()["properties"]["tools"])
    assert "maxProperties" in tools
