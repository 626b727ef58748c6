"""By which manners a call goes on: those of the agent that answers, or what the application sets in their place."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.agents.agent import Agent
from antiphon.calls.events import SessionManners
from antiphon.calls.listening import Listening
from antiphon.calls.manners import for_machine, for_opening, policy_for
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.calls.turn_taking import TurnTaking
from antiphon.calls.wording import Wording


class Conduct:
    """The manners of one call.

    Args:
        own: The policy of the agent that answers first.
        base: The policy of all calls.
        turn_taking: Goes by them, as ``listening`` and ``wording`` do.
        listening: The ears.
        wording: The fixed phrases.
        tell: Gets the event of each change.
    """

    def __init__(
        self,
        own: CallPolicy,
        base: CallPolicy,
        *,
        turn_taking: TurnTaking,
        listening: Listening,
        wording: Wording,
        tell: Callable[[SessionManners], None],
    ) -> None:
        self._own = own
        self._base = base
        self._floor = turn_taking
        self._listening = listening
        self._wording = wording
        self._tell = tell
        self._is_agents = True  # the application has set none

    def begin(self) -> None:
        """The call begins by the agent's; its log holds the turn policy by now."""
        if self._is_agents and self._own.vad_threshold is not None:
            self._tell(SessionManners(self._own.turn.to_dict(), True, self._own.vad_threshold))

    def adopt(self, turn: TurnPolicy, *, detects: bool = True, threshold: float | None = None) -> None:
        """Go by these alone from now on; see ``Call.adopt``."""
        self._is_agents = False
        self._floor.policy = turn
        self._floor.detects = detects
        self._listening.adopt(turn, detects=detects, threshold=threshold)
        self._tell(SessionManners(turn.to_dict(), detects, threshold))

    def follow(self, agent: Agent) -> None:
        """Another agent answers: its phrases are said, and its manners hold unless the application has set others."""
        own = policy_for(agent, self._base)
        if own == self._own:
            return
        self._own = self._wording.policy = own
        if self._is_agents:
            self._listening.adopt(own.turn, threshold=own.vad_threshold, preroll_s=own.preroll_s)
            self._take_turns_by(own.turn)

    def let_speak_first(self) -> None:
        """What the other side says is no question yet, until ``answer_as_usual``."""
        if self._is_agents:
            self._take_turns_by(for_opening(self._own.turn))

    def answer_as_usual(self) -> None:
        """The other side was greeted."""
        if self._is_agents:
            self._take_turns_by(self._own.turn)

    def meet_machine(self) -> None:
        """A machine has answered."""
        self.adopt(for_machine(self._own.turn), threshold=self._own.vad_threshold)

    def _take_turns_by(self, turn: TurnPolicy) -> None:
        self._floor.policy = turn
        self._tell(SessionManners(turn.to_dict(), True, self._own.vad_threshold))
