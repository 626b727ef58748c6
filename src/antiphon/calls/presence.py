"""What the caller does, as it is told: speaks, listens, or seems to be away."""

from __future__ import annotations

from antiphon.calls.events import UserState, UserStateChanged
from antiphon.calls.log import CallLog


class Presence:
    """The state of one caller.

    Args:
        log: Told each change.
    """

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._state: UserState = "listening"

    def enter(self, state: UserState) -> None:
        """The caller does this now."""
        if state != self._state:
            self._log.append(UserStateChanged(self._state, state))
            self._state = state

    def show_life(self) -> None:
        """The caller is there, by something that is no speech."""
        if self._state == "away":
            self.enter("listening")
