from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from antiphon.cli.main import app
from antiphon.models.weights.manifest import WEIGHTS, default_names
from antiphon.models.weights.store import WeightStore
from antiphon.settings import load_settings

SMALL = "moonshine-tokenizer"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command with an empty data folder."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments], env={"ANTIPHON_DATA_DIR": str(tmp_path / "data"), **env})

    return run_command


def test_list_shows_every_weight_with_its_state(run) -> None:
    shown = json.loads(run("list", "--json").stdout)
    assert [row["name"] for row in shown] == list(WEIGHTS)
    assert {row["state"] for row in shown} == {"missing"}
    text = run("list").stdout
    assert all(name in text for name in WEIGHTS)


def test_verify_says_what_is_missing_and_what_to_do(run) -> None:
    result = run("verify")
    assert result.exit_code == 2
    assert "missing" in result.stdout
    assert f"Run `antiphon models pull {' '.join(default_names())}`" in result.stderr


@pytest.mark.parametrize("command", ["pull", "verify"])
def test_an_unknown_name_is_one_sentence_and_exit_code_2(run, command: str) -> None:
    result = run(command, "nothing")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: There is no weight named 'nothing': use one of silero-vad")
    assert "Traceback" not in result.output


def test_a_pull_that_finds_no_source_is_exit_code_2(run, tmp_path: Path) -> None:
    result = run("pull", SMALL, "--offline", ANTIPHON_MODEL_MIRROR=str(tmp_path))
    assert result.exit_code == 2
    assert "has neither tokenizer.json nor a file named by its hash" in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


@pytest.mark.models
def test_pull_fills_the_cache_from_a_mirror_and_mends_it(run, tmp_path: Path) -> None:
    here = WeightStore(load_settings(env_file=None).data_dir)
    if not here.has(SMALL):
        pytest.skip(f"weights are missing: run `antiphon models pull {SMALL}`")
    mirror = {"ANTIPHON_MODEL_MIRROR": str(here.path(SMALL).parent)}
    result = run("pull", SMALL, "--offline", **mirror)
    assert (result.exit_code, result.stdout) == (0, f"Here and whole, 2 MB: {SMALL}.\n")
    assert "fetched from the mirror" in result.stderr

    file = tmp_path / "data" / "models" / WEIGHTS[SMALL].sha256
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert json.loads(run("verify", SMALL, "--json").stdout)[0]["state"] == "damaged"
    assert json.loads(run("pull", SMALL, "--offline", "--json", **mirror).stdout)[0]["path"] == str(file)
    assert run("verify", SMALL).exit_code == 0
