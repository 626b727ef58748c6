"""Twilio Media Streams, bidirectional (``<Connect><Stream>``): the server's side.

Text JSON, mu-law 8000 Hz mono. Numbers come as text. Marks come back when the audio before them was played, and all
at once after a clear. Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from antiphon.audio.formats import PHONE
from antiphon.wire import reading
from antiphon.wire.contract import (
    Connected,
    Digit,
    Malformed,
    MarkPlayed,
    Media,
    MediaCodec,
    Started,
    Stopped,
    WireEvent,
)
from antiphon.wire.reading import DECODE_ERRORS, FrameOrder, as_text, explain


class _Media(msgspec.Struct, gc=False):
    payload: bytes
    track: str = "inbound"
    chunk: int = -1
    timestamp: int = -1


class _Format(msgspec.Struct, rename="camel"):
    encoding: str = "audio/x-mulaw"
    sample_rate: int = 8_000


class _Start(msgspec.Struct, rename="camel"):
    call_sid: str
    stream_sid: str = ""
    custom_parameters: dict[str, Any] = {}
    media_format: _Format = msgspec.field(default_factory=_Format)


class _Mark(msgspec.Struct):
    name: str


class _Dtmf(msgspec.Struct):
    digit: str


class _Message(msgspec.Struct, rename="camel", gc=False):
    event: str
    stream_sid: str = ""
    media: _Media | None = None
    start: _Start | None = None
    mark: _Mark | None = None
    dtmf: _Dtmf | None = None
    protocol: str = ""
    version: str = ""


# Not strict: numbers may be text.
_decode = msgspec.json.Decoder(_Message, strict=False).decode


class TwilioCodec(MediaCodec):
    """Reads what Twilio sends and makes what it takes. See ``MediaCodec``.

    Args:
        max_message: Largest message that is read.
    """

    name = "twilio"

    def __init__(self, *, max_message: int = reading.MAX_MESSAGE) -> None:
        self.audio = PHONE
        self._max_message = max_message
        self._order = FrameOrder()
        self._stream_id = ""
        self._live = False
        self._media_head = ""

    @property
    def missing(self) -> int:
        """Frames of the caller that never came."""
        return self._order.missing

    def receive(self, message: str | bytes) -> WireEvent | None:
        """Read one message. Never raises."""
        if len(message) > self._max_message:
            return reading.TOO_LARGE
        try:
            content = _decode(message)
        except DECODE_ERRORS as error:
            return explain(message, error, _READERS)
        read = _READERS.get(content.event)
        return read(self, content) if read else reading.UNKNOWN_EVENT

    def media(self, payload: bytes) -> str:
        """Mu-law audio for the caller, without a file header.

        Raises:
            RuntimeError: The stream has not started.
        """
        if not self._media_head:
            raise RuntimeError(reading.SENT_TOO_EARLY)
        return f'{self._media_head}{b2a_base64(payload, newline=False).decode("ascii")}"}}}}'

    def mark(self, name: str) -> str:
        """Ask to be told when the audio before this has been played.

        Raises:
            RuntimeError: The stream has not started.
        """
        return self._command("mark", mark={"name": name})

    def clear(self) -> str:
        """Drop the audio that has not been played yet; all marks come back at once.

        Raises:
            RuntimeError: The stream has not started.
        """
        return self._command("clear")

    def _command(self, event: str, **fields: Any) -> str:
        if not self._media_head:
            raise RuntimeError(reading.SENT_TOO_EARLY)
        return msgspec.json.encode({"event": event, "streamSid": self._stream_id, **fields}).decode()

    def _refusal(self, content: _Message) -> Malformed | None:
        """Why a message of a running stream is none of this one."""
        if not self._live:
            return reading.NOT_STARTED
        if content.stream_sid != self._stream_id and content.stream_sid:
            return reading.OTHER_STREAM
        return None

    def _read_connected(self, content: _Message) -> WireEvent:
        return reading.STARTED_TWICE if self._stream_id else Connected(content.protocol, content.version)

    def _read_start(self, content: _Message) -> WireEvent:
        if self._stream_id:
            return reading.STARTED_TWICE
        start = content.start
        if start is None or not start.call_sid:
            return Malformed("bad_field", "The start tells no call.")
        stream_id = start.stream_sid or content.stream_sid
        if not stream_id:
            return Malformed("bad_field", "The start tells no stream.")
        if start.media_format.encoding != "audio/x-mulaw" or start.media_format.sample_rate != 8_000:
            return Malformed("bad_field", "The stream's audio is not mu-law of 8000 Hz.")
        self._stream_id = stream_id
        self._live = True
        self._media_head = f'{{"event":"media","streamSid":{_quoted(stream_id)},"media":{{"payload":"'
        return Started(stream_id, start.call_sid, self.audio, as_text(start.custom_parameters))

    def _read_media(self, content: _Message) -> WireEvent | None:
        media = content.media
        if refusal := self._refusal(content):
            return refusal
        if media is None:
            return Malformed("bad_field", "The frame has no media.")
        if media.track != "inbound":
            return None
        if not media.payload:
            return reading.EMPTY_PAYLOAD
        if not self._order.accept(media.chunk):
            return reading.FRAME_OUT_OF_ORDER
        return Media(media.payload, media.timestamp, media.chunk)

    def _read_mark(self, content: _Message) -> WireEvent:
        if refusal := self._refusal(content):
            return refusal
        if content.mark is None:
            return Malformed("bad_field", "The mark has no name.")
        return MarkPlayed(content.mark.name)

    def _read_dtmf(self, content: _Message) -> WireEvent:
        if refusal := self._refusal(content):
            return refusal
        if content.dtmf is None or content.dtmf.digit not in reading.KEYS:
            return reading.BAD_KEY
        return Digit(content.dtmf.digit)

    def _read_stop(self, content: _Message) -> WireEvent:
        if refusal := self._refusal(content):
            return refusal
        self._live = False
        return Stopped()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


_READERS: Mapping[str, Callable[[TwilioCodec, _Message], WireEvent | None]] = {
    "media": TwilioCodec._read_media,
    "mark": TwilioCodec._read_mark,
    "dtmf": TwilioCodec._read_dtmf,
    "connected": TwilioCodec._read_connected,
    "start": TwilioCodec._read_start,
    "stop": TwilioCodec._read_stop,
}
