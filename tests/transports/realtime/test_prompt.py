"""The prompt of a session: its agent's own instructions, with the client's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from antiphon.agents.agent import Agent
from tests.transports.realtime.mcp_client import Talk, talking

AGENT = Agent("desk", "You speak for {{ shop }}; today is {{ day | default('Monday') }}.")


def instructions(talk: Talk) -> str:
    return talk.llm.requests[-1].messages[0].text


async def prompted(talk: Talk, prompt: Any) -> None:
    await talk.send("session.update", session={"type": "realtime", "prompt": prompt})


async def test_values_fill_the_agents_instructions(tmp_path: Path) -> None:
    day = {"type": "input_text", "text": "Friday"}
    async with talking(tmp_path, agent=AGENT, query="&var.shop=Nobody") as talk:
        await talk.use(prompt={"id": "desk", "variables": {"shop": "Bright Teeth"}})
        await talk.ask("Hello.")
        assert instructions(talk) == "You speak for Bright Teeth; today is Monday."
        await talk.ask("Hello.", prompt={"id": "desk", "variables": {"shop": "Old Shoes", "day": day}})
        assert instructions(talk) == "You speak for Old Shoes; today is Friday."
        await talk.ask("Hello.", conversation="none")
        assert instructions(talk) == "You speak for Bright Teeth; today is Monday."
        await talk.use(prompt=None)
        await talk.ask("Hello.")
        assert instructions(talk) == "You speak for Nobody; today is Monday."


async def test_instructions_of_the_client_come_first(tmp_path: Path) -> None:
    async with talking(tmp_path, agent=AGENT) as talk:
        await talk.use(prompt={"id": "desk", "variables": {"shop": "Bright Teeth"}}, instructions="Be brief.")
        await talk.ask("Hello.")
        assert instructions(talk) == "Be brief."


async def test_other_prompts_are_not_here(tmp_path: Path) -> None:
    async with talking(tmp_path, agent=AGENT) as talk:
        await talk.use()
        await prompted(talk, {"id": "pmpt_123"})
        await prompted(talk, {"id": "desk", "version": "2"})
        await talk.send("response.create", response={"prompt": {"id": "pmpt_123"}})
        await talk.until("error", 3)
        assert [(event["error"]["code"], event["error"]["param"]) for event in talk.of("error")] == [
            ("invalid_value", "session.prompt.id"),
            ("invalid_value", "session.prompt.version"),
            ("invalid_value", "response.prompt.id"),
        ]
        assert talk.of("session.updated")[-1]["session"]["prompt"] is None
        await talk.ask("Hello.")
        assert instructions(talk) == "You speak for ; today is Monday."
