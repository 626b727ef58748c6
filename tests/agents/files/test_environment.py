"""Variables of the environment in agent files: only those that the operator has allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.agents.files import examine, load_yaml_agent
from tests.agents.files.writing import errors_of, write

TEXT = 'greeting: "Welcome to ${CLINIC:-the clinic}, $${CLINIC}."\nmetadata: {of: ["${CLINIC:-a}"], "${CLINIC}": 1}\n'


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANTIPHON_YAML_ENV_ALLOW", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("value", "said"), [("Riverside", "Riverside"), (None, "the clinic"), ("", "the clinic")])
def test_a_variable_is_its_value_or_the_default(tmp_path: Path, value: str | None, said: str) -> None:
    agent = load_yaml_agent(write(tmp_path, "a.yaml", TEXT), environment={"CLINIC": value})
    assert agent.greeting == f"Welcome to {said}, ${{CLINIC}}."
    assert agent.metadata["${CLINIC}"] == 1


def test_a_variable_that_is_not_set_and_has_no_default_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "\ngreeting: ${CLINIC}\n")
    assert errors_of(path, CLINIC=None) == [
        "a.yaml:2: the environment variable CLINIC is not set; set it, or write ${CLINIC:-default}."
    ]


def test_a_value_is_text_and_is_not_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", 'greeting: ${A}\nmodel: {max_tokens: "${A}"}\n')
    assert errors_of(path, A="5") == ["a.yaml:2: model.max_tokens must be a whole number from 1 to 16384."]
    path = write(tmp_path, "a.yaml", "greeting: ${A}\n")
    assert load_yaml_agent(path, environment={"A": "${B}"}).greeting == "${B}"


def test_the_operators_setting_says_what_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLINIC", "Riverside")
    monkeypatch.setenv("SECRET", "hidden")
    path = write(tmp_path, "a.yaml", "greeting: ${CLINIC:-x}\ndescription: ${SECRET:-x}\n")
    assert [finding.line for finding in examine(path).errors] == [1, 2]
    assert "add it to ANTIPHON_YAML_ENV_ALLOW" in str(examine(path).errors[0])
    monkeypatch.setenv("ANTIPHON_YAML_ENV_ALLOW", "CLINIC, OTHER")
    (error,) = examine(path).errors
    assert error.line == 2
    assert "hidden" not in str(error)
    monkeypatch.setenv("ANTIPHON_YAML_ENV_ALLOW", "CLINIC,SECRET")
    assert load_yaml_agent(path).greeting == "Riverside"


def test_the_env_file_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, ".env", "ANTIPHON_YAML_ENV_ALLOW=CLINIC_OF_FILE\nCLINIC_OF_FILE=Hillside\n")
    assert load_yaml_agent(write(tmp_path, "a.yaml", "greeting: ${CLINIC_OF_FILE}\n")).greeting == "Hillside"


def test_a_file_without_variables_asks_for_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_NO_SUCH_SETTING", "1")
    assert load_yaml_agent(write(tmp_path, "a.yaml", "greeting: Hello.\n")).greeting == "Hello."
