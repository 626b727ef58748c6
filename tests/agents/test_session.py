from __future__ import annotations

import asyncio
from typing import Any

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.session import AgentSession
from antiphon.errors import AgentInvalidRequestException, ChatClientUnavailableException
from antiphon.models.llm.contract import Usage
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import INTERRUPTED


@tool
async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def test_a_text_turn_gives_text_messages_and_usage() -> None:
    client = ScriptedChatClient([Reply(calls=(call("add", a=2, b=3),)), Reply("It is 5.", usage=Usage(10, 3))])
    response = await Agent("desk", "Be kind.", tools=[add], model=client).run("2+3?")
    assert response.text == "It is 5."
    assert [message.role for message in response.messages] == ["assistant", "tool", "assistant"]
    assert response.usage.output_tokens == 3
    assert (response.finish_reason, response.limit_hit) == ("stop", None)


async def test_a_session_remembers() -> None:
    client = ScriptedChatClient(["Hello Ada.", "You are Ada."])
    agent = Agent("desk", model=client)
    session = AgentSession()
    await agent.run("I am Ada.", session=session)
    await agent.run([Message("user", "Who am I?")], session=session)
    assert [message.text for message in session.messages] == ["I am Ada.", "Hello Ada.", "Who am I?", "You are Ada."]
    assert client.requests[1].messages == tuple(session.messages[:3])


async def test_variables_fill_the_instructions_and_values_reach_the_tools() -> None:
    seen: list[Any] = []

    @tool
    async def look(context: ToolContext) -> str:
        seen.append((context.session_id, context.values["number"]))
        return "ok"

    client = ScriptedChatClient([Reply(calls=(call("look"),)), "done"])
    agent = Agent("desk", "You talk to {{ caller }}.", tools=[look], model=client)
    session = AgentSession(id="s1")
    await agent.run("hi", session=session, variables={"caller": "Ada"}, values={"number": 7})
    assert client.requests[0].messages[0] == Message("system", "You talk to Ada.")
    assert seen == [("s1", 7)]


async def test_one_turn_at_a_time() -> None:
    client = ScriptedChatClient([Reply("x", fault="stall")])
    agent = Agent("desk", model=client)
    session = AgentSession()
    first = asyncio.create_task(agent.run("one", session=session))
    await asyncio.sleep(0)
    with pytest.raises(AgentInvalidRequestException) as caught:
        await agent.run("two", session=session)
    assert caught.value.code == "session_busy"
    first.cancel()
    await asyncio.wait([first])
    assert not session.busy
    assert client.closed == 1


async def test_a_failing_model_leaves_the_users_words_and_the_next_turn_works() -> None:
    fault = ChatClientUnavailableException("down", retryable=False)
    client = ScriptedChatClient([Reply(calls=(call("add", a=1, b=1),)), Reply(fault=fault), "Better now."])
    agent = Agent("desk", tools=[add], model=client)
    session = AgentSession()
    with pytest.raises(ChatClientUnavailableException):
        await agent.run("1+1?", session=session)
    assert [message.role for message in session.messages] == ["user", "assistant", "tool"]
    assert (await agent.run("Again?", session=session)).text == "Better now."
    assert [message.role for message in client.requests[-1].messages] == ["user", "assistant", "tool", "user"]


async def test_a_cancelled_turn_cancels_its_tools_and_the_next_request_is_valid() -> None:
    started = asyncio.Event()
    ended: list[str] = []

    @tool
    async def slow() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return "never"

    client = ScriptedChatClient([Reply(calls=(call("slow"),)), "All right."])
    agent = Agent("desk", tools=[slow], model=client)
    session = AgentSession()
    task = asyncio.create_task(agent.run("go", session=session))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]
    assert len(asyncio.all_tasks()) == 1
    assert (await agent.run("stop", session=session)).text == "All right."
    request = client.requests[-1].messages
    assert [message.role for message in request] == ["user", "assistant", "tool", "user"]
    assert request[2].text == INTERRUPTED
