"""Who is measured, and how each is started."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"


@dataclass(frozen=True, slots=True)
class Subject:
    """A server under test.

    Attributes:
        name: Short, for rows and options.
        title: For people.
        command: What starts it; ``{vad}`` and ``{port}`` are replaced.
        path: Of its media socket.
        carrier: The protocol that the callers speak.
        ready_path: Answers 200 when calls may come; None where the open port must do.
        vads: What it is measured with.
        scenario: What the callers do.
        points: Numbers of calls that are always measured; the first is the base of degradation.
        ladder: Numbers of calls among which the most that it carries is searched; empty for no search.
    """

    name: str
    title: str
    command: tuple[str, ...]
    path: str = "/ws"
    carrier: str = "twilio"
    ready_path: str | None = None
    vads: tuple[str, ...] = ("energy", "silero")
    scenario: Literal["talk", "echo"] = "talk"
    points: tuple[int, ...] = (10,)
    ladder: tuple[int, ...] = ()

    def missing(self) -> str | None:
        """One sentence when this subject is not installed."""
        if Path(self.command[0]).exists():
            return None
        return f"{self.title} is not installed and is left out: `make bench-peers` installs it."


def _peer(name: str, title: str) -> Subject:
    python = str(ENVIRONMENTS / name / "bin" / "python")
    command = (python, "-m", f"benchmarks.{name}_server", "--vad", "{vad}", "--port", "{port}")
    return Subject(name, title, command, ladder=(15, 20, 25, 30, 40, 50, 75, 100))


def _floor(library: str) -> Subject:
    command = (sys.executable, "-m", "benchmarks.floor_server", "--server", library, "--port", "{port}")
    return Subject(f"floor-{library}", f"echo on {library}", command, vads=("none",), scenario="echo", points=(10, 100))


_ANTIPHON = (
    *(sys.executable, "-c", "from antiphon.cli.main import app; app()"),
    *("serve", str(HERE / "agent.yaml"), "--dev"),
    *("--models", "bench", "--vad", "{vad}"),
    *("--port", "{port}", "--max-calls", "2000"),
)

SUBJECTS = (
    Subject(
        name="antiphon",
        title="Antiphon",
        command=_ANTIPHON,
        path="/telephony/twilio",
        ready_path="/ready",
        points=(10, 100),
        ladder=(50, 100, 150, 200, 250, 300, 350, 400, 500, 600, 700, 800, 1000),
    ),
    Subject(
        name="antiphon-realtime",
        title="Antiphon, Realtime protocol",
        command=_ANTIPHON,
        path="/v1/realtime",
        carrier="realtime",
        ready_path="/ready",
        points=(10, 100),
        ladder=(50, 100, 150, 200, 250, 300),
    ),
    _floor("uvicorn"),
    _floor("picows"),
    _peer("pipecat", "Pipecat 1.14"),
    _peer("livekit", "LiveKit 1.8"),
)
