"""What the settings make of OpenTelemetry: nothing at all, or spans and metrics at a collector."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.settings import load_settings
from antiphon.telemetry import setup_tracing


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("ANTIPHON_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_nothing_is_traced_unless_somebody_asks() -> None:
    settings = load_settings()
    assert (settings.otel_enabled, settings.otel_content) == (False, False)
    assert setup_tracing(settings) is False


def test_the_address_of_a_collector_is_asking_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://10.0.0.5:4318/")
    assert load_settings().otel_enabled is True
    assert load_settings().otel_endpoint == "http://10.0.0.5:4318"
    monkeypatch.setenv("ANTIPHON_OTEL_ENABLED", "false")
    assert load_settings().otel_enabled is False


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ANTIPHON_OTEL_CONTENT", "true", True),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true", True),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY", True),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY", False),
    ],
)
def test_texts_are_told_when_either_variable_says_so(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: bool
) -> None:
    monkeypatch.setenv(name, value)
    assert load_settings().otel_content is wanted


def test_a_wrong_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    with pytest.raises(ConfigurationError, match="ANTIPHON_OTEL_ENDPOINT cannot be used: must begin with http"):
        load_settings()


@pytest.fixture
def collector() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A collector on loopback: its address, and what came to each path."""
    got: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got[self.path] = got.get(self.path, b"") + self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


_PROGRAM = """
import asyncio
from antiphon import Agent
from antiphon.agents.observability import enable_instrumentation
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.settings import load_settings
from antiphon.telemetry import setup_tracing

assert setup_tracing(load_settings())
enable_instrumentation()
asyncio.run(Agent("desk", model=ScriptedChatClient(["Hello."])).run("Hi."))
"""


def test_spans_and_metrics_reach_a_collector(collector: tuple[str, dict[str, bytes]]) -> None:
    address, got = collector
    program = [sys.executable, "-W", "error", "-c", _PROGRAM]
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": address}
    done = subprocess.run(program, capture_output=True, text=True, timeout=50, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    traces, metrics = got["/v1/traces"], got["/v1/metrics"]
    assert b"invoke_agent desk" in traces
    assert b"Hello." not in traces
    assert b"gen_ai.client.operation.duration" in metrics
    for body in (traces, metrics):
        assert b"antiphon" in body


_WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from antiphon.agents.observability import enable_instrumentation
from antiphon.errors import IntegrationInitializationError
from antiphon.settings import load_settings
from antiphon.telemetry import setup_tracing

for needs in (enable_instrumentation, lambda: setup_tracing(load_settings(otel_enabled=True))):
    try:
        needs()
    except IntegrationInitializationError as error:
        assert 'pip install "antiphon[otel]"' in str(error)
    else:
        raise AssertionError(needs)
"""


def test_a_missing_package_is_named_with_its_extra() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
