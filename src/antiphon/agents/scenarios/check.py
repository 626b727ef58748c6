"""What is wrong with a scenario, for the agents that there are. The same for one in code and one in a file."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from antiphon.agents.agent import Agent
from antiphon.agents.files.findings import nearest
from antiphon.agents.files.prompts import BUILT_IN
from antiphon.agents.handoff import SHARED_TOOL
from antiphon.agents.instructions import template_values
from antiphon.agents.scenarios.applying import edges_from, members_of, more_tools, tool_of, variables_of
from antiphon.agents.scenarios.scenario import MOST_AGENTS, MOST_EDGES, Scenario
from antiphon.agents.templates import check_template, render, undefined_variables
from antiphon.errors import ConfigurationError
from antiphon.tools.collect import COLLECTORS
from antiphon.tools.prebuilt import MAKERS, PREBUILT

Place = tuple[str | int, ...]
"""The way to a value: keys of the file, and numbers of entries."""

_MOST_NAME = 64
_TEXTS = ("greeting", "return_greeting", "description")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a person should mend.

    Attributes:
        place: Where it is.
        message: One sentence that says what to do.
    """

    place: Place
    message: str


def faults(scenario: Scenario, agents: Sequence[Agent]) -> Iterator[Fault]:
    """What keeps a scenario from being used."""
    if not 1 <= len(scenario.name) <= _MOST_NAME:
        yield Fault(
            ("name",), f"a scenario's name has 1 to {_MOST_NAME} characters; this one has {len(scenario.name)}."
        )
    yield from _wrong_agents(scenario, agents)
    yield from _wrong_edges(scenario, agents)
    yield from _wrong_tools(scenario, agents)
    yield from _wrong_templates(scenario)


def doubts(scenario: Scenario, agents: Sequence[Agent], *, brought: Container[str]) -> Iterator[Fault]:
    """What is doubtful in a scenario without faults.

    Args:
        scenario: The scenario.
        agents: All that there are.
        brought: Variables that this or another scenario brings. Of one that nobody brings the agent's file was told.
    """
    reached = _reached(scenario, agents)
    for agent in scenario.apply(agents):
        if agent.name.casefold() not in reached:
            yield Fault(("agents",), f"nobody can hand over to {agent.name!r}; add a handoff to it, or leave it out.")
        known = {*BUILT_IN, *agent.variables, *_brought_to(scenario, agent.name)}
        given = agent.instructions
        pieces = [given] if isinstance(given, str) or callable(given) else given
        texts = [piece for piece in (*pieces, agent.greeting, agent.return_greeting) if isinstance(piece, str)]
        for name in sorted({name for text in texts for name in undefined_variables(text, known) if name in brought}):
            hint = nearest(name, sorted(known))
            if not hint.startswith("did you"):
                hint = f"put it in template_vars, or write {{{{ {name} | default('') }}}}."
            yield Fault((), f"the template variable {name!r} of {agent.name!r} is not known in this scenario; {hint}")


def _wrong_agents(scenario: Scenario, agents: Sequence[Agent]) -> Iterator[Fault]:
    names = [agent.name for agent in agents]
    if len(scenario.agents) > MOST_AGENTS or (not scenario.agents and len(agents) > MOST_AGENTS):
        yield Fault(("agents",), f"a scenario has at most {MOST_AGENTS} agents.")
    seen: set[str] = set()
    for number, name in enumerate(scenario.agents):
        if name.casefold() in seen:
            yield Fault(("agents", number), f"the agent {name!r} stands here for the second time.")
        seen.add(name.casefold())
        yield from _unknown(("agents", number), name, names)
    start = scenario.start_agent
    if start is not None:
        yield from _unknown(("start_agent",), start, scenario.agents or names, where="in this scenario")
    if not names:
        yield Fault((), "there is no agent that could take part.")


