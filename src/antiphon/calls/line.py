"""What a call stands between: the line to the caller on one side, and whoever records on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from antiphon.audio.formats import AudioFormat

if TYPE_CHECKING:
    from antiphon.calls.speech import Speech


class Line(Protocol):
    """The way to the caller. All methods return at once and never raise; a dead line swallows what it gets."""

    audio: AudioFormat
    """Format of the audio in both directions."""
    has_marks: bool
    """Whether ``mark`` comes back as ``Call.mark_played`` when the audio before it was played."""
    can_clear: bool
    """Whether ``clear`` drops audio that was sent but not played; if not, the call sends no more than it must."""
    can_pause: bool
    """Whether ``clear`` works in the middle of a speech, so that the rest can be sent again when it goes on."""

    def play(self, payload: bytes, speech: Speech) -> None:
        """Send audio that follows what was sent before; ``speech.sent`` counts it already."""
        ...

    def mark(self, name: str) -> None:
        """Ask to be told when the audio sent so far has been played."""
        ...

    def clear(self) -> None:
        """Drop the audio that was sent and not played."""
        ...

    def hang_up(self, reason: str) -> None:
        """End the connection from our side. Idempotent."""
        ...


@runtime_checkable
class KeyLine(Protocol):
    """A ``Line`` whose carrier may have a command of its own for pressing keys."""

    def send_keys(self, keys: str) -> bool:
        """Have the carrier press these; False where it cannot, and the call plays their tones."""
        ...


@runtime_checkable
class BackgroundLine(Protocol):
    """A ``Line`` that also carries sound of no speech, behind and between what is said."""

    def play_background(self, payload: bytes) -> None:
        """Send such audio; it follows what was sent before."""
        ...


class AudioTap(Protocol):
    """Gets the sound of a call as it is heard. Times are seconds since the call's start. Never blocks."""

    def caller(self, at_s: float, payload: bytes) -> None:
        """The caller's audio, in the line's format; ``at_s`` is when its last sample arrived."""
        ...

    def agent(self, at_s: float, payload: bytes) -> None:
        """Audio for the caller; ``at_s`` is when its first sample will be heard, at most 400 ms ahead."""
        ...

    def cut(self, at_s: float) -> None:
        """Agent audio from ``at_s`` on was never heard: forget it."""
        ...
