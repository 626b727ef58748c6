"""Azure Speech's voices over REST: one request a clause, written in SSML; no package of the vendor is needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from xml.sax.saxutils import escape, quoteattr

from antiphon.models.remote import SpeechService
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.samples import Samples

_PATH = "/cognitiveservices/v1"
_FORMAT = "raw-24khz-16bit-mono-pcm"
_SPEEDS = (0.5, 2.0)
_WARM_TEXT = "One moment."


def region_url(region: str) -> str:
    """Where the voices of a region are."""
    return f"https://{region.strip()}.tts.speech.microsoft.com"


class AzureTTS:
    """A voice over HTTP. Over REST it tells no word timings.

    Args:
        voice: The default voice, such as ``en-US-AvaMultilingualNeural``; it stands where others name a model.
        api_key: Of the Speech resource.
        base_url: See ``region_url``; or a container of one's own.
        stall_s: Longest silence of the service.
    """

    rate_hz = 24_000

    def __init__(self, voice: str, *, api_key: str, base_url: str, stall_s: float = 5.0) -> None:
        self.name = f"azure/{voice}"
        self._voice = voice
        headers = {"ocp-apim-subscription-key": api_key, "x-microsoft-outputformat": _FORMAT, "user-agent": "antiphon"}
        self._service = SpeechService("azure", base_url, headers=headers, stall_s=stall_s)

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        """Speak one clause.

        Raises:
            IntegrationException: The service failed.
        """
        ssml = _ssml(text, voice or self._voice, language, speed=speed).encode()
        samples = Samples()
        headers = {"content-type": "application/ssml+xml"}
        async with self._service.post(_PATH, content=ssml, headers=headers) as answer:
            if answer.content_type.startswith(("text/", "application/json")):
                raise self._service.unreadable(f"{answer.content_type} in place of sound")
            while (chunk := await answer.read()) is not None:
                if len(pcm := samples.feed(chunk)):
                    yield SpeechChunk(pcm)
        if not samples.count:
            raise self._service.unreadable("no sound")

    async def warm(self) -> None:
        """Speak once: a wrong key or voice is found out before the first call, and the connection is open.

        Raises:
            IntegrationException: As ``synthesize``.
        """
        async for _ in self.synthesize(_WARM_TEXT):
            pass

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()


def _ssml(text: str, voice: str, language: str | None, *, speed: float) -> str:
    spoken = escape(text)
    if speed != 1.0:
        percent = round((min(max(speed, _SPEEDS[0]), _SPEEDS[1]) - 1) * 100)
        spoken = f'<prosody rate="{percent:+d}%">{spoken}</prosody>'
    if language is not None:
        # A voice of several languages speaks the one that is named; the others keep their own.
        spoken = f"<lang xml:lang={quoteattr(language)}>{spoken}</lang>"
    locale = "-".join(voice.split("-")[:2])
    return (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
        f"xml:lang={quoteattr(locale)}><voice name={quoteattr(voice)}>{spoken}</voice></speak>"
    )
