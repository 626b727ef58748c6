"""The model of an agent."""

from __future__ import annotations

from antiphon.agents.agent import Agent
from antiphon.errors import ConfigurationError
from antiphon.models.llm.contract import ChatClient
from antiphon.models.s2s.names import SPEECH, parts_of


def client_of(agent: Agent) -> ChatClient:
    """The model by which an agent writes; one that is named, or left to the configuration, comes from the catalog.

    Raises:
        ConfigurationError: The name is not known, no model is configured, or the agent only speaks.
    """
    if agent.model is not None and not isinstance(agent.model, str):
        return agent.model
    from antiphon.models.catalog import chat_client

    name = agent.model
    if name is not None:
        speech, name = parts_of(name)
        if speech is not None and name is None:
            raise ConfigurationError(
                f"Agent {agent.name!r} hears and speaks by {SPEECH}{speech}, which answers phone calls only; name a "
                f"model that writes behind it, such as {SPEECH}{speech}|openai:gpt-4o-mini."
            )
    return chat_client(name)
