"""How fast the agent falls silent when the caller takes the floor."""

from __future__ import annotations

from antiphon.calls import events
from antiphon.calls.log import Entry


class BargeIns:
    """Finds in a call's log how long the agent goes on when the caller takes the floor."""

    def __init__(self) -> None:
        self._agent_speaks = False
        self._heard_at: float | None = None  # the caller, over the agent
        self._silent_at: float | None = None  # the agent, since then

    def read(self, entry: Entry) -> tuple[float, float] | None:
        """Take the next entry.

        Returns:
            Of a barge-in that this entry ends: when the caller was heard, and when the agent's last sound was sent, in
            call seconds.
        """
        at, event = entry.at, entry.event
        if isinstance(event, events.AgentStateChanged):
            self._agent_speaks = event.new_state == "speaking"
            self._silent_at = None if self._agent_speaks else self._silent_at or at
        elif isinstance(event, events.UserSpeechStarted):
            if self._agent_speaks and self._heard_at is None:
                self._heard_at, self._silent_at = at, None
        elif isinstance(event, events.AgentSpeechInterrupted):
            heard_at, self._heard_at = self._heard_at, None
            if heard_at is not None:
                return heard_at, at if self._silent_at is None else self._silent_at
        elif isinstance(event, events.UserBackchannel):
            if not event.is_interruption:
                self._heard_at = None
        elif isinstance(event, (events.AgentFalseInterruption, events.AgentSpeechCompleted)):
            self._heard_at = None
        return None
