"""The demo's call over a real server with scripted models, and how a log is read for people."""

from __future__ import annotations

import io
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from antiphon.agents.agent import Agent
from antiphon.audio.tones import sine
from antiphon.audio.wav import read_wav, write_wav
from antiphon.calls import events
from antiphon.calls.log import Entry
from antiphon.cli.demo import DemoResult, play
from antiphon.cli.demo_view import live_view, print_summary
from antiphon.cli.transcript import Transcript
from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.settings import Settings


def read(*told: events.CallEvent) -> Transcript:
    transcript = Transcript()
    for seq, event in enumerate(told, start=1):
        transcript.read(Entry(seq, float(seq), event))
    return transcript


def shown(transcript: Transcript, width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(live_view(transcript))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_cut_reply_shows_what_was_heard_and_what_was_not() -> None:
    transcript = read(
        events.AgentTextSpoken(1, "We are open"),
        events.AgentTextSpoken(1, "until one."),
        events.AgentSpeechInterrupted(1, "We are", "We are open until one.", "We are open until one. Bye.", 0.4),
    )
    (row,) = transcript.rows
    assert (row.text, row.unheard, row.is_final) == ("We are", "open until one. Bye.", True)
    assert "⟨not heard: open until one. Bye.⟩" in shown(transcript)


def test_backchannel_is_a_row_of_its_own_and_interruption_becomes_a_turn() -> None:
    transcript = read(
        events.UserTranscription("uh-huh", True, 0),
        events.UserBackchannel("uh-huh", False),
        events.UserTranscription("no wait", True, 1),
        events.UserBackchannel("no wait", True),
        events.UserTurnCompleted(2, "no wait", "silence"),
    )
    assert [(row.who, row.text) for row in transcript.rows if row.who == "caller"] == [
        ("caller", "uh-huh"),
        ("caller", "no wait"),
    ]
    assert transcript.heard == ["uh-huh", "no wait"]
    assert all(row.is_final for row in transcript.rows)


def test_what_comes_of_a_transfer_is_noted() -> None:
    transcript = read(
        events.CallTransferring("+493023125012", "billing", "warm", "a bill"),
        events.CallTransferFailed("+493023125012", "billing", "no_answer"),
        events.CallTransferring("+493023125012", "", "blind", ""),
        events.CallTransferred("+493023125012", "", "blind"),
    )
    assert [row.text for row in transcript.rows if row.who == "note"] == [
        "warm transfer to billing begins: the caller holds",
        "the transfer to billing failed: no answer",
        "blind transfer to +493023125012 begins: the caller holds",
        "transferred to +493023125012",
    ]


def test_what_a_collector_does_is_noted() -> None:
    transcript = read(
        events.AgentToolStarted("collect_email", "call_1"),
        events.AgentToolCompleted("collect_email", "call_1", {"email_address": "ann@example.com"}),
        events.AgentToolFailed("collect_name", "call_2", "The call ended."),
    )
    assert [row.text for row in transcript.rows] == [
        "collect_email asks",
        "collect_email is done: email_address=ann@example.com",
        "collect_name has failed: The call ended.",
    ]


def test_partial_words_grow_until_they_are_final() -> None:
    transcript = read(
        events.UserTranscription("what", False, 0),
        events.UserTranscription("what time", False, 0),
    )
    (row,) = transcript.rows
    assert (row.text, row.is_final) == ("what time", False)
    assert transcript.heard == []


def test_turns_carry_their_metrics_and_tools_and_faults_are_told() -> None:
    transcript = read(
        events.ToolCalled("c1", "book", {"day": "Tuesday"}),
        events.SessionError("tts_unavailable", "The voice failed."),
        events.TurnCompleted(1, "", "Hello.", True, False),
        events.TurnCompleted(2, "a [red]question[/]", "an answer", False, False),
        events.TurnMetrics(2, False, True, end_of_turn_ms=350.0, first_audio_ms=420.0),
        events.SessionEnded("user_hangup", 9.0, 2),
    )
    text = shown(transcript)
    assert [turn.number for turn in transcript.turns] == [2]
    for words in ("tool book(day=Tuesday)", "The voice failed.", "user hangup", "[red]question[/]", "350", "420", "–"):
        assert words in text


def test_no_figure_loses_a_digit_on_a_narrow_terminal() -> None:
    question = "Please book a cleaning on Tuesday at ten in the morning, or on Wednesday."
    times = {"end_of_turn_ms": 351.0, "transcript_ms": 273.0, "first_token_ms": 1602.0, "first_audio_ms": 1632.0}
    transcript = read(
        events.TurnCompleted(12, question, "Done.", False, True), events.TurnMetrics(12, True, True, **times)
    )
    for width in (80, 60):
        text = shown(transcript, width)
        for figure in ("12", "351", "273", "1602", "1632", "cut", "audio"):
            assert figure in text, (width, figure, text)


@dataclass
class Line:
    path: Path
    text: str
    over_s: float | None = None


async def test_demo_call_from_greeting_to_summary(tmp_path: Path) -> None:
    speech = sine(220, 500, rate_hz=8_000, amplitude=0.3)
    write_wav(tmp_path / "line.wav", np.concatenate([speech, np.zeros(2_000, np.int16)]), 8_000)
    script = [
        Line(tmp_path / "line.wav", "What time is it?"),
        Line(tmp_path / "line.wav", "Stop, something else.", over_s=0.4),
        Line(tmp_path / "line.wav", "Goodbye."),
    ]
    replies = deque(["It is three, and soon it will be four.", "What would you like?", "Goodbye."])
    models = Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT([line.text for line in script]),
        llm=ScriptedChatClient(lambda _messages, _options: replies[0] if len(replies) == 1 else replies.popleft()),
        tts=ScriptedTTS(ms_per_char=60),
        turn=None,
    )
    options: dict[str, Any] = {"port": 0, "dev": True, "record": True, "data_dir": tmp_path, "max_loop_lag_ms": 1e6}
    console = Console(width=120, file=io.StringIO())
    agent = Agent("desk", greeting="Hi.")
    result: DemoResult = await play(script, agent, Settings(_env_file=None, **options), console=console, models=models)

    told = result.to_dict()
    assert [turn["user_text"] for turn in told["turns"]] == [line.text for line in script]
    first, second, third = told["turns"]
    assert first["interrupted"]
    assert len(first["agent_text"]) < len("It is three, and soon it will be four.")
    assert not second["interrupted"]
    assert not third["interrupted"]
    for turn in told["turns"]:
        assert turn["voice_to_voice_ms"] == turn["stages"]["first_audio_ms"] > 0
    assert told["wer"] == 0.0
    assert told["models"]["stt"] == "scripted"
    assert [line["said"] for line in told["lines"]] == [line.text for line in script]
    sound, rate_hz = read_wav(told["recording"])
    assert rate_hz == 8_000
    assert np.abs(sound).max(axis=0).min() > 3_000
    assert '"session.ended"' in Path(told["log"]).read_text().splitlines()[-1]  # noqa: ASYNC240

    print_summary(console, result.transcript, told)
    summary: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert "p50" in summary
    assert told["recording"] in summary
