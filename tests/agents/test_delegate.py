"""An agent as a tool of another one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.delegate import MAX_DEPTH
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from tests.agents.running import plain, results_of


async def test_it_gets_a_task_in_words_and_gives_its_answer() -> None:
    seen: list[Any] = []

    @tool
    async def look(context: ToolContext) -> str:
        seen.append(context.values["caller"])
        return "ok"

    inner = ScriptedChatClient([Reply(calls=(call("look"),)), "Owls are birds."])
    expert = Agent("owl-expert", "You know owls.", description="Knows owls.", tools=[look], model=inner)
    outer = ScriptedChatClient([Reply(calls=(call("owl-expert", task="What are owls?"),)), "They are birds."])
    session = AgentSession()
    response = await Agent("desk", tools=[expert], model=outer).run("Owls?", session=session, values={"caller": "Ada"})
    assert response.text == "They are birds."
    (spec,) = outer.requests[0].options.tools
    assert (spec.name, spec.description, spec.parameters["required"]) == ("owl-expert", "Knows owls.", ["task"])
    assert plain(inner.requests[0].messages) == [("system", "You know owls."), ("user", "What are owls?")]
    assert [result.text for result in results_of(session.messages)] == ["Owls are birds."]
    assert seen == ["Ada"]


async def test_each_call_is_a_conversation_of_its_own_unless_they_are_shared() -> None:
    for share, expected in ((False, 1), (True, 3)):
        inner = ScriptedChatClient(lambda _messages, _options: "Yes.")
        expert = Agent("expert", model=inner).as_tool("ask", arg_name="question", share_session=share)
        calls = [Reply(calls=(call("ask", question=f"q{number}"),)) for number in (1, 2)]
        outer = ScriptedChatClient([*calls, "Done."])
        await Agent("desk", tools=[expert], model=outer).run("?", session=AgentSession())
        assert len(inner.requests[-1].messages) == expected


async def test_shared_calls_of_one_step_take_turns() -> None:
    inner = ScriptedChatClient(lambda _messages, _options: "Yes.", yields=True)
    expert = Agent("expert", model=inner).as_tool(share_session=True)
    reply = Reply(calls=tuple(call("expert", task=f"q{number}") for number in (1, 2, 3)))
    session = AgentSession()
    await Agent("desk", tools=[expert], model=ScriptedChatClient([reply, "Done."])).run("?", session=session)
    assert [(result.status, result.text) for result in results_of(session.messages)] == [("ok", "Yes.")] * 3
    assert len(inner.requests[-1].messages) == 5


async def test_agents_that_ask_each_other_without_end_are_stopped() -> None:
    asked: list[str] = []
    agents: list[Agent] = []

    def deeper(messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        if messages[-1].role == "tool":
            return messages[-1].text
        asked.append(messages[-1].text)
        return Reply(calls=(call("ask", task=f"{len(asked)}"),))

    client = ScriptedChatClient(deeper)

    @tool
    async def ask(task: str) -> str:
        return str(await agents[0].as_tool("ask").function(ToolContext(), task=task))

    agents.append(Agent("mirror", tools=[ask], model=client))
    session = AgentSession()
    await agents[0].run("0", session=session)
    assert len(asked) == MAX_DEPTH + 1
    assert len(client.requests) == 2 * (MAX_DEPTH + 1)


async def test_a_person_may_have_to_approve_that_it_is_asked() -> None:
    clerk = Agent("clerk", model=(inner := ScriptedChatClient(["Done."]))).as_tool(approval_mode="always_require")
    outer = ScriptedChatClient([Reply(calls=(call("clerk", task="Pay."),)), "It is done."])
    desk, session = Agent("desk", tools=[clerk], model=outer), AgentSession()
    (request,) = (await desk.run("?", session=session)).user_input_requests
    assert not inner.requests
    assert (await desk.run(request.approve(), session=session)).text == "It is done."
    assert len(inner.requests) == 1


@pytest.mark.parametrize("way", ["cancel", "aclose"])
def test_ending_the_outer_run_ends_the_inner_one(way: str) -> None:
    clock = VirtualClock()

    async def main() -> None:
        inner = ScriptedChatClient([Reply("A long answer.", token_s=10)], clock=clock)
        outer = ScriptedChatClient([Reply(calls=(call("expert", task="?"),))])
        agent = Agent("desk", tools=[Agent("expert", model=inner)], model=outer)
        stream = agent.run("?", stream=True, session=AgentSession(clock=clock))
        task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(5)
        assert (inner.opened, inner.closed) == (1, 0)
        if way == "cancel":
            task.cancel()
        else:
            await stream.aclose()
        await asyncio.wait([task])
        for _ in range(10):
            await asyncio.sleep(0)
        assert inner.closed == 1
        assert len(asyncio.all_tasks()) == 1
        assert clock.now() == 5

    clock.run(main())
