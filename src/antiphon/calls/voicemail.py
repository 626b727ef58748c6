"""Finds out whether a person or a machine has answered, and when a machine begins to record.

Runs beside the call, in both kinds of it: it reads the call's log for speech and words, and listens for the beep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from antiphon.agents.manners import Voicemail
from antiphon.audio.beep import Beep, BeepDetector
from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.calls.events import (
    AgentSpeechStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscription,
    VoicemailBeep,
    VoicemailDetected,
)
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.phrases import count_in, machine_phrases
from antiphon.clock import Clock

PARAMETER = "voicemail_detect"
"""The parameter of a call that switches detection on or off for it."""

_PAUSE_S = 1.8
"""Silence that ends a monologue; within it a person waits for an answer."""
_AT_ONCE_S = 5.0
"""A machine begins to speak within this time of the call; only then its length counts."""
_LONG_S = 8.0
"""Nobody who picks up a telephone speaks so long without a pause."""
_RATHER_LONG_S = 5.0
"""The same where the words are a machine's rather than a person's."""
_SOME_S = 4.0
"""Two such phrases in less than this are a person's."""
_TALKS = 4
"""Who speaks so often, with the agent in between, is a person, whatever the words."""
_BEFORE_BEEP_S = 1.0
"""A beep behind so much speech is that of a machine."""
_LOOK_S = 0.5
_BEEP_S = 30.0
"""A machine that has not beeped by then does not."""
_QUIET_S = 2.0
"""Silence that then takes the place of the beep."""
_LISTEN_S = 60.0
"""Beeps are listened for so long, while it is not known who has answered."""
_ON, _OFF = frozenset({"true", "yes", "1", "on"}), frozenset({"false", "no", "0", "off"})


def voicemail_for(manner: Voicemail, parameters: Mapping[str, str]) -> Voicemail:
    """The manner of one call: a parameter may switch detection on, to ``audio`` or ``llm``, or off."""
    asked = parameters.get(PARAMETER, "").strip().lower()
    if asked == "audio" or (asked in _ON and manner.detect == "off"):
        return replace(manner, detect="audio")
    if asked == "llm":
        return replace(manner, detect="llm")
    return replace(manner, detect="off") if asked in _OFF else manner


def is_machine(text: str, spoke_s: float, *, at_once: bool) -> bool:
    """Whether a monologue is a machine's.

    Args:
        text: Its words so far.
        spoke_s: Its length so far.
        at_once: Whether it is the first of the call, and began with it.
    """
    sure, likely = (count_in(text, machine_phrases(kind)) for kind in ("machine", "likely"))
    is_human = count_in(text, machine_phrases("human")) > 0
    if sure >= 2 or (sure and not is_human):
        return True
    if likely >= 2 and spoke_s >= _SOME_S and not is_human:
        return True
    return at_once and spoke_s >= (_RATHER_LONG_S if likely else _LONG_S)


