"""Measure Antiphon, the bare echo and, where they are installed, its peers: ``make bench``.

First the fixed points, in rounds, so that a noisy minute does not fall on one server alone; then, for each server and
detector, a bisection for the most calls that one core carries. Each measurement has a fresh server on one core and the
load generator on the other, and is at once a line of ``results/``. At the end the table of targets is printed, and a
run of everything writes RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from benchmarks import machine, report, sweep
from benchmarks.measure import Bench, MeasurementError, measure
from benchmarks.subjects import HERE, SUBJECTS, Subject
from benchmarks.sweep import Row

_RESULTS = HERE / "results"
_SCREEN = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


class Run:
    """A run of the benchmark: what it measured so far, in memory and on disk."""

    def __init__(self, bench: Bench, *, repeats: int, path: Path) -> None:
        self._bench = bench
        self._repeats = repeats
        self._path = path
        self.results = report.Results([])

    def take(self, subject: Subject, vad: str, calls: int) -> Row | None:
        """Measure once; None, with a sentence, when it could not be."""
        repeat = len(self.results.of(subject.name, vad, calls))
        try:
            row = measure(self._bench, subject, vad=vad, calls=calls) | {"repeat": repeat}
        except MeasurementError as error:
            _SCREEN.print(f"[red]{subject.title}, {vad}, {calls} calls:[/red] {error}", soft_wrap=True)
            return None
        self.results.rows.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
        reason = self._failure(subject, vad, [row])
        latency = row[sweep.latency_key(row)]
        end = f"  [yellow]{reason}[/yellow]" if reason else ""
        _SCREEN.print(
            f"{subject.title:<16} {vad:<7} {calls:>4} calls  p50 {latency['p50']} p95 {latency['p95']} ms  "
            f"{row['server_cpu_s_per_call_min']:.3f} CPU-s/call-min  {row['server_cpu_percent']:.0f} % of the core, "
            f"others {row['others_percent']:.0f} %{end}",
            soft_wrap=True,
        )
        return row

    def _failure(self, subject: Subject, vad: str, runs: list[Row]) -> str | None:
        return sweep.majority_failure(runs, sweep.base_p95_ms(self.results.of(subject.name, vad)))

    def carries(self, subject: Subject, vad: str, calls: int, *, runs: int) -> bool:
        """Whether the server carries so many calls, by the majority of ``runs`` measurements."""
        while len(rows := self.results.of(subject.name, vad, calls)) < runs:
            if self.take(subject, vad, calls) is None:
                return False
        return self._failure(subject, vad, rows) is None

    def points(self, subjects: list[Subject], vads: list[str]) -> None:
        """The fixed points, in rounds."""
        for number in range(self._repeats):
            for subject in subjects:
                # The echo's cost hardly varies: one round is enough for it.
                if number and subject.scenario == "echo":
                    continue
                for vad in _vads(subject, vads):
                    for calls in subject.points:
                        self.take(subject, vad, calls)

    def search(self, subject: Subject, vad: str) -> None:
        """The most calls: bisection with single runs, then the rest of the runs at the rung that it found."""
        if not self.results.of(subject.name, vad):
            return
        best = sweep.most(subject.ladder, lambda calls: self.carries(subject, vad, calls, runs=1))
        while best is not None and not self.carries(subject, vad, best, runs=self._repeats):
            best = max((rung for rung in subject.ladder if rung < best), default=None)

    def rise(self, subject: Subject, vad: str, steps: list[int]) -> None:
        """Given numbers of calls, rising, until the server degrades."""
        for calls in steps:
            if not self.carries(subject, vad, calls, runs=self._repeats):
                return


def _vads(subject: Subject, wanted: list[str]) -> list[str]:
    return [vad for vad in subject.vads if vad in wanted or vad == "none"]


@contextlib.contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """Antiphon's call logs go to a temporary folder, and its own brake on a late loop must not end the measurement."""
    from antiphon.settings import load_settings

    models = load_settings().data_dir / "models"
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder:
        if models.is_dir():
            Path(folder, "models").symlink_to(models)
        yield os.environ | {
            "ANTIPHON_DATA_DIR": folder,
            "ANTIPHON_MAX_LOOP_LAG_MS": "60000",
            "ANTIPHON_LOG_LEVEL": "warning",
            "PYTHONWARNINGS": "ignore",
        }


