"""The phone's side of a call: speaks recorded lines into a media socket and listens as a carrier does.

Frames leave each 20 ms in absolute time. What comes back is played in real time: marks return when the audio before
them has been played, a clear drops what has not, and both sides are kept as the caller hears them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.formats import AudioFormat
from antiphon.clock import Clock, WallClock
from antiphon.errors import ConfigurationError, IntegrationInvalidAuthException, IntegrationUnavailableException
from antiphon.store.recording import AGENT, CALLER, TimeLine
from antiphon.wire.caller import Audio, Clear, Closed, Ending, Mark, MediaCaller
from antiphon.wire.table import CALLERS

FRAME_S = 0.02
CONNECT_S = 10.0
KEY_S = 0.15
"""From one key to the next."""
LAST_WORD_S = 2.0
"""A server that is to answer the end of the call has this long."""
VOICED_SHARE = 0.05
"""Of an utterance's loudest 20 ms: anything below is not voiced."""
NEW_STRETCH_S = 0.3
"""Silence after which the agent's next sound is a new beginning."""


@dataclass(slots=True, eq=False)
class Utterance:
    """A line that the caller says, or keys that it presses. Times are seconds since the call's start at its side.

    Attributes:
        frames: The line's audio; none of keys.
        voiced: Frames up to the last voiced sound.
        sent: Frames sent so far.
        begun_s: When the first frame left.
        speech_end_s: When the last voiced sound left.
        first_audio_s: When the first sound of an answer came.
        answer_end_s: When the last sound of it, so far, has been heard.
    """

    frames: list[bytes]
    voiced: int
    sent: int = 0
    begun_s: float | None = None
    speech_end_s: float | None = None
    first_audio_s: float | None = None
    answer_end_s: float | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def voice_to_voice_ms(self) -> float | None:
        """From the last voiced sound to the first sound of the answer; None: none came."""
        if self.first_audio_s is None or self.speech_end_s is None:
            return None
        return (self.first_audio_s - self.speech_end_s) * 1000


class Earpiece:
    """What the caller hears: the carrier's playout buffer. Times are seconds since the call's start.

    Args:
        audio: Format of the agent's audio.
        recording: Where it is kept.

    Attributes:
        play_until_s: When the audio so far will have been heard.
        stretch_begun_s: When the sound that is being heard, or was heard last, began.
    """

    def __init__(self, audio: AudioFormat, recording: TimeLine) -> None:
        self.play_until_s = 0.0
        self.stretch_begun_s: float | None = None
        self._audio = audio
        self._recording = recording
        self._marks: deque[tuple[float, str]] = deque()
        self._cleared = True

    def add(self, now_s: float, payload: bytes) -> bool:
        """Play this after all before; gives whether it begins a new stretch of sound."""
        begins = self._cleared or now_s - self.play_until_s > NEW_STRETCH_S
        start_s = max(now_s, self.play_until_s)
        if begins:
            self.stretch_begun_s = now_s
            self._cleared = False
        self._recording.place(AGENT, start_s, to_pcm(payload, self._audio))
        self.play_until_s = start_s + self._audio.seconds(len(payload))
        return begins

    def mark(self, name: str) -> None:
        """Tell when the audio so far has been played."""
        self._marks.append((self.play_until_s, name))

    def played(self, now_s: float) -> list[str]:
        """Marks that have been reached."""
        names = []
        while self._marks and self._marks[0][0] <= now_s:
            names.append(self._marks.popleft()[1])
        return names

    def clear(self, now_s: float) -> list[str]:
        """Drop what has not been played; gives the marks that were pending."""
        self._recording.cut(AGENT, now_s)
        self.play_until_s = min(self.play_until_s, now_s)
        self._cleared = True
        names = [name for _, name in self._marks]
        self._marks.clear()
        return names


