"""An agent's run over each provider's wire: what its loop needs comes, and leaving it stops the provider."""

from __future__ import annotations

import asyncio
import json

import pytest

from antiphon import Agent, tool
from antiphon.models.llm.content import FunctionCall
from tests.llm.contract import streamed
from tests.llm.vendor import endless, vendor
from tests.llm.vendors import Anthropic, ChatCompletions, Google, Responses, Say, Wire

WIRES: list[Wire] = [ChatCompletions(), Responses(), Anthropic(), Google()]
by_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: type(wire).__name__)


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return f"The sum is {a + b}."


@by_wire
async def test_a_tool_is_called_and_its_result_is_told(wire: Wire) -> None:
    calls = (FunctionCall("c1", "add", '{"a":2,"b":3}'), FunctionCall("c2", "add", '{"a":4,"b":5}'))
    answers = [streamed(*wire.answer(say)) for say in (Say(("Let me see. ",), calls), Say(("Five ", "and nine.")))]
    async with vendor(*answers) as server:
        client = wire.client(server.url)
        agent = Agent(name="desk", instructions="Be brief.", tools=[add], model=client)
        reply = await agent.run("2+3 and 4+5?")
        await client.aclose()
    assert reply.text.endswith("Five and nine.")
    first, second = (json.dumps(body) for body in server.bodies)
    assert wire.tools_of(server.bodies[0]) == ["add"]
    assert "The sum is" not in first
    assert second.index("The sum is 5.") < second.index("The sum is 9.")
    assert reply.usage.input_tokens == 18


@by_wire
async def test_a_run_that_is_left_closes_the_request_at_the_server(wire: Wire) -> None:
    async with vendor(endless(wire)) as server:
        client = wire.client(server.url)
        stream = Agent(name="desk", model=client).run("hello", stream=True)
        updates = aiter(stream)
        for _ in range(5):
            await anext(updates)
        await stream.aclose()
        await asyncio.wait_for(server.hung_up.wait(), 5)
        await client.aclose()
