"""Two media-stream protocols of carriers, seen from the carrier's side, and the Realtime protocol from its client's.

``Twilio`` speaks Media Streams (connected, start, media, mark, stop; hears media, mark, clear), ``Plivo`` audio
streaming (start, media, playedStream, clearedAudio, stop; hears playAudio, checkpoint, clearAudio). Both carry 8 kHz
mu-law in frames of 20 ms, base64 in JSON text. ``Realtime`` carries 16-bit PCM at 24 kHz; there the caller's speech is
what clears the sound. Each builder gives one JSON text.
"""

from __future__ import annotations

import json
from typing import Literal, Protocol

import msgspec


class Heard(msgspec.Struct, frozen=True):
    """What one message of the server means.

    Attributes:
        kind: ``audio``, ``mark``, ``clear`` or ``other``.
        audio_ms: Length of the sound.
        name: The mark's name.
    """

    kind: Literal["audio", "mark", "clear", "other"]
    audio_ms: float = 0.0
    name: str = ""


class Carrier(Protocol):
    """The carrier's side of one stream."""

    def opening(self) -> list[str]:
        """The messages that begin the stream."""
        ...

    def media(self, chunk: int, timestamp_ms: int, payload: str) -> str:
        """A frame of the caller, base64."""
        ...

    def parse(self, message: bytes) -> Heard:
        """Read one message of the server."""
        ...

    def mark_reached(self, name: str) -> str:
        """The audio before this mark has been played."""
        ...

    def cleared(self) -> str | None:
        """The answer to a clear, where the protocol has one."""
        ...

    def closing(self) -> str:
        """The caller hung up."""
        ...


def _payload_ms(payload: str, bytes_per_ms: int = 8) -> float:
    """Length of a base64 payload, without decoding it."""
    return (len(payload) * 3 // 4 - payload.count("=", -2)) / bytes_per_ms


def _decode(message: bytes) -> dict[str, dict[str, str]]:
    # Only the fields that are used are looked at; a server that sends others fails the run, as it should.
    decoded: dict[str, dict[str, str]] = msgspec.json.decode(message)
    return decoded


class Twilio:
    """Twilio Media Streams."""

    def __init__(self, number: int) -> None:
        self._stream = f"MZ{number:032x}"
        self._call = f"CA{number:032x}"
        self._account = "AC" + "0" * 32
        self._sequence = 0

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self._stream}
        return json.dumps(head | fields)

    def opening(self) -> list[str]:
        """``connected``, then ``start``."""
        start = {
            "accountSid": self._account,
            "streamSid": self._stream,
            "callSid": self._call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }
        connected = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        return [connected, self._message("start", start=start)]

    def media(self, chunk: int, timestamp_ms: int, payload: str) -> str:
        """A frame of the caller."""
        self._sequence += 1
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{chunk}","timestamp":"{timestamp_ms}","payload":"{payload}"}},'
            f'"streamSid":"{self._stream}"}}'
        )

    def parse(self, message: bytes) -> Heard:
        """Read one message of the server."""
        data = _decode(message)
        match data["event"]:
            case "media":
                return Heard("audio", audio_ms=_payload_ms(data["media"]["payload"]))
            case "mark":
                return Heard("mark", name=data["mark"]["name"])
            case "clear":
                return Heard("clear")
            case _:
                return Heard("other")

    def mark_reached(self, name: str) -> str:
        """The audio before this mark has been played, or was cleared."""
        return self._message("mark", mark={"name": name})

    def cleared(self) -> str | None:
        """Nothing: a clear is confirmed by the marks that come back."""
        return None

    def closing(self) -> str:
        """The caller hung up."""
        return self._message("stop", stop={"accountSid": self._account, "callSid": self._call})


class Plivo:
    """Plivo audio streaming."""

    def __init__(self, number: int) -> None:
        self._stream = f"00000000-0000-4000-8000-{number:012x}"
        self._call = f"00000000-0000-4000-9000-{number:012x}"
        self._sequence = 0

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": self._sequence, "streamId": self._stream}
        return json.dumps(head | fields)

    def opening(self) -> list[str]:
        """``start``."""
        start = {
            "callId": self._call,
            "streamId": self._stream,
            "accountId": "MA" + "0" * 18,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        }
        return [self._message("start", start=start, extra_headers="{}")]

    def media(self, chunk: int, timestamp_ms: int, payload: str) -> str:
        """A frame of the caller."""
        self._sequence += 1
        return (
            f'{{"sequenceNumber":{self._sequence},"streamId":"{self._stream}","event":"media",'
            f'"media":{{"track":"inbound","timestamp":"{timestamp_ms}","chunk":{chunk},'
            f'"payload":"{payload}"}},"extra_headers":"{{}}"}}'
        )

    def parse(self, message: bytes) -> Heard:
        """Read one message of the server."""
        data = _decode(message)
        match data["event"]:
            case "playAudio":
                media = data["media"]
                width = 2 if "l16" in media.get("contentType", "").lower() else 1
                bytes_per_ms = int(media.get("sampleRate", 8000)) * width // 1000
                return Heard("audio", audio_ms=_payload_ms(media["payload"], bytes_per_ms))
            case "checkpoint":
                return Heard("mark", name=str(data["name"]))
            case "clearAudio":
                return Heard("clear")
            case _:
                return Heard("other")

    def mark_reached(self, name: str) -> str:
        """The audio before this checkpoint has been played."""
        return self._message("playedStream", name=name)

    def cleared(self) -> str | None:
        """``clearedAudio``."""
        return self._message("clearedAudio")

    def closing(self) -> str:
        """The caller hung up."""
        return self._message("stop")


class Realtime:
    """The OpenAI Realtime protocol, with the turn detection of the other measurements: 200 ms of silence."""

    def __init__(self, number: int) -> None:
        self._number = number

    def opening(self) -> list[str]:
        """``session.update``."""
        detection = {"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 300}
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        return [json.dumps({"type": "session.update", "session": session})]

    def media(self, chunk: int, timestamp_ms: int, payload: str) -> str:
        """Sound of the caller."""
        return f'{{"type":"input_audio_buffer.append","audio":"{payload}"}}'

    def parse(self, message: bytes) -> Heard:
        """Read one event of the server."""
        event = _EVENT(message)
        match event.type:
            case "response.output_audio.delta":
                return Heard("audio", audio_ms=_payload_ms(event.delta, 48))
            case "input_audio_buffer.speech_started":
                return Heard("clear")
            case _:
                return Heard("other")

    def mark_reached(self, name: str) -> str:
        """Never asked for: the protocol has no marks."""
        raise AssertionError(name)

    def cleared(self) -> str | None:
        """Nothing is confirmed."""
        return None

    def closing(self) -> str:
        """The close says it."""
        return json.dumps({"type": "response.cancel"})


class _Event(msgspec.Struct):
    type: str
    delta: str = ""


_EVENT = msgspec.json.Decoder(_Event).decode

CARRIERS: dict[str, type[Twilio] | type[Plivo] | type[Realtime]] = {
    "twilio": Twilio,
    "plivo": Plivo,
    "realtime": Realtime,
}
