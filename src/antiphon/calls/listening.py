"""From the caller's frames to the events of turn-taking: voice, silence, words, and the end-of-turn model's opinion.

A frame that holds no speech touches the detector and a small ring, nothing else: no queue, no task. Speech, with what
came just before it, goes to the recogniser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

import numpy as np
import structlog

from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.resample import resample
from antiphon.audio.ring import ByteRing
from antiphon.calls.floor import Heard, TurnScored, VoiceStarted, VoiceStopped
from antiphon.calls.ledger import Ledger
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import Clock
from antiphon.errors import IntegrationException
from antiphon.models.prices import Used
from antiphon.models.stt.contract import STT, STTStream, Transcript
from antiphon.models.turn.contract import TurnModel
from antiphon.models.vad.contract import VAD

_log = structlog.get_logger(__name__)

_EPSILON_S = 1e-6
_WAVER_S = 0.06
"""Silence this long is noticed; ``stop_s`` decides what it means."""
_HYSTERESIS = 0.15
"""Speech goes on until the score is this much under the detector's threshold."""
_OPINION_S = 1.0
"""An end-of-turn model that takes longer has nothing to say: silence and words decide alone."""
_MISSING_S = 1.0
"""Frames that do not come for so long while the caller speaks are silence: a line may stop sending."""
_LOOK_AGAIN_S = 0.25
_PIECE_MS = 20.0
_LONGEST_MS = 100.0

Report = Callable[[VoiceStarted | VoiceStopped | Heard | TurnScored], None]
Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class VoiceGate:
    """Scores in, starts and stops of speech out: enough voice in a row is speech, enough silence in a row ends it.

    Scores come for windows of some length, so a limit is met at the window that ends nearest to it.

    Attributes:
        speaking: Whether there is speech.
        voiced_s: Voice in a row, before speech has started.
        silent_s: Silence in a row, while there is speech.
    """

    __slots__ = ("_enter", "_leave", "_start_s", "_stop_s", "_tail_s", "silent_s", "speaking", "voiced_s")

    def __init__(self, vad: VAD, *, start_s: float, stop_s: float, threshold: float | None = None) -> None:
        self.reset()
        self.adopt(vad, start_s=start_s, stop_s=stop_s, threshold=threshold)

    def adopt(self, vad: VAD, *, start_s: float, stop_s: float, threshold: float | None = None) -> None:
        """Go by these limits from here on; ``threshold`` is the detector's own unless given."""
        self._enter = vad.threshold if threshold is None else threshold
        self._leave = max(self._enter - _HYSTERESIS, self._enter / 2)
        self._tail_s = vad.tail_s
        self._start_s = start_s - _EPSILON_S
        self._stop_s = stop_s - _EPSILON_S

    def reset(self) -> None:
        """There is no speech."""
        self.speaking = False
        self.voiced_s = 0.0
        self.silent_s = 0.0

    def hear(self, score: float, seconds: float) -> Literal["started", "stopped"] | None:
        """Take the score of the next piece of audio; what changes with it."""
        if self.speaking:
            if score >= self._leave:
                self.silent_s = 0.0
                return None
            self.silent_s += seconds if self.silent_s else seconds + self._tail_s
            if self.silent_s < self._stop_s - seconds / 2:
                return None
            self.speaking = False
            self.voiced_s = 0.0
            return "stopped"
        if score < self._enter:
            self.voiced_s = 0.0
            return None
        self.voiced_s += seconds
        if self.voiced_s < self._start_s - seconds / 2:
            return None
        self.speaking = True
        self.silent_s = 0.0
        return "started"


