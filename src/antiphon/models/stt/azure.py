"""Azure Speech's recogniser over its REST interface for short audio: one request an utterance, no vendor's package."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.resample import resample
from antiphon.models.remote import SpeechService
from antiphon.models.stt.contract import FailureSink, TranscriptSink
from antiphon.models.stt.openai import wav_bytes
from antiphon.models.stt.utterances import UtteranceStream, Words

RATE_HZ = 16_000
LANGUAGE = "en-US"
_WARM_S = 0.2
_NO_WORDS = frozenset({"NoMatch", "InitialSilenceTimeout", "BabbleTimeout"})


def region_url(region: str) -> str:
    """Where the recognisers of a region are."""
    return f"https://{region.strip()}.stt.speech.microsoft.com"


class AzureSTT:
    """A recogniser of whole utterances, up to a minute each. It gives no partial transcripts and takes no phrases.

    Args:
        mode: ``conversation``, ``interactive`` or ``dictation``; it stands where others name a model.
        api_key: Of the Speech resource.
        base_url: See ``region_url``; or a container of one's own.
        stall_s: Longest silence of the service.
    """

    def __init__(self, mode: str, *, api_key: str, base_url: str, stall_s: float = 5.0) -> None:
        self.name = f"azure/{mode}"
        self._path = f"/speech/recognition/{mode}/cognitiveservices/v1"
        headers = {"ocp-apim-subscription-key": api_key, "accept": "application/json"}
        self._service = SpeechService("azure", base_url, headers=headers, stall_s=stall_s)

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> UtteranceStream:
        """Start transcribing one call. ``phrases`` are of no use to this interface."""
        recognise = partial(self._recognise, rate_hz=rate_hz, language=language or LANGUAGE)
        return UtteranceStream(self.name, recognise, on_transcript, on_failure=on_failure, rate_hz=rate_hz)

    async def warm(self) -> None:
        """Recognise a moment of silence: a wrong key or region is found out before the first call.

        Raises:
            IntegrationException: The service cannot be had.
        """
        await self._recognise(np.zeros(int(_WARM_S * RATE_HZ), np.int16), rate_hz=RATE_HZ, language=LANGUAGE)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def _recognise(self, pcm: NDArray[np.int16], *, rate_hz: int, language: str) -> Words:
        # A minute of sound takes longer than the event loop may be kept.
        sound = await asyncio.to_thread(_wav, pcm, rate_hz)
        path = f"{self._path}?{urlencode({'language': language, 'format': 'detailed'})}"
        headers = {"content-type": f"audio/wav; codecs=audio/pcm; samplerate={RATE_HZ}"}
        async with self._service.post(path, content=sound, headers=headers) as answer:
            told = self._service.decoded(await answer.body())
        status = told.get("RecognitionStatus")
        if status in _NO_WORDS:
            return Words("", language=language)
        if status != "Success":
            if isinstance(status, str):
                raise self._service.refusal(500, f"the recogniser says {status}")
            raise self._service.unreadable("no status")
        best: Any = (told.get("NBest") or [{}])[0]
        text, confidence = best.get("Display", told.get("DisplayText")), best.get("Confidence")
        if not isinstance(text, str):
            raise self._service.unreadable("no text")
        return Words(text, confidence if isinstance(confidence, float) else None, language)


def _wav(pcm: NDArray[np.int16], rate_hz: int) -> bytes:
    """Sound at the one rate that the service takes."""
    return wav_bytes(resample(pcm, rate_hz, RATE_HZ), RATE_HZ)
