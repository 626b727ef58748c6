"""OpenAI's recognisers, or those of any service with the same ``/audio/transcriptions``: one request an utterance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.wav import WavWriter
from antiphon.models.remote import Answer, SpeechService
from antiphon.models.sse import EventTooLong, SSEParser
from antiphon.models.stt.contract import FailureSink, TranscriptSink
from antiphon.models.stt.utterances import UtteranceStream, Words

BASE_URL = "https://api.openai.com/v1"
_WARM_S = 0.2


class OpenAISTT:
    """A recogniser of whole utterances. It gives no partial transcripts: its words come when the caller pauses.

    Args:
        model: Such as ``gpt-4o-mini-transcribe``.
        api_key: None for an endpoint of one's own that needs none.
        base_url: Of OpenAI, or of a service like it.
        stall_s: Longest silence of the service.
    """

    def __init__(self, model: str, *, api_key: str | None, base_url: str = BASE_URL, stall_s: float = 5.0) -> None:
        self.name = f"openai/{model}"
        self._model = model
        headers = {"authorization": f"Bearer {api_key.strip()}"} if api_key else {}
        self._service = SpeechService("openai", base_url, headers=headers, stall_s=stall_s)

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> UtteranceStream:
        """Start transcribing one call."""
        recognise = partial(self._recognise, rate_hz=rate_hz, language=language, phrases=phrases)
        return UtteranceStream(self.name, recognise, on_transcript, on_failure=on_failure, rate_hz=rate_hz)

    async def warm(self) -> None:
        """Recognise a moment of silence: a wrong key or model is found out before the first call.

        Raises:
            IntegrationException: The service cannot be had.
        """
        await self._recognise(np.zeros(int(_WARM_S * 16_000), np.int16), rate_hz=16_000, language=None, phrases=())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def _recognise(
        self, pcm: NDArray[np.int16], *, rate_hz: int, language: str | None, phrases: Sequence[str]
    ) -> Words:
        fields = {"model": self._model, "response_format": "json", "stream": "true"}
        if language:
            fields["language"] = language.partition("-")[0].lower()
        if phrases:
            fields["prompt"] = ", ".join(phrases)
        sound = {"file": ("speech.wav", wav_bytes(pcm, rate_hz), "audio/wav")}
        async with self._service.post("/audio/transcriptions", data=fields, files=sound) as answer:
            if answer.content_type == "text/event-stream":
                return Words(await self._streamed(answer))
            # Older models and many services like OpenAI's do not stream, and answer at once.
            text = self._service.decoded(await answer.body()).get("text")
            if not isinstance(text, str):
                raise self._service.unreadable("no text")
            return Words(text)

    async def _streamed(self, answer: Answer) -> str:
        parser = SSEParser()
        while (chunk := await answer.read()) is not None:
            try:
                events = parser.feed(chunk)
            except EventTooLong as error:
                raise self._service.unreadable(error) from None
            for data in events:
                text = self._final(data)
                if text is not None:
                    return text
        raise self._service.unreadable("the stream ended before the text did")

    def _final(self, data: bytes) -> str | None:
        """The whole text, if this event has it."""
        if data == b"[DONE]":
            return None
        event = self._service.decoded(data)
        error: Any = event.get("error")
        if event.get("type") == "error" or error:
            said = error.get("message") if isinstance(error, dict) else event.get("message")
            raise self._service.refusal(500, str(said or "no reason given"))
        text = event.get("text")
        return text if event.get("type") == "transcript.text.done" and isinstance(text, str) else None


def wav_bytes(pcm: NDArray[np.int16], rate_hz: int) -> bytes:
    """Mono samples, shape (n,), as a WAV file."""
    file = BytesIO()
    with WavWriter(file, rate_hz) as wav:
        wav.write(pcm)
    return file.getvalue()
