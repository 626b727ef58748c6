"""Agents whose model hears and speaks: which model writes for them, and what is said where none does."""

from __future__ import annotations

import pytest

from antiphon.agents.agent import Agent
from antiphon.agents.models import client_of
from antiphon.errors import ConfigurationError
from antiphon.models.catalog import chat_client, close_clients
from antiphon.models.s2s.names import parts_of


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("s2s:openai/gpt-realtime", ("openai/gpt-realtime", None)),
        ("s2s:azure/desk|openai:a|groq:b", ("azure/desk", "openai:a|groq:b")),
        ("openai:a | s2s:scripted", ("scripted", "openai:a")),
        ("openai:a|groq:b", (None, "openai:a|groq:b")),
    ],
)
def test_names_come_apart(name: str, parts: tuple[str | None, str | None]) -> None:
    assert parts_of(name) == parts


def test_one_model_holds_a_call() -> None:
    with pytest.raises(ConfigurationError, match="keep one"):
        parts_of("s2s:openai/a|s2s:openai/b")


async def test_agent_that_only_speaks_does_not_write() -> None:
    with pytest.raises(ConfigurationError, match=r"name a model that writes behind it, such as s2s:openai/a\|openai:"):
        await Agent("desk", model="s2s:openai/a").run("Hello.")


async def test_agent_writes_by_the_model_behind_the_one_that_speaks() -> None:
    try:
        assert client_of(Agent("desk", model="s2s:openai/a|scripted")) is chat_client("scripted")
        assert (await Agent("desk", model="s2s:openai/a|scripted").run("Hello.")).text
    finally:
        await close_clients()


async def test_language_model_that_is_configured_cannot_be_one_that_speaks() -> None:
    with pytest.raises(ConfigurationError, match="hears and speaks"):
        chat_client("s2s:openai/gpt-realtime")
