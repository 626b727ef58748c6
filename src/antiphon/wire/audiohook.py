"""Genesys AudioHook, version 2, for bots (Audio Connector): the server's side.

Control is JSON text, audio is binary mu-law of 8000 Hz. Every message tells its own number and the last one that was
read of the other side, so a message that is damaged or missing ends the stream. The server owes answers: ``opened``,
``pong``, ``updated``, ``closed``. Source: https://developer.genesys.cloud/devapps/audiohook/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar
from uuid import NAMESPACE_OID, uuid5

import msgspec

from antiphon.audio.formats import PHONE
from antiphon.wire import reading
from antiphon.wire.contract import (
    Digit,
    Fault,
    LanguageChanged,
    Malformed,
    Media,
    MediaCodec,
    Probed,
    Started,
    Stopped,
    StreamPaused,
    TurnOutcome,
    WireEvent,
)
from antiphon.wire.reading import DECODE_ERRORS, as_text, explain

VERSION = "2"
SUBPROTOCOL = "audiohook-v2"
NO_CONVERSATION = "00000000-0000-0000-0000-000000000000"
"""The conversation of a connection check."""

_INPUT_NAMES = {"phoneNumber": "caller_phone", "emailAddress": "caller_email", "promptName": "prompt_name"}
_END_REASONS = {"error": "error", "not authorized": "unauthorized", "no start": "error", "full": "error"}
_DURATION = re.compile(r"PT\d{1,12}(\.\d{1,9})?S")
_MOST_DETAIL = 200

WRONG_ID = Malformed("bad_field", "The message is of another session, or of another version of the protocol.")
WRONG_NUMBER = Malformed("out_of_order", "The message's number is not the next one, or it answers one to come.")
NO_AUDIO_OFFERED = Malformed("bad_field", "The open offers no mu-law audio of 8000 Hz with the caller's channel.")

P = TypeVar("P")


class _Envelope(msgspec.Struct):
    version: str
    id: str
    type: str
    seq: int
    serverseq: int
    position: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class _Participant(msgspec.Struct, rename="camel"):
    ani: str | None = None
    ani_name: str | None = None
    dnis: str | None = None


class _MediaChoice(msgspec.Struct):
    type: str
    format: str
    channels: list[str]
    rate: int


class _Open(msgspec.Struct, rename="camel"):
    organization_id: str
    conversation_id: str
    media: list[_MediaChoice]
    participant: _Participant | None = None
    language: str | None = None
    input_variables: dict[str, Any] | None = None
    continued_sessions: list[Any] | None = None


class _Close(msgspec.Struct):
    reason: str


class _Dtmf(msgspec.Struct):
    digit: str


class _Update(msgspec.Struct):
    language: str


class _Error(msgspec.Struct):
    code: int
    message: str = ""


_decode = msgspec.json.Decoder(_Envelope).decode


class AudioHookCodec(MediaCodec):
    """Reads what Genesys sends and makes what it takes. See ``MediaCodec``.

    Args:
        session_id: The session's id as the upgrade tells it; that of the first message unless given.
        max_message: Largest message that is read.
    """

    name = "audiohook"
    has_marks = False
    frame_ms = 250
    carrier_closes = True
    carrier_reads = True
    carrier_moves = True

    def __init__(self, *, session_id: str = "", max_message: int = reading.MAX_MESSAGE) -> None:
        self.audio = PHONE
        self._id = session_id
        self._max_message = max_message
        self._state: Literal["new", "offered", "open", "ending", "closed"] = "new"
        self._seq = 0  # of our last message
        self._peer_seq = 0  # of the carrier's last one
        self._owed: list[str] = []
        self._choice: _MediaChoice | None = None
        self._heard_bytes = 0

    def receive(self, message: str | bytes) -> WireEvent | None:
        """Read one message. Never raises."""
        if isinstance(message, bytes):
            return self._read_audio(message)
        if self._state == "closed":
            return reading.NOT_STARTED
        if len(message) > self._max_message:
            return self._fatal(reading.TOO_LARGE)
        try:
            envelope = _decode(message)
        except DECODE_ERRORS as error:
            return self._fatal(explain(message, error, _READERS, key="type"))
        fault = self._fault_of(envelope)
        # Once we have said that it is over, nothing else is waited for: not even the right number.
        if fault is not None and not (self._state == "ending" and envelope.type == "close" and fault is WRONG_NUMBER):
            return self._fatal(fault)
        self._id, self._peer_seq = envelope.id, envelope.seq
        if (self._state == "new") != (envelope.type == "open"):
            return self._fatal(reading.NOT_STARTED if self._state == "new" else reading.STARTED_TWICE)
        read = _READERS.get(envelope.type)
        return read(self, envelope.parameters) if read else reading.UNKNOWN_EVENT

    def media(self, payload: bytes) -> bytes:
        """Mu-law audio for the caller.

        Raises:
            RuntimeError: The stream was not accepted.
        """
        self._check_open()
        return payload

    def clear(self) -> str:
        """Drop the audio that has not been played yet: the caller barges in.

        Raises:
            RuntimeError: The stream was not accepted.
        """
        self._check_open()
        return self._message("event", {"entities": [{"type": "barge_in", "data": {}}]})

    def words(self, text: str, *, number: int, is_caller: bool, is_final: bool) -> str:
        """Tell what was said. The confidence is always 1, since the protocol wants one and recognisers tell none.

        Raises:
            RuntimeError: The stream was not accepted.
        """
        self._check_open()
        channel = "external" if is_caller else "internal"
        interpretations = [{"type": "normalized", "transcript": text}]
        data = {
            "id": str(uuid5(NAMESPACE_OID, f"{self._id} {channel} {number}")),
            "channel": channel,
            "isFinal": is_final,
            "alternatives": [{"confidence": 1.0, "interpretations": interpretations}],
        }
        return self._message("event", {"entities": [{"type": "transcript", "data": data}]})

    def turn(self, outcome: TurnOutcome, text: str) -> str:
        """Tell what came of a turn.

        Raises:
            RuntimeError: The stream was not accepted.
        """
        self._check_open()
        data = {"disposition": outcome, **({"text": text} if text else {})}
        return self._message("event", {"entities": [{"type": "bot_turn_response", "data": data}]})

    def answers(self) -> Sequence[str]:
        """Take the answers that are owed."""
        if not self._owed:
            return ()
        owed, self._owed = self._owed, []
        return owed

    def accept(self) -> str:
        """Open the stream; a connection check is accepted without audio.

        Raises:
            RuntimeError: Nothing was offered.
        """
        if self._state != "offered":
            raise RuntimeError(reading.SENT_TOO_EARLY)
        self._state = "open"
        return self._message("opened", {"media": [self._choice] if self._choice is not None else []})

    def end(self, reason: str, variables: Mapping[str, str]) -> str | None:
        """Ask the carrier to close; None where it has done so itself, or has not told which session it is.

        A server that shuts down asks it to connect anew instead, to another one.
        """
        if self._state in ("ending", "closed") or not self._id:
            return None
        self._state = "ending"
        if reason == "drained":
            return self._message("reconnect", {"info": "the server shuts down"})
        parameters: dict[str, Any] = {"reason": _END_REASONS.get(reason, "completed"), "info": reason}
        if variables:
            parameters["outputVariables"] = dict(variables)
        return self._message("disconnect", parameters)

    def _message(self, kind: str, parameters: Mapping[str, Any]) -> str:
        self._seq += 1
        head = {"version": VERSION, "id": self._id, "type": kind, "seq": self._seq, "clientseq": self._peer_seq}
        return msgspec.json.encode({**head, "parameters": parameters}).decode()

    def _check_open(self) -> None:
        if self._state != "open":
            raise RuntimeError(reading.SENT_TOO_EARLY)

    def _fatal(self, fault: Malformed) -> Malformed:
        """A fault that ends the stream, unless it ends already."""
        return replace(fault, is_fatal=self._state not in ("ending", "closed"))

    def _fault_of(self, envelope: _Envelope) -> Malformed | None:
        """Why a message may not stand where it does."""
        if envelope.version != VERSION or not envelope.id or envelope.id != (self._id or envelope.id):
            return WRONG_ID
        if envelope.seq != self._peer_seq + 1 or not 0 <= envelope.serverseq <= self._seq:
            return WRONG_NUMBER
        if not _DURATION.fullmatch(envelope.position):
            return Malformed("bad_field", "The position is no duration in seconds.")
        return None

    def _read_audio(self, payload: bytes) -> WireEvent | None:
        if self._state != "open" or self._choice is None:
            return reading.NOT_STARTED
        if len(payload) > self._max_message:
            return reading.TOO_LARGE
        channels = self._choice.channels
        if len(payload) % len(channels):
            return reading.ODD_PAYLOAD
        payload = payload[channels.index("external") :: len(channels)]
        if not payload:
            return reading.EMPTY_PAYLOAD
        at_ms = round(self.audio.seconds(self._heard_bytes) * 1000)
        self._heard_bytes += len(payload)
        return Media(payload, at_ms)

    def _read_open(self, raw: msgspec.Raw) -> WireEvent:
        told = _parameters(raw, _Open)
        if isinstance(told, Malformed):
            return self._fatal(told)
        if told.conversation_id == NO_CONVERSATION:
            self._state = "offered"
            return Probed()
        self._choice = _choice(told.media)
        if self._choice is None:
            return self._fatal(NO_AUDIO_OFFERED)
        self._state = "offered"
        return Started(self._id, told.conversation_id, self.audio, _variables(told))

    def _read_close(self, raw: msgspec.Raw) -> WireEvent:
        told = _parameters(raw, _Close)
        self._owed.append(self._message("closed", {}))
        self._state = "closed"
        return Stopped("" if isinstance(told, Malformed) else told.reason)

    def _read_ping(self, _raw: msgspec.Raw) -> None:
        self._owed.append(self._message("pong", {}))

    def _read_dtmf(self, raw: msgspec.Raw) -> WireEvent:
        told = _parameters(raw, _Dtmf)
        if isinstance(told, Malformed):
            return told
        return Digit(told.digit) if told.digit in reading.KEYS else reading.BAD_KEY

    def _read_update(self, raw: msgspec.Raw) -> WireEvent:
        told = _parameters(raw, _Update)
        if isinstance(told, Malformed):
            return told
        self._owed.append(self._message("updated", {}))
        return LanguageChanged(told.language)

    def _read_error(self, raw: msgspec.Raw) -> WireEvent:
        told = _parameters(raw, _Error)
        return told if isinstance(told, Malformed) else Fault(told.code, told.message[:_MOST_DETAIL])

    def _read_notice(self, _raw: msgspec.Raw) -> None:
        """What only tells how the audio goes: it comes, or it does not."""


def _parameters(raw: msgspec.Raw, kind: type[P]) -> P | Malformed:
    try:
        return msgspec.json.decode(raw, type=kind)
    except DECODE_ERRORS as error:
        # msgspec's text names fields and types, never values.
        return Malformed("bad_field", f"{error}.")


def _choice(offers: Sequence[_MediaChoice]) -> _MediaChoice | None:
    """The offer that brings the caller's voice, alone if possible."""
    fit = [
        offer
        for offer in offers
        if (offer.type, offer.format, offer.rate) == ("audio", "PCMU", PHONE.rate_hz)
        and "external" in offer.channels
        and len(offer.channels) == len(set(offer.channels)) <= 2
    ]
    return min(fit, key=lambda offer: len(offer.channels), default=None)


def _variables(told: _Open) -> dict[str, str]:
    """What the flow passes on; what the carrier itself tells cannot be overwritten by it."""
    given = {_INPUT_NAMES.get(name, name): value for name, value in as_text(told.input_variables or {}).items()}
    caller = told.participant or _Participant()
    known = {
        "from": caller.ani,
        "to": caller.dnis,
        "caller_name": caller.ani_name,
        "language": told.language,
        "organization_id": told.organization_id,
        "continues": ",".join(each for each in told.continued_sessions or () if isinstance(each, str)),
    }
    return {**given, **{name: value for name, value in known.items() if value}}


_READERS: Mapping[str, Callable[[AudioHookCodec, msgspec.Raw], WireEvent | None]] = {
    "open": AudioHookCodec._read_open,
    "close": AudioHookCodec._read_close,
    "ping": AudioHookCodec._read_ping,
    "dtmf": AudioHookCodec._read_dtmf,
    "update": AudioHookCodec._read_update,
    "error": AudioHookCodec._read_error,
    "paused": lambda _, _told: StreamPaused(True),
    "resumed": lambda _, _told: StreamPaused(False),
    **dict.fromkeys(("playback_started", "playback_completed", "discarded"), AudioHookCodec._read_notice),
}
