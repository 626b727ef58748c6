"""A scenario: which agents work together, who answers first, and who hands over to whom, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from antiphon.errors import ConfigurationError
from antiphon.models.llm.content import HandoffType

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.tools.source import ToolSource
    from antiphon.tools.tool import FunctionTool

MOST_AGENTS = 64
MOST_EDGES = 256


@dataclass(frozen=True, slots=True)
class ScenarioEdge:
    """That one agent of a scenario may hand over to another.

    Attributes:
        source: Name of the agent that hands over, in any case.
        target: Name of the agent that takes over, in any case.
        tool: What the model calls; the target's ``handoff_tool``, or ``handoff_to_NAME``, unless given. Edges of one
            agent may share ``handoff_to_agent``, whose argument names the target, and no other name.
        type: ``announced`` or ``discrete``; the scenario's ``handoff_type`` unless given.
        share_context: Whether the target sees the whole conversation; else only its own part of it, and the reason.
        condition: When to hand over, for the agent that does; the target's description unless given.
        context_vars: Values for the target's templates. Texts may be templates; ``a.b`` is the value ``b`` of ``a``.
    """

    source: str
    target: str
    _: KW_ONLY
    tool: str = ""
    type: HandoffType | None = None
    share_context: bool = True
    condition: str = ""
    context_vars: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenericHandoff:
    """That every agent of a scenario may hand over to others without an edge, by the tool ``handoff_to_agent``.

    Attributes:
        allowed_targets: Names of those that can be handed over to; all of them unless given.
        require_client_id: Whether it must be known who the caller is; see ``Handoff``.
        default_type: Of such a handoff.
        share_context: See ``ScenarioEdge``.
    """

    allowed_targets: Sequence[str] = ()
    require_client_id: bool = False
    default_type: HandoffType = "announced"
    share_context: bool = True


@dataclass(frozen=True, slots=True)
class AgentDefaults:
    """What a scenario says of all its agents, in the place of what they say themselves. Texts may be templates.

    Attributes:
        greeting: See ``Agent``; None leaves it to the agent, as with all of these.
        return_greeting: See ``Agent``.
        description: See ``Agent``.
        voice: See ``Agent``.
        speed: See ``Agent``.
        variables: Values for templates, over those of the scenario.
    """

    greeting: str | None = None
    return_greeting: str | None = None
    description: str | None = None
    voice: str | None = None
    speed: float | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A graph of agents. ``scenario.apply(agents)`` gives the agents that work by it, and changes none.

    Args:
        name: 1 to 64 characters.
        description: What it is for.
        icon: A sign for lists, at most 8 characters.
        agents: Names of the agents that take part, in any case; all of them unless given.
        start_agent: Who answers first; the first of ``agents`` unless given.
        handoff_type: Of the edges that do not say it.
        handoffs: The edges. In a scenario they take the place of what agents themselves say about handoffs.
        generic_handoff: Handoffs without an edge; None for none.
        agent_defaults: What holds for all agents.
        variables: Values for templates, over the agents' own; texts may be templates.
        tools: Added to every agent that has no tool of the same name. A text names a tool that comes with Antiphon, or
            one of another agent.
        aliases: Other names of the scenario.
    """

    name: str
    _: KW_ONLY
    description: str = ""
    icon: str = ""
    agents: Sequence[str] = ()
    start_agent: str | None = None
    handoff_type: HandoffType = "announced"
    handoffs: Sequence[ScenarioEdge] = ()
    generic_handoff: GenericHandoff | None = None
    agent_defaults: AgentDefaults = field(default_factory=AgentDefaults)
    variables: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[str | FunctionTool | Callable[..., Any] | ToolSource] = ()
    aliases: Sequence[str] = ()

    def apply(self, agents: Sequence[Agent]) -> tuple[Agent, ...]:
        """The agents of this scenario, as copies with its edges, tools and values; the first one answers.

        Args:
            agents: All that there are. They stay as they are.

        Raises:
            ConfigurationError: The scenario does not fit them, or contradicts itself.
        """
        from antiphon.agents.scenarios.applying import applied
        from antiphon.agents.scenarios.check import faults

        fault = next(faults(self, agents), None)
        if fault is not None:
            raise ConfigurationError(f"The scenario {self.name!r} cannot be used: {fault.message}")
        return applied(self, agents)

    def edge_for(self, source: str, target: str, *, tool: str) -> ScenarioEdge | None:
        """What holds for a handoff: the edge with this tool, else one between the two, else another agent's.

        Args:
            source: Who hands over.
            target: To whom.
            tool: What was called.
        """
        source, target = source.casefold(), target.casefold()
        there = [edge for edge in self.handoffs if edge.target.casefold() == target]
        mine = [edge for edge in there if edge.source.casefold() == source]
        by_tool = [edge for edge in mine if edge.tool == tool]
        return next(iter(by_tool or mine or [edge for edge in there if edge.tool == tool]), None)
