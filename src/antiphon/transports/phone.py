"""A phone call over a carrier's media socket: its messages into the call, the call's audio to the carrier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import structlog

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.tones import DTMF_PAUSE_MS
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechInterrupted,
    EndReason,
    SessionEnded,
    SessionError,
    TurnCompleted,
    UserIdle,
    UserTranscription,
)
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import Clock
from antiphon.telemetry import Traffic
from antiphon.transports.socket import MessageSocket
from antiphon.wire.contract import (
    Cleared,
    Committed,
    Connected,
    Digit,
    Fault,
    LanguageChanged,
    Malformed,
    MarkPlayed,
    Media,
    MediaCodec,
    Probed,
    Started,
    Stopped,
    StreamPaused,
)
from antiphon.wire.reading import as_text

if TYPE_CHECKING:
    from antiphon.calls.contract import AnyCall
    from antiphon.calls.speech import Speech

START_TIMEOUT_S = 10.0
"""A socket that does not start its stream within this time is closed."""
CLOSING_S = 5.0
"""A carrier that is to close the socket itself has this long."""
REFUSE_AFTER_S = 0.5
"""A carrier that hears in words why it is refused hears it no sooner than this: guessing costs time."""
REPORT_EVERY_S = 1.0
"""Bad frames are told in the call's log at most this often."""

CLOSE_CODES: Mapping[str, int] = {
    "drained": 1001,
    "no start": 1008,
    "not authorized": 1008,
    "error": 1011,
    "full": 1013,
}
"""How the socket is closed for an end reason; 1000 for all others."""

Refusal = Literal["not authorized", "full"]
Answer = Callable[[Started, "PhoneLine"], "tuple[AnyCall, CallLog] | Refusal"]
"""Makes the call for a stream that has started, or says why it is refused."""

_log = structlog.get_logger(__name__)


