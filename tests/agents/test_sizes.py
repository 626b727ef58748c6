"""What is too large is refused where it comes from, with what to do about it."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from msgspec import defstruct

from antiphon import Agent, AgentSession, FunctionTool, Message, ScriptedChatClient, ToolContext, tool
from antiphon.agents.history import MAX_INSTRUCTION_CHARS, build_request
from antiphon.agents.structured import output_type
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.contract import MAX_TOOLS
from antiphon.models.llm.messages import MAX_TEXT_BYTES
from antiphon.models.llm.scripted import Reply, call
from antiphon.tools.schema import MAX_SCHEMA_BYTES

MANY = Literal[tuple(f"choice {number:05}" for number in range(5_000))]  # type: ignore[valid-type]


def numbered(count: int) -> list[FunctionTool]:
    return [FunctionTool(lambda: "", name=f"tool_{number}") for number in range(count)]


@pytest.mark.parametrize("given", ["ä" * (MAX_TEXT_BYTES // 2 + 1), "\ud800" * (MAX_TEXT_BYTES + 1)])
@pytest.mark.parametrize("form", [str, lambda text: Message("user", text), lambda text: ["Hello.", text]])
async def test_a_message_has_a_mebibyte_of_text_and_nothing_is_written_of_a_longer_one(given: str, form: Any) -> None:
    client, session = ScriptedChatClient(["Hello."]), AgentSession()
    with pytest.raises(AgentInvalidRequestException, match="too long") as caught:
        await Agent("desk", model=client).run(form(given), session=session)
    assert caught.value.code == "input_invalid"
    assert not client.requests
    assert not session.messages
    response = await Agent("desk", model=client).run("a" * MAX_TEXT_BYTES, session=session)
    assert response.text == "Hello."


def test_an_agent_has_so_many_tools_and_handoffs_and_no_more() -> None:
    Agent("desk", tools=numbered(MAX_TOOLS))
    with pytest.raises(ValueError, match="128 tools at most, not 129"):
        Agent("desk", tools=numbered(MAX_TOOLS), handoffs=["billing"])


async def test_a_tool_that_offers_too_many_others_has_failed() -> None:
    @tool
    async def offer(context: ToolContext) -> str:
        context.add_tools(numbered(MAX_TOOLS))
        return "offered"

    client = ScriptedChatClient([Reply(calls=(call("offer"),)), "Hello."])
    response = await Agent("desk", tools=[offer], model=client).run("Hello.")
    assert response.text == "Hello."
    assert [each.status for message in response.messages if (each := message.result)] == ["error"]


def test_a_schema_has_64_kib_wherever_it_comes_from() -> None:
    async def choose(one: MANY) -> str:  # type: ignore[valid-type]
        return ""

    chosen = defstruct("Chosen", [("one", MANY)])
    for make in (lambda: FunctionTool(choose), lambda: output_type(chosen)):
        with pytest.raises(TypeError, match=f"at most {MAX_SCHEMA_BYTES} bytes"):
            make()


async def test_instructions_have_an_end_wherever_they_come_from() -> None:
    assert build_request("a" * MAX_INSTRUCTION_CHARS, [])[0].role == "system"
    client = ScriptedChatClient(["Hello."])
    agent = Agent("desk", lambda context: "a" * (MAX_INSTRUCTION_CHARS + 1), model=client)
    with pytest.raises(AgentInvalidRequestException, match="262144 are sent"):
        await agent.run("Hello.")
    assert not client.requests
