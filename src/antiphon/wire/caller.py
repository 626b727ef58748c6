"""The carrier's side of the media protocols: what a phone sends to our server, and how it reads the answers.

The phone client, the simulated callers and the tests are carriers by these classes. Like the codecs they hold no
socket, no clock and no task.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.wire.plivo import FORMATS, content_type
from antiphon.wire.reading import DECODE_ERRORS


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio to play to the caller after all that came before; ``payload`` is in the format ``audio``."""

    payload: bytes
    audio: AudioFormat = PHONE


@dataclass(frozen=True, slots=True)
class Mark:
    """Answer with ``mark_played(name)`` when the audio before this has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop the audio that has not been played; answer with ``cleared()`` if that gives a message."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message that is not the protocol; ``detail`` is a sentence for the log."""

    detail: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server takes the stream: audio may flow."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The server tells something that needs no deed; ``kind`` is the protocol's name of it."""

    kind: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The server ends the stream: answer with ``closing()``.

    Attributes:
        reason: Why.
        variables: What the conversation leaves.
    """

    reason: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closed:
    """The server has said its last: close the socket."""


ServerMessage = Audio | Mark | Clear | Accepted | Notice | Ending | Closed | Unknown


class MediaCaller(Protocol):
    """The carrier's side of one media stream. What few protocols know has the others' answer here."""

    name: str
    audio: AudioFormat
    """Format of the caller's audio."""

    marks_return_on_clear: bool = False
    """Whether a clear answers the marks that are pending; else they are forgotten."""
    subprotocol: str | None = None
    """What the upgrade offers."""
    closing_is_answered: bool = False
    """Whether the server has a last word, ``Closed``, after ``closing()``."""

    def headers(self) -> dict[str, str]:
        """What the carrier adds to the upgrade."""
        return {}

    def opening(self) -> list[str]:
        """What is sent when the socket is open."""
        ...

    def media(self, payload: bytes) -> str | bytes | None:
        """The next frame of the caller's audio, in ``audio``'s format; None while nobody has taken the stream."""
        ...

    def dtmf(self, digit: str) -> str:
        """A key was pressed."""
        ...

    def mark_played(self, name: str) -> str | None:
        """The audio before this mark has been played; None where the protocol says nothing."""
        return None

    def cleared(self) -> str | None:
        """The audio was dropped; None where the protocol says nothing."""
        return None

    def closing(self) -> str | None:
        """The caller hung up; None where the end of the socket says it."""
        ...

    def receive(self, message: str | bytes) -> ServerMessage:
        """Read one message of the server. Never raises."""
        ...


class _Payload(msgspec.Struct, rename="camel"):
    payload: bytes
    content_type: str = "audio/x-mulaw"
    sample_rate: int = 8_000


class _TwilioMark(msgspec.Struct):
    name: str


class _FromTwilioServer(msgspec.Struct, rename="camel"):
    event: str
    stream_sid: str
    media: _Payload | None = None
    mark: _TwilioMark | None = None


class _FromPlivoServer(msgspec.Struct, rename="camel"):
    event: str
    media: _Payload | None = None
    name: str | None = None
    stream_id: str | None = None


_decode_twilio = msgspec.json.Decoder(_FromTwilioServer, strict=False).decode
_decode_plivo = msgspec.json.Decoder(_FromPlivoServer, strict=False).decode


class TwilioCaller(MediaCaller):
    """A phone behind Twilio. See ``MediaCaller``.

    Args:
        stream_id: The stream's id, as Twilio would give it.
        call_id: The call's id.
        parameters: What the carrier's document passed on.
    """

    name = "twilio"
    marks_return_on_clear = True
    account_id = "AC" + "0" * 32

    def __init__(self, stream_id: str, call_id: str, parameters: Mapping[str, str] | None = None) -> None:
        self.audio = PHONE
        self._stream_id = stream_id
        self._call_id = call_id
        self._parameters = dict(parameters or {})
        self._sequence = 0
        self._chunk = 0
        self._sent_bytes = 0

    def opening(self) -> list[str]:
        """``connected`` and ``start``."""
        start = {
            "accountSid": self.account_id,
            "streamSid": self._stream_id,
            "callSid": self._call_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
            "customParameters": self._parameters,
        }
        return [
            _text({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            self._message("start", start=start),
        ]

    def media(self, payload: bytes) -> str:
        """The next frame of the caller's mu-law audio."""
        self._chunk += 1
        timestamp = round(self.audio.seconds(self._sent_bytes) * 1000)
        self._sent_bytes += len(payload)
        return self._message(
            "media",
            media={
                "track": "inbound",
                "chunk": str(self._chunk),
                "timestamp": str(timestamp),
                "payload": _base64(payload),
            },
        )

    def dtmf(self, digit: str) -> str:
        """A key was pressed."""
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark_played(self, name: str) -> str:
        """The audio before this mark has been played, or was cleared."""
        return self._message("mark", mark={"name": name})

    def cleared(self) -> None:
        """Nothing: Twilio answers a clear only by the marks that were pending."""
        return None

    def closing(self) -> str:
        """The caller hung up."""
        return self._message("stop", stop={"accountSid": self.account_id, "callSid": self._call_id})

    def receive(self, message: str | bytes) -> ServerMessage:
        """Read one message of the server. Never raises."""
        try:
            content = _decode_twilio(message)
        except DECODE_ERRORS:
            return Unknown("The server's message is not Twilio's protocol.")
        if content.stream_sid != self._stream_id:
            return Unknown("The server's message is of another stream.")
        match content.event:
            case "media" if content.media:
                return Audio(content.media.payload)
            case "mark" if content.mark:
                return Mark(content.mark.name)
            case "clear":
                return Clear()
        return Unknown("The server's message is not known to Twilio's protocol, or has no content.")

    def _message(self, event: str, **fields: Any) -> str:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence)}
        return _text({**head, **fields, "streamSid": self._stream_id})


