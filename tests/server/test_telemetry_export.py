"""A real server exports a call's trace over OTLP, and nothing that was planted leaves it anywhere."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("opentelemetry.proto")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from websockets.asyncio.client import ClientConnection, connect

from tests.server.harness import HEADERS, KEY, SILENCE, SPEECH, start_stream, until

EMAIL, PHONE, CARD = "ann.miller@example.com", "+1 415 555 0199", "4111 1111 1111 1111"
STREET = "12 Elm Street"
AGENT = f"""
name: desk
instructions: Answer.
greeting: "Write to {EMAIL}, call {PHONE}, pay with {CARD}, come to {STREET}."
"""


class Collector:
    """An OTLP receiver over HTTP that reads what it gets."""

    def __init__(self) -> None:
        self.address = ""
        self.spans: list[Any] = []
        self.metrics: list[str] = []
        self.raw = b""

    def take(self, path: str, body: bytes) -> None:
        self.raw += body
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            self.spans += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        else:
            told = ExportMetricsServiceRequest.FromString(body)
            self.metrics += [m.name for r in told.resource_metrics for scope in r.scope_metrics for m in scope.metrics]


@pytest.fixture
def collector() -> Iterator[Collector]:
    got = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/x-protobuf"
            got.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        got.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield got
        finally:
            server.shutdown()
            thread.join()


async def a_call(port: int) -> str:
    """Phone the server, hear its greeting, say something and hang up; gives what the server tells of its numbers."""
    url = f"ws://127.0.0.1:{port}/telephony/twilio"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS) as http:

        async def told(name: str) -> bool:
            return f"antiphon_{name}" in (await http.get("/metrics")).text

        async with connect(url, additional_headers=HEADERS, compression=None, proxy=None) as socket:
            listening = asyncio.create_task(drain(socket))
            caller = await start_stream(socket)
            for frames, until_there in (
                ([SILENCE] * 50, "tts_playout_seconds_count{"),
                ([SPEECH] * 60 + [SILENCE] * 50, "agent_turns_total{"),
            ):
                while not await told(until_there):
                    for frame in frames:
                        await socket.send(caller.media(frame))
                        await asyncio.sleep(0.02)
                    frames = [SILENCE] * 50
        await listening
        while not await told("calls_ended_total{"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return (await http.get("/metrics")).text


async def drain(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


async def test_a_trace_is_exported_and_nothing_planted_leaves_the_server(tmp_path: Path, collector: Collector) -> None:
    (tmp_path / "desk.yaml").write_text(AGENT)
    data = tmp_path / "data"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ANTIPHON_", "OTEL_"))}
    environment = plain | {
        "ANTIPHON_API_KEYS": KEY,
        "ANTIPHON_DATA_DIR": str(data),
        "ANTIPHON_OTEL_ENDPOINT": collector.address,
        "ANTIPHON_OTEL_CONTENT": "true",
        "ANTIPHON_REDACT": "store",
        "ANTIPHON_RECORD_CONSENT": "true",
        "ANTIPHON_LOG_LEVEL": "debug",
        "ANTIPHON_LOG_FORMAT": "json",
    }
    models = ["--vad", "energy", "--stt", "scripted", "--llm", "scripted", "--tts", "scripted"]
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from antiphon.cli.main import app; app()", "serve", str(tmp_path / "desk.yaml")),
        *("--port", "0", "--record", *models),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    output = b""
    async with asyncio.timeout(50):
        while not (found := re.search(rb"127\.0\.0\.1:(\d+)", output)):
            output += await server.stdout.readline()
        numbers = await a_call(int(found[1]))
        await until(lambda: any(data.glob("calls/*/*/log.jsonl")))
        server.terminate()
        rest, log = await server.communicate()

    spans = {span.span_id: span for span in collector.spans}
    by_name = {span.name: span for span in collector.spans}

    def path(span: Any) -> str:
        above = spans.get(span.parent_span_id)
        return span.name if above is None else f"{path(above)} > {span.name}"

    session = by_name["voice.session"]
    paths = {path(span) for span in collector.spans}
    turn = "voice.session > voice.turn"
    assert not session.parent_span_id
    assert {f"{turn} > stt.recognition", f"{turn} > tts.speak", f"{turn} > invoke_agent desk"} <= paths
    assert any(each.startswith(f"{turn} > invoke_agent desk > chat ") for each in paths)
    for span in collector.spans:
        assert span.trace_id == session.trace_id
        assert session.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    assert "gen_ai.client.operation.duration" in collector.metrics

    (stored,) = data.glob("calls/*/*/log.jsonl")
    assert not list(data.glob("calls/*/*/*.wav"))  # nobody agreed to be recorded
    everything = b"\n".join([collector.raw, output, rest, log, stored.read_bytes(), numbers.encode()]).decode("latin-1")
    for planted in (EMAIL, PHONE, CARD, STREET, "ann.miller", "555 0199", KEY):
        assert planted not in everything
    assert "[REDACTED_EMAIL]" in stored.read_text()
    assert b"[REDACTED_EMAIL]" in collector.raw
    assert '"call_ended"' in log.decode()
