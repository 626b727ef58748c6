"""Speech to speech from a script, for tests and benchmarks: it hears by loudness, and its answers are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.level import dbfs, rms
from antiphon.audio.tones import sine
from antiphon.clock import Clock, WallClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.s2s.contract import (
    AnswerAudio,
    AnswerAudioDone,
    AnswerDone,
    AnswerText,
    Brief,
    EventSink,
    Failed,
    FunctionCalled,
    Ready,
    S2SEvent,
    Said,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)

S2SFault = Literal["fail", "stall", "close"]
"""``fail`` loses an answer, ``stall`` never gives it, ``close`` ends the session in its place."""

_TONE_HZ = 440.0
_LOUD_DBFS = -40.0
_SILENCE_S = 0.3


@dataclass(frozen=True, slots=True)
class Calls:
    """A step that calls a function; the next answer of the script follows its result."""

    name: str
    arguments: str = "{}"


class ScriptedS2S:
    """Gives the next answer of a list for each turn of the caller; each session starts at the first.

    Args:
        answers: What is said, or called; begun anew when all are used up.
        heard: What the caller is understood to say, turn by turn; likewise.
        ms_per_char: Length of the tone for each character of an answer.
        chunk_s: Length of each piece of sound.
        delay_s: From the end of a turn to the first sound.
        chunk_every_s: Between two pieces; 0 gives them all at once.
        faults: What goes wrong, by the number of the answer in its session.
        call_ids: What the ids of calls begin with; another for each model, where several hold one call.
        clock: Wall time unless given.

    Attributes:
        sessions: The last sessions.
    """

    name = "scripted"

    def __init__(
        self,
        answers: Sequence[str | Calls] = ("Hello.",),
        *,
        heard: Sequence[str] = ("hello",),
        ms_per_char: float = 60.0,
        chunk_s: float = 0.1,
        delay_s: float = 0.0,
        chunk_every_s: float = 0.0,
        faults: Mapping[int, S2SFault] | None = None,
        call_ids: str = "call",
        clock: Clock | None = None,
    ) -> None:
        self.answers = tuple(answers)
        self.heard = tuple(heard)
        self.ms_per_char = ms_per_char
        self.chunk_s = chunk_s
        self.delay_s = delay_s
        self.chunk_every_s = chunk_every_s
        self.faults = dict(faults or {})
        self.call_ids = call_ids
        self.clock = clock or WallClock()
        self.sessions: deque[ScriptedSession] = deque(maxlen=1_000)

    def open(self, brief: Brief, rate_hz: int, on_event: EventSink, *, history: Sequence[Said] = ()) -> ScriptedSession:
        """Start the list for one call."""
        session = ScriptedSession(self, brief, rate_hz, on_event)
        session.history = tuple(history)
        self.sessions.append(session)
        return session

    async def warm(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """There is nothing to free."""


class ScriptedSession:
    """The script of one call, as far as it has come.

    Attributes:
        brief: Who it is.
        history: What it was told of what was said before.
        interrupted: Answers that were cut, and how much of each was heard.
        written: What came in writing.
        results: Outputs of functions, by call.
        is_closed: Whether it is over.
    """

    def __init__(self, s2s: ScriptedS2S, brief: Brief, rate_hz: int, on_event: EventSink) -> None:
        self.brief = brief
        self.history: tuple[Said, ...] = ()
        self.interrupted: list[tuple[str, float]] = []
        self.written: list[str] = []
        self.results: dict[str, str] = {}
        self.is_closed = False
        self._s2s = s2s
        self._rate_hz = rate_hz
        self._on_event = on_event
        self._speaking = False
        self._quiet = 0
        self._turns = 0
        self._answers = 0
        self._calls = 0
        self._answering = ""
        self._number = 0
        self._pending: list[tuple[float, int, S2SEvent, str]] = []
        self._clock = s2s.clock
        self._after(0.0, Ready())

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Hear by loudness: a turn ends after 0.3 s without any."""
        loud = dbfs(rms(pcm)) > _LOUD_DBFS
        if loud and not self._speaking:
            self._speaking = True
            self._cancel()
            self._tell(SpeechStarted(f"item_u{self._turns}"))
        self._quiet = 0 if loud else self._quiet + len(pcm)
        if self._speaking and self._quiet >= _SILENCE_S * self._rate_hz:
            self._speaking = False
            self._tell(SpeechStopped(f"item_u{self._turns}"))
            words = self._s2s.heard[self._turns % len(self._s2s.heard)]
            self._tell(UserTranscript(f"item_u{self._turns}", words, is_final=True))
            self._turns += 1
            self._answer()

    def interrupt(self, item_id: str, heard_ms: float) -> None:
        """Note what was heard; the rest of the answer does not come."""
        self.interrupted.append((item_id, heard_ms))
        self._cancel()

    def tool_result(self, call_id: str, output: str) -> None:
        """Go on with the next answer."""
        self.results[call_id] = output
        self._answer()

    def say(self, text: str) -> None:
        """Say this."""
        self._speak(text)

    def greet(self) -> None:
        """Begin with the first answer."""
        self._answer()

    def write(self, text: str) -> None:
        """Answer what was written."""
        self.written.append(text)
        self._answer()

    def rebrief(self, brief: Brief) -> None:
        """Be someone else."""
        self.brief = brief

    async def aclose(self) -> None:
        """End the script."""
        self.is_closed = True

    def _answer(self) -> None:
        number = self._answers
        fault = self._s2s.faults.get(number)
        step = self._s2s.answers[number % len(self._s2s.answers)]
        if fault is None and isinstance(step, str):
            self._speak(step)
            return
        self._answers += 1
        if fault is None and isinstance(step, Calls):
            self._calls += 1
            self._after(
                self._s2s.delay_s, FunctionCalled(f"{self._s2s.call_ids}_{self._calls}", step.name, step.arguments)
            )
            self._after(self._s2s.delay_s, AnswerDone("completed"))
        elif fault == "fail":
            self._after(self._s2s.delay_s, AnswerDone("failed", "scripted"))
            self._after(self._s2s.delay_s, Failed(_broken("answer failed"), is_final=False))
        elif fault == "close":
            self._after(self._s2s.delay_s, Failed(_broken("session ended"), is_final=True))

    def _speak(self, text: str) -> None:
        item_id = f"item_a{self._answers}"
        self._answers += 1
        self._answering = item_id
        tone = sine(_TONE_HZ, self._s2s.ms_per_char * len(text), rate_hz=self._rate_hz)
        size = max(1, int(self._s2s.chunk_s * self._rate_hz))
        at_s = self._s2s.delay_s
        self._after(at_s, AnswerText(item_id, text, 0.0), item_id)
        for start in range(0, len(tone), size):
            self._after(at_s, AnswerAudio(item_id, tone[start : start + size]), item_id)
            at_s += self._s2s.chunk_every_s
        self._after(at_s, AnswerAudioDone(item_id), item_id)
        self._after(at_s, AnswerDone("completed"), item_id)

    def _cancel(self) -> None:
        """Nothing more of the answer that is on its way, but its end."""
        if self._answering:
            self._answering = ""
            self._after(0.0, AnswerDone("cancelled", "turn_detected"))

    def _after(self, seconds: float, event: S2SEvent, item_id: str = "") -> None:
        # Timers of the same moment fire in any order: each takes whatever is next.
        when_s = self._clock.now() + seconds
        self._number += 1
        heappush(self._pending, (when_s, self._number, event, item_id))
        self._clock.call_at(when_s, self._next)

    def _next(self) -> None:
        _when_s, _number, event, item_id = heappop(self._pending)
        if item_id and item_id != self._answering:
            return
        if item_id and isinstance(event, AnswerDone):
            self._answering = ""
        self._tell(event)

    def _tell(self, event: S2SEvent) -> None:
        if not self.is_closed:
            self._on_event(event)


def _broken(what: str) -> IntegrationUnavailableException:
    return IntegrationUnavailableException(f"The scripted {what}.", provider="scripted")
