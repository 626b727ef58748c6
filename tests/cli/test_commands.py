"""The command line: what it says and how it exits when something is wrong, and calls over a real server."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from antiphon.audio.tones import sine
from antiphon.audio.wav import read_wav, write_wav
from antiphon.cli.main import app

COMMAND = [sys.executable, "-c", "from antiphon.cli.main import app; app()"]
SCRIPTED = ["--vad", "energy", "--stt", "scripted", "--llm", "scripted", "--tts", "scripted"]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("ANTIPHON_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def assert_one_sentence(result: Result, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert re.search(words, lines[0]), lines


def test_version_and_help() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("version").output)
    help_text = run("--help").output
    for command in ("serve", "call", "demo", "replay", "models", "version"):
        assert command in help_text


def test_busy_port(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: desk\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_one_sentence(run("serve", "a.yaml", "--dev", "--port", port, *SCRIPTED), f"Port {port} .*--port")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "missing.yaml"], "missing.yaml"),
        (["serve", "notes.txt"], "no agent"),
        (["serve", "a.yaml", "--dev", "--host", "0.0.0.0"], "loopback"),
        (["serve", "a.yaml", "--host", "0.0.0.0"], "ANTIPHON_API_KEYS"),
        (["serve", "a.yaml", "--port", "0", "--vad", "silera"], "did you mean silero"),
        (["serve", "a.yaml", "--port", "0", "--vad", "energy", "--llm", "openai/x"], "OPENAI_API_KEY|key"),
        (["serve", "a.yaml", "--port", "70000"], "ANTIPHON_PORT"),
        (["serve", "--reload"], "--reload"),
        (["call", "ws://127.0.0.1:9/telephony/twilio", "--say", "a.wav"], "antiphon serve"),
        (["call", "ws://127.0.0.1:9/telephony/twilio", "--say", "missing.wav"], "missing.wav"),
        (["call", "ws://127.0.0.1:9/telephony/twilio", "--say", "notes.txt"], "notes.txt.*WAV"),
        (["call", "ws://127.0.0.1:9/telephony/twilio", "--say", "keys:12E"], "keys:12E.*cannot be pressed"),
        (["call", "http://127.0.0.1:9/", "--say", "a.wav"], "no phone socket"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistake_is_one_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "a.yaml").write_text("name: desk\n")
    (tmp_path / "notes.txt").write_text("hello")
    write_wav(tmp_path / "a.wav", sine(440, 100, rate_hz=8_000, amplitude=0.3), 8_000)
    assert_one_sentence(run(*arguments), words)


def test_misspelt_setting_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("name: desk\n")
    monkeypatch.setenv("ANTIPHON_PROT", "1")
    assert_one_sentence(run("serve", "a.yaml"), "ANTIPHON_PROT; did you mean ANTIPHON_PORT")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server in a process of its own, with a key that it made."""
    (tmp_path / "a.yaml").write_text("name: desk\ngreeting: Hello.\n")
    environment = {**os.environ, "COLUMNS": "200", "ANTIPHON_MAX_LOOP_LAG_MS": "10000"}
    command = [*COMMAND, "serve", "a.yaml", "--port", "0", *SCRIPTED]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"antiphon call (\S+) .* --key (\S+)", line)
            if found:
                break
        else:
            raise AssertionError("the server did not start")
        try:
            yield f"{found[1]} {found[2]}"
        finally:
            process.terminate()
            process.stdout.read()


def test_call_is_answered_and_timed(tmp_path: Path, address: str) -> None:
    url, key = address.split()
    silence = np.zeros(4_000, np.int16)
    line = np.concatenate([silence, sine(220, 600, rate_hz=8_000, amplitude=0.3), silence])
    write_wav(tmp_path / "a.wav", line, 8_000)
    refused = run("call", url, "--say", "a.wav")
    assert_one_sentence(refused, "--key")

    said = ["--say", "a.wav"]
    result = run("call", url, *said, "--key", key, "--json", "--out", "both.wav")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert len(told["turns"]) == 1
    for turn in told["turns"]:
        assert turn["said"] == "a.wav"
        assert turn["speech_s"] == pytest.approx(1.6)
        assert turn["voice_to_voice_ms"] > 0
        assert turn["reply_s"] > 0
    sound, rate_hz = read_wav(tmp_path / "both.wav")
    assert rate_hz == 8_000
    assert np.abs(sound[:, 0]).max() > 3_000
    assert np.abs(sound[:, 1]).max() > 3_000
    table = run("call", url, "--say", "a.wav", "--key", key).output
    assert "voice to voice" in table
    assert "ms" in table


def test_import_of_the_command_is_light() -> None:
    code = (
        "import sys, antiphon.cli.main\n"
        "heavy = {'onnxruntime', 'soxr', 'fastapi', 'xllamacpp', 'uvicorn', 'tokenizers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
