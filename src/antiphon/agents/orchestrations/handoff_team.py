"""Agents that pass one conversation to each other: whoever has it answers, or hands it over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.orchestrations.choices import Until, is_over
from antiphon.agents.orchestrations.contract import SupportsAgentRun
from antiphon.agents.orchestrations.conversation import Seat
from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.orchestrations.stage import Stage
from antiphon.agents.responses import AgentResponse, Limit

_CAP: Limit = "max_turns"


@dataclass(frozen=True, eq=False, kw_only=True)
class HandoffTeam(Orchestration):
    """One conversation, one agent at a time: ``HandoffTeam([desk, billing, medical])``.

    The first participant begins. Which agent has the conversation is kept in the session, so the user's next message
    goes to it. The agents share one conversation, calls included, as after every handoff.

    Args:
        routes: To whom each may hand over, by name; everybody to everybody unless given. Handoffs that an agent has
            of its own stay.
        max_turns: Answers in a row without a word of the user; 1 asks the user after each. With more, the team works
            by itself until ``until`` says that it is done; else ``limit_hit`` is ``max_turns``.
        until: Whether the work is done.
    """

    name: str = "handoff_team"
    routes: Mapping[str, Sequence[str]] | None = None
    max_turns: int = 1
    until: Until | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_turns < 1:
            raise ValueError(f"HandoffTeam.max_turns is {self.max_turns}; choose at least 1.")
        names = {each.name for each in self.participants}
        for source, targets in (self.routes or {}).items():
            unknown = sorted({source, *targets} - names)
            if unknown:
                raise ValueError(f"HandoffTeam.routes name {unknown[0]!r}, which is no participant.")
        strange = next((each.name for each in self.participants if not isinstance(each, Agent)), None)
        if strange is not None:
            raise TypeError(f"Only an Agent can hand over; {strange!r} is none. Give it to an agent as a tool.")

    @property
    def members(self) -> tuple[SupportsAgentRun, ...]:
        """The agents, each with its ways to hand over."""
        return tuple(self._with_routes(each) for each in self.participants if isinstance(each, Agent))

    async def conduct(self, stage: Stage) -> AgentResponse:
        """Let whoever has the conversation answer, as often as it may."""
        team = {name: seat.agent for name, seat in stage.seats.items() if isinstance(seat.agent, Agent)}
        active = stage.session.active_agent
        seat = stage.seats[active if active in team else next(iter(team))]
        seat.session.agents = tuple(team.values())
        response = await self._answer(stage, seat)
        turns, limit = 1, None
        while self.max_turns > 1 and not await is_over(self.until, stage.conversation.messages):
            if turns == self.max_turns:
                limit = _CAP
                break
            response = await self._answer(stage, seat)
            turns += 1
        return stage.outcome(response.text, last=response, agent=response.agent, limit=limit)

    async def _answer(self, stage: Stage, seat: Seat) -> AgentResponse:
        response = await stage.ask(seat, is_answer=self.max_turns == 1)
        stage.conversation.add(seat, response, author=response.agent)
        stage.session.active_agent = response.agent
        return response

    def _with_routes(self, agent: Agent) -> Agent:
        known = {handoff.target_name for handoff in agent.routes}
        others = [each for each in self.participants if each.name != agent.name]
        allowed = None if self.routes is None else self.routes.get(agent.name, ())
        more = [
            Handoff(other.name, description=other.description)
            for other in others
            if other.name not in known and (allowed is None or other.name in allowed)
        ]
        return agent.replace(handoffs=[*agent.routes, *more])
