"""ElevenLabs' voices over its WebSocket ``stream-input``: a connection for each clause, some always open beforehand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection

from antiphon.clock import Clock
from antiphon.models.pool import Handling, Pool, PoolLimits
from antiphon.models.remote import SpeechService, close_socket, is_open
from antiphon.models.tts.contract import SpeechChunk, WordTiming
from antiphon.models.tts.samples import Samples
from antiphon.models.tts.word_times import SpelledWords, WordPlaces

BASE_URL = "https://api.elevenlabs.io/v1"
VOICE = "JBFqnCBsd6RMkjVDRZzb"
LIMITS = PoolLimits(warm=3, fresh_s=45.0)
_IDLE_S = 60
"""After which the service closes a connection on which nothing was said; the pool drops it before."""
_SPEEDS = (0.7, 1.2)
_STATUSES: Mapping[str, int] = {
    "invalid_api_key": 401,
    "missing_permissions": 401,
    "needs_authorization": 401,
    "quota_exceeded": 402,
    "voice_not_found": 404,
    "voice_id_does_not_exist": 404,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
    "too_many_concurrent_requests": 429,
    "concurrent_limit_exceeded": 429,
    "system_busy": 503,
}
"""What the service calls its errors within a stream, as the HTTP status that says the same."""


class _Line(NamedTuple):
    """What a connection is opened for."""

    voice: str
    language: str | None


class ElevenLabsTTS:
    """A voice that tells when each word has been spoken.

    Args:
        model: Such as ``eleven_flash_v2_5``.
        api_key: The key.
        base_url: Of the service, or of a proxy.
        voice: The id of the default voice.
        stall_s: Longest silence of the service.
        limits: Connections at once, and how many wait.
        clock: Wall time unless given.

    Attributes:
        pool: The connections.
    """

    rate_hz = 24_000

    def __init__(
        self,
        model: str,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        voice: str = VOICE,
        stall_s: float = 5.0,
        limits: PoolLimits = LIMITS,
        clock: Clock | None = None,
    ) -> None:
        self.name = f"elevenlabs/{model}"
        self._model = model
        self._voice = voice
        self._service = SpeechService("elevenlabs", base_url, headers={"xi-api-key": api_key}, stall_s=stall_s)
        # A connection speaks one clause, so none comes back.
        handling = Handling(self._open, close_socket, _never_again, is_open)
        self.pool: Pool[_Line, ClientConnection] = Pool(self.name, handling, limits=limits, clock=clock)

    @property
    def has_room(self) -> bool:
        """Whether a connection is left for one more call."""
        return not self.pool.is_exhausted

    async def synthesize(
        self, text: str, *, voice: str | None = None, language: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpeechChunk]:
        """Speak one clause.

        Raises:
            IntegrationException: The service failed.
        """
        opening: dict[str, Any] = {"text": " "}
        if speed != 1.0:
            opening["voice_settings"] = {"speed": min(max(speed, _SPEEDS[0]), _SPEEDS[1])}
        clause = _Clause(text)
        async with self.pool.lease(self._line(voice, language)) as lease:
            for message in (opening, {"text": f"{text.strip()} ", "flush": True}, {"text": ""}):
                await self._service.send(lease.resource, message)
            while True:
                message = await self._next(lease.resource)
                chunk = self._chunk(message, clause)
                if chunk is not None:
                    yield chunk
                if message.get("isFinal"):
                    break
        if not clause.samples.count:
            raise self._service.unreadable("no sound")

    async def warm(self) -> None:
        """Open connections for the default voice: a wrong key or voice is found out before the first call.

        Raises:
            IntegrationException: The service cannot be had.
        """
        async with self.pool.lease(self._line(None, None)):
            pass

    async def aclose(self) -> None:
        """Close the connections."""
        await self.pool.aclose()
        await self._service.aclose()

    def _line(self, voice: str | None, language: str | None) -> _Line:
        # Only the newest fast models take a language; the others would refuse it.
        takes_language = language is not None and self._model.endswith("v2_5")
        return _Line(voice or self._voice, language.partition("-")[0].lower() if language and takes_language else None)

    async def _open(self, line: _Line) -> ClientConnection:
        query = {
            "model_id": self._model,
            "output_format": f"pcm_{self.rate_hz}",
            "auto_mode": "true",
            "sync_alignment": "true",
            "inactivity_timeout": str(_IDLE_S),
            **({"language_code": line.language} if line.language else {}),
        }
        return await self._service.dial(f"/text-to-speech/{line.voice}/stream-input", query)

    async def _next(self, socket: ClientConnection) -> dict[str, Any]:
        """The next message, if it is no error."""
        message = await self._service.receive(socket)
        error = message.get("error")
        if error is not None:
            status = _STATUSES.get(str(error), 500)
            raise self._service.refusal(status, f"{error}: {message.get('message') or 'no reason given'}")
        return message

    def _chunk(self, message: Mapping[str, Any], clause: _Clause) -> SpeechChunk | None:
        is_final = bool(message.get("isFinal"))
        try:
            return clause.chunk(message.get("audio"), message.get("alignment"), self.rate_hz, is_final=is_final)
        except (ValueError, TypeError, KeyError) as error:
            raise self._service.unreadable(error) from None


class _Clause:
    """A clause and how much of it has been spoken."""

    def __init__(self, text: str) -> None:
        self.samples = Samples()
        self._places = WordPlaces(text)
        self._spelled = SpelledWords()

    def chunk(self, audio: Any, alignment: Any, rate_hz: int, *, is_final: bool) -> SpeechChunk | None:
        """A message's sound and words. Its times count from its own first sample."""
        offset_ms = self.samples.count / rate_hz * 1000
        pcm = self.samples.feed_base64(audio or "")
        words: list[tuple[str, float]] = []
        if alignment:
            starts, lengths = alignment["charStartTimesMs"], alignment["charDurationsMs"]
            ends = [offset_ms + start + length for start, length in zip(starts, lengths, strict=True)]
            words = self._spelled.feed(alignment["chars"], ends)
        if is_final:
            words += self._spelled.finish()
        timings: tuple[WordTiming, ...] = self._places.timings(words)
        return SpeechChunk(pcm, timings) if len(pcm) or timings else None


async def _never_again(_socket: ClientConnection) -> bool:
    return False
