"""Many conversations on one agent: none sees another's words, none leaves anything behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.middleware import AgentContext, CallNext, ChatContext, FunctionContext
from antiphon.agents.session import AgentSession
from antiphon.models.llm.content import FunctionCall
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from tests.agents.running import add, check_request, results_of


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_conversations_on_one_agent_do_not_mix(stream: bool) -> None:
    @tool
    async def whose(number: int, context: ToolContext) -> str:
        await asyncio.sleep(0)
        context.state["number"] = number
        assert context.values["number"] == number
        return f"{context.session_id} {number}"

    def echo(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        check_request(messages)
        if messages[-1].role == "tool":
            return f"It is {messages[-1].text}."
        return Reply("So.", calls=(call("whose", number=int(messages[-1].text)),))

    client = ScriptedChatClient(echo, yields=True)
    agent = Agent("desk", "You serve {{ number }}.", tools=[whose], model=client)
    before = {name: repr(getattr(agent, name)) for name in Agent.__slots__}
    sessions = [AgentSession(f"s{number}") for number in range(100)]

    async def turn(number: int) -> str:
        given: dict[str, Any] = {
            "session": sessions[number],
            "values": {"number": number},
            "variables": {"number": number},
        }
        if not stream:
            return (await agent.run(str(number), **given)).text
        return "".join([update.text async for update in agent.run(str(number), stream=True, **given)])

    for _ in range(2):
        texts = await asyncio.gather(*(turn(number) for number in range(100)))
        assert texts == [f"So. It is s{number} {number}." for number in range(100)]
    for number, session in enumerate(sessions):
        assert [result.text for result in results_of(session.messages)] == [f"s{number} {number}"] * 2
        assert session.state == {"number": number}
    for request in client.requests:
        number = int(request.messages[0].text.removeprefix("You serve ").removesuffix("."))
        said = {message.text for message in request.messages if message.role == "user"}
        assert said == {str(number)}
    assert {name: repr(getattr(agent, name)) for name in Agent.__slots__} == before


def reply_to(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
    if messages[-1].role == "tool":
        return "That is three."
    return Reply("Let me see.", calls=(call("add", a=1, b=2), call("none")))


@asynccontextmanager
async def no_garbage() -> AsyncIterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
        for _ in range(5):
            await asyncio.sleep(0)
        assert gc.collect() == 0
    finally:
        gc.enable()


async def plain_turn(agent: Agent) -> None:
    await agent.run("1+2?")


async def streamed_turn(agent: Agent) -> None:
    stream = agent.run("1+2?", stream=True, session=AgentSession())
    async for _ in stream:
        pass
    await stream.get_final_response()


async def closed_turn(agent: Agent) -> None:
    stream = agent.run("1+2?", stream=True, session=AgentSession())
    async for _ in stream:
        break
    await stream.aclose()


async def dropped_turn(agent: Agent) -> None:
    async for _ in agent.run("1+2?", stream=True, session=AgentSession()):
        break
    for _ in range(5):
        await asyncio.sleep(0)


async def interrupted_turn(agent: Agent) -> None:
    session = AgentSession()
    stream = agent.run("1+2?", stream=True, session=session)
    async for update in stream:
        if update.contents[0].type == "tool_started":
            await stream.interrupt()
    await session.aclose()


async def wrong_turn(agent: Agent) -> None:
    wrong = FunctionCall("c1", "add", '{"a": "x", "c": 1}')
    await agent.replace(model=ScriptedChatClient([Reply(calls=(wrong,)), "5."])).run("1+2?")


TURNS = [plain_turn, streamed_turn, closed_turn, dropped_turn, interrupted_turn, wrong_turn]


@pytest.mark.parametrize("turn", TURNS)
async def test_a_turn_leaves_no_cyclic_garbage(turn: Any) -> None:
    agent = Agent("desk", tools=[add], model=ScriptedChatClient(reply_to))
    await turn(agent)
    async with no_garbage():
        for _ in range(10):
            await turn(agent)


async def test_a_turn_inside_of_middleware_leaves_no_cyclic_garbage() -> None:
    async def outer(context: AgentContext, call_next: CallNext) -> None:
        await call_next()

    async def chat(context: ChatContext, call_next: CallNext) -> None:
        await call_next()

    async def function(context: FunctionContext, call_next: CallNext) -> None:
        await call_next()

    agent = Agent("desk", tools=[add], model=ScriptedChatClient(reply_to), middleware=[outer, chat, function])
    for turn in (plain_turn, streamed_turn):
        await turn(agent)
        async with no_garbage():
            for _ in range(10):
                await turn(agent)


async def test_a_dropped_stream_is_gone_without_the_collector() -> None:
    client = ScriptedChatClient(reply_to)
    agent = Agent("desk", tools=[add], model=client)
    gc.disable()
    try:
        await dropped_turn(agent)
        assert client.opened == client.closed == 1
    finally:
        gc.enable()
