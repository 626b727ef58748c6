from __future__ import annotations

import copy
import subprocess
import sys

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.context import RunContext
from antiphon.agents.instructions import instructions_for, template_values
from antiphon.agents.limits import RunLimits
from antiphon.agents.templates import check_template, render
from antiphon.errors import ConfigurationError
from antiphon.models.llm.contract import ChatOptions


@tool
async def hours(day: str) -> str:
    """When we are open."""
    return "9 to 5"


def prices() -> str:
    """What it costs."""
    return "9 euros"


def test_functions_become_tools_and_the_options_carry_them() -> None:
    agent = Agent("desk", "Be kind.", tools=[hours, prices], options=ChatOptions(temperature=0.2))
    assert list(agent.toolset) == ["hours", "prices"]
    assert agent.toolset["hours"] is hours
    assert [spec.name for spec in agent.request_options.tools] == ["hours", "prices"]
    assert agent.request_options.temperature == 0.2


def test_two_tools_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="'hours'"):
        Agent("desk", tools=[hours, tool(prices, name="hours")])


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        Agent(name)


def test_what_is_no_function_is_no_tool() -> None:
    with pytest.raises(TypeError, match="give a function"):
        Agent("desk", tools=["hours"])  # type: ignore[list-item]


def test_limits_are_more_than_zero() -> None:
    with pytest.raises(ValueError, match="max_seconds"):
        RunLimits(max_seconds=0)


def test_an_agent_does_not_change_and_replace_gives_another() -> None:
    agent = Agent("desk", tools=[hours])
    with pytest.raises(AttributeError):
        agent.name = "other"  # type: ignore[misc]
    other = agent.replace(instructions="New.", tools=[prices])
    assert (agent.instructions, other.instructions) == ("", "New.")
    assert list(other.toolset) == ["prices"]
    assert copy.copy(agent).toolset == agent.toolset


async def test_instructions_are_text_template_or_function() -> None:
    assert await instructions_for(Agent("a", "Say {hi}.")) == "Say {hi}."
    template = Agent(
        "desk", "You are {{ agent_name }} of {{ place | default('the clinic') }}.", variables={"place": "X"}
    )
    assert await instructions_for(template) == "You are desk of X."
    assert await instructions_for(template, variables={"place": None}) == "You are desk of X."
    assert await instructions_for(template, variables={"place": "Y"}) == "You are desk of Y."

    def plain(context: RunContext) -> str:
        return f"{context.agent.name} {context.session_id} {context.variables['caller']}"

    async def later(context: RunContext) -> str:
        return plain(context)

    for instructions in (plain, later):
        text = await instructions_for(Agent("a", instructions), session_id="s1", variables={"caller": "Ada"})
        assert text == "a s1 Ada"


def test_a_templates_default_holds_where_a_value_is_none() -> None:
    agent = Agent("a", variables={"name": None})
    assert render("{{ name | default('you') }}", template_values(agent)) == "you"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ open", "Line 1"),
        ("a\n{% if %}", "Line 2"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ items.append(1) }}", "SecurityError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ missing() }}", "UndefinedError"),
    ],
)
def test_a_wrong_or_forbidden_template_is_refused(template: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        render(template, {"items": []})


def test_a_template_can_be_checked_before_it_is_used() -> None:
    check_template("{{ fine }}")
    check_template("no template }} at all")
    with pytest.raises(ConfigurationError):
        check_template("{% endif %}")


def test_importing_the_public_face_loads_no_heavy_package() -> None:
    code = (
        "import sys; from antiphon import Agent, tool, Message\n"
        "@tool\ndef f(a: int) -> int: return a\n"
        "Agent('a', 'b', tools=[f])\n"
        "heavy = {'pydantic', 'httpx', 'structlog', 'jinja2', 'numpy', 'fastapi', 'yaml', 'onnxruntime'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_message_is_part_of_the_public_face() -> None:
    assert Message("user", "hi").text == "hi"
