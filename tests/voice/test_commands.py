from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from antiphon.audio.tones import sine
from antiphon.audio.wav import read_wav, write_wav
from antiphon.cli.main import app
from antiphon.cli.voice.scenarios import SCENARIOS
from antiphon.settings_voice import NAMES
from antiphon.voice.facts import FactsSheet
from antiphon.voice.memory import MemoryStore
from tests.server.harness import server

VOICEBOT = [sys.executable, "-c", "from antiphon.cli.voice import voice_app; voice_app()"]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = {name.removeprefix("ANTIPHON_") for name in NAMES}
    for name in os.environ:
        if name.startswith("ANTIPHON_") or name in plain:
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def assert_one_sentence(result: Result, code: int, words: str) -> None:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert words in lines[0]


def test_a_missing_key_is_wrong_usage() -> None:
    assert_one_sentence(run("run", "--provider", "openai"), 2, "set OPENAI_API_KEY")


def test_a_wrong_setting_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JITTER_MS", "soon")
    assert_one_sentence(run("run", "--text"), 2, "JITTER_MS cannot be used")


def test_a_file_of_agents_is_no_matter_of_another_provider() -> None:
    assert_one_sentence(run("run", "agent.yaml", "--provider", "openai"), 2, "leave --provider out")


def test_a_missing_recording_is_wrong_usage() -> None:
    assert_one_sentence(run("run", "--input-file", "none.wav"), 2, "There is no recording none.wav")


def test_no_microphone_is_an_audio_error() -> None:
    assert_one_sentence(run("run", "--input-device", "no such device"), 3, "microphone")


def test_nobody_listening_is_a_network_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONNECT_BASE_S", "0.01")
    monkeypatch.setenv("RECONNECT_MAX_S", "0.02")
    result = subprocess.run(
        [*VOICEBOT, "run", "ws://127.0.0.1:1/v1", "--text"], input="hi\n", capture_output=True, text=True, timeout=50
    )
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("Error: ")


def test_devices_are_listed_as_json_or_their_absence_is_told() -> None:
    result = run("devices", "list", "--json")
    if result.exit_code == 0:
        assert isinstance(json.loads(result.stdout), list)
    else:
        assert_one_sentence(result, 3, "audio")


def test_scenarios_need_the_fake_server_and_a_known_name() -> None:
    assert_one_sentence(run("test"), 2, "--fake-server")
    assert_one_sentence(run("test", "--fake-server", "--scenario", "flying"), 2, "'flying'")


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "expiry"])
def test_each_scenario_passes_over_a_real_socket(name: str) -> None:
    result = run("test", "--fake-server", "--scenario", name, "--json")
    assert result.exit_code == 0, result.output
    outcomes = json.loads(result.stdout)
    assert [(outcome["name"], outcome["passed"]) for outcome in outcomes] == [(name, True)]


def test_a_scenario_that_fails_is_told_with_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    # The recogniser's settings are not ours to break: a model that is off makes the turn's words never come.
    monkeypatch.setenv("TRANSCRIBE_MODEL", "none")
    result = run("test", "--fake-server", "--scenario", "spoken-turn")
    assert result.exit_code == 5, result.output
    assert result.stdout.startswith("FAIL spoken-turn")


def test_the_memory_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    assert_one_sentence(run("summary", "show"), 2, "--memory FILE")
    assert_one_sentence(run("summary", "show", "--memory", str(path)), 2, "There is no memory")
    sheet = FactsSheet()
    sheet.put("name", "Ada [not markup]", at=datetime(2026, 1, 5, tzinfo=UTC))
    MemoryStore(path).save("They met.", sheet)
    result = run("summary", "show", "--memory", str(path))
    assert result.exit_code == 0
    for part in ("They met.", "name", "Ada [not markup]", "2026-01-05"):
        assert part in result.stdout


async def voicebot(*arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *VOICEBOT,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(50):
        out, err = await process.communicate(stdin)
    return process.returncode or 0, out.decode(), err.decode()


async def test_written_lines_are_answered_and_the_end_of_input_is_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    async with server(tmp_path) as up:
        url = f"ws://127.0.0.1:{up.port}/v1"
        lines = b"Hello?\n\nStill there?\n"
        code, out, err = await voicebot("run", url, "--text", "--model", "desk", stdin=lines)
    assert code == 0, err
    assert out.splitlines() == ["agent: Good morning to you."] * 2


async def test_a_wrong_key_ends_with_the_network_code(tmp_path: Path) -> None:
    async with server(tmp_path) as up:
        code, out, err = await voicebot(
            "run", f"ws://127.0.0.1:{up.port}/v1", "--text", "--model", "desk", stdin=b"hi\n"
        )
    assert code == 4
    assert out == ""
    assert err.startswith("Error: ")
    assert "Traceback" not in err


async def test_a_recording_is_said_and_the_answer_written_to_a_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", sine(220, 700, rate_hz=16_000, amplitude=0.3), 16_000)
    async with server(tmp_path) as up:
        process = await asyncio.create_subprocess_exec(
            *VOICEBOT,
            "run",
            f"ws://127.0.0.1:{up.port}/v1",
            *("--model", "desk", "--input-file", "in.wav", "--output-file", "out.wav", "--verbose"),
            env={**os.environ, "OPENAI_API_KEY": "test-key"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(50):
            out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert out.decode().splitlines() == ["you: Hello there.", "agent: Good morning to you."]
    assert "OPENAI_API_KEY=set" in err.decode()
    assert "test-key" not in err.decode()
    pcm, rate_hz = read_wav(tmp_path / "out.wav")
    assert np.count_nonzero(pcm) > 0.4 * rate_hz


@pytest.mark.parametrize(
    "arguments",
    [
        ("--provider", "openai", "--base-url", "{url}/v1", "--model", "desk"),
        ("--provider", "azure", "--endpoint", "{url}", "--deployment", "desk"),
        ("--provider", "azure", "--endpoint", "{url}", "--deployment", "desk", "--api-version", "2024-10-01-preview"),
    ],
    ids=["openai", "azure", "azure-dated"],
)
async def test_a_talk_over_each_providers_address(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wav(tmp_path / "in.wav", sine(220, 700, rate_hz=16_000, amplitude=0.3), 16_000)
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, "test-key")
    monkeypatch.setenv("SUMMARY_MODEL", "none")
    async with server(tmp_path) as up:
        there = [argument.format(url=f"http://127.0.0.1:{up.port}") for argument in arguments]
        code, out, err = await voicebot("run", *there, "--input-file", "in.wav", "--output-file", "out.wav")
    assert code == 0, err
    assert out.splitlines() == ["you: Hello there.", "agent: Good morning to you."]


async def test_ctrl_c_ends_in_order(tmp_path: Path) -> None:
    async with server(tmp_path) as up:
        process = await asyncio.create_subprocess_exec(
            *VOICEBOT,
            "run",
            f"ws://127.0.0.1:{up.port}/v1",
            *("--model", "desk", "--verbose"),
            env={**os.environ, "OPENAI_API_KEY": "test-key", "AUDIO_BACKEND": "null"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(50):
            said = b""
            while b"connected to the Realtime service" not in said:
                said += await process.stderr.readline()
            process.send_signal(signal.SIGINT)
            rest = await process.stderr.read()
            await process.wait()
    assert process.returncode == 0
    assert b"conversation over" in rest
    assert b"Traceback" not in rest