class PhoneClient:
    """One call from the caller's side; made by ``phone_call``.

    Args:
        socket: Connected.
        caller: The carrier's protocol.
        clock: Time.

    Attributes:
        utterances: What was said so far.
        over: Set when the call has ended, by whomever.
        ended_by_server: Code and reason of the server's close, where it ended the call.
        left: What the conversation has left to the carrier's flow, where the protocol carries that.
        rate_hz: Rate of both sides' sound.
    """

    def __init__(self, socket: ClientConnection, caller: MediaCaller, *, clock: Clock) -> None:
        self.utterances: list[Utterance] = []
        self.over = asyncio.Event()
        self.ended_by_server: tuple[int, str] | None = None
        self.left: Mapping[str, str] = {}
        self.rate_hz = caller.audio.rate_hz
        self._socket = socket
        self._caller = caller
        self._clock = clock
        self._start = clock.now()
        self._reason = ""
        self._open = asyncio.Event()
        self._gone = asyncio.Event()
        self._waiting: deque[Utterance] = deque()
        self._recording = TimeLine(caller.audio.rate_hz)
        self._earpiece = Earpiece(caller.audio, self._recording)
        self._silence = from_pcm(np.zeros(int(caller.audio.rate_hz * FRAME_S), np.int16), caller.audio)

    def seconds(self) -> float:
        """Seconds since the call's start."""
        return self._clock.now() - self._start

    async def say(self, pcm: NDArray[np.int16], rate_hz: int) -> Utterance:
        """Say a line; returns when it has been said, or the call is over.

        Args:
            pcm: Mono, shape (n,).
            rate_hz: Its rate.
        """
        utterance = self._utterance(pcm, rate_hz)
        self.utterances.append(utterance)
        self._waiting.append(utterance)
        await self._first_of(utterance.done, self.over)
        return utterance

    async def press(self, keys: str) -> Utterance:
        """Press keys, one after the other; returns behind the last. The answer may come to an earlier one."""
        await self._first_of(self._open, self.over)
        pressed = Utterance([], 0, begun_s=self.seconds())
        pressed.done.set()
        self.utterances.append(pressed)
        for number, key in enumerate(keys):
            if number:
                await self._clock.sleep(KEY_S)
            if pressed.first_audio_s is None:  # else an earlier key was enough
                pressed.speech_end_s = self.seconds()
            await self._send(self._caller.dtmf(key))
        return pressed

    async def answer_begun(self, utterance: Utterance, timeout_s: float) -> bool:
        """Wait for the first sound of the answer; False: none came in time."""
        return await self._until(lambda: utterance.first_audio_s is not None, timeout_s)

    async def answer_over(
        self,
        utterance: Utterance,
        timeout_s: float,
        *,
        quiet_s: float = 0.8,
        is_over: Callable[[], bool] | None = None,
    ) -> bool:
        """Wait until the answer has been heard and the agent was quiet for a while; False: not in time.

        Args:
            utterance: What is answered.
            timeout_s: Longest wait.
            quiet_s: Silence of the agent that ends its answer.
            is_over: Knows more than can be heard: that a pause is not the end.
        """
        return await self._until(
            lambda: utterance.first_audio_s is not None and self._quiet(quiet_s) and (is_over is None or is_over()),
            timeout_s,
        )

    async def agent_quiet(self, timeout_s: float, *, quiet_s: float = 0.8) -> bool:
        """Wait until the agent says nothing; False: it did not stop in time."""
        return await self._until(lambda: self._quiet(quiet_s), timeout_s)

    async def greeted(self, timeout_s: float) -> bool:
        """Wait for the agent's first sound; False: it waits for the caller."""
        return await self._until(lambda: self._earpiece.stretch_begun_s is not None, timeout_s)

    async def hang_up(self) -> None:
        """End the call from our side."""
        if not self.over.is_set():
            self.over.set()  # no frame follows what ends the stream
            await self._send(self._caller.closing())
            if self._caller.closing_is_answered:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_WORD_S):
                        await self._gone.wait()
            await self._socket.close()

    def recording(self) -> NDArray[np.int16]:
        """Both sides so far, the caller left, the agent right as it was heard; shape (n, 2). Can be taken once."""
        return self._recording.take(None)

    async def run(self) -> None:
        """Be the phone until the call is over; ``phone_call`` runs this as a task."""
        async with asyncio.TaskGroup() as tasks:
            for opening in self._caller.opening():
                await self._send(opening)
            self._open.set()
            sending = tasks.create_task(self._send_frames())
            try:
                async for message in self._socket:
                    await self._take(message)
            except ConnectionClosed:
                pass  # What follows reads how it was closed.
            sending.cancel()
        self._gone.set()
        if not self.over.is_set():
            self.ended_by_server = (self._socket.close_code or 1006, self._reason or self._socket.close_reason or "")
            self.over.set()

    async def _send_frames(self) -> None:
        number = 0
        while True:
            number += 1
            await self._clock.sleep(max(0.0, self._start + number * FRAME_S - self._clock.now()))
            if self.over.is_set():
                return
            payload = self._next_frame()
            self._recording.place(CALLER, number * FRAME_S - FRAME_S, to_pcm(payload, self._caller.audio))
            await self._send(self._caller.media(payload))
            for name in self._earpiece.played(self.seconds()):
                await self._send(self._caller.mark_played(name))

    def _next_frame(self) -> bytes:
        if not self._waiting:
            return self._silence
        utterance = self._waiting[0]
        now_s = self.seconds()
        if not utterance.sent:
            utterance.begun_s = now_s
        payload = utterance.frames[utterance.sent]
        utterance.sent += 1
        if utterance.sent == utterance.voiced:
            utterance.speech_end_s = now_s
        if utterance.sent == len(utterance.frames):
            self._waiting.popleft()
            utterance.done.set()
        return payload

    async def _take(self, message: str | bytes) -> None:
        event = self._caller.receive(message)
        if isinstance(event, Audio):
            self._hear(event.payload)
        elif isinstance(event, Mark):
            self._earpiece.mark(event.name)
        elif isinstance(event, Clear):
            pending = self._earpiece.clear(self.seconds())
            for name in pending if self._caller.marks_return_on_clear else ():
                await self._send(self._caller.mark_played(name))
            answer = self._caller.cleared()
            await self._send(answer)
        elif isinstance(event, Ending):
            self._reason, self.left = event.reason, event.variables
            await self._send(self._caller.closing())
        elif isinstance(event, Closed):
            await self._socket.close()

    def _hear(self, payload: bytes) -> None:
        now_s = self.seconds()
        begins = self._earpiece.add(now_s, payload)
        last = self.utterances[-1] if self.utterances else None
        if last is None or last.speech_end_s is None:
            return
        if begins and last.first_audio_s is None:
            last.first_audio_s = now_s
        if last.first_audio_s is not None:
            last.answer_end_s = self._earpiece.play_until_s

    async def _send(self, message: str | bytes | None) -> None:
        if message is None:
            return
        try:
            await self._socket.send(message)
        except ConnectionClosed:
            self._waiting.clear()  # The reading side notices too, and ends the call.

    def _utterance(self, pcm: NDArray[np.int16], rate_hz: int) -> Utterance:
        from antiphon.audio.resample import resample

        audio = self._caller.audio
        size = int(audio.rate_hz * FRAME_S)
        line = resample(pcm, rate_hz, audio.rate_hz)
        line = np.concatenate([line, np.zeros(-len(line) % size, np.int16)]).reshape(-1, size)
        loudness = np.sqrt((line.astype(np.float64) ** 2).mean(axis=1)) if len(line) else np.zeros(0)
        voiced = np.flatnonzero(loudness > VOICED_SHARE * loudness.max(initial=0.0))
        frames = [from_pcm(frame, audio) for frame in line] or [self._silence]
        return Utterance(frames, int(voiced[-1]) + 1 if len(voiced) else len(frames))

    def _quiet(self, quiet_s: float) -> bool:
        return self.seconds() - self._earpiece.play_until_s >= quiet_s

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        deadline = self._clock.now() + timeout_s
        while not condition():
            if self.over.is_set() or self._clock.now() >= deadline:
                return False
            await self._clock.sleep(FRAME_S)
        return True

    async def _first_of(self, *events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


@asynccontextmanager
async def phone_call(
    url: str,
    *,
    key: str | None = None,
    parameters: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    carrier: str | None = None,
    call_id: str | None = None,
) -> AsyncIterator[PhoneClient]:
    """Phone a media socket; the call is hung up at the end of the body.

    Args:
        url: ``ws://HOST/telephony/CARRIER``; the carrier decides the protocol, unless it is given.
        key: API key of the server.
        parameters: What the carrier's document would pass on.
        clock: Wall time unless given.
        carrier: Whose protocol the phone speaks, where the URL does not end with it.
        call_id: The carrier's id of the call; a new one unless given.

    Raises:
        ConfigurationError: The URL is none, or names no carrier.
        IntegrationException: The server does not answer, refuses the key, or has no slot.
    """
    carrier = carrier or url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    if not url.startswith(("ws://", "wss://")) or carrier not in CALLERS:
        names = " or ".join(CALLERS)
        raise ConfigurationError(f"{url} is no phone socket: use ws://HOST:PORT/telephony/CARRIER with {names}.")
    ids = uuid4().hex
    caller = CALLERS[carrier](f"MZ{ids}", call_id or f"CA{ids}", parameters or {})
    socket = await _connect(url, key, caller)
    client = PhoneClient(socket, caller, clock=clock or WallClock())
    running = asyncio.create_task(client.run(), name=f"phone {caller.name}")
    try:
        yield client
    finally:
        await client.hang_up()
        await socket.close()
        await running


async def _connect(url: str, key: str | None, caller: MediaCaller) -> ClientConnection:
    headers = {**caller.headers(), **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        return await connect(
            url,
            additional_headers=headers,
            subprotocols=[Subprotocol(caller.subprotocol)] if caller.subprotocol else None,
            compression=None,
            open_timeout=CONNECT_S,
            max_size=1 << 20,
            proxy=None,
        )
    except InvalidStatus as exc:
        status = exc.response.status_code
        text = (exc.response.body or b"").decode("utf-8", "replace").strip()
        if status in (401, 403):
            message = f"The server at {url} refuses the call ({status}): give a good key with --key."
            raise IntegrationInvalidAuthException(message, status_code=status) from exc
        raise IntegrationUnavailableException(
            f"The server at {url} does not take the call ({status}): {text[:200] or 'it says no more'}",
            status_code=status,
        ) from exc
    except InvalidURI as exc:
        raise ConfigurationError(f"{url} is no address: use ws://HOST:PORT/telephony/CARRIER.") from exc
    except (OSError, TimeoutError, InvalidHandshake) as exc:
        raise IntegrationUnavailableException(
            f"Nothing answers calls at {url}: start it with `antiphon serve`, or check the address."
        ) from exc
