"""From an agent's instructions to the text of its system message."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from antiphon.agents.agent import Agent, Instruction
from antiphon.agents.context import RunContext
from antiphon.agents.templates import is_template, render

if TYPE_CHECKING:
    from antiphon.agents.session import AgentSession


async def instructions_for(
    agent: Agent,
    *,
    session_id: str = "",
    session: AgentSession | None = None,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """The system message of an agent in a conversation. Rendered once per conversation, so that prefix caches hold.

    Args:
        agent: Whose instructions.
        session_id: The conversation, for instructions that are a function.
        session: The conversation itself, for the same.
        variables: Values over the agent's own.

    Raises:
        ConfigurationError: The template is wrong.
    """
    given = agent.instructions
    if isinstance(given, str) and not is_template(given):
        return given.strip()
    context = RunContext(agent, session_id, template_values(agent, variables), session)
    parts = [given] if isinstance(given, str) or callable(given) else given
    texts = [(await _part(part, context)).strip() for part in parts]
    return "\n\n".join(text for text in texts if text)


async def _part(part: Instruction, context: RunContext) -> str:
    if isinstance(part, str):
        return render(part, context.variables, warns=context.session is not None)  # else it is a preview
    text = part(context)
    return await text if inspect.isawaitable(text) else text


def template_values(agent: Agent, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of an agent's templates: its name, the agent's own, and over them those given.

    None, and the text "None", mean that a value is not known: it overrules nothing and lets a template's ``default``
    hold. A value of the agent's own may be a template of the others; what a conversation brings is never taken for one.

    Raises:
        ConfigurationError: Such a template is wrong.
    """
    given = _known(variables or {})
    values = {"agent_name": agent.name, "active_agent": agent.name, **_known(agent.variables), **given}
    for name, value in agent.variables.items():
        if name not in given and isinstance(value, str) and is_template(value):
            values[name] = render(value, values)
    return values


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != "None"}