class VoicemailWatch:
    """Listens to who has answered one call.

    Args:
        manner: Whether and how it is found out.
        audio: The line's format.
        log: The call's; it is read, and told what is found.
        clock: Time.
        found: Called when a machine has answered.
        recording: Called when it records: behind its beep, or the silence in place of it.

    Attributes:
        listens: Whether ``hear`` wants the caller's frames.
        verdict: Who has answered; None while that is not known.
    """

    def __init__(
        self,
        manner: Voicemail,
        audio: AudioFormat,
        *,
        log: CallLog,
        clock: Clock,
        found: Callable[[], None],
        recording: Callable[[], None],
    ) -> None:
        self.listens = False
        self.verdict: Literal["machine", "human"] | None = None
        self._manner = manner
        self._audio = audio
        self._log = log
        self._clock = clock
        self._found = found
        self._recording = recording
        self._beeps = BeepDetector(audio.rate_hz)
        self._beep: Beep | None = None  # heard before it was known whose it is
        self._earlier: list[str] = []  # monologues before the one that goes on
        self._earlier_s = 0.0
        self._began_at: float | None = None  # of the monologue that goes on
        self._silent_at: float | None = 0.0  # None while there is speech
        self._finals: list[str] = []
        self._partial = ""
        self._is_over = False  # the monologue, but for its words
        self._is_answered = False  # the agent has spoken since
        self._recorded = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._leave: Callable[[], None] = lambda: None
        if manner.detect != "off":
            self._begin()

    def hear(self, payload: bytes) -> None:
        """Take a frame of the caller, in the line's format."""
        size = len(payload) - len(payload) % self._audio.sample_bytes
        for beep in self._beeps.feed(to_pcm(payload[:size], self._audio)):
            self._beeped(beep)

    def suspect(self, transcript: str) -> None:
        """The model says that a machine has answered."""
        if self.verdict != "machine" and not self._log.ended:
            self._machine("llm", transcript or self._said)

    @property
    def hangs_up(self) -> bool:
        """Whether a call without a message for the machine ends at once."""
        return self._manner.hang_up

    def close(self) -> None:
        """The call is over."""
        self.listens = False
        self._leave()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # What is heard.

    def _begin(self) -> None:
        self.listens = True
        self._leave()
        self._leave = self._log.subscribe(self._read)
        self._after("listen", _LISTEN_S, self._stop_listening)

    def _read(self, entry: Entry) -> None:
        reader = _READERS.get(type(entry.event))
        if reader is not None:
            reader(self, entry.event)

    def _speech_started(self, event: UserSpeechStarted) -> None:
        if self._began_at is None or self._is_over or self._is_answered:
            if self._text:
                self._earlier.append(self._text)
                self._earlier_s = self._spoke_s
            self._began_at = event.speech_at
            self._finals, self._partial = [], ""
            if self.verdict is None and len(self._earlier) >= (_TALKS if self._is_doubtful else 2):
                self._person()  # who speaks with the agent in between talks with us
        self._is_over = self._is_answered = False
        self._silent_at = None
        self._stop("pause", "quiet")
        self._look()

    def _speech_stopped(self, event: UserSpeechStopped) -> None:
        self._silent_at = event.silence_at
        self._stop("look")
        if self.verdict is None:
            self._after("pause", event.silence_at + _PAUSE_S - self._log.seconds(), self._monologue_over)
        elif "beep" not in self._timers and not self._recorded:
            self._await_quiet()

    def _agent_heard(self, _event: AgentSpeechStarted) -> None:
        """What the caller says behind that is something new, if it is no interruption."""
        self._is_answered = self._silent_at is not None

    def _words(self, event: UserTranscription) -> None:
        self._partial = "" if event.is_final else event.text
        if event.is_final:
            self._finals.append(event.text)
        self._judge()
        if self._is_over and event.is_final:
            self._monologue_over()

    @property
    def _text(self) -> str:
        """Of the monologue that goes on."""
        return " ".join(part for part in (*self._finals, self._partial) if part)

    @property
    def _said(self) -> str:
        """All words so far."""
        return " ".join(text for text in (*self._earlier, self._text) if text)

    def _look(self) -> None:
        """While there is speech, its length tells as well."""
        self._judge()
        if self.verdict is None and self._silent_at is None:
            self._after("look", _LOOK_S, self._look)

    def _judge(self) -> None:
        if self.verdict is not None or self._manner.detect != "audio" or self._began_at is None:
            return
        at_once = not self._earlier and self._began_at <= _AT_ONCE_S
        if is_machine(self._said, self._spoke_s, at_once=at_once):
            self._machine("audio", self._said)

    @property
    def _spoke_s(self) -> float:
        """How long the caller has spoken, the pauses within monologues included."""
        until = self._log.seconds() if self._silent_at is None else self._silent_at
        return self._earlier_s + (0.0 if self._began_at is None else until - self._began_at)

    def _monologue_over(self) -> None:
        """Who has spoken waits for an answer; a machine would go on. Its words may still be on their way."""
        self._is_over = True
        if self.verdict is not None or not self._text:
            return
        if not self._is_doubtful or self._earlier:
            self._person()

    @property
    def _is_doubtful(self) -> bool:
        """What was said so far may be a machine's; a model takes its own time."""
        return self._manner.detect == "llm" or count_in(self._said, machine_phrases("likely")) > 0

    def _beeped(self, beep: Beep) -> None:
        if self.verdict == "machine":
            if beep.is_over:
                self._record(beep.frequency_hz, beep.duration_ms)
            return
        self._beep = beep
        if self._manner.detect == "audio" and self._spoke_s >= _BEFORE_BEEP_S:
            self._machine("audio", self._said)

    # What comes of it.

    def _tell(self, verdict: Literal["machine", "human"], method: Literal["audio", "llm"], transcript: str) -> None:
        """Once in a call: a model that changes the verdict is obeyed, but nothing is told again."""
        is_first = self.verdict is None
        self.verdict = verdict
        self._stop("listen", "pause", "look")
        if is_first:
            self._log.append(VoicemailDetected(verdict, method, transcript))

    def _person(self) -> None:
        self._tell("human", "llm" if self._manner.detect == "llm" else "audio", self._said)
        self.close()

    def _machine(self, method: Literal["audio", "llm"], transcript: str) -> None:
        self._begin()
        self._tell("machine", method, transcript)
        self._after("beep", _BEEP_S, self._give_up_beep)
        self._found()
        if self._beep is not None and self._beep.is_over and self.listens:
            self._record(self._beep.frequency_hz, self._beep.duration_ms)

    def _give_up_beep(self) -> None:
        """There was no beep: silence tells, and if there is none either, time does."""
        self._after("record", _BEEP_S, lambda: self._record(0.0, 0))
        if self._silent_at is not None:
            self._await_quiet()

    def _await_quiet(self) -> None:
        silent_s = self._log.seconds() - (self._silent_at or 0.0)
        self._after("quiet", max(0.0, _QUIET_S - silent_s), lambda: self._record(0.0, 0))

    def _record(self, frequency_hz: float, duration_ms: int) -> None:
        if self._recorded:
            return
        self._recorded = True
        self._log.append(VoicemailBeep(frequency_hz, duration_ms))
        self.close()
        self._recording()

    def _stop_listening(self) -> None:
        """So late in a call nobody but the model finds a machine."""
        self.listens = False

    def _after(self, name: str, seconds: float, deed: Callable[[], None]) -> None:
        self._stop(name)
        self._timers[name] = self._clock.call_at(self._clock.now() + seconds, self._run_out, name, deed)

    def _run_out(self, name: str, deed: Callable[[], None]) -> None:
        self._timers.pop(name, None)
        deed()

    def _stop(self, *names: str) -> None:
        for name in names:
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()


_READERS: dict[type, Callable[[VoicemailWatch, Any], None]] = {
    AgentSpeechStarted: VoicemailWatch._agent_heard,
    UserSpeechStarted: VoicemailWatch._speech_started,
    UserSpeechStopped: VoicemailWatch._speech_stopped,
    UserTranscription: VoicemailWatch._words,
}
