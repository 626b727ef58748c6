"""What a handoff costs the caller: the first sound of a turn in which another agent takes over, against a plain turn.

    python -m benchmarks.handoff [--calls 10] [--rounds 10]

Models, recogniser and voice are stand-ins that answer at once, so that the time is the call's own. The kinds of turn
take turns, and the calls of a round run at the same time in this process. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.templates import check_template
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.tones import sine
from antiphon.calls.call import Call
from antiphon.calls.caller import Caller
from antiphon.calls.events import TurnMetrics
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.calls.s2s.call import S2SCall
from antiphon.calls.speech import Speech
from antiphon.clock import WallClock
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.models.stt.contract import STT
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.contract import TTS
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.turn.contract import TurnModel
from antiphon.models.vad.contract import VAD
from antiphon.models.vad.energy import EnergyVAD
from benchmarks import machine

TARGET_MS = 50.0
ANSWER = "I can help you with your booking and payments today."
GREETING = "Hello, this is {{ agent_name }}, {{ handoff_reason }}"
PASSES = Reply(calls=(tool_call("handoff_to_billing", reason="about a bill."),))
FRAME_S = 0.02
SPEECH_S = 0.6
LONGEST_S = 15.0
SPEECH = from_pcm(sine(220, FRAME_S * 1000, rate_hz=PHONE.rate_hz, amplitude=0.3), PHONE)
SILENCE = b"\xff" * 160


class Speaker:
    """A line on which nobody listens: it only knows when what was sent has been played."""

    audio: AudioFormat = PHONE
    has_marks = can_clear = can_pause = True

    def __init__(self, clock: WallClock) -> None:
        self.call: Any = None
        self._clock = clock
        self._until = 0.0

    def play(self, payload: bytes, speech: Speech) -> None:
        """Play it."""
        self._until = max(self._until, self._clock.now()) + self.audio.seconds(len(payload))

    def mark(self, name: str) -> None:
        """Say when it has been played."""
        self._clock.call_at(self._until, self.call.mark_played, name)

    def clear(self) -> None:
        """Forget it."""
        self._until = self._clock.now()

    def hang_up(self, reason: str) -> None:
        """There is nobody."""


class Models:
    """The stand-ins of one call."""

    def __init__(self, answers: list[Reply | str]) -> None:
        self.vad: VAD = EnergyVAD()
        self.stt: STT = ScriptedSTT(["My bill is wrong."])
        self.llm: ChatClient = ScriptedChatClient(answers)
        self.tts: TTS = ScriptedTTS()
        self.turn: TurnModel | None = None

    def names(self) -> dict[str, str]:
        """The providers by role."""
        return {"stt": "scripted", "llm": "scripted", "tts": "scripted", "vad": "energy"}


def desk(handoff_type: Any = "announced", *, greeting: str = "", voice: str | None = None) -> Agent:
    """An agent that hands over to another."""
    billing = Agent("billing", "You do bills, {{ handoff_reason }}", greeting=greeting, voice=voice)
    return Agent("desk", "You are the desk.", handoffs=[Handoff(billing, handoff_type=handoff_type)])


def cascade(agent: Agent, answers: list[Reply | str]) -> Callable[[CallLog, Speaker], Any]:
    """A call of recogniser, language model and voice."""

    def make(log: CallLog, line: Speaker) -> Call:
        caller = Caller("session", "call", "bench", {})
        clock = WallClock()
        return Call(
            agent, line, Models(answers), pacer=Pacer(clock), clock=clock, policy=CallPolicy(), log=log, caller=caller
        )

    return make


def speaking(agent: Agent, answers: list[Calls | str]) -> Callable[[CallLog, Speaker], Any]:
    """A call that one model holds; it hears by loudness, after 0.3 s of silence."""

    def make(log: CallLog, line: Speaker) -> S2SCall:
        clock, model = WallClock(), ScriptedS2S(answers)
        return S2SCall(
            agent,
            line,
            model,
            vad=EnergyVAD(),
            tts=ScriptedTTS(),
            pacer=Pacer(clock),
            clock=clock,
            policy=CallPolicy(),
            log=log,
            caller=Caller("session", "call", "bench", {}),
        )

    return make


ASKED = Calls("handoff_to_billing", '{"reason": "about a bill."}')
CASES: dict[str, Callable[[CallLog, Speaker], Any]] = {
    "cascade, plain": cascade(desk(), [ANSWER]),
    "cascade, announced with a greeting": cascade(desk(greeting=GREETING, voice="eva"), [PASSES, ANSWER]),
    "cascade, announced without one": cascade(desk(voice="eva"), [PASSES, ANSWER]),
    "cascade, discrete": cascade(desk("discrete", voice="eva"), [PASSES, ANSWER]),
    "speech to speech, plain": speaking(desk(), [ANSWER]),
    "speech to speech, announced with a greeting": speaking(desk(greeting=GREETING), [ASKED, ANSWER, ANSWER]),
    "speech to speech, discrete": speaking(desk("discrete"), [ASKED, ANSWER]),
    "speech to speech, another voice": speaking(desk("discrete", voice="eva"), [ASKED, ANSWER]),
}


async def first_sound_ms(make: Callable[[CallLog, Speaker], Any]) -> float:
    """Have one call with one turn; from the caller's last voiced sound to the first of the agents."""
    clock = WallClock()
    line, log = Speaker(clock), CallLog("bench", clock)
    entries: list[Entry] = []
    log.subscribe(entries.append)
    line.call = call = make(log, line)
    running = asyncio.create_task(call.run())
    try:
        async with asyncio.timeout(LONGEST_S):
            await _speak(call, SPEECH, SPEECH_S)
            while not any(isinstance(entry.event, TurnMetrics) for entry in entries):
                await _speak(call, SILENCE, FRAME_S)
    finally:
        call.line_lost()
        await running
    (metrics,) = [entry.event for entry in entries if isinstance(entry.event, TurnMetrics)]
    assert metrics.first_audio_ms is not None
    return metrics.first_audio_ms


async def _speak(call: Any, frame: bytes, seconds: float) -> None:
    for _ in range(round(seconds / FRAME_S)):
        call.hear(frame)
        await asyncio.sleep(FRAME_S)


async def run(calls: int, rounds: int) -> dict[str, list[float]]:
    """All kinds of turn, by turns. A server compiles the templates of its agents when it starts, and so does this."""
    check_template(GREETING)
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, make in CASES.items():
            waits: list[Awaitable[float]] = [first_sound_ms(make) for _ in range(calls)]
            found[name] += await asyncio.gather(*waits)
    return found


def report(found: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, and what each kind takes over a plain turn."""
    plain = {name.partition(",")[0]: median(values) for name, values in found.items() if name.endswith("plain")}
    kinds = {
        name: {
            "p50_ms": round(median(values), 1),
            "p95_ms": round(quantiles(values, n=20)[18], 1),
            "over_plain_ms": round(median(values) - plain[name.partition(",")[0]], 1),
        }
        for name, values in found.items()
    }
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "engines": "scripted recogniser, models and voice that answer at once; energy detector; frames of 20 ms",
        "anchor": "the caller's last voiced sound to the first sound that is written to the line",
        "load_average": round(os.getloadavg()[0], 1),
        "n": len(next(iter(found.values()))),
        "target_over_plain_ms": TARGET_MS,
        "turns": kinds,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    print(json.dumps(report(asyncio.run(run(given.calls, given.rounds))), indent=2))
