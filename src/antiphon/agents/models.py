"""The model of an agent."""

from __future__ import annotations

from antiphon.agents.agent import Agent
from antiphon.models.llm.contract import ChatClient


def client_of(agent: Agent) -> ChatClient:
    """The model of an agent; one that is named, or left to the configuration, comes from the catalog.

    Raises:
        ConfigurationError: The name is not known, or no model is configured.
    """
    if agent.model is None or isinstance(agent.model, str):
        from antiphon.models.catalog import chat_client

        return chat_client(agent.model)
    return agent.model
