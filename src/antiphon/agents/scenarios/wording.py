"""What an agent is told of an edge: to whom, when, and by which call."""

from __future__ import annotations

from antiphon.agents.handoff import Handoff
from antiphon.models.llm.contract import ToolSpec


def in_words(handoff: Handoff, spec: ToolSpec) -> str:
    """One line for the instructions of the agent that hands over.

    Args:
        handoff: The edge.
        spec: The tool that the model sees for it.
    """
    given = {"target_agent": f'target_agent="{handoff.target_name}"'}
    arguments = ", ".join(given.get(name, name) for name in spec.parameters["properties"])
    line = f"Hand the conversation over to {handoff.target_name} by the call {handoff.tool_name}({arguments})."
    return f"{line} When: {' '.join(handoff.about.split())}" if handoff.about else line