def _allow_many_sockets() -> None:
    """Each call is a socket on either side, and the usual limit is 1024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else 65_536, hard))


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").partition(":")[0] + ".")

    def names(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return sorted(int(word) for word in text.split(","))

    parser.add_argument("--quick", action="store_true", help="one run of each measurement in place of three")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--duration", type=float, default=12.0, help="seconds measured each time")
    parser.add_argument("--only", type=names, default=[], help="antiphon, floor, pipecat, livekit; with commas")
    parser.add_argument("--vad", type=names, default=["energy", "silero"], help="energy, silero; with commas")
    parser.add_argument("--calls", type=numbers, default=[], help="these numbers of calls, in place of the search")
    parser.add_argument(
        "--join",
        type=Path,
        action="append",
        default=[],
        help="a file of results/ of this machine: its measurements count too and are not made again",
    )
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    return parser.parse_args(argv)


def _choose(only: list[str]) -> list[Subject]:
    chosen = []
    for subject in SUBJECTS:
        if only and subject.name.partition("-")[0] not in only:
            continue
        if sentence := subject.missing():
            _SCREEN.print(sentence)
        else:
            chosen.append(subject)
    return chosen


def _measure_all(run: Run, args: argparse.Namespace) -> None:
    subjects = _choose(args.only)
    if not args.calls:
        run.points(subjects, args.vad)
    for subject in subjects:
        for vad in _vads(subject, args.vad):
            if args.calls:
                run.rise(subject, vad, args.calls)
            elif subject.ladder:
                run.search(subject, vad)


def _print(results: report.Results) -> None:
    head, *lines = report.target_table(results)
    table = Table(*(Column(title, no_wrap=not place) for place, title in enumerate(head)), title="medians of the runs")
    for line in lines:
        colour = {"pass": "green", "FAIL": "red"}.get(line[4], "")
        table.add_row(*line, style=colour)
    _SCREEN.print(table)
    for sentence in [*report.limits(results), report.noise(results)]:
        _SCREEN.print(sentence, soft_wrap=True)


def main(argv: list[str]) -> int:
    """Measure, print, and write RESULTS.md when all was measured; gives the exit code."""
    args = _parse(argv)
    if (os.cpu_count() or 1) <= max(args.server_core, args.client_core):
        _SCREEN.print("The benchmark needs two cores: one for the server and one for the load generator.")
        return 2
    _allow_many_sockets()
    _RESULTS.mkdir(exist_ok=True)
    began = datetime.now().astimezone()
    path = _RESULTS / f"{began:%Y%m%d-%H%M%S}.jsonl"
    with _environment() as environment:
        bench = Bench(args.server_core, args.client_core, args.duration, environment, _RESULTS)
        run = Run(bench, repeats=1 if args.quick else args.repeats, path=path)
        complete = False
        for earlier in args.join:
            run.results.rows.extend(json.loads(line) for line in earlier.read_text().splitlines())
        try:
            _measure_all(run, args)
            complete = not args.calls and {row["subject"] for row in run.results.rows} >= {
                subject.name for subject in _choose([])
            }
        except KeyboardInterrupt:
            complete = False
            _SCREEN.print("Stopped; what was measured so far:")
    if not run.results.rows:
        _SCREEN.print("Nothing was measured.")
        return 1
    _print(run.results)
    _SCREEN.print(f"Each measurement: {path.relative_to(HERE.parent)}")
    if complete:
        command = "make bench" + (f' ARGS="{shlex.join(argv)}"' if argv else "")
        minutes = (datetime.now().astimezone() - began).total_seconds() / 60
        facts = {
            "machine": machine.describe(),
            "versions": machine.versions(),
            "date": f"{began:%Y-%m-%d %H:%M %Z}, {minutes:.0f} minutes",
            "command": f"`{command}`",
        }
        (HERE / "RESULTS.md").write_text(report.markdown(run.results, facts))
        _SCREEN.print("Written: benchmarks/RESULTS.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
