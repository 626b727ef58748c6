"""Cartesia's voices over its WebSocket: a context for each clause, on connections that stay open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection

from antiphon.clock import Clock
from antiphon.errors import IntegrationException
from antiphon.models.pool import Handling, Pool, PoolLimits
from antiphon.models.remote import SpeechService, close_socket, is_open
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.samples import Samples
from antiphon.models.tts.word_times import WordPlaces

BASE_URL = "https://api.cartesia.ai"
VERSION = "2025-04-16"
VOICE = "a0e99841-438c-4a64-b679-ae501e7d6091"
LIMITS = PoolLimits(warm=3, fresh_s=240.0)
"""The service closes a connection on which nothing was said for five minutes."""
_SPEEDS = (0.6, 1.5)
_LINE = "line"


class CartesiaTTS:
    """A voice that tells when each word has been spoken.

    Args:
        model: Such as ``sonic-3``.
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
        self.name = f"cartesia/{model}"
        self._model = model
        self._voice = voice
        headers = {"x-api-key": api_key, "cartesia-version": VERSION}
        self._service = SpeechService("cartesia", base_url, headers=headers, stall_s=stall_s)
        handling = Handling(self._open, close_socket, _as_new, is_open)
        self.pool: Pool[str, ClientConnection] = Pool(self.name, handling, limits=limits, clock=clock)

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
        request = self._request(text, voice=voice, language=language, speed=speed)
        context = str(request["context_id"])
        samples, places = Samples(), WordPlaces(text)
        async with self.pool.lease(_LINE) as lease:
            socket = lease.resource
            await self._service.send(socket, request)
            try:
                while not (message := await self._next(socket, context)).get("done"):
                    chunk = self._chunk(message, samples, places)
                    if chunk is not None:
                        yield chunk
            except IntegrationException:
                raise
            except BaseException:
                # Nobody listens any more: what is not made yet is neither made nor paid.
                with suppress(IntegrationException):
                    await self._service.send(socket, {"context_id": context, "cancel": True})
                raise
        if not samples.count:
            raise self._service.unreadable("no sound")

    async def warm(self) -> None:
        """Open connections: a wrong key is found out before the first call.

        Raises:
            IntegrationException: The service cannot be had.
        """
        async with self.pool.lease(_LINE):
            pass

    async def aclose(self) -> None:
        """Close the connections."""
        await self.pool.aclose()
        await self._service.aclose()

    def _request(self, text: str, *, voice: str | None, language: str | None, speed: float) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model_id": self._model,
            "transcript": text,
            "voice": {"mode": "id", "id": voice or self._voice},
            "context_id": uuid4().hex,
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": self.rate_hz},
            "add_timestamps": True,
            "continue": False,
        }
        if language is not None:
            request["language"] = language.partition("-")[0].lower()
        if speed != 1.0:
            request["generation_config"] = {"speed": min(max(speed, _SPEEDS[0]), _SPEEDS[1])}
        return request

    async def _open(self, _line: str) -> ClientConnection:
        return await self._service.dial("/tts/websocket", {"cartesia_version": VERSION})

    async def _next(self, socket: ClientConnection, context: str) -> dict[str, Any]:
        """The next message of a context; those of others are left over from a clause that was not wanted to its end."""
        while True:
            message = await self._service.receive(socket)
            if message.get("context_id") not in (context, None):
                continue
            if message.get("type") == "error":
                status = message.get("status_code")
                said = message.get("message") or message.get("title") or message.get("error") or "no reason given"
                raise self._service.refusal(status if isinstance(status, int) and status >= 400 else 500, str(said))
            return message

    def _chunk(self, message: Mapping[str, Any], samples: Samples, places: WordPlaces) -> SpeechChunk | None:
        try:
            if message.get("type") == "chunk":
                pcm = samples.feed_base64(message["data"])
                return SpeechChunk(pcm) if len(pcm) else None
            if message.get("type") == "timestamps":
                timings = places.timings(_words(message["word_timestamps"]))
                return SpeechChunk(samples.feed(b""), timings) if timings else None
        except (ValueError, TypeError, KeyError) as error:
            raise self._service.unreadable(error) from None
        return None


def _words(timestamps: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(str(word), float(end) * 1000) for word, end in zip(timestamps["words"], timestamps["end"], strict=True)]


async def _as_new(_socket: ClientConnection) -> bool:
    """Nothing stays on a connection but the messages of contexts that are over, and those are skipped."""
    return True
