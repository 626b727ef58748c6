"""Who can hand over to whom, among the agents of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.agents.files.draft import Draft
from antiphon.agents.files.findings import Findings, nearest
from antiphon.agents.files.kinds import Read, plain
from antiphon.agents.files.nodes import child, compose, plain_node
from antiphon.agents.handoff import SHARED_TOOL, Handoff

_SAME = {
    "type": "handoff_type",
    "when": "when",
    "description": "description",
    "share_context": "share_context",
    "context_vars": "context_vars",
    "tool": "tool_name",
}


class Team:
    """The agents that are read together.

    Args:
        drafts: All of them.
        is_whole: Whether a name that is not among them is wrong; of a single file it may be another file's.
    """

    def __init__(self, drafts: Sequence[Draft], *, is_whole: bool) -> None:
        self.is_whole = is_whole
        self._by_name = {one.name.casefold(): one for one in drafts}

    @property
    def drafts(self) -> Iterable[Draft]:
        """All of them."""
        return self._by_name.values()

    @property
    def names(self) -> list[str]:
        """All names."""
        return [one.name for one in self._by_name.values()]

    def get(self, name: str) -> Draft | None:
        """The agent of a name, in any case."""
        return self._by_name.get(name.casefold())

    def brought_to(self, target: Draft) -> dict[str, Any]:
        """The variables that a handoff to an agent brings."""
        found: dict[str, Any] = {}
        for one in self._by_name.values():
            for read in _entries(one):
                name = plain(read.value.get("target"))
                if name is not None and self.get(name) is target:
                    found |= plain(read.value.get("context_vars")) or {}
        return found


def handoffs_of(found: Findings, one: Draft, team: Team) -> list[Handoff]:
    """The handoffs of an agent. Targets go by their names, since two agents may hand over to each other."""
    handoffs: list[Handoff] = []
    for read in (*_entries(one), *_by_trigger(one, team)):
        made = _handoff(found, one, read, team)
        if made is None:
            continue
        same = next((each for each in handoffs if each.tool_name == made.tool_name), None)
        if same is not None and (same.target == made.target or made.tool_name != SHARED_TOOL):
            found.fault(
                read.node,
                f"the tool {made.tool_name!r} hands over to {same.target!r} already; give this handoff another `tool`, "
                f"or both the tool {SHARED_TOOL}.",
            )
            continue
        handoffs.append(made)
    return handoffs


def trigger_of(path: Path) -> str | None:
    """The tool by which others hand over to the agent of a file; None where it names none, or cannot be read."""
    root = compose(Findings(), path)
    block = child(root, "handoff") if root is not None else None
    old = child(root, "handoff_trigger") if root is not None else None
    node = child(block, "trigger") if block is not None else old
    value = plain_node(node) if node is not None else None
    return value if isinstance(value, str) else None


def _by_trigger(one: Draft, team: Team) -> Iterator[Read]:
    """The tools of an agent that are none of its own and lead to others, as entries of ``handoffs``."""
    own = {tool.name for tool in one.fields.get("tools", ())}
    for read in one.values["tools"].value if "tools" in one.values else ():
        name = read.value[0]
        target = next((each for each in team.drafts if each.part("handoff", "trigger") == name), None)
        if target is not None and name not in own:
            yield Read({"target": Read(target.name, read.node)}, read.node)


def _handoff(found: Findings, one: Draft, read: Read, team: Team) -> Handoff | None:
    block: Mapping[str, Read] = read.value
    if "target" not in block:
        found.fault(read.node, "an entry of handoffs needs a target.")
        return None
    name = block["target"].value
    target = team.get(name)
    if target is one:
        found.fault(block["target"].node, f"{name!r} hands over to itself.")
        return None
    options = {argument: plain(block[key]) for key, argument in _SAME.items() if key in block}
    if target is None:
        others = [other for other in team.names if other != one.name]
        if team.is_whole:
            hint = nearest(name, others) if others else "there is no other agent in the folder."
            found.fault(block["target"].node, f"there is no agent {name!r} to hand over to; {hint}")
            return None
        found.warn(block["target"].node, f"the agent {name!r} is not in this file; load the whole folder to reach it.")
        return Handoff(name, **options)
    options.setdefault("description", target.fields.get("description", ""))
    trigger = target.part("handoff", "trigger")
    return Handoff(target.name, **({"tool_name": trigger} if trigger else {}) | options)


def _entries(one: Draft) -> list[Read]:
    return one.values["handoffs"].value if "handoffs" in one.values else []
