"""What spans cost: CPU of the server for a minute of a call, with traces exported and without, in pairs.

    python -m benchmarks.telemetry > benchmarks/telemetry.json     # some two minutes

The server counts for Prometheus in both cases, since it always does. Prints one JSON document. The two of a pair are
measured one after the other, and the next pair the other way round, so that other work of the machine, which comes and
goes, weighs on both alike: the cost is the median of what the pairs say, and all of them are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.measure import Bench, MeasurementError, measure
from benchmarks.subjects import SUBJECTS
from benchmarks.sweep import Row

TARGET_PERCENT = 10.0
_FIGURES = ("server_cpu_s_per_call_min", "server_cpu_percent", "others_percent", "steal_percent", "failed_connects")


@contextmanager
def collector() -> Iterator[tuple[str, list[int]]]:
    """A collector that takes everything: its address, and the sizes of what came."""
    sizes: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sizes.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", sizes
        finally:
            server.shutdown()


def rounds(args: argparse.Namespace) -> dict[str, Any]:
    """Measure without and with, by turns, and compare."""
    subject = next(subject for subject in SUBJECTS if subject.name == "antiphon")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ANTIPHON_", "OTEL_"))}
    rows: dict[str, list[Row]] = {"off": [], "on": []}
    with tempfile.TemporaryDirectory() as folder, collector() as (address, sizes):
        # Also on a machine with other work all calls are taken: both cases must carry the same.
        environment = plain | {"ANTIPHON_DATA_DIR": folder, "ANTIPHON_MAX_LOOP_LAG_MS": "10000"}
        cores = sorted(os.sched_getaffinity(0))
        bench = Bench(cores[-1], cores[0], args.duration_s, environment, Path(folder))
        told = replace(bench, environment=environment | {"ANTIPHON_OTEL_ENDPOINT": address})
        for number in range(args.rounds):
            pair = [("off", bench), ("on", told)]
            for case, each in pair if number % 2 == 0 else reversed(pair):
                row = measure(each, subject, vad="energy", calls=args.calls)
                if row["failed_connects"]:
                    raise MeasurementError(f"{row['failed_connects']} calls were not taken: this round tells nothing.")
                rows[case].append(row)
    cpu_s = {case: [row["server_cpu_s_per_call_min"] for row in each] for case, each in rows.items()}
    percents = [100 * (on / off - 1) for off, on in zip(cpu_s["off"], cpu_s["on"], strict=True)]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "engines": "bench stand-ins, energy detector, Twilio frames of 20 ms",
        "calls": args.calls,
        "window_s": args.duration_s,
        "n": args.rounds,
        "cpu_s_per_call_min": {case: median(values) for case, values in cpu_s.items()},
        "overhead_percent": round(median(percents), 1),
        "overhead_percent_of_pairs": [round(percent, 1) for percent in percents],
        "target_percent": TARGET_PERCENT,
        "exports": len(sizes),
        "exported_bytes": sum(sizes),
        "rounds": {case: [{name: row[name] for name in _FIGURES} for row in each] for case, each in rows.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--duration-s", type=float, default=10.0, help="length of each window")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of measurements")
    print(json.dumps(rounds(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
