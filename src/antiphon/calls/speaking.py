"""All that the agent says in one call: in order, in time, and remembered as far as it was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from antiphon.audio.convert import from_pcm
from antiphon.audio.tones import dtmf
from antiphon.calls import events, floor
from antiphon.calls.background import Background
from antiphon.calls.events import SpeechKind
from antiphon.calls.history import History, ReplyRecord
from antiphon.calls.line import AudioTap, Line
from antiphon.calls.log import CallLog
from antiphon.calls.pacer import Pacer
from antiphon.calls.playout import Playout
from antiphon.calls.policy import CallPolicy
from antiphon.calls.speech import Speech
from antiphon.calls.voice import Voice
from antiphon.calls.watcher import ReplyWatcher
from antiphon.clock import Clock
from antiphon.errors import AntiphonException

_REMEMBERED: frozenset[SpeechKind] = frozenset({"reply", "greeting", "say", "goodbye"})
"""Speeches that the model should know of; fillers and the like are noises of the line to it."""
_PLAYED: frozenset[SpeechKind] = frozenset({"play", "announcement"})
"""Files: the model should know of one whose words are given."""
_TONE_MS, _GAP_MS = 100, 100
"""More than twice what a network must accept."""
_TONE_LEVEL = 0.28
"""Of each of a key's two tones: 8 dB below full scale together."""


class Speaking:
    """The mouth of one call. Turn-taking is told when sound begins and when all of it was heard.

    Args:
        line: The way to the caller.
        voice: Makes sound of clauses.
        history: Gets what was heard.
        log: Gets the events of speech.
        report: Gets ``SpeechStarted`` and ``SpeechFinished``.
        failed: Gets the faults of the voice.
        spawn: Runs a task of the call.
        watcher: Told when a speech was sent.
        pacer: The process's metronome.
        clock: The process's time.
        policy: How far ahead and in which pieces sound is sent.
        tap: Who records.
    """

    def __init__(
        self,
        line: Line,
        voice: Voice,
        *,
        history: History,
        log: CallLog,
        report: Callable[[floor.Event], None],
        over: Callable[[Speech], None],
        failed: Callable[[str, Exception], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
        watcher: ReplyWatcher,
        pacer: Pacer,
        clock: Clock,
        policy: CallPolicy,
        tap: AudioTap | None,
    ) -> None:
        self._line = line
        self._voice = voice
        self._history = history
        self._log = log
        self._report = report
        self._over = over
        self._failed = failed
        self._spawn = spawn
        self._watcher = watcher
        self._playout = Playout(
            line,
            self,
            pacer=pacer,
            clock=clock,
            lead_s=policy.lead_s,
            frame_ms=policy.frame_ms,
            tap=tap,
            seconds=log.seconds,
        )
        self._count = 0
        self._sounding = 0  # number of the speech that sounded last
        self._voicing: set[asyncio.Task[None]] = set()
        self.mark_played = self._playout.mark_played
        self.pause = self._playout.pause
        self.fill = self._playout.fill
        self.close = self._playout.close

    @property
    def background(self) -> Background | None:
        """What lies under all that is said; None where the line carries none. Call ``fill`` when it begins."""
        return self._playout.background

    @property
    def is_announcing(self) -> bool:
        """Whether a file is heard that nobody interrupts."""
        speech = self._playout.speech
        return speech is not None and speech.kind == "announcement"

    def new(self, kind: SpeechKind, turn: int) -> Speech:
        """A speech that is still silent."""
        self._count += 1
        return Speech(self._count, kind, turn=turn, audio=self._line.audio, speaker=self._voice.speaker)

    def begin(self, speech: Speech) -> None:
        """Say this after what is being said, as its sound comes."""
        self._log.append(events.AgentSpeechCreated(speech.number, speech.kind, speech.turn))
        for clause in speech.clauses:
            self._text_spoken(speech, clause.text)
        speech.on_clause = partial(self._text_spoken, speech)
        self._playout.attach(speech, ahead=speech.kind == "filler")

    def say(self, kind: SpeechKind, text: str, turn: int) -> None:
        """Say a phrase of ours: fillers go ahead of a reply that does not sound yet, the rest in order."""
        speech = self.new(kind, turn)
        task = self._spawn(self._say(speech, text), f"say {kind}")
        if task is None:
            return
        self._voicing.add(task)
        task.add_done_callback(self._voicing.discard)
        self.begin(speech)

    def press(self, keys: str, turn: int) -> None:
        """Press keys of the telephone: their tones sound on the line."""
        audio = self._line.audio
        speech = self.new("tones", turn)
        speech.begin_clause("", "")
        tones = dtmf(keys, rate_hz=audio.rate_hz, tone_ms=_TONE_MS, gap_ms=_GAP_MS, amplitude=_TONE_LEVEL)
        speech.add_sound(from_pcm(tones, audio))
        speech.finish()
        self.begin(speech)

    def resume(self, *, false_interruption: bool) -> None:
        """Go on where ``pause`` held."""
        if false_interruption:
            self._log.append(events.AgentFalseInterruption(self._sounding, resumed=True))
        self._playout.resume()

    def stop(self) -> None:
        """Say no more: what was not heard is forgotten, what was heard is remembered."""
        for task in self._voicing:
            task.cancel()
        for speech in self._playout.stop():
            self._cut(speech)

    def drop(self, speech: Speech) -> None:
        """Say no more of this speech, and go on with what stands behind it; what was heard of it is remembered."""
        if self._playout.drop(speech):
            self._cut(speech)

    def _cut(self, speech: Speech) -> None:
        if speech.on_over is not None:
            speech.on_over(True)
        if not speech.started:
            return
        position_s = round(speech.played_s, 3)
        self._log.append(
            events.AgentSpeechInterrupted(speech.number, speech.heard, speech.spoken, speech.generated, position_s)
        )
        self._remember(speech, interrupted=True)

    async def _say(self, speech: Speech, text: str) -> None:
        try:
            await self._voice.say(speech, text)
        except AntiphonException as error:
            self._failed("tts_unavailable", error)

    def _text_spoken(self, speech: Speech, text: str) -> None:
        if text:
            self._log.append(events.AgentTextSpoken(speech.number, text))

    def _remember(self, speech: Speech, *, interrupted: bool) -> None:
        if speech.kind in _REMEMBERED or (speech.kind in _PLAYED and speech.heard):
            author = speech.speaker.agent if speech.speaker is not None else ""
            record = ReplyRecord(speech.generated, speech.spoken, speech.heard, interrupted, author, speech.number)
            self._history.add_reply(record)
        self._over(speech)

    # What the playout tells.

    def speech_started(self, speech: Speech) -> None:
        """Sound of a speech was sent, its first or the first after silence."""
        now = self._log.seconds()
        self._sounding = speech.number
        if speech.started_at is None:
            speech.started_at = now
            self._log.append(events.AgentSpeechStarted(speech.number))
        self._report(floor.SpeechStarted(now, speech.kind))

    def speech_over(self, speech: Speech) -> None:
        """A speech was heard to its end."""
        if speech.on_over is not None:
            speech.on_over(not speech.started)
        if speech.started:
            self._log.append(events.AgentSpeechCompleted(speech.number, speech.spoken, round(speech.played_s, 3)))
            self._remember(speech, interrupted=False)
        else:
            self._over(speech)

    def speech_sent(self, speech: Speech) -> None:
        """The whole sound of a speech was sent."""
        self._watcher.speech_sent(speech)

    def silent(self, last: Speech, more: bool) -> None:
        """All sound so far was heard."""
        self._report(floor.SpeechFinished(self._log.seconds(), more, last.spoken))
