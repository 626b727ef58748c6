"""Speech to speech by any service of the Realtime protocol: OpenAI, Azure, or another Antiphon server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection

from antiphon.audio.convert import from_pcm, to_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.resample import Resampler
from antiphon.clock import Clock, WallClock
from antiphon.errors import AntiphonException, IntegrationUnavailableException
from antiphon.logs import Log
from antiphon.models.pool import Handling, Lease, Pool, PoolLimits
from antiphon.models.remote import close_socket, is_open
from antiphon.models.s2s.contract import (
    AnswerAudio,
    AnswerAudioDone,
    AnswerDone,
    AnswerText,
    Brief,
    DoneStatus,
    EventSink,
    Failed,
    FunctionCalled,
    Ready,
    S2SEvent,
    Said,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from antiphon.realtime.called import CALL_EVENTS, CalledFunctions
from antiphon.realtime.client import DISCONNECTED, RealtimeClient
from antiphon.realtime.endpoint import Endpoint
from antiphon.realtime.errors import NotConnected
from antiphon.realtime.incoming import AUDIO_DELTA, TRANSCRIPT_DELTA, ServerEvent
from antiphon.realtime.link import open_socket
from antiphon.realtime.reconnect import Backoff

TRANSCRIBE_MODEL = "gpt-realtime-whisper"
WIDE = AudioFormat("pcm16", 24_000)
"""The protocol's own format, for all but the telephone's rate."""

_TAKE_KEYWORDS = frozenset({"gpt-transcribe", "gpt-live-transcribe"})
_TAKE_PROMPT = frozenset({"whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"})
"""How words that are likely to be heard are told; other models take none."""

_FASTEST = 1.5
"""What the protocol allows."""
LIMITS = PoolLimits(warm=0, fresh_s=60.0)
"""A telephone that rings for longer than a minute is rare, and has its connection made when it is answered."""
_LINE = "line"

MAX_ORDERS = 200
"""What waits to be told to the service: four seconds of frames of 20 ms."""

PATIENCE = Backoff(max_tries=5, first_tries=2)
"""A caller does not wait on the line for a service that has gone."""

_SAY = "Say exactly the following, word for word, and nothing else: "

_log = Log(__name__)

Order = Callable[[], Awaitable[object]]


class RealtimeS2S:
    """A service of the Realtime protocol.

    Args:
        endpoint: The service, model included.
        name: As ``provider/model``, for the log, the metrics and the cost.
        transcribe: The model that writes the caller's words down; None: nobody needs them.
        turn_detection: How the service finds the end of a turn, in the protocol's words.
        backoff: Pauses and limits of connecting again in a call.
        limits: Calls at once, and how long a connection that was opened for one may wait.
        clock: Wall time unless given.

    Attributes:
        pool: The connections that calls begin with.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        name: str | None = None,
        transcribe: str | None = TRANSCRIBE_MODEL,
        turn_detection: Mapping[str, Any] | None = None,
        backoff: Backoff = PATIENCE,
        limits: PoolLimits = LIMITS,
        clock: Clock | None = None,
    ) -> None:
        self.name = name or f"realtime/{endpoint.provider}"
        self.endpoint = endpoint
        self.transcribe = transcribe
        self.turn_detection = dict(turn_detection or {"type": "server_vad"})
        self.backoff = backoff
        self.clock = clock or WallClock()
        handling = Handling(self._connect, close_socket, _never_again, is_open)
        self.pool: Pool[str, ClientConnection] = Pool(self.name, handling, limits=limits, clock=self.clock)
        self._call: str | None = None

    @property
    def has_room(self) -> bool:
        """Whether one more call may be held."""
        return not self.pool.is_exhausted

    def reserve(self, call_id: str) -> None:
        """A call is coming: open its connection now, so that its model listens when it begins."""
        if self.endpoint.provider != "antiphon":  # whose agents speak as soon as somebody is there
            self.pool.reserve(_LINE, call_id)

    def for_call(self, call_id: str) -> RealtimeS2S:
        """The same model, for a call that a connection may have been opened for."""
        own = copy(self)
        own._call = call_id
        return own

    async def first_connection(self) -> Lease[str, ClientConnection]:
        """What a call begins with: the connection that was opened for it, else a new one.

        Raises:
            AntiphonException: The service refuses, or as many calls are held as there may be.
        """
        return await self.pool.acquire(_LINE, self._call)

    async def _connect(self, _line: str) -> ClientConnection:
        return await open_socket(self.endpoint)

    def open(self, brief: Brief, rate_hz: int, on_event: EventSink, *, history: Sequence[Said] = ()) -> RealtimeSession:
        """Start one call."""
        session = RealtimeSession(self, brief, rate_hz, on_event)
        session.client.conversation.begin_with(history)
        return session

    async def warm(self) -> None:
        """Open a session and close it: a wrong key, model or address is found out before the first call."""
        async with RealtimeClient(self.endpoint, backoff=Backoff(first_tries=1), clock=self.clock):
            pass

    async def aclose(self) -> None:
        """Close the connections that wait for their calls; each session has its own."""
        await self.pool.aclose()


