"""The carrier's side of Genesys AudioHook: the client that opens a session for a bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from antiphon.audio.formats import PHONE
from antiphon.wire.audiohook import SUBPROTOCOL, VERSION
from antiphon.wire.caller import (
    Accepted,
    Audio,
    Clear,
    Closed,
    Ending,
    MediaCaller,
    Notice,
    ServerMessage,
    Unknown,
)
from antiphon.wire.reading import DECODE_ERRORS

ORGANIZATION = "6f0d3f9e-6ac3-4b59-8a6d-3a1c1d1b0001"


class _Event(msgspec.Struct):
    type: str


class _Parameters(msgspec.Struct, rename="camel"):
    reason: str = ""
    entities: list[_Event] = []
    output_variables: dict[str, str] = {}


class _FromServer(msgspec.Struct):
    version: str
    id: str
    type: str
    seq: int
    clientseq: int
    parameters: _Parameters


_decode = msgspec.json.Decoder(_FromServer).decode


class AudioHookCaller(MediaCaller):
    """A phone behind Genesys. See ``MediaCaller``.

    Args:
        stream_id: The session's id.
        call_id: The conversation's id.
        parameters: The flow's input variables.
        channels: Which sides of the conversation are offered; both are interleaved.
    """

    name = "audiohook"
    subprotocol = SUBPROTOCOL
    closing_is_answered = True

    def __init__(
        self,
        stream_id: str,
        call_id: str,
        parameters: Mapping[str, str] | None = None,
        *,
        channels: tuple[str, ...] = ("external",),
    ) -> None:
        self.audio = PHONE
        self._stream_id = stream_id
        self._call_id = call_id
        self._parameters = dict(parameters or {})
        self._channels = channels
        self._is_open = False
        self._seq = 0
        self._server_seq = 0
        self._sent_bytes = 0

    def headers(self) -> dict[str, str]:
        """The organization's id and the session's."""
        return {
            "Audiohook-Organization-Id": ORGANIZATION,
            "Audiohook-Correlation-Id": str(uuid5(NAMESPACE_URL, self._call_id)),
            "Audiohook-Session-Id": self._stream_id,
        }

    def opening(self) -> list[str]:
        """``open``, with one choice of audio."""
        parameters = {
            "organizationId": ORGANIZATION,
            "conversationId": self._call_id,
            "participant": {"id": str(uuid5(NAMESPACE_URL, self._stream_id)), "ani": "", "aniName": "", "dnis": ""},
            "media": [{"type": "audio", "format": "PCMU", "channels": list(self._channels), "rate": 8_000}],
            "inputVariables": self._parameters,
        }
        return [self.control("open", **parameters)]

    def media(self, payload: bytes) -> bytes | None:
        """The next frame of the caller's audio; None until the server has opened the session."""
        if not self._is_open:
            return None
        self._sent_bytes += len(payload)
        count = len(self._channels)
        if count == 1:
            return payload
        mixed = bytearray(b"\xff" * (len(payload) * count))
        mixed[self._channels.index("external") :: count] = payload
        return bytes(mixed)

    def dtmf(self, digit: str) -> str:
        """A key was pressed."""
        return self.control("dtmf", digit=digit)

    def closing(self) -> str:
        """The conversation ends."""
        return self.control("close", reason="end")

    def control(self, kind: str, **parameters: Any) -> str:
        """Any message of control, with the next number."""
        self._seq += 1
        message = {
            "version": VERSION,
            "id": self._stream_id,
            "type": kind,
            "seq": self._seq,
            "serverseq": self._server_seq,
            "position": f"PT{self.audio.seconds(self._sent_bytes):.3f}S",
            "parameters": parameters,
        }
        return msgspec.json.encode(message).decode()

    def receive(self, message: str | bytes) -> ServerMessage:
        """Read one message of the server. Never raises."""
        if isinstance(message, bytes):
            return Audio(message, self.audio) if self._is_open else Unknown("Audio came before the session was open.")
        try:
            content = _decode(message)
        except DECODE_ERRORS:
            return Unknown("The server's message is not the AudioHook protocol.")
        if content.version != VERSION or content.id != self._stream_id:
            return Unknown("The server's message is of another session.")
        if content.seq != self._server_seq + 1 or not 0 <= content.clientseq <= self._seq:
            return Unknown("The server's message has a wrong number.")
        self._server_seq = content.seq
        read = _READERS.get(content.type)
        return read(self, content.parameters) if read else Unknown("The server's message is not known.")

    def _read_opened(self, _told: _Parameters) -> ServerMessage:
        self._is_open = True
        return Accepted()

    def _read_event(self, told: _Parameters) -> ServerMessage:
        return Clear() if any(entity.type == "barge_in" for entity in told.entities) else Notice("event")


_READERS: Mapping[str, Callable[[AudioHookCaller, _Parameters], ServerMessage]] = {
    "opened": AudioHookCaller._read_opened,
    "event": AudioHookCaller._read_event,
    "disconnect": lambda _, told: Ending(told.reason, told.output_variables),
    "reconnect": lambda _, _told: Ending("reconnect"),
    "closed": lambda _, _told: Closed(),
    "pong": lambda _, _told: Notice("pong"),
    "updated": lambda _, _told: Notice("updated"),
}
