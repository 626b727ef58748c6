"""A phone call over a carrier's media socket: its messages into the call, the call's audio to the carrier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.calls.events import EndReason, SessionEnded, SessionError
from antiphon.calls.log import CallLog
from antiphon.clock import Clock
from antiphon.telemetry import Traffic
from antiphon.transports.socket import MessageSocket
from antiphon.wire.contract import (
    Cleared,
    Connected,
    Digit,
    Malformed,
    MarkPlayed,
    Media,
    MediaCodec,
    Started,
    Stopped,
)

if TYPE_CHECKING:
    from antiphon.calls.call import Call
    from antiphon.calls.speech import Speech

START_TIMEOUT_S = 10.0
"""A socket that does not start its stream within this time is closed."""
REPORT_EVERY_S = 1.0
"""Bad frames are told in the call's log at most this often."""

CLOSE_CODES: Mapping[str, int] = {"drained": 1001, "error": 1011}
"""How the socket is closed for an end reason; 1000 for all others."""

Answer = Callable[[Started, "PhoneLine"], "tuple[Call, CallLog] | None"]
"""Makes the call for a stream that has started, or refuses it by None."""

_log = structlog.get_logger(__name__)


class PhoneLine:
    """One carrier's socket as a call's ``Line``.

    A message of the carrier is handled before ``on_message`` returns: for audio that is one table look-up and
    ``Call.hear``. ``run`` is the life of the call.

    Args:
        socket: Accepted and not yet attached.
        codec: A new one, of the carrier.
        answer: Makes the call when the stream starts.
        traffic: Counts the frames of all sockets.
        clock: Time.
    """

    has_marks = True
    can_clear = True
    can_pause = True

    def __init__(
        self, socket: MessageSocket, codec: MediaCodec, answer: Answer, *, traffic: Traffic, clock: Clock
    ) -> None:
        self.audio: AudioFormat = PHONE
        self._socket = socket
        self._codec = codec
        self._answer = answer
        self._traffic = traffic
        self._clock = clock
        self._call: Call | None = None
        self._call_log: CallLog | None = None
        self._hear: Callable[[bytes], None] = _hear_nothing
        self._up: asyncio.Future[Call | None] = asyncio.get_running_loop().create_future()
        self._bad = 0
        self._bad_told_at = float("-inf")

    async def run(self) -> SessionEnded | None:
        """Wait for the stream's start, then be the call until it is over. None: there was no call."""
        self._socket.attach(self.on_message, self.on_close)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                call = await self._up
        except TimeoutError:
            self._socket.close(1008, "no start")
            return None
        if call is None:
            return None
        reason: EndReason = "error"
        try:
            with structlog.contextvars.bound_contextvars(call_id=call.log.call_id):
                ended = await call.run()
            reason = ended.reason
            return ended
        finally:
            self._call, self._hear = None, _hear_nothing  # The call is over: nothing reaches it any more.
            self._traffic.frames_dropped += self._socket.dropped
            self.hang_up(reason)

    # From the carrier.

    def on_message(self, message: str | bytes) -> None:
        """Handle one message. Never raises for what a carrier can send."""
        event = self._codec.receive(message)
        if event is not None:
            _HANDLERS[type(event)](self, event)

    def on_close(self) -> None:
        """The socket is gone, in whatever state."""
        self._hear = _hear_nothing
        if self._call is not None:
            self._call.line_lost()
        elif not self._up.done():
            self._up.set_result(None)

    def _on_media(self, event: Media) -> None:
        self._traffic.frames_in += 1
        self._hear(event.payload)

    def _on_started(self, event: Started) -> None:
        if self._up.done():  # Too late: the socket is being closed.
            return
        self.audio = event.audio
        answered = self._answer(event, self)
        if answered is None:
            self._socket.close(1008, "not authorized")
            self._up.set_result(None)
            return
        self._call, self._call_log = answered
        self._hear = self._call.hear
        self._up.set_result(self._call)

    def _on_mark(self, event: MarkPlayed) -> None:
        if self._call is not None:
            self._call.mark_played(event.name)

    def _on_cleared(self, _event: Cleared) -> None:
        if self._call is not None:
            self._call.line_cleared()

    def _on_digit(self, event: Digit) -> None:
        if self._call is not None:
            self._call.digit(event.digit)

    def _on_stopped(self, _event: Stopped) -> None:
        if self._call is not None:
            self._call.line_lost()

    def _on_connected(self, _event: Connected) -> None:
        """The carrier's greeting tells nothing that is needed."""

    def _on_malformed(self, event: Malformed) -> None:
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
        self._traffic.frames_out += 1
        self._socket.send_media(self._codec.media(payload))

    def mark(self, name: str) -> None:
        """Ask to be told when the audio sent so far has been played."""
        self._socket.send(self._codec.mark(name))

    def clear(self) -> None:
        """Drop the audio that was sent and not played."""
        self._socket.send(self._codec.clear())

    def hang_up(self, reason: str) -> None:
        """Close the socket, which ends the carrier's stream."""
        self._socket.close(CLOSE_CODES.get(reason, 1000), reason)


def _hear_nothing(_payload: bytes) -> None:
    """Audio before the call is there, or after the socket is gone."""


_HANDLERS: Mapping[type, Callable[[PhoneLine, Any], None]] = {
    Media: PhoneLine._on_media,
    MarkPlayed: PhoneLine._on_mark,
    Cleared: PhoneLine._on_cleared,
    Digit: PhoneLine._on_digit,
    Started: PhoneLine._on_started,
    Stopped: PhoneLine._on_stopped,
    Connected: PhoneLine._on_connected,
    Malformed: PhoneLine._on_malformed,
}