class PlivoCaller(MediaCaller):
    """A phone behind Plivo. See ``MediaCaller``.

    Args:
        stream_id: The stream's id, as Plivo would give it.
        call_id: The call's id.
        parameters: What the carrier's document passed on; neither names nor values hold ``;`` or ``=``.
        audio: One of the protocol's formats.
        epoch_ms: The time of the first frame, in milliseconds since 1970.

    Raises:
        AudioError: The protocol cannot carry ``audio``.
    """

    name = "plivo"
    marks_return_on_clear = False
    account_id = "MA" + "0" * 18

    def __init__(
        self,
        stream_id: str,
        call_id: str,
        parameters: Mapping[str, str] | None = None,
        *,
        audio: AudioFormat = PHONE,
        epoch_ms: int = 0,
    ) -> None:
        self.audio = audio
        self._stream_id = stream_id
        self._call_id = call_id
        self._extra_headers = ";".join(f"{name}={value}" for name, value in (parameters or {}).items())
        self._epoch_ms = epoch_ms
        self._content_type = content_type(audio)
        self._sequence = 0
        self._chunk = 0
        self._sent_bytes = 0

    def opening(self) -> list[str]:
        """``start``, with both spellings of the format."""
        name, rate_hz = self._content_type, self.audio.rate_hz
        start = {
            "callId": self._call_id,
            "streamId": self._stream_id,
            "accountId": self.account_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": name, "sampleRate": rate_hz, "type": name, "rate": rate_hz},
        }
        return [self._message("start", start=start, extra_headers=self._extra_headers)]

    def media(self, payload: bytes) -> str:
        """The next frame of the caller's audio."""
        media = {
            "track": "inbound",
            "timestamp": self._now(),
            "chunk": self._chunk + 1,
            "payload": _base64(payload),
            "contentType": self._content_type,
            "sampleRate": self.audio.rate_hz,
        }
        self._chunk += 1
        self._sent_bytes += len(payload)
        return self._message("media", media=media, extra_headers=self._extra_headers)

    def dtmf(self, digit: str) -> str:
        """A key was pressed."""
        return self._message("dtmf", dtmf={"track": "inbound", "digit": digit, "timestamp": self._now()})

    def mark_played(self, name: str) -> str:
        """The audio before this checkpoint has been played."""
        return self._message("playedStream", name=name)

    def cleared(self) -> str:
        """The audio was dropped; checkpoints that were pending are not answered."""
        return self._message("clearedAudio")

    def closing(self) -> str:
        """The caller hung up."""
        return self._message("stop")

    def receive(self, message: str | bytes) -> ServerMessage:
        """Read one message of the server. Never raises."""
        try:
            content = _decode_plivo(message)
        except DECODE_ERRORS:
            return Unknown("The server's message is not Plivo's protocol.")
        if content.stream_id not in (None, self._stream_id):
            return Unknown("The server's message is of another stream.")
        match content.event:
            case "playAudio" if content.media:
                audio = FORMATS.get((content.media.content_type, content.media.sample_rate))
                return Audio(content.media.payload, audio) if audio else Unknown("The audio's format is not known.")
            case "checkpoint" if content.name is not None:
                return Mark(content.name)
            case "clearAudio":
                return Clear()
        return Unknown("The server's message is not known to Plivo's protocol, or has no content.")

    def _now(self) -> str:
        return str(self._epoch_ms + round(self.audio.seconds(self._sent_bytes) * 1000))

    def _message(self, event: str, **fields: Any) -> str:
        self._sequence += 1
        return _text({"event": event, "sequenceNumber": self._sequence, "streamId": self._stream_id, **fields})


def _base64(payload: bytes) -> str:
    return b2a_base64(payload, newline=False).decode("ascii")


def _text(message: Mapping[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
