"""The four client libraries, unmodified, against a real Antiphon server.

    python -m tests.clients.run [--only openai agents pipecat livekit] [--scenario NAME ...]

Each library runs in its own environment (``make test-clients`` builds them) with a server and a recording proxy of its
own: once with all server events, once with no more than the smallest set that a conversation needs. Then every event
that a server has sent is checked against the types of openai-python, the models of Pipecat and the order that the
protocol promises, and the programs of docs/realtime.md are run. One line for each; the exit code tells whether all
passed. What was recorded and logged stays in ``tests/clients/.runs``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiortc import RTCPeerConnection

from antiphon.audio.resample import resample
from antiphon.audio.wav import read_wav
from tests.clients.proxy import SMALLEST, proxy
from tests.clients.snippets import programs
from tests.tools.mcp.harness import REFERENCE

HERE = Path(__file__).parent
RUNS = HERE / ".runs"
CALLERS = HERE.parents[1] / "src" / "antiphon" / "demo" / "callers"
LIBRARIES = ("openai", "agents", "pipecat", "livekit")
AT_ONCE = 2
PROGRAM_LIMIT_S = 300.0
START_LIMIT_S = 60.0
SNIPPET_LIMIT_S = 90.0


class NoServerError(Exception):
    """The server has ended before it took calls."""


@dataclass(frozen=True, slots=True)
class Part:
    """One library with one set of events."""

    library: str
    events: str

    @property
    def name(self) -> str:
        """For files and lines."""
        return self.library if self.events == "all" else f"{self.library}-smallest"


async def main() -> int:
    """Run what the command line names; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, default=LIBRARIES, metavar="LIBRARY")
    parser.add_argument("--scenario", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--events", choices=["all", "smallest"], nargs="+")
    args = parser.parse_args()
    missing = [library for library in LIBRARIES if not _python(library).exists()]
    if missing:
        print(f"There is no environment for {', '.join(missing)}: make test-clients builds them.", file=sys.stderr)
        return 2
    began = time.monotonic()
    shutil.rmtree(RUNS, ignore_errors=True)
    RUNS.mkdir()
    _write_speech(RUNS)
    await _write_offer(RUNS / "offer.sdp")
    events = args.events or (["all"] if args.scenario else ["all", "smallest"])
    parts = [Part(library, chosen) for chosen in events for library in args.only]
    turn = asyncio.Semaphore(AT_ONCE)
    async with _mcp_server(), asyncio.TaskGroup() as group:
        running = [group.create_task(_run(part, args.scenario, turn)) for part in parts]
    lines = [line for task in running for line in task.result()] + await _validate()
    if not args.scenario:
        lines += await _snippets(args.only)
    failed = sum(line.startswith("FAIL") for line in lines)
    print(f"== {len(lines) - failed} passed, {failed} failed in {time.monotonic() - began:.0f} s ==")
    return 1 if failed or not lines else 0


async def _run(part: Part, scenarios: list[str], turn: asyncio.Semaphore) -> list[str]:
    """The verdicts of one library, shown as they come."""
    async with turn:
        try:
            return await _run_program(part, scenarios)
        except NoServerError as exc:
            print(line := f"FAIL {part.name:16} {exc}", flush=True)
            return [line]


async def _run_program(part: Part, scenarios: list[str]) -> list[str]:
    """The verdicts of one library's program."""
    async with _server(part) as upstream:
        record = RUNS / f"{part.name}.events.jsonl"
        async with proxy(upstream, record, only=SMALLEST if part.events == "smallest" else None) as port:
            environment = {
                **os.environ,
                "CLIENTS_PORT": str(port),
                "CLIENTS_SERVER": upstream.replace("ws://", "http://") + "/v1",
                "CLIENTS_EVENTS": part.events,
                "CLIENTS_PROMPTS": str(RUNS / f"{part.name}.prompts.jsonl"),
                "CLIENTS_FILES": str(RUNS),
            }
            program = [str(_python(part.library)), "-m", f"tests.clients.with_{part.library}", *scenarios]
            return await _verdicts(part.name, program, environment)


async def _verdicts(name: str, program: list[str], environment: dict[str, str] | None = None) -> list[str]:
    """Lines of a program that begin with a verdict; one more if it ends without a reason in them."""
    with (RUNS / f"{name}.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            *program, stdout=PIPE, stderr=log, env=environment, limit=1 << 20
        )
        lines = []
        assert running.stdout is not None
        try:
            async with asyncio.timeout(PROGRAM_LIMIT_S):
                async for raw in running.stdout:
                    verdict, _, rest = raw.decode().rstrip().partition(" ")
                    if verdict in ("PASS", "FAIL"):
                        lines.append(f"{verdict} {name:16} {rest}")
                        print(lines[-1], flush=True)
                code = await running.wait()
        except TimeoutError:
            running.kill()
            code = await running.wait()
    if code and not any(line.startswith("FAIL") for line in lines):
        lines.append(f"FAIL {name:16} ended with {code}: see {(RUNS / name).relative_to(HERE.parents[1])}.log")
        print(lines[-1], flush=True)
    return lines


@asynccontextmanager
async def _server(part: Part) -> AsyncIterator[str]:
    """A server of this part's own, as ``ws://host:port``."""
    prompts = RUNS / f"{part.name}.prompts.jsonl"
    prompts.touch()
    with (RUNS / f"{part.name}.server.log").open("wb") as log:
        program = [sys.executable, "-m", "tests.clients.server", str(prompts)]
        serving = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE, stderr=log)
        assert serving.stdout is not None
        assert serving.stdin is not None
        try:
            async with asyncio.timeout(START_LIMIT_S):
                port = (await serving.stdout.readline()).decode().strip()
            if not port:
                raise NoServerError(f"the server did not start: see {Path(log.name).relative_to(HERE.parents[1])}")
            yield f"ws://127.0.0.1:{port}"
        finally:
            serving.stdin.close()
            try:
                async with asyncio.timeout(20):
                    await serving.wait()
            except TimeoutError:
                serving.kill()
                await serving.wait()


