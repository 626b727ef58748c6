"""What the two sides do, as it is told: they speak or listen; the agent thinks, the caller seems to be away."""

from __future__ import annotations

from antiphon.calls.events import AgentState, AgentStateChanged, UserState, UserStateChanged
from antiphon.calls.floor import Phase
from antiphon.calls.log import CallLog

_AGENT_STATES: dict[Phase, AgentState] = {
    Phase.OPENING: "initializing",
    Phase.IDLE: "listening",
    Phase.HEARING: "listening",
    Phase.PAUSING: "listening",
    Phase.THINKING: "thinking",
    Phase.SPEAKING: "speaking",
    Phase.OVERLAP: "speaking",
    Phase.HELD: "listening",
    Phase.ENDING: "speaking",
    Phase.ENDED: "idle",
}


class AgentPresence:
    """The state of one call's agent.

    Args:
        log: Told each change.
    """

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._state: AgentState = "initializing"

    def enter(self, phase: Phase) -> None:
        """The conversation stands here now."""
        state = _AGENT_STATES[phase]
        if state != self._state:
            self._log.append(AgentStateChanged(self._state, state))
            self._state = state


class CallerPresence:
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
