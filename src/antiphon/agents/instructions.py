"""From an agent's instructions to the text of its system message."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from antiphon.agents.agent import Agent, RunContext
from antiphon.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment


async def instructions_for(agent: Agent, *, session_id: str = "", variables: Mapping[str, Any] | None = None) -> str:
    """The system message of an agent in a conversation. Rendered once per conversation, so that prefix caches hold.

    Args:
        agent: Whose instructions.
        session_id: The conversation, for instructions that are a function.
        variables: Values over the agent's own.

    Raises:
        ConfigurationError: The template is wrong.
    """
    values = template_values(agent, variables)
    if isinstance(agent.instructions, str):
        return render(agent.instructions, values).strip()
    text = agent.instructions(RunContext(agent, session_id, values))
    return (await text if inspect.isawaitable(text) else text).strip()


def template_values(agent: Agent, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of an agent's templates: ``agent_name``, the agent's own, and over them those given.

    None means that a value is not known: it overrules nothing and lets a template's ``default`` hold.
    """
    values = {"agent_name": agent.name}
    for layer in (agent.variables, variables or {}):
        values |= {name: value for name, value in layer.items() if value is not None}
    return values


def render(text: str, values: Mapping[str, Any]) -> str:
    """Render a Jinja template in a sandbox; a text without ``{{`` and ``{%`` is none and stays as it is.

    Raises:
        ConfigurationError: The template is wrong, or does what the sandbox forbids.
    """
    if not _is_template(text):
        return text
    check_template(text)
    try:
        return _template(text).render(values)
    except Exception as error:  # the root of somebody else's code: a template may raise anything
        raise ConfigurationError(f"A template cannot be rendered: {type(error).__name__}: {error}.") from error


def check_template(text: str) -> None:
    """See whether a text is sound as a template, or is none.

    Raises:
        ConfigurationError: It is not; the message names the line.
    """
    if not _is_template(text):
        return
    from jinja2 import TemplateSyntaxError

    try:
        _template(text)
    except TemplateSyntaxError as error:
        raise ConfigurationError(f"Line {error.lineno} of a template is wrong: {error.message}") from error


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


@functools.cache
def _environment() -> SandboxedEnvironment:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # The result is spoken or read by a model, never by a browser, so nothing is escaped.
    return ImmutableSandboxedEnvironment(autoescape=False, trim_blocks=True, lstrip_blocks=True)


@functools.lru_cache(maxsize=256)
def _template(text: str) -> Template:
    return _environment().from_string(text)
