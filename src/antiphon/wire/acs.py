"""Azure Communication Services, bidirectional audio streaming: the server's side.

Text JSON, 16-bit PCM mono of 16000 or 24000 Hz; the first message tells the rate. Keys are read without regard to
case. There are no marks. Source: https://learn.microsoft.com/azure/communication-services/concepts/call-automation/
audio-streaming-concept
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from antiphon.audio.formats import AudioFormat
from antiphon.wire import reading
from antiphon.wire.contract import Committed, Digit, Malformed, Media, MediaCodec, Started, WireEvent
from antiphon.wire.reading import DECODE_ERRORS, explain

Case = Literal["camel", "pascal"]
"""How our own keys are spelt: ``audioData`` or ``AudioData``."""

RATES = (16_000, 24_000)
_KEY_WORDS: Mapping[str, str] = {
    **dict(zip("zero one two three four five six seven eight nine".split(), "0123456789", strict=True)),
    **{"star": "*", "asterisk": "*", "pound": "#", "hash": "#"},
}


class _Audio(msgspec.Struct, gc=False):
    data: bytes = b""
    timestamp: str | None = None
    silent: bool = False


class _Frame(msgspec.Struct, rename="camel", gc=False):
    """A message of audio in the usual spelling: nearly all messages are this."""

    kind: str
    audio_data: _Audio


def lower(name: str) -> str:
    """A field's key in lower case."""
    return name.replace("_", "")


class _Metadata(msgspec.Struct, rename=lower):
    sample_rate: int
    encoding: str = "PCM"
    channels: int = 1
    length: int = 0
    subscription_id: str = ""


class _Dtmf(msgspec.Struct):
    data: str | int


class _Message(msgspec.Struct, rename=lower):
    """Any message, with keys in lower case."""

    kind: str
    audio_metadata: _Metadata | None = None
    audio_data: _Audio | None = None
    dtmf_data: _Dtmf | None = None


_decode_frame = msgspec.json.Decoder(_Frame).decode


class AcsCodec(MediaCodec):
    """Reads what the service sends and makes what it takes. See ``MediaCodec``.

    Args:
        case: How our keys are spelt.
        max_message: Largest message that is read.
    """

    name = "acs"
    has_marks = False

    def __init__(self, *, case: Case = "camel", max_message: int = reading.MAX_MESSAGE) -> None:
        self.audio = AudioFormat("pcm16", RATES[0])
        self._max_message = max_message
        self._live = False
        self._silence = b""
        self._first_time: datetime | None = None
        if case == "camel":
            self._media_head, self._media_tail = '{"kind":"AudioData","audioData":{"data":"', '"},"stopAudio":null}'
            self._stop = '{"kind":"StopAudio","audioData":null,"stopAudio":{}}'
        else:
            self._media_head, self._media_tail = '{"Kind":"AudioData","AudioData":{"Data":"', '"},"StopAudio":null}'
            self._stop = '{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'

    def receive(self, message: str | bytes) -> WireEvent | None:
        """Read one message. Never raises."""
        if len(message) > self._max_message:
            return reading.TOO_LARGE
        try:
            frame = _decode_frame(message)
        except DECODE_ERRORS:
            return self._read_other(message)
        if frame.kind != "AudioData" or not frame.audio_data.data:  # Another spelling of the key hides the data.
            return self._read_other(message)
        return self._read_audio(frame.audio_data)

    def media(self, payload: bytes) -> str:
        """PCM audio for the caller.

        Raises:
            RuntimeError: The stream has not started.
        """
        if not self._live:
            raise RuntimeError(reading.SENT_TOO_EARLY)
        return f"{self._media_head}{b2a_base64(payload, newline=False).decode('ascii')}{self._media_tail}"

    def clear(self) -> str:
        """Drop the audio that has not been played yet.

        Raises:
            RuntimeError: The stream has not started.
        """
        if not self._live:
            raise RuntimeError(reading.SENT_TOO_EARLY)
        return self._stop

    def _read_other(self, message: str | bytes) -> WireEvent | None:
        try:
            content = msgspec.convert(with_lower_keys(msgspec.json.decode(message)), _Message, strict=False)
        except DECODE_ERRORS as error:
            return _explain(message, error)
        read = _READERS.get(content.kind)
        return read(self, content) if read else reading.UNKNOWN_EVENT

    def _read_metadata(self, content: _Message) -> WireEvent:
        if self._live:
            return reading.STARTED_TWICE
        told = content.audio_metadata
        if told is None:
            return Malformed("bad_field", "The metadata tells nothing.")
        if told.encoding.upper() != "PCM" or told.sample_rate not in RATES or told.channels != 1:
            return Malformed("bad_field", "The stream's audio is not PCM of 16000 or 24000 Hz in one channel.")
        self.audio = AudioFormat("pcm16", told.sample_rate)
        fits = 0 < told.length <= self.audio.bytes_per_s and told.length % 2 == 0
        self._silence = bytes(told.length if fits else self.audio.frame_bytes(20))
        self._live = True
        return Started(told.subscription_id, told.subscription_id, self.audio)

    def _read_audio_data(self, content: _Message) -> WireEvent:
        if content.audio_data is None:
            return Malformed("bad_field", "The frame has no audio data.")
        return self._read_audio(content.audio_data)

    def _read_audio(self, audio: _Audio) -> WireEvent:
        if not self._live:
            return reading.NOT_STARTED
        payload = audio.data
        if audio.silent:  # It lasts as long as any other frame, and nothing in it is the caller's voice.
            payload = bytes(len(payload)) or self._silence
        if not payload:
            return reading.EMPTY_PAYLOAD
        if len(payload) % 2:
            return reading.ODD_PAYLOAD
        return Media(payload, self._since_start(audio.timestamp))

    def _since_start(self, timestamp: str | None) -> int:
        """Milliseconds since the first frame; the service tells the time of day."""
        try:
            time = datetime.fromisoformat(timestamp or "")
            self._first_time = self._first_time or time
            return max(0, round((time - self._first_time).total_seconds() * 1000))
        except (ValueError, TypeError):  # No time, or one with a zone where the first had none.
            return -1

    def _read_dtmf(self, content: _Message) -> WireEvent:
        if not self._live:
            return reading.NOT_STARTED
        told = str(content.dtmf_data.data) if content.dtmf_data is not None else ""
        key = _KEY_WORDS.get(told.lower(), told)
        return Digit(key) if key in reading.KEYS else reading.BAD_KEY

    def _read_stop(self, _content: _Message) -> WireEvent:
        return Committed() if self._live else reading.NOT_STARTED


def with_lower_keys(content: object) -> object:
    """An object of objects with all its keys in lower case; deeper ones have no meaning in the protocol."""
    if not isinstance(content, dict):
        return content
    return {
        key.lower(): {inner.lower(): value for inner, value in part.items()} if isinstance(part, dict) else part
        for key, part in content.items()
    }


def _explain(message: str | bytes, error: Exception) -> Malformed:
    fault = explain(message, error, _READERS, key="kind")
    is_audio = fault.code == "bad_field" and "$.audiodata.data" in str(error)
    return Malformed("bad_payload", fault.detail) if is_audio else fault


_READERS: Mapping[str, Callable[[AcsCodec, Any], WireEvent | None]] = {
    "AudioMetadata": AcsCodec._read_metadata,
    "AudioData": AcsCodec._read_audio_data,
    "DtmfData": AcsCodec._read_dtmf,
    "StopAudio": AcsCodec._read_stop,
}
