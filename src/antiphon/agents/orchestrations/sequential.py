"""Agents in a row: each sees the conversation so far and adds to it; the last one's answer is the outcome."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.agents.orchestrations.orchestration import Orchestration
from antiphon.agents.orchestrations.stage import Stage
from antiphon.agents.responses import AgentResponse


@dataclass(frozen=True, eq=False, kw_only=True)
class Sequential(Orchestration):
    """One participant after the other: ``Sequential([writer, reviewer], name="newsroom")``."""

    name: str = "sequential"

    async def conduct(self, stage: Stage) -> AgentResponse:
        """Ask each participant once."""
        *others, last = stage.seats.values()
        for seat in others:
            stage.conversation.add(seat, await stage.ask(seat))
        response = await stage.ask(last, is_answer=True)
        stage.conversation.add(last, response)
        return stage.outcome(response.text, last=response, agent=last.name)
