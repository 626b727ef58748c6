"""OpenAI's voices, or those of any service with the same ``/audio/speech``: one request a clause."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from antiphon.models.remote import SpeechService
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.samples import Samples

BASE_URL = "https://api.openai.com/v1"
VOICE = "alloy"
_SPEEDS = (0.25, 4.0)
_WARM_TEXT = "One moment."


class OpenAITTS:
    """A voice over HTTP. It tells no word timings, and finds the language by the words.

    Args:
        model: Such as ``gpt-4o-mini-tts``.
        api_key: None for an endpoint of one's own that needs none.
        base_url: Of OpenAI, or of a service like it.
        voice: The default voice.
        stall_s: Longest silence of the service.
    """

    rate_hz = 24_000

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None,
        base_url: str = BASE_URL,
        voice: str = VOICE,
        stall_s: float = 5.0,
    ) -> None:
        self.name = f"openai/{model}"
        self._model = model
        self._voice = voice
        headers = {"authorization": f"Bearer {api_key.strip()}"} if api_key else {}
        self._service = SpeechService("openai", base_url, headers=headers, stall_s=stall_s)

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        """Speak one clause.

        Raises:
            IntegrationException: The service failed.
        """
        body: dict[str, str | float] = {
            "model": self._model,
            "input": text,
            "voice": voice or self._voice,
            "response_format": "pcm",
        }
        if speed != 1.0:
            body["speed"] = min(max(speed, _SPEEDS[0]), _SPEEDS[1])
        samples = Samples()
        async with self._service.post("/audio/speech", json=body) as answer:
            if answer.content_type.startswith(("text/", "application/json")):
                raise self._service.unreadable(f"{answer.content_type} in place of sound")
            while (chunk := await answer.read()) is not None:
                if len(pcm := samples.feed(chunk)):
                    yield SpeechChunk(pcm)
        if not samples.count:
            raise self._service.unreadable("no sound")

    async def warm(self) -> None:
        """Speak once: a wrong key or model is found out before the first call, and the connection is open.

        Raises:
            IntegrationException: As ``synthesize``.
        """
        async for _ in self.synthesize(_WARM_TEXT):
            pass

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()
