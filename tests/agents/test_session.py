"""A conversation: one turn at a time, kept in order, and able to go on elsewhere."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import structlog

from antiphon import Agent, Message, RunLimits, tool
from antiphon.agents.session import MAX_MESSAGES, AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import AgentInvalidRequestException, ChatClientUnavailableException
from antiphon.models.llm.content import Usage
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from antiphon.tools.invoke import INTERRUPTED
from tests.agents.running import check_request, roles


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


class Shelf:
    """Keeps messages, and notes how they come."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.writes: list[list[str]] = []
        self.loads = 0

    async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
        self.loads += 1
        return list(self.messages)

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        self.writes.append([message.role for message in messages])
        self.messages += messages

    async def replace(self, session_id: str, message_id: str, message: Message) -> None:
        places = [place for place, each in enumerate(self.messages) if each.message_id == message_id]
        for place in places:
            self.messages[place] = message

    async def clear(self, session_id: str) -> None:
        self.messages.clear()


async def test_a_history_is_written_in_order_and_a_call_group_in_one_operation() -> None:
    shelf = Shelf()
    writes_at_request: list[list[list[str]]] = []

    def reply(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        writes_at_request.append([list(write) for write in shelf.writes])
        return Reply("Hm.", calls=(call("add", a=1, b=1), call("add", a=2, b=2))) if len(messages) == 1 else "Done."

    session = AgentSession(history=shelf)
    await Agent("desk", tools=[add], model=ScriptedChatClient(reply)).run("?", session=session)
    assert writes_at_request[0] == [["user"]], "the user's words are kept before the model is asked"
    assert shelf.writes == [["user"], ["assistant", "tool", "tool"], ["assistant"]]
    assert shelf.messages == session.messages
    assert all(message.message_id and message.created_at for message in shelf.messages)


async def test_a_crash_in_the_middle_of_a_turn_leaves_a_valid_history() -> None:
    shelf = Shelf()
    fault = ChatClientUnavailableException("down", retryable=False)
    client = ScriptedChatClient([Reply(calls=(call("add", a=1, b=1),)), Reply("Two", fault=fault, fault_after=1)])
    with pytest.raises(ChatClientUnavailableException):
        await Agent("desk", tools=[add], model=client).run("?", session=AgentSession(history=shelf))
    assert roles(shelf.messages) == ["user", "assistant", "tool"]
    check_request(shelf.messages)


async def test_a_kept_conversation_is_read_once_and_goes_on() -> None:
    shelf = Shelf(Message("user", "I am Ada."), Message("assistant", "Hello Ada."))
    client = ScriptedChatClient(["Ada.", "Ada."])
    agent = Agent("desk", model=client)
    session = AgentSession(history=shelf)
    await agent.run("Who am I?", session=session)
    await agent.run("Who am I?", session=session)
    assert shelf.loads == 1
    assert [message.text for message in client.requests[0].messages] == ["I am Ada.", "Hello Ada.", "Who am I?"]
    assert len(shelf.messages) == 6


async def test_a_history_that_fails_fails_its_own_turn_only() -> None:
    class Full(Shelf):
        async def append(self, session_id: str, messages: Sequence[Message]) -> None:
            raise OSError("no space")

    client = ScriptedChatClient(lambda _messages, _options: "Yes.")
    agent = Agent("desk", model=client)
    bad = AgentSession(history=Full())
    with pytest.raises(OSError, match="no space"):
        await agent.run("?", session=bad)
    assert not client.requests
    assert not bad.busy
    assert (await agent.run("?", session=AgentSession(history=Shelf()))).text == "Yes."


async def test_what_was_heard_is_corrected_in_the_history_too() -> None:
    shelf = Shelf()
    session = AgentSession(history=shelf)
    response = await Agent("desk", model=ScriptedChatClient(["We open at ten."])).run("?", session=session)
    message_id = response.messages[-1].message_id
    assert message_id is not None
    await session.set_heard(message_id, heard_text="We open")
    assert shelf.messages == session.messages
    heard = shelf.messages[-1]
    assert (heard.text, heard.interrupted, heard.generated_text) == ("We open", True, "We open at ten.")
    await session.set_heard(message_id, heard_text="We open at ten.")
    assert not session.messages[-1].interrupted


async def test_a_message_that_comes_in_the_middle_stands_before_the_next_step() -> None:
    @tool
    async def slow(context: ToolContext) -> str:
        session.enqueue("And on Sunday?")
        session.enqueue(Message("user", "Or Monday?"))
        return "ten"

    client = ScriptedChatClient([Reply(calls=(call("slow"),)), "Closed.", "Yes."])
    agent = Agent("desk", tools=[slow], model=client)
    session = AgentSession()
    await agent.run("When?", session=session)
    assert roles(client.requests[1].messages) == ["user", "assistant", "tool", "user", "user"]
    assert [message.text for message in session.messages][-3:] == ["And on Sunday?", "Or Monday?", "Closed."]
    session.enqueue("Really?")
    session = AgentSession.from_dict(session.to_dict())
    await agent.run(None, session=session)
    assert client.requests[2].messages[-1].text == "Really?"
    assert [message.text for message in session.messages][-2:] == ["Really?", "Yes."]


async def test_a_session_goes_on_in_another_process() -> None:
    client = ScriptedChatClient([Reply("Hm.", calls=(call("add", a=1, b=1),)), "Two.", "Yes."])
    agent = Agent("desk", tools=[add], model=client)
    session = AgentSession("s1", state={"count": [1, {"a": None}]}, variables={"name": "Ada"}, version=4)
    await agent.run("1+1?", session=session)
    kept = json.loads(json.dumps(session.to_dict()))
    assert kept["v"] == 1
    again = AgentSession.from_dict(kept)
    assert (again.id, again.version, again.state, again.variables) == ("s1", 4, session.state, {"name": "Ada"})
    assert again.messages == session.messages
    assert again.to_dict() == kept
    await agent.run("Sure?", session=again)
    assert roles(client.requests[-1].messages) == ["user", "assistant", "tool", "assistant", "user"]
    assert len(session.messages) == 4, "the one that was kept is another"


def test_a_state_that_cannot_be_kept_is_refused() -> None:
    for value in (
        object(),
        RunLimits(),
        datetime(2026, 1, 1),
        {1, 2},
        b"x",
        float("nan"),
    ):  # None comes back as it was.
        with pytest.raises(TypeError, match="values that JSON can hold"):
            AgentSession(state={"a": value}).to_dict()
    with pytest.raises(AgentInvalidRequestException, match="bytes"):
        AgentSession(state={"a": "x" * 1024 * 1024}).to_dict()
    with pytest.raises(AgentInvalidRequestException, match="format 2"):
        AgentSession.from_dict({**AgentSession().to_dict(), "v": 2})
    with pytest.raises(AgentInvalidRequestException, match="format None"):
        AgentSession.from_dict({})


async def test_a_session_has_an_end() -> None:
    session = AgentSession(messages=[Message("user", "x")] * MAX_MESSAGES)
    client = ScriptedChatClient(["no"])
    with pytest.raises(AgentInvalidRequestException) as caught:
        await Agent("desk", model=client).run("?", session=session)
    assert caught.value.code == "input_invalid"
    assert not client.requests
    assert not session.busy


def test_closing_a_session_ends_what_runs_for_it() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([Reply("One two three", token_s=5)], clock=clock)
        session = AgentSession(clock=clock)
        stream = Agent("desk", model=client).run("?", stream=True, session=session)
        task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(6)
        await session.aclose()
        assert (client.closed, session.busy) == (1, False)
        response = await task
        assert (response.text, response.finish_reason) == ("One two ", "interrupted")
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


async def test_a_throw_away_session_leaves_no_task() -> None:
    @tool(wait="later")
    async def later() -> None:
        await asyncio.Event().wait()

    client = ScriptedChatClient([Reply(calls=(call("later"),)), "ok"])
    await Agent("desk", tools=[later], model=client).run("?")
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_history_that_could_not_be_read_is_read_in_the_next_turn() -> None:
    class Shaky(Shelf):
        async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
            if not self.loads:
                self.loads += 1
                raise OSError("not now")
            return await super().load(session_id, limit)

    client = ScriptedChatClient(["Ada."])
    agent = Agent("desk", model=client)
    session = AgentSession(history=Shaky(Message("user", "I am Ada."), Message("assistant", "Hello.")))
    with pytest.raises(OSError, match="not now"):
        await agent.run("Who am I?", session=session)
    await agent.run("Who am I?", session=session)
    assert [message.text for message in client.requests[0].messages] == ["I am Ada.", "Hello.", "Who am I?"]


def test_a_session_that_is_dropped_is_gone_without_the_collector() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([Reply(calls=(call("add", a=1, b=1),)), "Two."])
        session = AgentSession(clock=clock)
        await Agent("desk", tools=[add], model=client).run("1+1?", session=session)
        seen = weakref.ref(session)
        gc.collect()
        gc.disable()
        try:
            del session
            assert seen() is None
        finally:
            gc.enable()

    clock.run(main())


async def test_a_chore_that_fails_is_logged_and_costs_no_turn() -> None:
    async def broken() -> None:
        raise OSError("disk full")

    session = AgentSession()
    with structlog.testing.capture_logs() as logs:
        session.spawn(broken(), "summary")
        await Agent("desk", model=ScriptedChatClient(["Hello."])).run("Hi.", session=session)
        await asyncio.sleep(0)
    assert [entry["event"] for entry in logs] == ["session.chore_failed"]
    await session.aclose()


async def test_the_end_of_a_session_ends_its_chores_also_those_that_have_not_begun() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("ended")

    session = AgentSession()
    session.spawn(endless(), "summary")
    await asyncio.sleep(0)
    session.spawn(endless(), "another")
    await session.aclose()
    assert ended == ["ended"]
    assert len(asyncio.all_tasks()) == 1
