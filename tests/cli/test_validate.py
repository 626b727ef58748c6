"""``antiphon validate``: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from antiphon.cli.main import app


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("ANTIPHON_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/desk.yaml").write_text("handoffs: [billing]\ntools: [end_call]\nmodel: openai:gpt-4o\n")
    (tmp_path / "agents/billing.yaml").write_text("prompt: You explain the bills.\n")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["validate", *arguments])


def test_a_sound_folder_is_a_table(tmp_path: Path) -> None:
    result = run("agents")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split() == ["agent", "model", "tools", "hands", "over", "to", "version"]
    assert lines[1].split()[:4] == ["billing", "as", "configured", "none"]
    assert lines[2].split()[:4] == ["desk", "openai:gpt-4o", "end_call", "billing"]
    assert lines[-1] == "2 agents, 0 errors, 0 warnings."


def test_what_is_wrong_is_told_with_file_and_line_and_the_exit_code_is_1(tmp_path: Path) -> None:
    (tmp_path / "agents/desk.yaml").write_text("tools: [end_cal]\n\ngreting: hi\n")
    result = run("agents")
    assert result.exit_code == 1
    assert "error: agents/desk.yaml:1: there is no tool 'end_cal'" in result.output
    assert "error: agents/desk.yaml:3: unknown key 'greting'; did you mean 'greeting'?" in result.output
    assert result.output.splitlines()[-1].endswith(" 2 errors, 0 warnings.")


def test_warnings_fail_only_when_they_shall(tmp_path: Path) -> None:
    (tmp_path / "agents/billing.yaml").write_text("prompt: You explain the bills of {{ clinic }}.\n")
    result = run("agents")
    assert result.exit_code == 0
    assert "warning: agents/billing.yaml:1: the template variable 'clinic' is not known here" in result.output
    assert run("agents", "--strict").exit_code == 1


def test_json_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("from antiphon import Agent\nprint('hello')\nagent = Agent('own')\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    result = run("agents", "own.py", "broken.py", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [(agent["name"], agent["path"]) for agent in document["agents"]] == [
        ("billing", "agents"),
        ("desk", "agents"),
        ("own", "own.py"),
    ]
    assert document["agents"][1] | {"version": ""} == {
        "name": "desk",
        "model": "openai:gpt-4o",
        "tools": ["end_call"],
        "handoffs": ["billing"],
        "version": "",
        "path": "agents",
    }
    assert document["findings"] == [
        {"file": "broken.py", "line": 1, "level": "error", "message": "ZeroDivisionError: division by zero"}
    ]


def test_a_path_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    result = run("nothing")
    assert result.exit_code == 1
    assert "There is no agent file or folder 'nothing'; check the path." in result.output


def test_the_schema_is_printed(tmp_path: Path) -> None:
    result = run("--schema")
    assert result.exit_code == 0
    assert "greeting" in json.loads(result.output)["properties"]


def test_a_scenario_is_shown_with_its_handoffs(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/line.yaml").write_text(
        "start_agent: desk\ngeneric_handoff: {enabled: true, allowed_targets: [billing]}\n"
        "handoffs: [{from: desk, to: billing, condition: A bill.}, {from: billing, to: desk, type: discrete}]\n"
    )
    result = run(".")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[3:] == [
        "scenario line: desk answers first",
        "  desk ──> billing  handoff_to_billing  A bill.",
        "  billing ··> desk  handoff_to_desk",
        "  any agent ──> billing  handoff_to_agent",
        "2 agents, 1 scenario, 0 errors, 0 warnings.",
    ]
    document = json.loads(run(".", "--json").stdout)
    (scenario,) = document["scenarios"]
    assert (scenario["name"], scenario["path"], scenario["start_agent"]) == ("line", ".", "desk")
    assert [edge["to"] for edge in scenario["handoffs"]] == ["billing", "desk"]


def test_what_is_wrong_in_a_scenario_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/line.yaml").write_text("\nstart_agent: dsk\n")
    result = run(".")
    assert result.exit_code == 1
    said = "error: scenarios/line.yaml:2: there is no agent 'dsk' in this scenario; did you mean 'desk'?"
    assert said in result.output.splitlines()


def test_the_schema_of_scenarios_is_printed() -> None:
    assert "start_agent" in json.loads(run("--scenario-schema").output)["properties"]


def test_without_a_path_it_says_what_to_name() -> None:
    result = run()
    assert result.exit_code == 2
    assert "Name the agents to check" in result.stderr
