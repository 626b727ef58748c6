"""One measurement: a fresh server on one core, the load generator on the other."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.subjects import HERE, Subject
from benchmarks.sweep import Row

_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 15.0


class MeasurementError(Exception):
    """A server did not start, or the generator failed; the message says where to look."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements of a run share.

    Attributes:
        server_core: Core of the server and all its threads.
        client_core: Core of the generator.
        duration_s: Length of the window.
        environment: Of the servers.
        log_dir: Where the servers' own output goes.
    """

    server_core: int
    client_core: int
    duration_s: float
    environment: Mapping[str, str]
    log_dir: Path


def measure(bench: Bench, subject: Subject, *, vad: str, calls: int) -> Row:
    """Start the server, make the calls, stop it.

    Raises:
        MeasurementError: There is no result.
    """
    port = _free_port()
    log = bench.log_dir / f"{subject.name}-{vad}.log"
    with _server(bench, subject, vad=vad, port=port, log=log) as server:
        row = _generate(bench, subject, port=port, calls=calls, pid=server.pid)
    cores = row["cores_percent"]
    own = {"subject": subject.name, "vad": vad}
    # What other programs took: a measurement with much of it is suspect.
    row["others_percent"] = round(max(0.0, cores[bench.server_core] - row["server_cpu_percent"]), 1)
    row["client_others_percent"] = round(max(0.0, cores[bench.client_core] - row["client_cpu_percent"]), 1)
    return own | row


@contextlib.contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Children started in here run on this core only, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _server(bench: Bench, subject: Subject, *, vad: str, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [word.format(vad=vad, port=port) for word in subject.command]
    with log.open("ab") as output:
        with _on_core(bench.server_core):
            server = subprocess.Popen(
                command, cwd=HERE.parent, env=dict(bench.environment), stdout=output, stderr=output
            )
        try:
            _wait_until_ready(subject, port=port, server=server, log=log)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _generate(bench: Bench, subject: Subject, *, port: int, calls: int, pid: int) -> Row:
    options = {
        "url": f"ws://127.0.0.1:{port}{subject.path}",
        "carrier": subject.carrier,
        "scenario": subject.scenario,
        "calls": calls,
        "duration-s": bench.duration_s,
        "pid": pid,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with _on_core(bench.client_core):
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.loadgen", *words],
            cwd=HERE.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        output, errors = client.communicate(timeout=bench.duration_s + 120)
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"The load generator did not end with {calls} calls to {subject.title}.") from None
    finally:
        client.kill()
        client.wait()
    if client.returncode:
        raise MeasurementError(f"The load generator failed with {calls} calls to {subject.title}: {errors[-1500:]}")
    row: Row = json.loads(output.splitlines()[-1])
    return row


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(subject: Subject, *, port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise MeasurementError(f"{subject.title} ended at its start with {server.returncode}: {_tail(log)}")
        if _is_ready(subject, port):
            time.sleep(0.5)  # what it still does after opening its port is not the calls' cost
            return
        time.sleep(0.1)
    raise MeasurementError(f"{subject.title} was not ready within {_START_TIMEOUT_S:.0f} s: {_tail(log)}")


def _is_ready(subject: Subject, port: int) -> bool:
    try:
        if subject.ready_path is None:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", subject.ready_path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _tail(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-1500:] or "it said nothing"