class PhoneLine:
    """One carrier's socket as a call's ``Line``.

    A message of the carrier is handled before ``on_message`` returns: for audio that is one table look-up and
    ``Call.hear``. ``run`` is the life of the call.

    Args:
        socket: Accepted and not yet attached.
        codec: A new one, of the carrier.
        answer: Makes the call when the stream starts; None refuses whoever is there.
        traffic: Counts the frames of all sockets.
        clock: Time.

    Attributes:
        leaves: What our last message leaves to the carrier's own flow, besides the conversation's state.
        carrier_ended: Whether the carrier has told that the stream is over.
        carrier_moves: Whether the carrier brings the caller to another server where this one ends as ``drained``.
    """

    can_clear = True
    can_pause = True

    def __init__(
        self, socket: MessageSocket, codec: MediaCodec, answer: Answer | None, *, traffic: Traffic, clock: Clock
    ) -> None:
        self.audio: AudioFormat = PHONE
        self.leaves: dict[str, str] = {}
        self.carrier_ended = False
        self.has_marks = codec.has_marks
        self.frame_ms = codec.frame_ms
        self.carrier_moves = codec.carrier_moves
        self._socket = socket
        self._codec = codec
        self._answer = answer
        self._traffic = traffic
        self._clock = clock
        self._call: AnyCall | None = None
        self._call_log: CallLog | None = None
        self._hear: Callable[[bytes], None] = _hear_nothing
        self._up: asyncio.Future[AnyCall | None] = asyncio.get_running_loop().create_future()
        self._end_reason = "gone"
        self._listens = False  # the carrier, to what the call says
        self._is_hung_up = False
        self._gone = asyncio.Event()
        self._began = clock.now()
        self._bad = 0
        self._bad_told_at = float("-inf")

    async def run(self) -> SessionEnded | None:
        """Wait for the stream's start, then be the call until it is over. None: there was no call."""
        self._socket.attach(self.on_message, self.on_close)
        try:
            call = await self._started_call()
            ended = await self._live(call) if call is not None else None
            if self._end_reason == "not authorized" and self._codec.carrier_closes:
                await self._clock.sleep(max(0.0, self._began + REFUSE_AFTER_S - self._clock.now()))
            self.hang_up(self._end_reason)
            if self._codec.carrier_closes:
                await self._until_gone()
            return ended
        finally:
            self.hang_up(self._end_reason)
            if self._codec.carrier_closes:
                self._close(self._end_reason)

    async def _started_call(self) -> AnyCall | None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                return await self._up
        except TimeoutError:
            self._end_reason = "no start"
            return None

    async def _live(self, call: AnyCall) -> SessionEnded:
        self._end_reason = "error"
        try:
            ended = await call.run()
            self._end_reason = ended.reason
            return ended
        finally:
            self.hang_up(self._end_reason)
            self._call, self._hear = None, _hear_nothing  # The call is over: nothing reaches it any more.
            self._traffic.frames_dropped += self._socket.dropped

    async def _until_gone(self) -> None:
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._gone.wait()
        except TimeoutError:
            _log.warning("carrier_does_not_close", carrier=self._codec.name, waited_s=CLOSING_S)

    # From the carrier.

    def on_message(self, message: str | bytes) -> None:
        """Handle one message. Never raises for what a carrier can send."""
        event = self._codec.receive(message)
        for answer in self._codec.answers():
            self._socket.send(answer)
        if event is not None:
            _HANDLERS[type(event)](self, event)

    def on_close(self) -> None:
        """The socket is gone, in whatever state."""
        self._gone.set()
        self._hear = _hear_nothing
        self._over("user_hangup")

    def _over(self, reason: EndReason) -> None:
        """The stream ends from the carrier's side, or by its fault."""
        self._listens = False
        if self._call is not None:
            self._call.line_lost(reason)
        elif not self._up.done():
            self._end_reason = "gone" if reason == "user_hangup" else reason
            self._up.set_result(None)

    def _on_media(self, event: Media) -> None:
        self._traffic.frames_in += 1
        self._hear(event.payload)

    def _on_started(self, event: Started) -> None:
        if self._up.done():  # Too late: the socket is being closed.
            return
        self.audio = event.audio
        answered = self._answer(event, self) if self._answer is not None else "not authorized"
        if isinstance(answered, str):
            self._refuse(answered)
            return
        self._accept()
        self._call, self._call_log = answered
        if self._codec.carrier_reads:
            self._call_log.subscribe(self._read)
        self._hear = self._call.hear
        self._listens = True
        self._up.set_result(self._call)

    def _on_probed(self, _event: Probed) -> None:
        if self._up.done():
            return
        self._refuse("not authorized") if self._answer is None else self._accept()

    def _accept(self) -> None:
        message = self._codec.accept()
        if message is not None:
            self._socket.send(message)

    def _refuse(self, reason: Refusal) -> None:
        self._end_reason = reason
        self._up.set_result(None)

    def _on_mark(self, event: MarkPlayed) -> None:
        if self._call is not None:
            self._call.mark_played(event.name)

    def _on_cleared(self, _event: Cleared) -> None:
        if self._call is not None:
            self._call.line_cleared()

    def _on_digit(self, event: Digit) -> None:
        if self._call is not None:
            self._call.digit(event.digit)

    def _on_committed(self, _event: Committed) -> None:
        if self._call is not None:
            self._call.commit()

    def _on_language(self, event: LanguageChanged) -> None:
        if self._call is not None:
            self._call.listen_for(event.language)

    def _on_paused(self, event: StreamPaused) -> None:
        if self._call is not None:
            recording = self._call.recording
            recording.pause("carrier") if event.is_paused else recording.resume("carrier")

    def _on_fault(self, event: Fault) -> None:
        _log.warning("carrier_fault", carrier=self._codec.name, code=event.code, detail=event.detail)
        if self._call_log is not None:
            self._call_log.append(SessionError("carrier_fault", f"{event.code}: {event.detail}"))

    def _on_stopped(self, _event: Stopped) -> None:
        self.carrier_ended = True
        self._over("user_hangup")

    def _on_connected(self, _event: Connected) -> None:
        """The carrier's greeting tells nothing that is needed."""

    def _on_malformed(self, event: Malformed) -> None:
        self._report(event)
        if event.is_fatal:
            self._over("error")

    def _report(self, event: Malformed) -> None:
        self._traffic.frames_malformed += 1
        self._bad += 1
        now = self._clock.now()
        if now - self._bad_told_at < REPORT_EVERY_S:
            return
        self._bad_told_at = now
        count, self._bad = self._bad, 0
        if self._call_log is None:
            _log.warning("bad_frame", carrier=self._codec.name, code=event.code, detail=event.detail, count=count)
            return
        text = event.detail if count == 1 else f"{event.detail} ({count} bad frames since the last report)"
        self._call_log.append(SessionError("bad_frame", text))

    # To the carrier: the call's Line.

    def play(self, payload: bytes, speech: Speech) -> None:
        """Send audio that follows what was sent before."""
        self.play_background(payload)

    def play_background(self, payload: bytes) -> None:
        """Send audio of no speech that follows what was sent before."""
        if self._listens:
            self._traffic.frames_out += 1
            self._socket.send_media(self._codec.media(payload))

    def mark(self, name: str) -> None:
        """Ask to be told when the audio sent so far has been played."""
        message = self._codec.mark(name) if self._listens else None
        if message is not None:
            self._socket.send(message)

    def clear(self) -> None:
        """Drop the audio that was sent and not played."""
        if self._listens:
            self._socket.send(self._codec.clear())

    def send_keys(self, keys: str) -> bool:
        """Have the carrier press keys of the telephone; False where it has no command for that, or for pauses."""
        has_pause = not DTMF_PAUSE_MS.keys().isdisjoint(keys)
        message = self._codec.keys(keys) if self._listens and not has_pause else None
        if message is not None:
            self._socket.send(message)
        return message is not None

    def _read(self, entry: Entry) -> None:
        """Tell a carrier that reads what is said, and what comes of the turns."""
        told = _WORDS.get(type(entry.event))
        message = told(self._codec, entry.event) if told is not None and self._listens else None
        if message is not None:
            self._socket.send(message)

    def hang_up(self, reason: str) -> None:
        """Take leave of the carrier, and close the socket where that is ours to do."""
        if self._is_hung_up:
            return
        self._is_hung_up = True
        self._listens = False
        state = as_text(self._call.session.state) if self._call is not None else {}
        farewell = self._codec.end(reason, {**state, **self.leaves})
        if farewell is not None:
            self._socket.send(farewell)
        if not self._codec.carrier_closes:
            self._close(reason)

    def _close(self, reason: str) -> None:
        self._socket.close(CLOSE_CODES.get(reason, 1000), reason)


