"""Deepgram's recognisers over its live WebSocket: one connection a call, words while the caller still speaks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from antiphon.clock import Clock, WallClock
from antiphon.errors import IntegrationException, IntegrationUnavailableException
from antiphon.logs import Log
from antiphon.models.remote import SpeechService, close_socket
from antiphon.models.stt.contract import FailureSink, Transcript, TranscriptSink
from antiphon.models.stt.deepgram_words import Result, Spoken, result_of, spoken_at

BASE_URL = "https://api.deepgram.com/v1"
FINAL_S = 1.5
"""Longest wait for the end of an utterance's words; the service answers ``Finalize`` in a tenth of it."""
KEEP_ALIVE_S = 4.0
"""The service closes a connection on which nothing came for ten seconds."""
MOST_QUEUED = 1_500
"""Frames that wait to be sent: half a minute of 20 ms."""

_log = Log(__name__)


class DeepgramSTT:
    """A recogniser with partial transcripts.

    Args:
        model: Such as ``nova-3``.
        api_key: The key.
        base_url: Of the service, or of an installation of one's own.
        final_s: Longest wait for the end of an utterance's words.
        keep_alive_s: Silence after which the service is told that the call goes on.
        clock: Wall time unless given.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str,
        base_url: str = BASE_URL,
        final_s: float = FINAL_S,
        keep_alive_s: float = KEEP_ALIVE_S,
        clock: Clock | None = None,
    ) -> None:
        self.name = f"deepgram/{model}"
        self.clock = clock or WallClock()
        self.final_s = final_s
        self.keep_alive_s = keep_alive_s
        self.service = SpeechService("deepgram", base_url, headers={"authorization": f"Token {api_key.strip()}"})
        self._model = model

    def open(
        self,
        rate_hz: int,
        on_transcript: TranscriptSink,
        on_failure: FailureSink,
        *,
        language: str | None = None,
        phrases: Sequence[str] = (),
    ) -> DeepgramStream:
        """Start transcribing one call; the connection is being opened from now on."""
        query: dict[str, str | list[str]] = {
            "model": self._model,
            "encoding": "linear16",
            "sample_rate": str(rate_hz),
            "channels": "1",
            "interim_results": "true",
            "smart_format": "true",
            # The caller's pauses are found here, and told by Finalize.
            "endpointing": "false",
        }
        if language:
            query["language"] = language
        if phrases:
            # The third generation takes phrases; those before it single words.
            query["keyterm" if self._model.startswith("nova-3") else "keywords"] = list(phrases)
        return DeepgramStream(self, query, on_transcript, on_failure=on_failure, rate_hz=rate_hz)

    async def connect(self, query: dict[str, str | list[str]]) -> ClientConnection:
        """Open a connection.

        Raises:
            IntegrationException: The service cannot be had.
        """
        return await self.service.dial("/listen", query)

    async def warm(self) -> None:
        """Open a connection and close it: a wrong key or model is found out before the first call.

        Raises:
            IntegrationException: The service cannot be had.
        """
        await close_socket(
            await self.connect({"model": self._model, "encoding": "linear16", "sample_rate": "8000", "channels": "1"})
        )

    async def aclose(self) -> None:
        """There is nothing to free: each stream has its own connection."""
        await self.service.aclose()


class _Outbox:
    """What waits to be sent on one connection.

    Attributes:
        queue: Sound and commands, oldest first.
        wake: Something was added.
        stalled: The connection is of no use any more.
    """

    __slots__ = ("queue", "stalled", "wake")

    def __init__(self) -> None:
        self.queue: deque[bytes | dict[str, Any]] = deque()
        self.wake = asyncio.Event()
        self.stalled = asyncio.Event()

    def add(self, message: bytes | dict[str, Any]) -> None:
        self.queue.append(message)
        self.wake.set()


class DeepgramStream:
    """The connection of one call. One that broke is made again for the next utterance.

    Attributes:
        dropped_s: Sound that could not be sent in time.
    """

    def __init__(
        self,
        stt: DeepgramSTT,
        query: dict[str, str | list[str]],
        on_transcript: TranscriptSink,
        *,
        on_failure: FailureSink,
        rate_hz: int,
    ) -> None:
        self.dropped_s = 0.0
        self._stt = stt
        self._query = query
        self._on_transcript = on_transcript
        self._on_failure = on_failure
        self._rate_hz = rate_hz
        self._samples = 0  # fed into the present connection
        self._current = Spoken(0, 0.0)
        self._pending: deque[Spoken] = deque()  # ended, without final words
        self._broken: IntegrationException | None = None  # why the current utterance is lost
        self._outbox = _Outbox()
        self._outbox.wake.set()  # the first connection is opened before there is anything to send
        self._closed = False
        self._running = asyncio.create_task(self._run(), name="deepgram stream")

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Send speech."""
        if self._broken is not None or not len(pcm):
            return
        if len(self._outbox.queue) >= MOST_QUEUED:
            self.dropped_s += len(pcm) / self._rate_hz
            self._lost(self._stt.service.stalled())
            return
        self._samples += len(pcm)
        self._outbox.add(pcm.astype("<i2").tobytes())

    def finish(self) -> None:
        """End the utterance."""
        spoken = self._end_current(next_number=self._current.number + 1)
        if self._broken is not None:
            error, self._broken = self._broken, None
            asyncio.get_running_loop().call_soon(self._fail, error)
            return
        self._pending.append(spoken)
        if spoken.is_settled:
            asyncio.get_running_loop().call_soon(self._deliver)
            return
        self._outbox.add({"type": "Finalize"})
        clock = self._stt.clock
        clock.call_at(clock.now() + self._stt.final_s, self._give_up, spoken)

    def discard(self) -> None:
        """Forget the utterance; its words would come, and find no place."""
        if self._samples_s > self._current.start_s and self._broken is None:
            self._outbox.add({"type": "Finalize"})
        self._end_current(next_number=self._current.number)
        self._broken = None

    async def aclose(self) -> None:
        """Close the connection."""
        self._closed = True
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    @property
    def _samples_s(self) -> float:
        return self._samples / self._rate_hz

    def _end_current(self, *, next_number: int) -> Spoken:
        ended, ended.end_s = self._current, self._samples_s
        self._current = Spoken(next_number, self._samples_s)
        return ended

    async def _run(self) -> None:
        """Own the connections, one after the other; the stream's one task."""
        while True:
            outbox = self._outbox
            await outbox.wake.wait()
            error: IntegrationException
            try:
                await self._converse(outbox)
            except IntegrationException as failed:
                error = failed
            except Exception:
                _log.exception("stt.failed", recogniser=self._stt.name)
                error = IntegrationUnavailableException(f"The recogniser {self._stt.name} broke; see the log.")
            if outbox is self._outbox:
                self._lost(error)

    async def _converse(self, outbox: _Outbox) -> None:
        """Send and receive on one connection until it breaks, which it does with an exception."""
        socket = await self._stt.connect(self._query)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(socket, outbox))
                tasks.create_task(self._receive(socket, outbox))
                tasks.create_task(self._leave_when_stalled(outbox))
        except* IntegrationException as errors:
            raise _first(errors) from None
        finally:
            if self._closed:
                # The service stops counting when it is told so, even if the goodbye is lost.
                with suppress(IntegrationException):
                    await self._stt.service.send(socket, {"type": "CloseStream"})
            await close_socket(socket)

    async def _send(self, socket: ClientConnection, outbox: _Outbox) -> None:
        while True:
            while outbox.queue:
                await self._stt.service.send(socket, outbox.queue.popleft())
            outbox.wake.clear()
            try:
                async with asyncio.timeout(self._stt.keep_alive_s):
                    await outbox.wake.wait()
            except TimeoutError:
                await self._stt.service.send(socket, {"type": "KeepAlive"})

    async def _leave_when_stalled(self, outbox: _Outbox) -> None:
        await outbox.stalled.wait()
        raise self._stt.service.stalled()

    async def _receive(self, socket: ClientConnection, outbox: _Outbox) -> None:
        """Take messages; a silent service is found out by those who wait for its words."""
        try:
            while True:
                message = self._stt.service.decoded(await socket.recv())
                if outbox is not self._outbox:
                    return  # Nobody waits for what this connection still has to say.
                if message.get("type") == "Results":
                    self._take(self._result(message))
                elif message.get("type") == "Error":
                    raise self._stt.service.refusal(500, str(message.get("description") or message.get("message")))
        except ConnectionClosed as closed:
            raise self._stt.service.closed(closed) from None

    def _result(self, message: dict[str, Any]) -> Result:
        try:
            return result_of(message)
        except ValueError as error:
            raise self._stt.service.unreadable(error) from None

    def _take(self, result: Result) -> None:
        spoken = spoken_at(result, (*self._pending, self._current))
        if spoken is not None:
            spoken.take(result)
            if spoken is self._current and self._broken is None and spoken.text:
                self._tell(Transcript(spoken.text, False, spoken.number))
        if result.is_flushed:
            # Without sound to flush, this is all that comes.
            for ended in self._pending:
                if ended.reaches_end(result.end_s):
                    ended.settle()
        self._deliver()

    def _deliver(self) -> None:
        """Give final words, in order."""
        while self._pending and self._pending[0].is_settled:
            self._give(self._pending.popleft())

    def _give(self, spoken: Spoken) -> None:
        confidence = min(spoken.confidences, default=None)
        self._tell(Transcript(spoken.text, True, spoken.number, confidence=confidence, language=spoken.language))

    def _give_up(self, spoken: Spoken) -> None:
        """The end of an utterance's words is not confirmed: what is there is given; where nothing came, it failed."""
        while spoken in self._pending:
            if not self._pending[0].answered:
                self._lost(self._stt.service.stalled())
                return
            self._give(self._pending.popleft())

    def _lost(self, error: IntegrationException) -> None:
        """The connection is gone, and with it all that was not answered."""
        self._outbox.stalled.set()
        self._outbox = _Outbox()
        if self._samples_s > self._current.start_s:
            self._broken = error
        lost = tuple(self._pending)
        self._pending.clear()
        self._samples = 0
        self._current = Spoken(self._current.number, 0.0)
        for _ in lost:
            self._fail(error)

    def _tell(self, transcript: Transcript) -> None:
        if not self._closed:
            self._on_transcript(transcript)

    def _fail(self, error: Exception) -> None:
        if not self._closed:
            self._on_failure(error)


def _first(errors: BaseExceptionGroup[IntegrationException]) -> IntegrationException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
