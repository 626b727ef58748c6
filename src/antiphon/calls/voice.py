"""The agent's voice in one call: clauses in, sound in the line's format out, into a ``Speech``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable

import numpy as np

from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.audio.resample import Resampler
from antiphon.audio.tones import sine
from antiphon.calls.clauses import Clause, ClauseSplitter
from antiphon.calls.events import SpeechKind
from antiphon.calls.ledger import Ledger
from antiphon.calls.speech import Speaker, Speech
from antiphon.errors import IntegrationInvalidResponseException, IntegrationUnavailableException
from antiphon.models.prices import Used
from antiphon.models.tts.contract import TTS, SpeechChunk

_MAX_CLAUSE_S = 60.0
_PREPARE_S = 30.0
_PIECE_S = 0.3
"""Longer than any line's message, so that the first one is full."""
_PATIENT: frozenset[SpeechKind] = frozenset({"greeting", "say"})
"""Phrases that may take as long as a reply: if they do, a filler is said meanwhile."""


_Manner = tuple[str | None, str | None, float]


def _manner(speaker: Speaker) -> _Manner:
    return speaker.voice, speaker.language, speaker.speed


class Phrases:
    """Sound of the fixed phrases of a process, made once: they can be said even when the voice has failed."""

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._sounds: dict[tuple[str, _Manner, AudioFormat, str], bytes] = {}

    def get(self, tts: TTS, speaker: Speaker, audio: AudioFormat, text: str) -> bytes | None:
        """The sound of a phrase, if it was made before."""
        return self._sounds.get((tts.name, _manner(speaker), audio, text))

    def keep(self, tts: TTS, speaker: Speaker, audio: AudioFormat, text: str, *, sound: bytes) -> None:
        """Keep the sound of a phrase; the oldest gives way when there are too many."""
        if len(self._sounds) >= self._capacity:
            self._sounds.pop(next(iter(self._sounds)))
        self._sounds[tts.name, _manner(speaker), audio, text] = sound

    async def prepare(
        self, tts: TTS, audio: AudioFormat, texts: Iterable[str], *, speaker: Speaker | None = None
    ) -> None:
        """Make the sound of phrases before they are needed, in the provider's own voice unless a speaker is given.

        Raises:
            IntegrationException: The voice failed.
        """
        voice = Voice(
            tts,
            audio,
            self,
            speaker=speaker or Speaker(),
            timeout_s=_PREPARE_S,
            phrase_timeout_s=_PREPARE_S,
        )
        for text in dict.fromkeys(texts):
            await voice.say(Speech(0, "say", turn=0, audio=audio), text)


class Voice:
    """Speaks for one call.

    Attributes:
        speaker: Whose voice it is where a speech does not say so.

    Args:
        tts: The provider.
        audio: The line's format.
        phrases: Fixed phrases that were made before.
        speaker: As the attribute.
        timeout_s: A voice that is silent this long has failed.
        phrase_timeout_s: The same for phrases that end a silence, such as fillers.
        ledger: Told how much was voiced, and by whom; nobody unless given.
    """

    def __init__(
        self,
        tts: TTS,
        audio: AudioFormat,
        phrases: Phrases,
        *,
        speaker: Speaker,
        timeout_s: float,
        phrase_timeout_s: float,
        ledger: Ledger | None = None,
    ) -> None:
        self.speaker = speaker
        self._ledger = ledger or Ledger()
        self._tts = tts
        self._audio = audio
        self._phrases = phrases
        self._timeout_s = timeout_s
        self._phrase_timeout_s = phrase_timeout_s

    async def speak(self, speech: Speech, clause: Clause, *, timeout_s: float | None = None) -> None:
        """Add the sound of a clause to a speech.

        Args:
            speech: What it belongs to.
            clause: What to say.
            timeout_s: In place of the voice's own.

        Raises:
            IntegrationException: The voice failed, stalled, or gave no sound.
        """
        if not clause.speech:
            return
        speech.begin_clause(clause.text, clause.speech)
        resampler = Resampler(self._tts.rate_hz, self._audio.rate_hz)
        limit = self._tts.rate_hz * _MAX_CLAUSE_S
        piece = max(1, int(self._tts.rate_hz * _PIECE_S))
        samples, name = 0, ""
        speaker = speech.speaker or self.speaker
        chunks = self._tts.synthesize(
            clause.speech, voice=speaker.voice, language=speaker.language, speed=speaker.speed
        )
        timeout_s = timeout_s or self._timeout_s
        try:
            while (chunk := await self._next(chunks, timeout_s)) is not None:
                pcm = _checked(chunk, self._tts.name)
                samples += len(pcm)
                if not name:
                    name = chunk.voice or self._tts.name
                    self._ledger.note("tts", name, Used(characters=len(clause.speech)))
                if samples > limit:
                    raise IntegrationInvalidResponseException(f"The voice {self._tts.name} does not stop.")
                words = chunk.words
                for start in range(0, len(pcm), piece):  # the first sound leaves before the rest is converted
                    speech.add_sound(from_pcm(resampler.feed(pcm[start : start + piece]), self._audio), words)
                    words = ()
        finally:
            await chunks.aclose()
        if not samples:
            raise IntegrationInvalidResponseException(f"The voice {self._tts.name} gave no sound.")
        speech.add_sound(from_pcm(resampler.feed(np.zeros(0, np.int16), last=True), self._audio))

    async def say(self, speech: Speech, text: str) -> None:
        """Say a fixed phrase and finish the speech.

        Where the voice fails and the phrase was never made, a chime sounds in its place: a caller is never left in
        silence.

        Raises:
            IntegrationException: The voice failed; the chime sounds.
        """
        if self.recall(speech, text):
            return
        speech.generated = text
        speaker = speech.speaker or self.speaker
        timeout_s = self._timeout_s if speech.kind in _PATIENT else self._phrase_timeout_s
        splitter = ClauseSplitter()
        try:
            for clause in (*splitter.feed(text), *splitter.flush()):
                await self.speak(speech, clause, timeout_s=timeout_s)
            self._phrases.keep(self._tts, speaker, self._audio, text, sound=bytes(speech.sound))
        finally:
            if text and not speech.sound:
                speech.clauses.clear()  # their words are not heard
                speech.begin_clause("", "")
                speech.add_sound(self._chime())
            speech.finish()

    def recall(self, speech: Speech, text: str) -> bool:
        """Say a phrase whose sound was made before, and finish the speech; whether there is such a sound."""
        sound = self._phrases.get(self._tts, speech.speaker or self.speaker, self._audio, text)
        if sound is None:
            return False
        speech.generated = text
        speech.begin_clause(text, text)
        speech.add_sound(sound)
        speech.finish()
        return True

    async def _next(self, chunks: AsyncGenerator[SpeechChunk], timeout_s: float) -> SpeechChunk | None:
        try:
            async with asyncio.timeout(timeout_s):
                return await anext(chunks, None)
        except TimeoutError:
            message = f"The voice {self._tts.name} was silent for {timeout_s:g} s."
            raise IntegrationUnavailableException(message, code="tts_timeout") from None

    def _chime(self) -> bytes:
        """Two soft tones: something is still there."""
        tones = [sine(hz, 180, rate_hz=self._audio.rate_hz, amplitude=0.12) for hz in (523.25, 659.25)]
        return from_pcm(np.concatenate(tones), self._audio)


def _checked(chunk: SpeechChunk, name: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    pcm = chunk.pcm
    if pcm.ndim != 1 or pcm.dtype != np.int16:
        raise IntegrationInvalidResponseException(f"The voice {name} gave sound that is not 16-bit mono.")
    return pcm