def _wrong_edges(scenario: Scenario, agents: Sequence[Agent]) -> Iterator[Fault]:
    if len(scenario.handoffs) > MOST_EDGES:
        yield Fault(("handoffs",), f"a scenario has at most {MOST_EDGES} handoffs.")
    members = {agent.name.casefold(): agent for agent in members_of(scenario, agents)}
    names = [agent.name for agent in members.values()]
    added = more_tools(scenario, agents)
    targets: dict[tuple[str, str], list[str]] = {}
    for number, edge in enumerate(scenario.handoffs):
        place: Place = ("handoffs", number)
        yield from _unknown((*place, "from"), edge.source, names, where="in this scenario")
        yield from _unknown((*place, "to"), edge.target, names, where="in this scenario")
        source, target = members.get(edge.source.casefold()), members.get(edge.target.casefold())
        if source is None or target is None:
            continue
        if source is target:
            yield Fault((*place, "to"), f"{source.name!r} hands over to itself.")
            continue
        tool = tool_of(edge, target)
        if tool in source.toolset or tool in added:
            yield Fault(place, f"{source.name!r} has a tool with the name {tool!r}; give this handoff another `tool`.")
        before = targets.setdefault((source.name, tool), [])
        if target.name in before:
            yield Fault(place, f"{source.name!r} hands over to {target.name!r} by {tool!r} already; leave one out.")
        elif before and tool != SHARED_TOOL:
            yield Fault(
                (*place, "tool"),
                f"the tool {tool!r} of {source.name!r} hands over to {before[0]!r} already; give this handoff another "
                f"`tool`, or both the tool {SHARED_TOOL}.",
            )
        before.append(target.name)
    generic = scenario.generic_handoff
    for number, name in enumerate(generic.allowed_targets if generic is not None else ()):
        yield from _unknown(("generic_handoff", "allowed_targets", number), name, names, where="in this scenario")


def _wrong_tools(scenario: Scenario, agents: Sequence[Agent]) -> Iterator[Fault]:
    added = more_tools(scenario, agents)
    known = [*added, *PREBUILT, *COLLECTORS, *(name for agent in agents for name in agent.toolset)]
    for number, item in enumerate(scenario.tools):
        if isinstance(item, str) and item in MAKERS and item not in added:
            yield Fault(("tools", number), f"the tool {item!r} needs options; make it in Python, and give it itself.")
        elif isinstance(item, str) and item not in added:
            yield Fault(
                ("tools", number),
                f"there is no tool {item!r} beside the scenario, in its agents or in Antiphon; {nearest(item, known)}",
            )


def _wrong_templates(scenario: Scenario) -> Iterator[Fault]:
    defaults = scenario.agent_defaults
    texts: list[tuple[Place, Any]] = [(("agent_defaults", name), getattr(defaults, name)) for name in _TEXTS]
    texts += [(("agent_defaults", name), value) for name, value in defaults.variables.items()]
    texts += [(("template_vars", name), value) for name, value in scenario.variables.items()]
    for number, edge in enumerate(scenario.handoffs):
        texts += [(("handoffs", number, "context_vars", name), value) for name, value in edge.context_vars.items()]
    wrong = [Fault(place, fault) for place, text in texts if isinstance(text, str) and (fault := _fault_of(text))]
    yield from wrong
    if wrong:
        return
    try:  # as an agent does, before there is a conversation
        values = template_values(Agent("agent", variables=variables_of(scenario)))
    except ConfigurationError as error:
        yield Fault(("template_vars",), str(error))
        return
    try:
        render(defaults.description or "", values)
    except ConfigurationError as error:
        yield Fault(("agent_defaults", "description"), str(error))


def _fault_of(template: str) -> str:
    try:
        check_template(template)
    except ConfigurationError as error:
        return str(error)
    return ""


def _unknown(place: Place, name: str, known: Sequence[str], *, where: str = "here") -> Iterator[Fault]:
    if known and name.casefold() not in {each.casefold() for each in known}:
        yield Fault(place, f"there is no agent {name!r} {where}; {nearest(name, known)}")


def _reached(scenario: Scenario, agents: Sequence[Agent]) -> set[str]:
    """The agents that a conversation can come to, in lower case."""
    members = [agent.name.casefold() for agent in members_of(scenario, agents)]
    found, waiting = set[str](), members[:1]
    generic = scenario.generic_handoff
    if generic is not None:
        waiting += [name.casefold() for name in generic.allowed_targets] or members
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [edge.target.casefold() for edge in edges_from(scenario, name)]
    return found


def _brought_to(scenario: Scenario, target: str) -> Iterator[str]:
    """The variables that handoffs bring to an agent; of ``a.b`` it is ``a``."""
    for edge in scenario.handoffs:
        if edge.target.casefold() == target.casefold():
            yield from (name.partition(".")[0] for name in edge.context_vars)
