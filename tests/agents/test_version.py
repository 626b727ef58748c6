"""The version of an agent: the same for the same behaviour, another for any change of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from antiphon import (
    Agent,
    Compaction,
    FactSheet,
    Message,
    ScriptedChatClient,
    SlidingWindow,
    Summarization,
    TokenBudget,
    ToolResultCompaction,
    Truncation,
    tool,
)
from antiphon.agents.limits import RunLimits
from antiphon.models.llm.contract import ChatOptions

CODE = """
from antiphon import Agent, FactSheet, ScriptedChatClient, TokenBudget, tool

def much(arguments, context):
    return arguments["amount"] > 100

@tool(approval_mode=much)
async def pay(amount: int) -> str:
    return "paid"

print(Agent("desk", "Be kind.", tools=[pay], handoffs=["clerk"], variables={"a": {"b", "c", "d"}},
    compaction=TokenBudget(9_000, chain=[FactSheet(ScriptedChatClient([]))], tokenizer=len)).version)
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
        {"return_greeting": "Hello again."},
        {"speed": 1.1},
        {"phrases": ["crown"]},
        {"instructions": ["Be kind.", "Be brief."]},
        {"tools": ()},
        {"model": "openai:x"},
        {"options": ChatOptions(temperature=0.5)},
        {"limits": RunLimits(max_model_steps=3)},
        {"handoffs": ["clerk"]},
        {"fillers": ["One moment."]},
        {"variables": {"a": 1}},
        {"output_type": {"properties": {"a": {"type": "string"}}}},
        {"compaction": SlidingWindow(5)},
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
        ("filler", "One moment."),
        ("max_result_chars", 500),
        ("return_direct", True),
        ("description", "Other."),
    ],
)
def test_a_change_of_a_tools_options_is_one_too(option: str, value: Any) -> None:
    async def hours(day: str) -> str:
        return "9 to 5"

    plain = Agent("desk", tools=[tool(hours)])
    assert Agent("desk", tools=[tool(hours, **{option: value})]).version != plain.version


MODEL = ScriptedChatClient(["A summary."])


class _Own(SlidingWindow):
    __repr__ = object.__repr__


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (SlidingWindow(5), SlidingWindow(6)),
        (Truncation(100), Truncation(100, keep_turns=2)),
        (ToolResultCompaction(3), ToolResultCompaction(3, 100)),
        (Summarization(MODEL), Summarization(MODEL, prompt="Sum it up.")),
        (FactSheet(MODEL), FactSheet(MODEL, every_turns=1)),
        (TokenBudget(6_000), TokenBudget(6_000, client=MODEL)),
        (TokenBudget(chain=[SlidingWindow(5)]), TokenBudget(chain=[SlidingWindow(6)])),
        (TokenBudget(), TokenBudget(tokenizer=len)),
        (_Own(), SlidingWindow()),
    ],
)
def test_a_change_of_the_compaction_is_one_too(one: Compaction, another: Compaction) -> None:
    before = make(compaction=one).version
    assert before != make(compaction=another).version
    one.view([Message("user", f"{number}") for number in range(50)], max_tokens=100, state={})
    assert make(compaction=one).version == before