class Listening:
    """The ears of one call.

    Attributes:
        detects: Whether the detector finds the speech; else all sound is taken for it, until somebody ends the turn.
    """

    def __init__(
        self,
        audio: AudioFormat,
        *,
        vad: VAD,
        stt: STT,
        turn: TurnModel | None,
        policy: CallPolicy,
        report: Report,
        failed: Callable[[Exception], None],
        spawn: Spawn,
        clock: Clock,
        now: Callable[[], float],
        ledger: Ledger,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> None:
        self.detects = True
        self._ledger = ledger
        self._fed_s = 0.0  # of speech, since the last final words
        self._audio = audio
        self._sample_bytes = audio.sample_bytes
        self._turn_model = turn
        self._report = report
        self._failed = failed
        self._spawn = spawn
        self._clock = clock
        self._now = now
        self._final_s = policy.turn.final_timeout_s
        self._piece = audio.frame_bytes(_PIECE_MS)
        self._longest = audio.frame_bytes(_LONGEST_MS)
        self._heard_at = 0.0  # when the last frame of speech came
        self._watching = False
        self._detector = vad
        self._gate = VoiceGate(
            vad, start_s=policy.turn.start_s, stop_s=policy.turn.stop_s, threshold=policy.vad_threshold
        )
        self._utterance = 0
        self._answered = 0  # utterances below this have their final words, or failed
        self._partial = ""
        self._preroll = self._ring(policy.preroll_s, policy.turn)
        context = audio.frame_bytes(turn.context_s * 1000) if turn is not None else 0
        self._context = ByteRing(context)
        self._vad = vad.open(audio, self._scored)
        self._recogniser = stt
        self._language = language
        self._phrases = tuple(phrases)
        self._fed = False  # the recogniser has sound of an utterance that was not finished
        self._closing: set[STTStream] = set()
        self._stt = self._open_stream()

    def hear(self, payload: bytes) -> None:
        """Take a frame of the caller, of any length; what is no whole sample at its end is left out."""
        if len(payload) > self._longest:
            for start in range(0, len(payload), self._piece):
                self.hear(payload[start : start + self._piece])
            return
        if odd := len(payload) % self._sample_bytes:
            payload = payload[:-odd]
        if not self.detects:
            self._feed(payload)
            return
        if self._gate.speaking:
            self._heard_at = self._now()
            self._feed(payload)
        else:
            self._preroll.push(payload)
        if self._turn_model is not None:
            self._context.push(payload)
        self._vad.feed(payload)

    def adopt(
        self,
        turn: TurnPolicy,
        *,
        detects: bool = True,
        threshold: float | None = None,
        preroll_s: float | None = None,
    ) -> None:
        """Listen by other manners from here on; speech that goes on is not lost.

        Args:
            turn: The manners.
            detects: As the attribute.
            threshold: Score of the detector that counts as speech; its own unless given.
            preroll_s: Sound before speech that the recogniser also gets; as it was unless given.
        """
        if preroll_s is not None:
            self._preroll = self._ring(preroll_s, turn)
        self._final_s = turn.final_timeout_s
        self._gate.adopt(self._detector, start_s=turn.start_s, stop_s=turn.stop_s, threshold=threshold)
        if self.detects and not detects and self._gate.speaking:
            self._gate.reset()
            self._report(VoiceStopped(self._now(), self._now()))
        self.detects = detects

    def _ring(self, preroll_s: float, turn: TurnPolicy) -> ByteRing:
        """For sound from before it is known to be speech."""
        return ByteRing(self._audio.frame_bytes((preroll_s + turn.start_s) * 1000))

    def clear(self) -> None:
        """Forget the sound since the last utterance that was finished."""
        self._gate.reset()
        self._preroll.take()
        self._context.take()
        if self._fed:
            self._fed = False
            self._stt.discard()

    @property
    def voiced(self) -> bool:
        """Whether the caller makes sound right now, not only a moment ago."""
        return self._gate.speaking and self._gate.silent_s < _WAVER_S

    def finish_utterance(self) -> None:
        """The words since the last time are wanted now."""
        self._utterance += 1
        self._fed = False
        self._stt.finish()
        if self._turn_model is not None:
            self._spawn(self._score_turn(self._turn_model), "turn model")

    async def aclose(self) -> None:
        """Stop listening."""
        self._vad.close()
        if self._fed_s:
            self._count(None)
        await asyncio.gather(self._stt.aclose(), *(stream.aclose() for stream in self._closing))

    def listen_for(self, language: str | None, phrases: Sequence[str] | None = None) -> None:
        """Expect another language from the next utterance on, and other words where they are given."""
        self._language = language
        if phrases is not None:
            self._phrases = tuple(phrases)
        self._use_expected()

    def _use_expected(self) -> None:
        """Between two utterances a stream for the right language and words takes the old one's place."""
        if self._fed or (self._language, self._phrases) == self._stt_expects:
            return
        old, self._stt = self._stt, self._open_stream()
        self._closing.add(old)
        self._spawn(self._retire(old, self._utterance), "recogniser")

    def _open_stream(self) -> STTStream:
        """A stream counts its utterances from 0; for the call they go on from here."""
        first = self._utterance
        self._stt_expects = self._language, self._phrases
        return self._recogniser.open(
            self._audio.rate_hz,
            lambda transcript: self._transcribed(transcript, first),
            lambda error: self._transcription_failed(error, first),
            language=self._language,
            phrases=self._phrases,
        )

    async def _retire(self, stream: STTStream, below: int) -> None:
        """Close a stream when its utterances have their final words, or nobody waits for them any more."""
        until = self._now() + self._final_s
        while self._answered < below and self._now() < until:
            await self._clock.sleep(_LOOK_AGAIN_S)
        self._closing.discard(stream)
        await stream.aclose()

    def _feed(self, payload: bytes) -> None:
        self._fed = True
        self._fed_s += self._audio.seconds(len(payload))
        self._stt.feed(to_pcm(payload, self._audio))

    def _scored(self, score: float, seconds: float) -> None:
        """The detector's opinion of the next piece of audio."""
        change = self._gate.hear(score, seconds)
        if change is None:
            return
        now = self._now()
        if change == "started":
            self._heard_at = now
            if not self._watching:
                self._watching = True
                self._spawn(self._watch_frames(), "missing frames")
            self._use_expected()
            self._feed(self._preroll.take())
            self._report(VoiceStarted(now, now - self._gate.voiced_s))
        else:
            self._report(VoiceStopped(now, now - self._gate.silent_s))

    async def _watch_frames(self) -> None:
        """A line that stops sending in the middle of speech must not keep the floor."""
        while self._gate.speaking:
            await self._clock.sleep(_MISSING_S / 2)
            missing_s = self._now() - self._heard_at
            if missing_s >= _MISSING_S:
                self._scored(0.0, missing_s)
        self._watching = False

    def _transcribed(self, transcript: Transcript, first: int) -> None:
        utterance = first + transcript.utterance
        self._partial = "" if transcript.is_final else transcript.text
        if transcript.is_final:
            self._count(transcript.recogniser)
            self._answered = max(self._answered, utterance + 1)
        self._report(Heard(self._now(), transcript.text.strip(), transcript.is_final, utterance))

    def _count(self, recogniser: str | None) -> None:
        """Somebody has listened to what was said since the last final words."""
        fed_s, self._fed_s = self._fed_s, 0.0
        self._ledger.note("stt", recogniser or self._recogniser.name, Used(audio_s=fed_s))

    def _transcription_failed(self, error: Exception, first: int) -> None:
        """A recogniser answers in order: it is the oldest open utterance of this stream that gets no words."""
        self._failed(error)
        utterance = max(self._answered, first)
        self._answered = utterance + 1
        self._report(Heard(self._now(), "", True, utterance, failed=True))

    async def _score_turn(self, model: TurnModel) -> None:
        utterance = self._utterance
        context = self._context.take()
        for start in range(0, len(context), self._piece):
            self._context.push(context[start : start + self._piece])
        pcm = resample(to_pcm(context, self._audio), self._audio.rate_hz, model.rate_hz)
        try:
            async with asyncio.timeout(_OPINION_S):
                probability = await model.score(np.asarray(pcm, np.int16), self._partial)
        except (IntegrationException, TimeoutError) as error:
            _log.warning("turn_model_failed", model=model.name, error=str(error) or "no answer in time")
            return
        if utterance == self._utterance and not self._gate.speaking:
            self._report(TurnScored(self._now(), probability))