class RealtimeSession:
    """One call; made by ``RealtimeS2S.open``.

    Attributes:
        client: Its connection and history.
        dropped: Frames that nobody could send in time.
    """

    def __init__(self, s2s: RealtimeS2S, brief: Brief, rate_hz: int, on_event: EventSink) -> None:
        # G.711 is what the telephone's sound was before: it crosses unchanged, in a sixth of the bytes.
        self._brief = brief
        self._finds_turns = s2s.turn_detection
        self._transcribe = s2s.transcribe
        self._wire = PHONE if rate_hz == PHONE.rate_hz else WIDE
        self._on_event = on_event
        self._provider = s2s.endpoint.provider
        self.dropped = 0
        self._s2s = s2s
        self._lease: Lease[str, ClientConnection] | None = None
        self.client = RealtimeClient(
            s2s.endpoint,
            self._configuration(brief),
            backoff=s2s.backoff,
            opened=self._first_connection,
            clock=s2s.clock,
        )
        self._called = CalledFunctions(self.client)
        self._voice = _Voice(self._wire, rate_hz)
        self._to_wire = Resampler(rate_hz, self._wire.rate_hz)
        self._user_words: dict[str, str] = {}
        self._is_answering = False
        self._orders: deque[Order] = deque()
        self._ordered = asyncio.Event()
        self.client.on(_EVENTS, self._take)
        self._closed = False
        self._running = asyncio.create_task(self._run(), name="realtime speech")

    def feed(self, pcm: NDArray[np.int16]) -> None:
        """Take the caller's sound."""
        if len(self._orders) >= MAX_ORDERS:
            self.dropped += 1
            return
        sound = from_pcm(self._to_wire.feed(pcm), self._wire)
        if sound:
            self._order(lambda: self.client.append_audio(sound))

    def interrupt(self, item_id: str, heard_ms: float) -> None:
        """Stop the answer; nothing of it comes after this."""
        self.client.drop(response_id=self.client.response_active, item_id=item_id)
        self._order(lambda: self.client.interrupt(item_id, heard_ms))

    def tool_result(self, call_id: str, output: str) -> None:
        """Give what a function gave."""
        self._order(lambda: self._called.give(call_id, output))

    def say(self, text: str) -> None:
        """Have this spoken."""
        self._order(lambda: self.client.create_response({"instructions": _SAY + text, "tool_choice": "none"}))

    def greet(self) -> None:
        """Have the model speak first."""
        self._order(self.client.create_response)

    def write(self, text: str) -> None:
        """Add a written turn."""

        async def order() -> None:
            content = [{"type": "input_text", "text": text}]
            await self.client.create_item({"type": "message", "role": "user", "content": content})
            await self.client.create_response()

        self._order(order)

    def rebrief(self, brief: Brief) -> None:
        """Be someone else."""
        before, self._brief = self._brief, brief
        was, now = self._heard(before), self._heard(brief)
        if now["transcription"]:  # a hint that is not given any more is taken back
            now["transcription"] = {**dict.fromkeys(was["transcription"]), **now["transcription"]}
        heard = {name: value for name, value in now.items() if value != was[name]}
        spoken = _spoken(brief) if brief.speed != before.speed else {}
        audio = {side: part for side, part in (("input", heard), ("output", spoken)) if part}
        update = {**_persona(brief), **({"audio": audio} if audio else {})}
        self._order(lambda: self.client.update_session(update))

    async def aclose(self) -> None:
        """End the session."""
        self._closed = True
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def _run(self) -> None:
        """Own the connection; the session's one task."""
        try:
            await self.client.connect()
            self._tell(Ready())
            ending = asyncio.ensure_future(self.client.wait_closed())
            try:
                async with asyncio.TaskGroup() as tasks:
                    sending = tasks.create_task(self._send())
                    await asyncio.wait({ending})
                    sending.cancel()
            finally:
                ending.cancel()
            ending.result()
            closed = IntegrationUnavailableException(
                "The Realtime service has ended the session; call again.", provider=self._provider
            )
            self._tell(Failed(closed, is_final=True))
        except AntiphonException as error:
            self._tell(Failed(error, is_final=True))
        except Exception:
            _log.exception("a session of speech to speech failed", provider=self._provider)
            broken = IntegrationUnavailableException("The speech model's session broke; see the log.")
            self._tell(Failed(broken, is_final=True))
        finally:
            await self.client.close()
            await self._give_back()

    async def _first_connection(self) -> ClientConnection:
        await self._give_back()  # of a try that failed
        self._lease = await self._s2s.first_connection()
        return self._lease.resource

    async def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            await self._s2s.pool.release(lease)

    async def _send(self) -> None:
        while True:
            while self._orders:
                with suppress(NotConnected):  # In an outage; what can wait, waits in the client.
                    await self._orders.popleft()()
            self._ordered.clear()
            await self._ordered.wait()

    def _order(self, order: Order) -> None:
        if len(self._orders) >= 2 * MAX_ORDERS:
            self.dropped += 1
            return
        self._orders.append(order)
        self._ordered.set()

    def _tell(self, event: S2SEvent) -> None:
        if not self._closed:
            self._on_event(event)

    async def _take(self, event: ServerEvent) -> None:
        if event.type in CALL_EVENTS:
            call = await self._called.take(event)
            if call is not None:
                arguments = call.arguments if isinstance(call.arguments, str) else ""
                self._tell(FunctionCalled(call.call_id, call.name, arguments))
        translate = _TRANSLATIONS.get(event.type)
        if translate is not None:
            translate(self, event)

    def _speech_started(self, event: ServerEvent) -> None:
        self._tell(SpeechStarted(event.item_id))

    def _speech_stopped(self, event: ServerEvent) -> None:
        self._tell(SpeechStopped(event.item_id))

    def _user_delta(self, event: ServerEvent) -> None:
        words = self._user_words.get(event.item_id, "") + str(event.body.get("delta") or "")
        self._user_words = {event.item_id: words}  # One turn is written down at a time.
        self._tell(UserTranscript(event.item_id, words, is_final=False))

    def _user_done(self, event: ServerEvent) -> None:
        self._user_words.pop(event.item_id, None)
        self._tell(UserTranscript(event.item_id, event.body["transcript"].strip(), is_final=True))

    def _audio(self, event: ServerEvent) -> None:
        pcm = self._voice.hear(event.item_id, event.audio)
        if len(pcm):
            self._tell(AnswerAudio(event.item_id, pcm))

    def _audio_done(self, event: ServerEvent) -> None:
        rest = self._voice.end(event.item_id)
        if len(rest) and not self.client.is_cancelled(event.response_id):
            self._tell(AnswerAudio(event.item_id, rest))
        self._tell(AnswerAudioDone(event.item_id))

    def _words(self, event: ServerEvent) -> None:
        start_s = event.body.get("start_time")
        start_ms = start_s * 1000 if isinstance(start_s, (int, float)) else None
        self._tell(AnswerText(event.item_id, event.body["delta"], start_ms))

    def _begun(self, _event: ServerEvent) -> None:
        self._is_answering = True

    def _disconnected(self, _event: ServerEvent) -> None:
        """The next connection goes on with the conversation, not with the answer."""
        if self._is_answering:
            self._lose_answer("connection_lost")

    def _lose_answer(self, reason: str) -> None:
        self._is_answering = False
        message = f"The model's answer failed ({reason or 'no reason given'}); ask again."
        failure = IntegrationUnavailableException(message, code=reason or None, provider=self._provider)
        self._tell(Failed(failure, is_final=False))

    def _done(self, event: ServerEvent) -> None:
        response = event.part("response")
        status = _STATUSES.get(str(response.get("status")), "completed")
        details, usage = _object(response, "status_details"), _object(response, "usage")
        reason = str(details.get("reason") or _object(details, "error").get("code") or "")
        counts = [usage.get(name) for name in ("input_tokens", "output_tokens")]
        self._tell(AnswerDone(status, reason, *[count if isinstance(count, int) else 0 for count in counts]))
        self._is_answering = False
        if status == "failed":
            self._lose_answer(reason)

    def _detection(self, brief: Brief) -> dict[str, Any]:
        """How turns are found; what the brief says is for a service that finds them by silence."""
        by_silence = brief.detection if self._finds_turns["type"] == "server_vad" else {}
        return {"create_response": True, "interrupt_response": True, **by_silence, **self._finds_turns}

    def _heard(self, brief: Brief) -> dict[str, Any]:
        """How the caller is heard, but for the format."""
        hints: dict[str, Any] = {"language": brief.language.partition("-")[0]} if brief.language else {}
        if brief.phrases and self._transcribe in _TAKE_KEYWORDS:
            hints["keywords"] = list(brief.phrases)
        elif brief.phrases and self._transcribe in _TAKE_PROMPT:
            hints["prompt"] = ", ".join(brief.phrases)
        return {
            "turn_detection": self._detection(brief),
            "transcription": {"model": self._transcribe, **hints} if self._transcribe else None,
        }

    def _configuration(self, brief: Brief) -> dict[str, Any]:
        """The session as the protocol says it."""
        wire_format = {"type": "audio/pcmu"} if self._wire is PHONE else {"type": "audio/pcm", "rate": WIDE.rate_hz}
        heard = {"format": wire_format, **self._heard(brief)}
        pace = _spoken(brief) if brief.speed != 1 else {}
        spoken = {"format": wire_format, **({"voice": brief.voice} if brief.voice else {}), **pace}
        return {"output_modalities": ["audio"], "audio": {"input": heard, "output": spoken}, **_persona(brief)}


