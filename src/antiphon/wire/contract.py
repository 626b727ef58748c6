"""What every media-stream protocol has in common: typed events in, messages out.

A codec holds the little state that its protocol needs (stream id, sequence numbers) and nothing else: no socket, no
clock, no task. One message gives at most one event. A message that cannot be understood gives ``Malformed`` and
changes nothing; the call goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from antiphon.audio.formats import AudioFormat


@dataclass(frozen=True, slots=True)
class Connected:
    """The carrier's greeting, before the stream starts."""

    protocol: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """The stream has started; audio may now flow both ways.

    Attributes:
        stream_id: The carrier's id of the stream.
        call_id: The carrier's id of the call.
        audio: Format of the caller's audio, and of ours.
        parameters: What the carrier's document passed on; keys and values are text.
    """

    stream_id: str
    call_id: str
    audio: AudioFormat
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Media:
    """Audio of the caller.

    Attributes:
        payload: Bytes in the stream's format.
        timestamp_ms: The carrier's time of the frame since the stream's start, where it tells; else -1.
        chunk: Number of the frame from 1, where the carrier tells; else -1.
    """

    payload: bytes
    timestamp_ms: int = -1
    chunk: int = -1


@dataclass(frozen=True, slots=True)
class MarkPlayed:
    """The audio before this mark has been played to the caller, or was cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """The carrier has dropped the audio that it still held."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was pressed: 0-9, *, #, A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The carrier ends the stream: the caller hung up or the call was moved."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that is not the protocol.

    Attributes:
        code: ``not_json``, ``not_object``, ``binary``, ``too_large``, ``unknown_event``, ``bad_field``,
            ``bad_payload`` or ``out_of_order``.
        detail: A sentence for the log, without the message's content.
    """

    code: str
    detail: str


WireEvent = Connected | Started | Media | MarkPlayed | Cleared | Digit | Stopped | Malformed


class MediaCodec(Protocol):
    """The server's side of one media stream."""

    name: str
    audio: AudioFormat
    """Format of the stream; the protocol's default until ``Started``."""

    def receive(self, message: str | bytes) -> WireEvent | None:
        """Read one message; None is a known message that needs no answer. Never raises."""
        ...

    def media(self, payload: bytes) -> str:
        """Audio for the caller, in the stream's format. Valid after ``Started`` only."""
        ...

    def mark(self, name: str) -> str:
        """Ask to be told when the audio before this has been played."""
        ...

    def clear(self) -> str:
        """Drop the audio that has not been played yet."""
        ...
