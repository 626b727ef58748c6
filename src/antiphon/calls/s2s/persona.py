"""Who the model is told to be: an agent's instructions and tools, as they are now."""

from __future__ import annotations

import asyncio

from antiphon.agents.agent import Agent
from antiphon.agents.instructions import instructions_for
from antiphon.agents.manners import REALTIME_SILENCE_MS, Hearing
from antiphon.agents.session import AgentSession
from antiphon.agents.toolbox import Toolbox
from antiphon.calls.vocabulary import vocabulary
from antiphon.models.s2s.contract import Brief, FunctionTool

_SOURCES_S = 5.0


class Persona:
    """The agent that the model is in a call.

    Attributes:
        agent: Who answers.
        box: What may be called.

    Args:
        agent: Who answers first.
        session: The conversation, with the values of templates.
    """

    def __init__(self, agent: Agent, session: AgentSession) -> None:
        self.agent = agent
        self.box = Toolbox(overlay=None)
        self._session = session
        self._instructions = ""
        self._lent: tuple[Agent, Toolbox, str] | None = None

    async def become(self, agent: Agent) -> Brief:
        """Be this agent from now on; where it cannot be, nothing changes.

        Raises:
            ConfigurationError: Its template is wrong.
            IntegrationException: A source of tools that is required cannot be reached.
            TimeoutError: A source takes too long.
        """
        session = self._session
        text = await instructions_for(agent, session_id=session.id, session=session, variables=session.values)
        notes = [route.when for route in agent.routes if route.when]
        box = Toolbox(overlay=None)
        box.belong_to(agent)
        if agent.sources:
            async with asyncio.timeout(_SOURCES_S):
                await box.refresh()
        self.agent, self.box = agent, box
        self._instructions = "\n\n".join(part for part in (text, *notes) if part)
        return self.brief()

    def lend(self) -> None:
        """Somebody else is to be for a while, without that anything of this agent is lost."""
        self._lent = self.agent, self.box, self._instructions

    def take_back(self) -> Brief:
        """Be again who was before ``lend``."""
        assert self._lent is not None
        (self.agent, self.box, self._instructions), self._lent = self._lent, None
        return self.brief()

    def brief(self) -> Brief:
        """What the model is told."""
        tools = tuple(FunctionTool(spec.name, spec.description, spec.parameters) for spec in self.box.options.tools)
        agent = self.agent
        detection = _detection(agent.manners.hearing)
        return Brief(
            self._instructions,
            tools,
            voice=agent.voice,
            language=agent.language,
            phrases=vocabulary(agent, self._session),
            speed=agent.speed,
            detection=detection,
        )


def _detection(hearing: Hearing) -> dict[str, float]:
    asked = {
        "threshold": hearing.threshold,
        "prefix_padding_ms": hearing.prefix_padding_ms,
        "silence_duration_ms": REALTIME_SILENCE_MS if hearing.silence_ms is None else hearing.silence_ms,
    }
    return {name: value for name, value in asked.items() if value is not None}