@asynccontextmanager
async def _mcp_server() -> AsyncIterator[None]:
    """An MCP server that the servers under test may reach; its address is in the environment."""
    with (RUNS / "mcp.log").open("wb") as log:
        program = [sys.executable, str(REFERENCE), "http"]
        serving = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=log)
        assert serving.stdout is not None
        try:
            async with asyncio.timeout(START_LIMIT_S):
                host = f"127.0.0.1:{int(await serving.stdout.readline())}"
            os.environ |= {"CLIENTS_MCP": f"http://{host}/mcp", "ANTIPHON_URL_ALLOW_HOSTS": host}
            yield
        finally:
            serving.kill()
            await serving.wait()


async def _validate() -> list[str]:
    """What the libraries' own types say of all recorded events."""
    records = [str(path) for path in sorted(RUNS.glob("*.events.jsonl"))]
    lines = []
    pythons = {"openai_types": _python("openai"), "pipecat_models": _python("pipecat"), "order": Path(sys.executable)}
    for module, python in pythons.items():
        lines += await _verdicts(module, [str(python), "-m", f"tests.clients.validate.{module}", *records])
    return lines


async def _snippets(libraries: Collection[str]) -> list[str]:
    """The verdicts of the programs of docs/realtime.md."""
    lines = []
    async with _server(Part("docs", "all")) as upstream:
        for name, program in programs(int(upstream.rpartition(":")[2])).items():
            if name in LIBRARIES and name not in libraries:
                continue
            path = RUNS / f"docs-{name}.py"
            await asyncio.to_thread(path.write_text, program, encoding="utf-8")
            lines.append(await _snippet(name, [_python(name) if name in LIBRARIES else sys.executable, path]))
            print(lines[-1], flush=True)
    return lines


async def _snippet(name: str, program: list[str | Path]) -> str:
    """The verdict of one of them: it ends well, and has told something."""
    began = time.monotonic()
    with (RUNS / f"docs-{name}.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=log)
        try:
            async with asyncio.timeout(SNIPPET_LIMIT_S):
                told, _ = await running.communicate()
        except TimeoutError:
            running.kill()
            told, _ = await running.communicate()
    verdict = "PASS" if running.returncode == 0 and told.strip() else "FAIL"
    last = told.decode(errors="replace").strip().rpartition("\n")[2]
    return f"{verdict} {'docs':16} {name:10} {time.monotonic() - began:5.1f} s  {last}"


def _write_speech(folder: Path) -> None:
    """The recorded callers as the wire has them: 16-bit PCM, 24 kHz."""
    for path in CALLERS.glob("*.wav"):
        pcm, rate_hz = read_wav(path)
        (folder / f"{path.stem}.pcm").write_bytes(resample(pcm, rate_hz, 24_000).tobytes())


async def _write_offer(path: Path) -> None:
    """The SDP of a browser that wants to talk; it hangs up before it is answered."""
    browser = RTCPeerConnection()
    browser.addTransceiver("audio")
    browser.createDataChannel("oai-events")
    await browser.setLocalDescription(await browser.createOffer())
    await asyncio.to_thread(path.write_text, browser.localDescription.sdp, encoding="utf-8")
    await browser.close()


def _python(library: str) -> Path:
    return HERE / ".envs" / library / "bin" / "python"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
