"""The version of an agent: the same for the same behaviour, another for any change of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from antiphon import Agent, tool
from antiphon.agents.limits import RunLimits
from antiphon.models.llm.contract import ChatOptions

CODE = """
from antiphon import Agent, tool

def much(arguments, context):
    return arguments["amount"] > 100

@tool(approval_mode=much)
async def pay(amount: int) -> str:
    return "paid"

print(Agent("desk", "Be kind.", tools=[pay], handoffs=["clerk"], variables={"a": {"b", "c", "d"}}).version)
"""


def make(**changes: Any) -> Agent:
    @tool
    async def hours(day: str) -> str:
        """When we are open."""
        return "9 to 5"

    return Agent("desk", "Be kind.", tools=[hours]).replace(**changes)


def test_the_same_agent_has_the_same_version() -> None:
    assert make().version == make().version
    assert len(make().version) == 16


def test_it_is_the_same_in_every_process() -> None:
    versions = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": str(number)},
        ).stdout
        for number in (1, 2, 3)
    }
    assert len(versions) == 1


def _closed(arguments: Mapping[str, Any], context: Any) -> bool:
    return True


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"instructions": "Be brief."},
        {"instructions": ["Be kind.", "Be brief."]},
        {"tools": ()},
        {"model": "openai:x"},
        {"options": ChatOptions(temperature=0.5)},
        {"limits": RunLimits(max_model_steps=3)},
        {"handoffs": ["clerk"]},
        {"fillers": ["One moment."]},
        {"variables": {"a": 1}},
        {"output_type": {"properties": {"a": {"type": "string"}}}},
    ],
)
def test_a_change_of_behaviour_is_a_change_of_the_version(changes: dict[str, Any]) -> None:
    assert make(**changes).version != make().version


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout_s", 5.0),
        ("approval_mode", "always_require"),
        ("approval_mode", _closed),
        ("wait", "later"),
        ("exclusive", True),
        ("max_calls", 2),
        ("return_direct", True),
        ("description", "Other."),
    ],
)
def test_a_change_of_a_tools_options_is_one_too(option: str, value: Any) -> None:
    async def hours(day: str) -> str:
        return "9 to 5"

    plain = Agent("desk", tools=[tool(hours)])
    assert Agent("desk", tools=[tool(hours, **{option: value})]).version != plain.version
