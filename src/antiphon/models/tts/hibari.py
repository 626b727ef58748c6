"""The embedded voice: hibari on the CPU, English, offline.

It speaks a clause some fifty times faster than it sounds, so one thread serves all calls and each piece of text is
made whole. What the model puts before and behind its words is cut to what a listener needs: that is 0.3 s of silence
before every first word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import (
    IntegrationException,
    IntegrationInitializationError,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.hibari_text import pieces, speakable

_RATE_HZ = 24_000
_CHUNK_S = 0.5
_AUDIBLE = 0.0015
_LEAD_S = 0.02
_PAUSE_S = {",": 0.12, ";": 0.15, ":": 0.15, "—": 0.15}
_END_PAUSE_S = 0.28
_SPEEDS = (0.5, 2.0)


class HibariTTS:
    """A voice that needs no key and no network.

    Args:
        voice: Name of the default voice. ``heart`` comes with the package; others must be in hibari's own cache.
        max_waiting: Pieces that may wait to be spoken; those above fail at once.
    """

    name = "hibari"
    rate_hz = _RATE_HZ

    def __init__(self, *, voice: str = "heart", max_waiting: int = 256) -> None:
        self._voice = voice
        self._max_waiting = max_waiting
        self._waiting = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hibari")
        self._models: dict[str, Any] = {}  # touched by the one worker thread alone

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        """Speak one clause; it tells no word timings.

        Raises:
            IntegrationInvalidRequestException: There is no such voice here, or the language is not English.
            IntegrationUnavailableException: Too many pieces wait.
            IntegrationInitializationError: The package is broken.
        """
        if language and language.lower().split("-")[0] != "en":
            raise IntegrationInvalidRequestException(
                f"The embedded voice speaks English only, not {language}: choose another `tts` for this agent.",
                provider=self.name,
            )
        speed = min(max(speed, _SPEEDS[0]), _SPEEDS[1])
        for piece in pieces(speakable(text)):
            pcm = await self._speak(piece, voice or self._voice, speed)
            step = int(_CHUNK_S * _RATE_HZ)
            for start in range(0, len(pcm), step):
                yield SpeechChunk(pcm[start : start + step])

    async def warm(self) -> None:
        """Load and speak once.

        Raises:
            IntegrationException: As ``synthesize``.
        """
        await self._speak("One moment, 2 o'clock.", self._voice, 1.0)

    async def aclose(self) -> None:
        """Free the thread."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def _speak(self, piece: str, voice: str, speed: float) -> NDArray[np.int16]:
        if self._waiting >= self._max_waiting:
            raise IntegrationUnavailableException(
                f"The embedded voice has {self._waiting} pieces of text waiting: take fewer calls at once.",
                provider=self.name,
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._render, piece, voice, speed)
        finally:
            self._waiting -= 1

    # In the worker thread

    def _render(self, piece: str, voice: str, speed: float) -> NDArray[np.int16]:
        model = self._model(voice)
        try:
            # A fixed seed: the same text always sounds the same.
            sound = np.concatenate([np.zeros(0, np.float32), *model.stream(piece, speed, seed=0)])
        except (RuntimeError, ValueError, IndexError, KeyError) as error:
            raise IntegrationException(
                f"The embedded voice could not speak a piece of text ({type(error).__name__}): the next may succeed.",
                provider=self.name,
            ) from error
        pause_s = _PAUSE_S.get(piece[-1], _END_PAUSE_S)
        return (np.clip(_trimmed(sound, pause_s), -1.0, 1.0) * 32767).astype(np.int16)

    def _model(self, voice: str) -> Any:
        if voice not in self._models:
            try:
                import hibari
            except ImportError as error:
                raise IntegrationInitializationError(
                    f"The package hibari-tts is missing or broken ({error}): run `pip install hibari-tts`.",
                    provider=self.name,
                ) from error
            from hibari.voices import VOICES, voice_path

            here = [name for name in VOICES if _is_here(voice_path, name)]
            if voice not in here:
                raise IntegrationInvalidRequestException(
                    f"The embedded voice has no {voice!r} on this machine: use one of {', '.join(here)}.",
                    provider=self.name,
                )
            self._models[voice] = hibari.Hibari(voice=voice)
        return self._models[voice]


def _is_here(voice_path: Any, name: str) -> bool:
    """Whether a voice's file is on this machine; asks no network."""
    try:
        voice_path(name, download_missing=False)
    except FileNotFoundError:
        return False
    return True


def _trimmed(sound: NDArray[np.float32], pause_s: float) -> NDArray[np.float32]:
    """Sound from just before its first audible sample, with a pause of ``pause_s`` behind its last."""
    audible = np.flatnonzero(np.abs(sound) > _AUDIBLE)
    if not audible.size:
        return sound[:0]
    start = max(0, int(audible[0]) - int(_LEAD_S * _RATE_HZ))
    end = int(audible[-1]) + int(pause_s * _RATE_HZ)
    return sound[start:end]
