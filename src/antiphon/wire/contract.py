"""What every media-stream protocol has in common: typed events in, messages out.

A codec holds the little state that its protocol needs (stream id, sequence numbers) and nothing else: no socket, no
clock, no task. One message gives at most one event. A message that cannot be understood gives ``Malformed`` and
changes nothing; the call goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

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


@dataclass(frozen=True, slots=True)
class Probed:
    """The carrier tries the connection out: the stream is accepted or refused like any other, but there is no call."""


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
class Committed:
    """The carrier says that the caller's turn is over."""


@dataclass(frozen=True, slots=True)
class LanguageChanged:
    """The caller speaks another language from now on; ``language`` is a BCP 47 tag."""

    language: str


@dataclass(frozen=True, slots=True)
class StreamPaused:
    """The carrier sends nothing of the caller from now on, as where a secret is spoken; or it does so again."""

    is_paused: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """The carrier tells that something failed on its side, or that it cannot take what we do.

    Attributes:
        code: The protocol's number.
        detail: The carrier's sentence.
    """

    code: int
    detail: str


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
        is_fatal: The protocol demands that the stream is ended for it.
    """

    code: str
    detail: str
    is_fatal: bool = False


WireEvent = (
    Connected
    | Started
    | Probed
    | Media
    | MarkPlayed
    | Cleared
    | Digit
    | Committed
    | LanguageChanged
    | StreamPaused
    | Fault
    | Stopped
    | Malformed
)


TurnOutcome = Literal["match", "no_match", "no_input"]
"""What came of a turn: an answer, none, or the caller has said nothing."""


class MediaCodec(Protocol):
    """The server's side of one media stream. What few protocols know has the others' answer here."""

    name: str
    audio: AudioFormat
    """Format of the stream; the protocol's default until ``Started``."""
    has_marks: bool = True
    """Whether the carrier tells what it has played."""
    frame_ms: int | None = None
    """How long the protocol wants our messages of audio; None leaves it to us."""
    carrier_closes: bool = False
    """Whether the carrier closes the socket at the end, when both sides have said so."""
    carrier_reads: bool = False
    """Whether the carrier takes what is said in writing too."""
    carrier_moves: bool = False
    """Whether the carrier brings the caller to another server where ours ends as ``drained``."""

    def receive(self, message: str | bytes) -> WireEvent | None:
        """Read one message; None is a known message that needs no answer. Never raises."""
        ...

    def media(self, payload: bytes) -> str | bytes:
        """Audio for the caller, in the stream's format. Valid after ``Started`` only."""
        ...

    def clear(self) -> str:
        """Drop the audio that has not been played yet."""
        ...

    def mark(self, name: str) -> str | None:
        """Ask to be told when the audio before this has been played; None where ``has_marks`` is false."""
        return None

    def keys(self, keys: str) -> str | None:
        """Have the carrier press keys of the telephone; None where the protocol has no word for it."""
        return None

    def words(self, text: str, *, number: int, is_caller: bool, is_final: bool) -> str | None:
        """Tell the carrier what was said; None where ``carrier_reads`` is false.

        Args:
            text: The words.
            number: Of the utterance, of each side; that of words which replace earlier ones stays.
            is_caller: Who has said it.
            is_final: Whether nothing replaces these words.
        """
        return None

    def turn(self, outcome: TurnOutcome, text: str) -> str | None:
        """Tell the carrier what came of a turn, and what the agent said in it; None where it does not read."""
        return None

    def answers(self) -> Sequence[str]:
        """Take what the protocol owes the carrier for the messages that were read."""
        return ()

    def accept(self) -> str | None:
        """Take the stream that was ``Started`` or ``Probed``; None where the protocol has no word for it."""
        return None

    def end(self, reason: str, variables: Mapping[str, str]) -> str | None:
        """Our last message; None where nothing is to be said, or the end of the socket says it.

        Args:
            reason: Why the call is over.
            variables: What the conversation leaves to the carrier's own flow.
        """
        return None
