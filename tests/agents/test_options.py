"""What a request carries: options, tools that come and go, and tools that the application runs itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.session import AgentSession
from antiphon.models.llm.content import FunctionResult, Media, Text
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.context import ToolContext
from antiphon.tools.tool import FunctionTool
from tests.agents.running import add, check_request, results_of, roles

SHOW = FunctionTool(None, name="show_map", description="Show it.", schema={"properties": {"place": {"type": "string"}}})


def names(client: ScriptedChatClient) -> list[list[str]]:
    return [[spec.name for spec in request.options.tools] for request in client.requests]


async def test_options_of_a_run_overrule_those_of_the_agent_one_by_one() -> None:
    client = ScriptedChatClient(["a", "b"])
    agent = Agent("desk", tools=[add], model=client, options=ChatOptions(temperature=0.2, max_tokens=50))
    before = agent.request_options
    await agent.run("?", options=ChatOptions(temperature=0.9, tool_choice="required", allowed_tools=("add",)))
    await agent.run("?")
    first, second = (request.options for request in client.requests)
    assert (first.temperature, first.max_tokens, first.tool_choice) == (0.9, 50, "required")
    assert first.allowed_tools == ("add",)
    assert [spec.name for spec in first.tools] == ["add"]
    assert (second.temperature, second.tool_choice, second.allowed_tools) == (0.2, "auto", ())
    assert agent.request_options is before


async def test_tools_of_a_run_are_offered_in_this_run_only() -> None:
    async def extra() -> str:
        """More."""
        return "more"

    client = ScriptedChatClient([Reply(calls=(call("extra"),)), "a", "b"])
    agent = Agent("desk", tools=[add], model=client)
    session = AgentSession()
    await agent.run("?", tools=[extra], session=session)
    await agent.run("?")
    assert names(client) == [["add", "extra"], ["add", "extra"], ["add"]]
    assert [result.text for result in results_of(session.messages)] == ["more"]


async def test_a_tool_may_offer_and_take_away_tools_from_the_next_step_on() -> None:
    @tool
    def unlock(context: ToolContext) -> str:
        context.add_tools([secret])
        context.remove_tools(["unlock"])
        return "unlocked"

    @tool
    async def secret(context: ToolContext) -> str:
        context.remove_tools(["secret"])
        return "42"

    client = ScriptedChatClient([Reply(calls=(call("unlock"),)), Reply(calls=(call("secret"),)), "42.", "?"])
    agent = Agent("desk", tools=[unlock, add], model=client)
    session = AgentSession()
    await agent.run("?", session=session)
    await agent.run("?", session=session)
    assert names(client) == [["unlock", "add"], ["add", "secret"], ["add"], ["unlock", "add"]]
    assert [result.text for result in results_of(session.messages)] == ["unlocked", "42"]


async def test_a_tool_that_is_gone_is_unknown() -> None:
    @tool
    async def leave(context: ToolContext) -> None:
        context.remove_tools(["add"])

    client = ScriptedChatClient([Reply(calls=(call("leave"),)), Reply(calls=(call("add", a=1, b=1),)), "ok"])
    session = AgentSession()
    await Agent("desk", tools=[leave, add], model=client).run("?", session=session)
    last = results_of(session.messages)[-1]
    assert (last.status, "no function 'add'" in last.text) == ("error", True)


async def test_a_source_is_asked_before_each_step() -> None:
    class Source:
        name = "shelf"

        def __init__(self) -> None:
            self.lists: list[list[FunctionTool]] = [[one], [one, two], [two]]

        async def list_tools(self) -> Sequence[FunctionTool]:
            return self.lists.pop(0)

        async def aclose(self) -> None: ...

    @tool
    async def one() -> str:
        return "1"

    @tool
    async def two() -> str:
        return "2"

    client = ScriptedChatClient([Reply(calls=(call("one"),)), Reply(calls=(call("two"),)), "ok"])
    session = AgentSession()
    await Agent("desk", tools=[Source(), add], model=client).run("?", session=session)
    assert [set(each) for each in names(client)] == [{"add", "one"}, {"add", "one", "two"}, {"add", "two"}]
    assert [result.text for result in results_of(session.messages)] == ["1", "2"]


async def test_a_declared_tool_ends_the_run_and_the_caller_gives_the_result() -> None:
    client = ScriptedChatClient(
        [Reply("Look.", calls=(call("add", a=1, b=1), call("show_map", place="Rome"))), "There it is."]
    )
    agent = Agent("desk", tools=[SHOW, add], model=client)
    session = AgentSession()
    response = await agent.run("Where is Rome?", session=session)
    assert (response.finish_reason, response.text) == ("tool_calls", "Look.")
    asked = response.messages[0].calls[1]
    assert (asked.name, asked.arguments) == ("show_map", '{"place":"Rome"}')
    assert [result.name for result in results_of(session.messages)] == ["add"]
    session = AgentSession.from_dict(session.to_dict())
    response = await agent.run(FunctionResult(asked.call_id, "show_map", "ok", "shown"), session=session)
    assert (response.text, response.finish_reason) == ("There it is.", "stop")
    sent = client.requests[-1].messages
    check_request(sent)
    assert roles(sent) == ["user", "assistant", "tool", "tool"]
    assert [result.text for result in results_of(sent)] == ["2", "shown"]


def test_a_declared_tool_needs_a_name_and_a_schema() -> None:
    with pytest.raises(ValueError, match="declared by"):
        FunctionTool(None, name="x")
    assert SHOW.is_declared_only
    assert SHOW.spec.parameters["properties"] == {"place": {"type": "string"}}


async def test_a_history_in_place_of_the_sessions_is_read_and_nothing_is_written() -> None:
    client = ScriptedChatClient(["Yes."])
    session = AgentSession()
    await Agent("desk", model=client).run("Well?", session=session, history=[])
    assert session.messages == []
    client = ScriptedChatClient([Reply(calls=(call("add", a=1, b=1),)), "Two."])
    past = [Message("user", "Hi."), Message("assistant", "Hello.")]
    await Agent("desk", tools=[add], model=client).run("1+1?", session=session, history=past)
    assert roles(client.requests[0].messages) == ["user", "assistant", "user"]
    assert session.messages == []
    assert len(past) == 2


async def test_pictures_of_a_tool_reach_the_model_beside_its_words() -> None:
    picture = Media.from_bytes(b"png", "image/png")

    @tool
    async def photo() -> list[Text | Media]:
        return [Text("Rome"), picture]

    client = ScriptedChatClient([Reply(calls=(call("photo"),)), "Nice."])
    session = AgentSession()
    await Agent("desk", tools=[photo], model=client).run("?", session=session)
    (result,) = results_of(client.requests[-1].messages)
    assert (result.text, result.media) == ("Rome", (picture,))
    assert AgentSession.from_dict(session.to_dict()).messages == session.messages


async def test_a_model_that_must_call_something_may_answer_once_it_has() -> None:
    client = ScriptedChatClient([Reply(calls=(call("add", a=2, b=3),)), "Five."])
    agent = Agent("desk", tools=[add], model=client, options=ChatOptions(tool_choice="required"))
    response = await agent.run("2+3?")
    assert response.text == "Five."
    assert [request.options.tool_choice for request in client.requests] == ["required", "auto"]