def _callers_words(codec: MediaCodec, event: UserTranscription) -> str | None:
    return codec.words(event.text, number=event.utterance, is_caller=True, is_final=event.is_final)


def _agents_words(codec: MediaCodec, event: AgentSpeechCompleted | AgentSpeechInterrupted) -> str | None:
    text = event.transcript if isinstance(event, AgentSpeechCompleted) else event.heard
    return codec.words(text, number=event.speech, is_caller=False, is_final=True) if text else None


def _turn(codec: MediaCodec, event: TurnCompleted) -> str | None:
    return codec.turn("match" if event.agent_text else "no_match", event.agent_text)


_WORDS: Mapping[type, Callable[[MediaCodec, Any], str | None]] = {
    UserTranscription: _callers_words,
    AgentSpeechCompleted: _agents_words,
    AgentSpeechInterrupted: _agents_words,
    TurnCompleted: _turn,
    UserIdle: lambda codec, _: codec.turn("no_input", ""),
}
"""What a carrier that reads is told."""


def _hear_nothing(_payload: bytes) -> None:
    """Audio before the call is there, or after the socket is gone."""


_HANDLERS: Mapping[type, Callable[[PhoneLine, Any], None]] = {
    Media: PhoneLine._on_media,
    MarkPlayed: PhoneLine._on_mark,
    Cleared: PhoneLine._on_cleared,
    Digit: PhoneLine._on_digit,
    Committed: PhoneLine._on_committed,
    LanguageChanged: PhoneLine._on_language,
    StreamPaused: PhoneLine._on_paused,
    Fault: PhoneLine._on_fault,
    Probed: PhoneLine._on_probed,
    Started: PhoneLine._on_started,
    Stopped: PhoneLine._on_stopped,
    Connected: PhoneLine._on_connected,
    Malformed: PhoneLine._on_malformed,
}
