"""``antiphon demo``: the server, the demo agent and a phone with recorded lines, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from antiphon.agents.agent import Agent
from antiphon.audio.wav import mono, read_wav
from antiphon.calls.log import CallLog
from antiphon.cli.demo_view import live_view, print_summary
from antiphon.cli.transcript import Transcript, Turn
from antiphon.evals.wer import word_error_rate
from antiphon.models.catalog import Models
from antiphon.server.agents import AgentBook
from antiphon.server.greeting import PullBar
from antiphon.server.run import running
from antiphon.settings import Settings, load_settings
from antiphon.store.calllog import LOG_NAME, call_folder
from antiphon.store.recording import RECORDING_NAME
from antiphon.telemetry import setup_logging
from antiphon.transports.client import PhoneClient, Utterance, phone_call

GREETING_S = 10.0
ANSWER_S = 45.0
OVERLAP_S = 2.0
"""A line over an answer that is itself answered gets its answer within this time, or it was a backchannel."""
FRAMES_PER_S = 8


class DemoLine(Protocol):
    """A line of the caller's script."""

    @property
    def text(self) -> str:
        """The words."""
        ...

    @property
    def path(self) -> Path:
        """The WAV."""
        ...

    @property
    def over_s(self) -> float | None:
        """Said this long after the answer to the line before has begun; None: when the agent is quiet again."""
        ...


@dataclass(slots=True)
class DemoResult:
    """What a demo call has shown.

    Attributes:
        transcript: The call as it was logged.
        latencies_ms: Voice to voice of each line, measured on the caller's side; None: it was not answered.
        folder: The call's files.
        notice: What must be told about the language model.
    """

    transcript: Transcript = field(default_factory=Transcript)
    latencies_ms: list[tuple[str, float | None]] = field(default_factory=list)
    folder: Path | None = None
    notice: str | None = None

    @property
    def wer(self) -> float:
        """Word error rate over all lines that were said."""
        said = " ".join(text for text, _ in self.latencies_ms)
        return word_error_rate([(said, " ".join(self.transcript.heard))])

    def to_dict(self) -> dict[str, Any]:
        """The result for programs."""
        return {
            "turns": [_turn(turn) for turn in self.transcript.turns],
            "lines": [{"said": text, "voice_to_voice_ms": _rounded(ms)} for text, ms in self.latencies_ms],
            "recording": str(self.folder / RECORDING_NAME) if self.folder else None,
            "log": str(self.folder / LOG_NAME) if self.folder else None,
            "wer": round(self.wer, 4),
            "models": self.transcript.models,
            "notice": self.notice,
        }


def run_demo(*, as_json: bool, vad: str | None, llm: str | None, turn: str | None) -> None:
    """Let the recorded caller phone the demo agent, and show it.

    Raises:
        AntiphonException: A model is missing, or a setting is wrong.
    """
    from antiphon.demo.agent import DATABASE, agent
    from antiphon.demo.script import SCRIPT

    options: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "dev": True, "record": True, "log_level": "error"}
    # The phone and the models share this process: a late loop is no reason to refuse the only call.
    options |= {"vad": vad, "llm": llm, "turn": turn, "max_loop_lag_ms": 10_000.0}
    settings = load_settings(**options)
    setup_logging(settings.log_level, settings.log_format)
    (settings.data_dir / DATABASE).unlink(missing_ok=True)  # the same call again finds the same calendar
    console = Console(stderr=as_json)
    result = asyncio.run(play(SCRIPT, agent, settings, console=console))
    if as_json:
        typer.echo(msgspec.json.encode(result.to_dict()).decode())
    else:
        print_summary(console, result.transcript, result.to_dict())
    if not result.transcript.turns:
        raise typer.Exit(1)


async def play(
    script: Sequence[DemoLine],
    agent: Agent,
    settings: Settings,
    *,
    console: Console,
    models: Models | None = None,
) -> DemoResult:
    """Start a server, phone it, say the script's lines, and hang up.

    Args:
        script: What the caller says.
        agent: Who answers.
        settings: Of the server.
        console: Where the call is shown while it goes on.
        models: In place of those that the settings name.
    """
    result = DemoResult()

    def note(log: CallLog) -> None:
        result.folder = call_folder(settings.data_dir, log.call_id, log.started_at)
        log.subscribe(result.transcript.read)

    bar = PullBar(console)
    async with AsyncExitStack() as stack:
        with console.status("loading the models"):
            up = await stack.enter_async_context(running(AgentBook([agent]), settings, models=models, on_progress=bar))
        bar.close()
        up.board.watchers.append(note)
        result.notice = up.board.models.llm.notice if up.board.models is not None else None
        with _shown(console, result):
            async with phone_call(f"ws://127.0.0.1:{up.port}/telephony/twilio") as phone:
                await _talk(phone, script, result)
            await up.board.all_over()
    return result


async def _talk(phone: PhoneClient, script: Sequence[DemoLine], result: DemoResult) -> None:
    if await phone.greeted(GREETING_S):
        await phone.agent_quiet(ANSWER_S)
    said: list[tuple[DemoLine, Utterance]] = []
    for number, line in enumerate(script):
        if phone.over.is_set():
            break
        if line.over_s is not None and said and await phone.answer_begun(said[-1][1], ANSWER_S):
            await asyncio.sleep(line.over_s)
        utterance = await phone.say(*_read(line.path))
        said.append((line, utterance))
        following = script[number + 1] if number + 1 < len(script) else None
        if following is None or following.over_s is None:
            await _hear_out(phone, utterance, result, gets_answer=line.over_s is None)
    result.latencies_ms = [(line.text, utterance.voice_to_voice_ms) for line, utterance in said]


async def _hear_out(phone: PhoneClient, utterance: Utterance, result: DemoResult, *, gets_answer: bool) -> None:
    """Wait until the agent has said what it has to say about a line; one that is said over an answer may get none."""

    def is_over() -> bool:
        return result.transcript.agent_state == "listening"

    if not gets_answer and not await phone.answer_begun(utterance, OVERLAP_S):
        await phone.agent_quiet(ANSWER_S)
        return
    await phone.answer_over(utterance, ANSWER_S, is_over=is_over)


def _read(path: Path) -> tuple[Any, int]:
    pcm, rate_hz = read_wav(path)
    return mono(pcm), rate_hz


def _shown(console: Console, result: DemoResult) -> AbstractContextManager[object]:
    """The live view, where there is a terminal to show it."""
    if not console.is_terminal:
        return nullcontext()
    return Live(
        get_renderable=lambda: live_view(result.transcript),
        console=console,
        refresh_per_second=FRAMES_PER_S,
        transient=True,
        vertical_overflow="crop",
    )


def _turn(turn: Turn) -> dict[str, Any]:
    metrics = turn.metrics
    stages = ("end_of_turn_ms", "transcript_ms", "first_token_ms", "first_audio_ms", "llm_ttft_ms", "tts_ttfb_ms")
    return {
        "turn": turn.number,
        "user_text": turn.user_text,
        "agent_text": turn.agent_text,
        "interrupted": turn.interrupted,
        "voice_to_voice_ms": _rounded(metrics.first_audio_ms) if metrics else None,
        "stages": {stage: _rounded(getattr(metrics, stage)) for stage in stages} if metrics else {},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
