"""From a scenario and the catalog of agents to the agents that work by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from antiphon.agents.agent import Agent, as_function_tool
from antiphon.agents.handoff import SHARED_TOOL, Handoff, default_tool, handoff_specs
from antiphon.agents.instructions import template_values
from antiphon.agents.scenarios.scenario import Scenario, ScenarioEdge
from antiphon.agents.scenarios.wording import in_words
from antiphon.agents.templates import render
from antiphon.tools.collect import COLLECTORS
from antiphon.tools.prebuilt import PREBUILT
from antiphon.tools.source import ToolSource
from antiphon.tools.tool import FunctionTool


def applied(scenario: Scenario, agents: Sequence[Agent]) -> tuple[Agent, ...]:
    """The agents of a sound scenario, the one that answers first; see ``Scenario.apply``."""
    members = {agent.name: _dressed(scenario, agent, agents) for agent in members_of(scenario, agents)}
    return tuple(_connected(scenario, agent, members) for agent in members.values())


def members_of(scenario: Scenario, agents: Sequence[Agent]) -> list[Agent]:
    """The agents that take part, the one that answers first. Names that nobody has are left out."""
    by_name = {agent.name.casefold(): agent for agent in agents}
    names = [name.casefold() for name in scenario.agents] or list(by_name)
    start = (scenario.start_agent or names[0]).casefold() if names else ""
    return [by_name[name] for name in dict.fromkeys([start, *names]) if name in by_name]


def edges_from(scenario: Scenario, source: str) -> list[ScenarioEdge]:
    """The edges that leave an agent."""
    return [edge for edge in scenario.handoffs if edge.source.casefold() == source.casefold()]


def tool_of(edge: ScenarioEdge, target: Agent) -> str:
    """What the model calls for an edge."""
    return edge.tool or target.handoff_tool or default_tool(target.name)


def variables_of(scenario: Scenario) -> dict[str, Any]:
    """The values that a scenario brings to the templates of all its agents."""
    return {**scenario.variables, **scenario.agent_defaults.variables}


def more_tools(scenario: Scenario, agents: Sequence[Agent]) -> dict[str, FunctionTool | ToolSource]:
    """The tools that a scenario adds, by name. Names that mean nothing are left out."""
    of_agents = {name: tool for agent in reversed(agents) for name, tool in agent.toolset.items()}
    known: dict[str, FunctionTool] = {**of_agents, **PREBUILT}
    found: dict[str, FunctionTool | ToolSource] = {}
    for item in scenario.tools:
        if isinstance(item, str) and item in COLLECTORS:
            found[item] = COLLECTORS[item]()  # which can do without options
        elif isinstance(item, str):
            found |= {item: known[item]} if item in known else {}
        elif not isinstance(item, FunctionTool) and isinstance(item, ToolSource):
            found[item.name] = item
        else:
            made = as_function_tool(item)
            found[made.name] = made
    return found


def _dressed(scenario: Scenario, agent: Agent, agents: Sequence[Agent]) -> Agent:
    """The agent with the scenario's values and tools, and without handoffs."""
    defaults = scenario.agent_defaults
    names = ("greeting", "return_greeting", "voice", "speed")
    changes: dict[str, Any] = {name: value for name in names if (value := getattr(defaults, name)) is not None}
    own = {*agent.toolset, *(source.name for source in agent.sources)}
    added = [tool for name, tool in more_tools(scenario, agents).items() if name not in own]
    changes |= {"variables": {**agent.variables, **variables_of(scenario)}, "tools": (*agent.tools, *added)}
    dressed = agent.replace(**changes, handoffs=())
    if defaults.description is None:
        return dressed
    # Read by other agents, before there is a conversation.
    return dressed.replace(description=render(defaults.description, template_values(dressed)))


def _connected(scenario: Scenario, agent: Agent, members: Mapping[str, Agent]) -> Agent:
    """The agent with its handoffs."""
    others = {name.casefold(): member for name, member in members.items() if member is not agent}
    edges = edges_from(scenario, agent.name)
    along = [_handoff(scenario, edge, others[edge.target.casefold()]) for edge in edges]
    generic = list(_generic(scenario, agent, others))
    specs = {spec.name: spec for spec in handoff_specs([*along, *generic])}
    told = [replace(each, when=in_words(each, specs[each.tool_name])) for each in along]
    return agent.replace(handoffs=[*told, *generic])


def _generic(scenario: Scenario, agent: Agent, others: Mapping[str, Agent]) -> Iterator[Handoff]:
    """What the tool for all targets adds to the edges. Its description tells who they are."""
    generic = scenario.generic_handoff
    if generic is None:
        return
    allowed = {name.casefold() for name in generic.allowed_targets} or set(others)
    for name, target in others.items():
        edge = scenario.edge_for(agent.name, target.name, tool=SHARED_TOOL)
        is_own = edge is not None and edge.source.casefold() == agent.name.casefold()
        if (edge is not None and is_own and edge.tool == SHARED_TOOL) or not (is_own or name in allowed):
            continue
        if edge is None:
            edge = ScenarioEdge(agent.name, target.name, type=generic.default_type, share_context=generic.share_context)
        yield replace(
            _handoff(scenario, edge, target),
            tool_name=SHARED_TOOL,
            require_client_id=generic.require_client_id and not is_own,
        )


def _handoff(scenario: Scenario, edge: ScenarioEdge, target: Agent) -> Handoff:
    return Handoff(
        target.name,
        tool_name=tool_of(edge, target),
        description=edge.condition or target.description,
        handoff_type=edge.type or scenario.handoff_type,
        share_context=edge.share_context,
        context_vars=dict(edge.context_vars),
    )