_TRANSLATIONS: Mapping[str, Callable[[RealtimeSession, ServerEvent], None]] = {
    "input_audio_buffer.speech_started": RealtimeSession._speech_started,
    "input_audio_buffer.speech_stopped": RealtimeSession._speech_stopped,
    "conversation.item.input_audio_transcription.delta": RealtimeSession._user_delta,
    "conversation.item.input_audio_transcription.completed": RealtimeSession._user_done,
    AUDIO_DELTA: RealtimeSession._audio,
    "response.output_audio.done": RealtimeSession._audio_done,
    TRANSCRIPT_DELTA: RealtimeSession._words,
    "response.created": RealtimeSession._begun,
    "response.done": RealtimeSession._done,
    DISCONNECTED: RealtimeSession._disconnected,
}
_EVENTS = tuple({*_TRANSLATIONS, *CALL_EVENTS})

_STATUSES: Mapping[str, DoneStatus] = {
    "completed": "completed",
    "cancelled": "cancelled",
    "incomplete": "incomplete",
    "failed": "failed",
}


async def _never_again(_socket: ClientConnection) -> bool:
    """A connection holds one conversation."""
    return False


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within another; empty where there is none."""
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _spoken(brief: Brief) -> dict[str, Any]:
    """How the model sounds, as far as it can be changed."""
    return {"speed": min(brief.speed, _FASTEST)}


def _persona(brief: Brief) -> dict[str, Any]:
    tools = [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in brief.tools
    ]
    return {"instructions": brief.instructions, "tools": tools}


class _Voice:
    """The sound of answers at the session's rate; each answer is a stream of its own."""

    def __init__(self, wire: AudioFormat, rate_hz: int) -> None:
        self._wire = wire
        self._rate_hz = rate_hz
        self._item_id = ""
        self._resampler = Resampler(wire.rate_hz, rate_hz)
        self._odd = b""

    def hear(self, item_id: str, sound: bytes) -> NDArray[np.int16]:
        """A piece of an answer; half a sample at its end waits for the next."""
        if item_id != self._item_id:
            self._item_id, self._odd = item_id, b""
            self._resampler = Resampler(self._wire.rate_hz, self._rate_hz)
        sound = self._odd + sound
        whole = len(sound) - len(sound) % self._wire.sample_bytes
        self._odd = sound[whole:]
        return self._resampler.feed(to_pcm(sound[:whole], self._wire))

    def end(self, item_id: str) -> NDArray[np.int16]:
        """What was held back of an answer."""
        if item_id != self._item_id:
            return np.zeros(0, np.int16)
        self._item_id = ""
        return self._resampler.feed(np.zeros(0, np.int16), last=True)
