"""A scenario as a graph: for programs, and as a drawing in Mermaid's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.scenarios.applying import edges_from, tool_of
from antiphon.agents.scenarios.scenario import Scenario

_LABEL_CHARS = 60


def graph_of(scenario: Scenario, team: Sequence[Agent]) -> dict[str, Any]:
    """The agents of a scenario and its edges, as JSON.

    Args:
        scenario: A sound one.
        team: What it gives.
    """
    generic = scenario.generic_handoff
    return {
        "start_agent": team[0].name,
        "agents": [
            {"name": agent.name, "description": agent.description, "tools": list(agent.toolset)} for agent in team
        ],
        "handoffs": [edge for agent in team for edge in _edges(scenario, agent, team)],
        "generic_handoff": None
        if generic is None
        else {
            "targets": [agent.name for agent in team if _is_allowed(agent, generic.allowed_targets)],
            "type": generic.default_type,
            "share_context": generic.share_context,
            "require_client_id": generic.require_client_id,
        },
    }


def mermaid_of(graph: Mapping[str, Any]) -> str:
    """The same as a flow chart: solid arrows are announced handoffs, dotted ones discrete."""
    numbers = {agent["name"]: f"a{number}" for number, agent in enumerate(graph["agents"])}
    lines = ["flowchart LR", '  caller(("caller")) --> a0']
    lines += [f'  {numbers[agent["name"]]}["{_text(agent["name"])}"]' for agent in graph["agents"]]
    for edge in graph["handoffs"]:
        arrow = "-.->" if edge["type"] == "discrete" else "-->"
        label = _text(edge["condition"] or edge["tool"])
        lines.append(f'  {numbers[edge["from"]]} {arrow}|"{label}"| {numbers[edge["to"]]}')
    if graph["generic_handoff"] is not None:
        lines.append('  any["any agent"]:::generic')
        lines += [f"  any --> {numbers[target]}" for target in graph["generic_handoff"]["targets"]]
        lines.append("  classDef generic stroke-dasharray: 4")
    return "\n".join(lines) + "\n"


def _edges(scenario: Scenario, agent: Agent, team: Sequence[Agent]) -> list[dict[str, Any]]:
    by_fold = {member.name.casefold(): member for member in team}
    edges = []
    for edge in edges_from(scenario, agent.name):
        target = by_fold[edge.target.casefold()]
        edges.append(
            {
                "from": agent.name,
                "to": target.name,
                "tool": tool_of(edge, target),
                "type": edge.type or scenario.handoff_type,
                "share_context": edge.share_context,
                "condition": edge.condition,
                "context_vars": dict(edge.context_vars),
            }
        )
    return edges


def _is_allowed(agent: Agent, names: Sequence[str]) -> bool:
    return not names or agent.name.casefold() in {name.casefold() for name in names}


def _text(words: str) -> str:
    """Words as they may stand in a label."""
    line = " ".join(words.split()).replace('"', "#quot;")
    return line if len(line) <= _LABEL_CHARS else f"{line[: _LABEL_CHARS - 1]}…"
