"""Plivo audio streaming, bidirectional (``<Stream bidirectional="true">``): the media server's side.

Text JSON; mu-law 8000 Hz, or 16-bit PCM of 8000 or 16000 Hz, mono. A checkpoint that was pending when the audio was
cleared is never answered. Source: https://www.plivo.com/docs/voice/audio-streaming/audio-streaming
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.errors import AudioError
from antiphon.wire import reading
from antiphon.wire.contract import Cleared, Digit, Malformed, MarkPlayed, Media, MediaCodec, Started, Stopped, WireEvent
from antiphon.wire.reading import DECODE_ERRORS, FrameOrder, as_text, explain

FORMATS: Mapping[tuple[str, int], AudioFormat] = {
    ("audio/x-mulaw", 8_000): PHONE,
    ("audio/x-l16", 8_000): AudioFormat("pcm16", 8_000),
    ("audio/x-l16", 16_000): AudioFormat("pcm16", 16_000),
}
"""The protocol's names of what it can carry."""


class _Media(msgspec.Struct, gc=False):
    payload: bytes
    track: str = "inbound"
    chunk: int = -1
    timestamp: int = -1


class _Format(msgspec.Struct, rename="camel"):
    """Plivo's own pages write ``encoding`` and ``sampleRate``; its SDK reads ``type`` and ``rate``."""

    encoding: str = ""
    sample_rate: int = 0
    type: str = ""
    rate: int = 0


class _Start(msgspec.Struct, rename="camel"):
    call_id: str
    stream_id: str = ""
    media_format: _Format = msgspec.field(default_factory=_Format)


class _Dtmf(msgspec.Struct):
    digit: str


class _Message(msgspec.Struct, rename="camel", gc=False):
    event: str
    stream_id: str = ""
    media: _Media | None = None
    start: _Start | None = None
    dtmf: _Dtmf | None = None
    name: str | None = None
    extra_headers: Any = msgspec.field(default="", name="extra_headers")


# Not strict: numbers may be text.
_decode = msgspec.json.Decoder(_Message, strict=False).decode


class PlivoCodec(MediaCodec):
    """Reads what Plivo sends and makes what it takes. See ``MediaCodec``.

    Args:
        max_message: Largest message that is read.
    """

    name = "plivo"

    def __init__(self, *, max_message: int = reading.MAX_MESSAGE) -> None:
        self.audio = PHONE
        self._max_message = max_message
        self._order = FrameOrder()
        self._stream_id = ""
        self._live = False
        self._media_head = ""
        self._first_timestamp = -1

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
        """Audio for the caller, in the stream's format.

        Raises:
            RuntimeError: The stream has not started.
        """
        if not self._media_head:
            raise RuntimeError(reading.SENT_TOO_EARLY)
        return f'{self._media_head}{b2a_base64(payload, newline=False).decode("ascii")}"}}}}'

    def mark(self, name: str) -> str:
        """Ask to be told when the audio before this has been played: a checkpoint.

        Raises:
            RuntimeError: The stream has not started.
        """
        return self._command("checkpoint", name=name)

    def clear(self) -> str:
        """Drop the audio that has not been played yet, and the checkpoints with it.

        Raises:
            RuntimeError: The stream has not started.
        """
        return self._command("clearAudio")

    def keys(self, keys: str) -> str:
        """Press keys of the telephone. Like audio it names no stream.

        Raises:
            RuntimeError: The stream has not started.
        """
        if not self._media_head:
            raise RuntimeError(reading.SENT_TOO_EARLY)
        return msgspec.json.encode({"event": "sendDTMF", "dtmf": keys}).decode()

    def _command(self, event: str, **fields: Any) -> str:
        if not self._media_head:
            raise RuntimeError(reading.SENT_TOO_EARLY)
        return msgspec.json.encode({"event": event, "streamId": self._stream_id, **fields}).decode()

    def _refusal(self, content: _Message) -> Malformed | None:
        """Why a message of a running stream is none of this one."""
        if not self._live:
            return reading.NOT_STARTED
        if content.stream_id != self._stream_id and content.stream_id:
            return reading.OTHER_STREAM
        return None

    def _read_start(self, content: _Message) -> WireEvent:
        if self._stream_id:
            return reading.STARTED_TWICE
        start = content.start
        if start is None or not start.call_id:
            return Malformed("bad_field", "The start tells no call.")
        stream_id = start.stream_id or content.stream_id
        if not stream_id:
            return Malformed("bad_field", "The start tells no stream.")
        audio = _audio(start.media_format)
        if audio is None:
            return Malformed(
                "bad_field", "The stream's audio is neither mu-law of 8000 Hz nor L16 of 8000 or 16000 Hz."
            )
        self._stream_id = stream_id
        self._live = True
        self.audio = audio
        # It names no stream: the protocol has it so.
        self._media_head = (
            f'{{"event":"playAudio","media":{{"contentType":"{content_type(audio)}",'
            f'"sampleRate":{audio.rate_hz},"payload":"'
        )
        return Started(stream_id, start.call_id, audio, parse_extra_headers(content.extra_headers))

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
        if len(media.payload) % self.audio.sample_bytes:
            return reading.ODD_PAYLOAD
        if not self._order.accept(media.chunk):
            return reading.FRAME_OUT_OF_ORDER
        return Media(media.payload, self._since_start(media.timestamp), media.chunk)

    def _since_start(self, timestamp: int) -> int:
        """Milliseconds since the first frame; Plivo tells them since the epoch."""
        if timestamp < 0:
            return -1
        if self._first_timestamp < 0:
            self._first_timestamp = timestamp
        return max(0, timestamp - self._first_timestamp)

    def _read_played(self, content: _Message) -> WireEvent:
        if refusal := self._refusal(content):
            return refusal
        if content.name is None:
            return Malformed("bad_field", "The checkpoint has no name.")
        return MarkPlayed(content.name)

    def _read_cleared(self, content: _Message) -> WireEvent:
        return self._refusal(content) or Cleared()

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


def content_type(audio: AudioFormat) -> str:
    """The protocol's name of an encoding.

    Raises:
        AudioError: The protocol cannot carry the format.
    """
    for (name, _), known in FORMATS.items():
        if known == audio:
            return name
    raise AudioError("Plivo carries mu-law of 8000 Hz and L16 of 8000 or 16000 Hz only: choose one of these.")


def parse_extra_headers(headers: object) -> dict[str, str]:
    """What the document passed on: ``k=v;k=v``, or the same as JSON. What is neither is no header."""
    if isinstance(headers, str) and headers.startswith("{"):
        try:
            headers = msgspec.json.decode(headers)
        except DECODE_ERRORS:
            return {}
    if isinstance(headers, dict):
        return as_text(headers)
    if not isinstance(headers, str):
        return {}
    pairs = (part.partition("=") for part in headers.split(";"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals and key.strip()}


def _audio(told: _Format) -> AudioFormat | None:
    encoding = (told.encoding or told.type).lower()
    rate_hz = told.sample_rate or told.rate or 8_000
    for (name, hz), audio in FORMATS.items():
        if encoding == f"{name};rate={hz}" or (encoding, rate_hz) == (name, hz):
            return audio
    return None


_READERS: Mapping[str, Callable[[PlivoCodec, _Message], WireEvent | None]] = {
    "media": PlivoCodec._read_media,
    "playedStream": PlivoCodec._read_played,
    "clearedAudio": PlivoCodec._read_cleared,
    "dtmf": PlivoCodec._read_dtmf,
    "start": PlivoCodec._read_start,
    "stop": PlivoCodec._read_stop,
}
