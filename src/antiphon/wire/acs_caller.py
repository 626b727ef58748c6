"""The carrier's side of Azure Communication Services' audio streaming."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from antiphon.audio.formats import AudioFormat
from antiphon.wire.acs import lower, with_lower_keys
from antiphon.wire.caller import Audio, Clear, MediaCaller, ServerMessage, Unknown
from antiphon.wire.reading import DECODE_ERRORS

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class _Data(msgspec.Struct):
    data: bytes


class _FromServer(msgspec.Struct, rename=lower):
    kind: str
    audio_data: _Data | None = None
    stop_audio: dict[str, str] | None = None


class AcsCaller(MediaCaller):
    """A phone behind Azure Communication Services. See ``MediaCaller``.

    Args:
        stream_id: The subscription's id.
        call_id: Id of the call's connection, which the upgrade tells.
        parameters: The protocol passes none on.
        rate_hz: 16000 or 24000.
    """

    name = "acs"

    def __init__(
        self, stream_id: str, call_id: str, parameters: Mapping[str, str] | None = None, *, rate_hz: int = 16_000
    ) -> None:
        self.audio = AudioFormat("pcm16", rate_hz)
        self._stream_id = stream_id
        self._call_id = call_id
        self._sent_bytes = 0

    def headers(self) -> dict[str, str]:
        """The call's id."""
        return {"x-ms-call-connection-id": self._call_id}

    def opening(self) -> list[str]:
        """The metadata."""
        metadata = {
            "subscriptionId": self._stream_id,
            "encoding": "PCM",
            "sampleRate": self.audio.rate_hz,
            "channels": 1,
            "length": self.audio.frame_bytes(20),
        }
        return [_text({"kind": "AudioMetadata", "audioMetadata": metadata})]

    def media(self, payload: bytes) -> str:
        """The next frame of the caller's audio."""
        time = _EPOCH + timedelta(seconds=self.audio.seconds(self._sent_bytes))
        self._sent_bytes += len(payload)
        data = {
            "timestamp": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": b2a_base64(payload, newline=False).decode("ascii"),
            "silent": not any(payload),
        }
        return _text({"kind": "AudioData", "audioData": data})

    def dtmf(self, digit: str) -> str:
        """A key was pressed."""
        return _text({"kind": "DtmfData", "dtmfData": {"data": digit}})

    def closing(self) -> None:
        """The service closes the socket, and says nothing before."""

    def receive(self, message: str | bytes) -> ServerMessage:
        """Read one message of the server. Never raises."""
        try:
            content = msgspec.convert(with_lower_keys(msgspec.json.decode(message)), _FromServer)
        except DECODE_ERRORS:
            return Unknown("The server's message is not the service's protocol.")
        if content.kind == "AudioData" and content.audio_data is not None:
            return Audio(content.audio_data.data, self.audio)
        if content.kind == "StopAudio" and content.stop_audio is not None:
            return Clear()
        return Unknown("The server's message is not known to the service's protocol, or has no content.")


def _text(message: Mapping[str, object]) -> str:
    return msgspec.json.encode(message).decode()
