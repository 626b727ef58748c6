"""Azure Speech's fast transcription over REST: one request an utterance, at the line's own rate, with phrases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.models.remote import SpeechService
from antiphon.models.stt.contract import FailureSink, TranscriptSink
from antiphon.models.stt.openai import wav_bytes
from antiphon.models.stt.utterances import UtteranceStream, Words

MODE = "fast"
MOST_PHRASES = 500
"""More of them make the service worse."""
_PATH = "/speechtotext/transcriptions:transcribe?api-version=2025-10-15"
_WARM_S = 0.2
_WARM_HZ = 16_000


def region_url(region: str) -> str:
    """Where the service of a region is."""
    return f"https://{region.strip()}.api.cognitive.microsoft.com"


class AzureFastSTT:
    """A recogniser of whole utterances that takes phrases. It gives no partial transcripts.

    Args:
        api_key: Of the Speech resource.
        base_url: See ``region_url``; or the resource's own address.
        stall_s: Longest silence of the service.
    """

    name = f"azure/{MODE}"

    def __init__(self, *, api_key: str, base_url: str, stall_s: float = 5.0) -> None:
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
        """Start transcribing one call. Without a language, the service finds it out for each utterance."""
        recognise = partial(self._recognise, rate_hz=rate_hz, definition=_definition(language, phrases))
        return UtteranceStream(self.name, recognise, on_transcript, on_failure=on_failure, rate_hz=rate_hz)

    async def warm(self) -> None:
        """Recognise a moment of silence: a wrong key or region is found out before the first call.

        Raises:
            IntegrationException: The service cannot be had.
        """
        silence = np.zeros(int(_WARM_S * _WARM_HZ), np.int16)
        await self._recognise(silence, rate_hz=_WARM_HZ, definition=_definition(None, ()))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def _recognise(self, pcm: NDArray[np.int16], *, rate_hz: int, definition: str) -> Words:
        # A minute of sound takes longer than the event loop may be kept.
        sound = await asyncio.to_thread(wav_bytes, pcm, rate_hz)
        files = {"audio": ("speech.wav", sound, "audio/wav")}
        async with self._service.post(_PATH, data={"definition": definition}, files=files) as answer:
            told = self._service.decoded(await answer.body())
        try:
            return _words(told)
        except (KeyError, TypeError) as error:
            raise self._service.unreadable(error) from None


def _definition(language: str | None, phrases: Sequence[str]) -> str:
    wanted: dict[str, Any] = {}
    if language:
        wanted["locales"] = [language]
    if phrases:
        wanted["phraseList"] = {"phrases": list(phrases[:MOST_PHRASES])}
    return json.dumps(wanted)


def _words(told: dict[str, Any]) -> Words:
    text = " ".join(channel["text"] for channel in told["combinedPhrases"])
    parts: list[dict[str, Any]] = told.get("phrases") or []
    confidences = [part["confidence"] for part in parts if part.get("confidence")]
    language = next((part["locale"] for part in parts if part.get("locale")), None)
    return Words(text, min(confidences, default=None), language)
