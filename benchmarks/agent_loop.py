"""Measure Antiphon's agent loop beside other libraries: ``python -m benchmarks.agent_loop``.

Every library runs in a process of its own, from its own environment, with the same scripted model. The measurements go
round: each round asks all libraries for one figure before it goes on to the next, so that a noisy minute does not fall
on one of them alone. A library that is not installed is said to be so.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from benchmarks import agent_loop_report as report
from benchmarks import machine
from benchmarks.subjects import ENVIRONMENTS, HERE

_RESULTS = HERE / "results"
_SCREEN = Console(highlight=False, width=None if sys.stdout.isatty() else 180)
_PEERS = str(ENVIRONMENTS / "agents" / "bin" / "python")
_PYTHONS = {name: sys.executable if name in (report.OURS, "bare") else _PEERS for name in report.TITLES}
_QUICK_MEASURES = ("text", "tool", "past", "stream", "in_flight", "http")
_SLOW_MEASURES = ("garbage", "callback", "leave", "cut")
_STAGES = ("root", "agent", "client")
_WAIT_S = 60.0
_IMPORT = """\
import time
began = time.perf_counter()
{code}
took_ms = (time.perf_counter() - began) * 1000
import json, os
try:
    with open("/proc/self/statm") as file:
        mb = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
except OSError:
    mb = None
