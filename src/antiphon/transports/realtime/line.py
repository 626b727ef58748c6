"""A Realtime session as a call's ``Line``: sound goes into responses, and to a player where the server plays it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from antiphon.audio.formats import AudioFormat
from antiphon.calls.speech import Speech
from antiphon.transports.realtime.sound import CALL_AUDIO


class Player(Protocol):
    """Plays the sound of the call itself, as WebRTC does. All methods return at once."""

    def play(self, payload: bytes) -> None:
        """Play this behind what was given before."""
        ...

    def clear(self) -> None:
        """Forget what was not played."""
        ...


class RealtimeLine:
    """The way to the client.

    Args:
        play: Gets each frame with its speech.
        hang_up: Ends the connection, for a reason.
        player: Plays besides; None where the client plays what events bring.
    """

    has_marks = False
    can_clear = True

    def __init__(
        self, play: Callable[[bytes, Speech], None], hang_up: Callable[[str], None], *, player: Player | None = None
    ) -> None:
        self.audio: AudioFormat = CALL_AUDIO
        self.can_pause = player is not None
        self._play = play
        self._player = player
        self.hang_up = hang_up

    def play(self, payload: bytes, speech: Speech) -> None:
        """Send sound."""
        self._play(payload, speech)
        if self._player is not None:
            self._player.play(payload)

    def mark(self, name: str) -> None:
        """No client tells when it has played something."""

    def clear(self) -> None:
        """A client drops what it holds when it is told that the caller speaks."""
        if self._player is not None:
            self._player.clear()