print(json.dumps([took_ms, mb]))
"""


class WorkerError(Exception):
    """A library could not be measured; one sentence."""


class Worker:
    """A library's process."""

    def __init__(self, name: str, python: str, log: Any) -> None:
        self.python = python
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.agent_subjects.worker", name],
            cwd=HERE.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            hello = self._answer()
            if "missing" in hello:
                raise WorkerError(f"{hello['missing']} is not installed")
        except WorkerError:
            self.stop()
            raise
        self.versions: dict[str, str] = hello["versions"]
        self.imports: dict[str, str] = hello["imports"]

    def ask(self, measure: str, *, seconds: float, url: str) -> dict[str, report.Value]:
        """The figures of one measurement.

        Raises:
            WorkerError: The library failed, or did not answer in time.
        """
        assert self._process.stdin is not None
        try:
            print(
                json.dumps({"measure": measure, "seconds": seconds, "url": url}), file=self._process.stdin, flush=True
            )
        except BrokenPipeError:
            raise WorkerError("its process has ended") from None
        answer = self._answer()
        if "error" in answer:
            raise WorkerError(answer["error"])
        figures: dict[str, report.Value] = answer["figures"]
        return figures

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], _WAIT_S)[0]:
            self._process.kill()
            self._process.wait()
            raise WorkerError(f"no answer within {_WAIT_S:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError("its process has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process."""
        _end(self._process)


def _end(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _model_server() -> Iterator[str]:
    """The URL of a model behind HTTP."""
    command = [sys.executable, "-m", "benchmarks.agent_subjects.sse_server"]
    with subprocess.Popen(
        command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            _end(process)


class Run:
    """What was measured so far."""

    def __init__(self, rounds: int, seconds: float, *, slow_rounds: int) -> None:
        self._rounds = rounds
        self._seconds = seconds
        self._slow_rounds = slow_rounds
        self.results: dict[str, dict[str, list[report.Value]]] = defaultdict(lambda: defaultdict(list))
        self.absent: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.failures: dict[str, None] = {}

    def measure(self, names: Sequence[str], url: str) -> None:
        """All measurements of the libraries that are installed."""
        with ExitStack() as stack:
            workers = self._start(names, stack)
            for number in range(self._rounds):
                slow = _SLOW_MEASURES if number < self._slow_rounds else ()
                for measure in (*_QUICK_MEASURES, *slow):
                    for name, worker in workers.items():
                        if worker.alive():
                            self._take(name, measure, worker, url)
                for stage in _STAGES:
                    for name, worker in workers.items():
                        self._import(name, stage, worker)
                _SCREEN.print(f"Round {number + 1} of {self._rounds} is done.")

    def _start(self, names: Sequence[str], stack: ExitStack) -> dict[str, Worker]:
        workers = {}
        for name in names:
            if not Path(_PYTHONS[name]).exists():
                self.absent[name] = "not installed"
                continue
            log = stack.enter_context((_RESULTS / f"agent_loop_{name}.log").open("w"))
            try:
                worker = Worker(name, _PYTHONS[name], log)
            except WorkerError as error:
                self.absent[name] = "not installed" if "not installed" in str(error) else "failed"
                self._failed(f"{report.TITLES[name]}: {error}; see benchmarks/results/agent_loop_{name}.log.")
                continue
            stack.callback(worker.stop)
            workers[name] = worker
            self.versions |= worker.versions
        return workers

    def _take(self, name: str, measure: str, worker: Worker, url: str) -> None:
        try:
            figures = worker.ask(measure, seconds=self._seconds, url=url)
        except WorkerError as error:
            self._failed(f"{report.TITLES[name]}, {measure}: {error}")
            return
        for key, value in figures.items():
            self.results[name][key].append(value)

    def _import(self, name: str, stage: str, worker: Worker) -> None:
        """Once, in a fresh process."""
        code = _IMPORT.format(code=worker.imports[stage])
        done = subprocess.run(
            [worker.python, "-I", "-c", code], capture_output=True, text=True, timeout=_WAIT_S, check=False
        )
        if done.returncode:
            self._failed(f"{report.TITLES[name]}, import of the {stage}: {done.stderr.strip().splitlines()[-1]}")
            return
        took_ms, mb = json.loads(done.stdout.splitlines()[-1])
        self.results[name][f"import_{stage}_ms"].append(took_ms)
        self.results[name][f"import_{stage}_mb"].append(mb)

    def _failed(self, sentence: str) -> None:
        if sentence not in self.failures:
            self.failures[sentence] = None
            _SCREEN.print(f"[red]{sentence}[/red]", soft_wrap=True)


def _print(lines: list[list[str]]) -> None:
    head, *body = lines
    table = Table(*(Column(title, no_wrap=not place) for place, title in enumerate(head)), title="best of the medians")
    colours = {"met": "green", "within 25 %": "yellow", "MISSED": "red"}
    for line in body:
        table.add_row(*line, style=colours.get(line[3], ""))
    _SCREEN.print(table)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent_loop", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--quick", action="store_true", help="two short rounds in place of nine")
    parser.add_argument("--only", action="append", choices=tuple(report.TITLES), help="this library; may be repeated")
    parser.add_argument("--write", action="store_true", help="write AGENT_LOOP.md and agent_loop.json")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed by more than 25 %%")
    args = parser.parse_args(argv)
    if args.write and args.only:
        parser.error("--write needs all libraries; leave --only out.")
    return args


def main(argv: list[str]) -> int:
    """Measure, print, and write or check as asked; gives the exit code."""
    args = _parse(argv)
    _RESULTS.mkdir(exist_ok=True)
    began = datetime.now().astimezone()
    run = Run(2, 0.1, slow_rounds=1) if args.quick else Run(9, 0.3, slow_rounds=3)
    names = args.only or tuple(report.TITLES)
    with _model_server() as url:
        run.measure(names, url)
    lines = report.table(run.results, run.absent)
    _print(lines)
    missed = report.missed(run.results) if report.OURS in names else []
    for sentence in missed:
        _SCREEN.print(sentence, soft_wrap=True)
    if args.write:
        command = " ".join(["python -m benchmarks.agent_loop", *argv])
        facts = {
            "machine": machine.describe(),
            "date": f"{began:%Y-%m-%d %H:%M %Z}",
            "versions": ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items())),
            "Python": sys.version.split()[0],
            "command": f"`{command}`",
        }
        notes = [*run.failures, *missed]
        (HERE / "AGENT_LOOP.md").write_text(report.markdown(lines, facts, notes))
        document = report.document(run.results, facts, run.absent)
        (HERE / "agent_loop.json").write_text(json.dumps(document, indent=1) + "\n")
        _SCREEN.print("Written: benchmarks/AGENT_LOOP.md and benchmarks/agent_loop.json")
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
