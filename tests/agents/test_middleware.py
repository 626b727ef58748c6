"""Code around runs, requests and calls: in order, able to change and to end them, streaming and not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from msgspec.structs import replace

from antiphon import Agent, Message, tool
from antiphon.agents.middleware import (
    AgentContext,
    CallNext,
    ChatContext,
    FunctionContext,
    Middleware,
    agent_middleware,
    chat_middleware,
    function_middleware,
)
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.agents.session import AgentSession
from antiphon.errors import MiddlewareException, MiddlewareTermination
from antiphon.models.llm.content import Text
from antiphon.models.llm.contract import ChatDelta
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import add, check_request, nothing, plain, results_of, roles

CLOSED = "Closed today."
BOTH = pytest.mark.parametrize("stream", [False, True])


async def answer(agent: Agent, words: str = "2+3?", *, stream: bool, **options: Any) -> AgentResponse:
    if not stream:
        return await agent.run(words, **options)
    reader = agent.run(words, stream=True, **options)
    told = "".join([update.text async for update in reader])
    response = await reader.get_final_response()
    assert told == response.text
    return response


def five() -> ScriptedChatClient:
    return ScriptedChatClient([Reply(calls=(call("add", a=2, b=3),)), "It is 5."])


@BOTH
async def test_three_layers_lie_around_each_other_in_the_order_given(stream: bool) -> None:
    order: list[str] = []

    def around(layer: str, name: str) -> Middleware:
        async def middleware(context: Any, call_next: CallNext) -> None:
            order.append(f"{layer} {name}")
            await call_next()
            order.append(f"{layer} {name} done")

        marks = {"agent": agent_middleware, "chat": chat_middleware, "function": function_middleware}
        return marks[layer](middleware)

    agent = Agent(
        "desk",
        tools=[add],
        model=five(),
        middleware=[around(layer, name) for name in "ab" for layer in ("function", "chat", "agent")],
    )
    more = [around(layer, "run") for layer in ("chat", "agent", "function")]
    assert (await answer(agent, stream=stream, middleware=more)).text == "It is 5."

    def onion(layer: str) -> list[str]:
        names = ["a", "b", "run"]
        return [f"{layer} {name}" for name in names] + [f"{layer} {name} done" for name in reversed(names)]

    inner = onion("chat") + onion("function") + onion("chat")
    if stream:
        assert order == onion("agent") + inner
    else:
        assert order == onion("agent")[:3] + inner + onion("agent")[3:]


def test_the_first_parameters_annotation_says_the_layer() -> None:
    async def one(context: AgentContext, call_next: CallNext) -> None: ...

    class Two:
        async def __call__(self, context: ChatContext, call_next: CallNext) -> None: ...

    async def three(context: FunctionContext, call_next: CallNext) -> None: ...

    async def unknown(context, call_next) -> None: ...  # type: ignore[no-untyped-def]

    two = Two()
    layers = Agent("desk", middleware=[three, two, one]).layers
    assert (layers["agent"], layers["chat"], layers["function"]) == ((one,), (two,), (three,))
    with pytest.raises(ValueError, match="'unknown' does not say"):
        Agent("desk", middleware=[unknown])


@BOTH
async def test_agent_middleware_sees_and_changes_the_words_that_are_asked(stream: bool) -> None:
    async def politely(context: AgentContext, call_next: CallNext) -> None:
        assert (context.agent.name, context.stream) == ("desk", stream)
        context.messages = [Message("user", f"Please: {message.text}") for message in context.messages]
        await call_next()

    client = ScriptedChatClient(["Yes."])
    session = AgentSession()
    await answer(Agent("desk", model=client, middleware=[politely]), "Well?", stream=stream, session=session)
    assert plain(client.requests[0].messages) == [("user", "Please: Well?")]
    assert plain(session.messages)[0] == ("user", "Please: Well?")


async def test_agent_middleware_overwrites_the_response() -> None:
    async def shout(context: AgentContext, call_next: CallNext) -> None:
        await call_next()
        context.result = AgentResponse(context.result.text.upper())

    response = await Agent("desk", tools=[add], model=five(), middleware=[shout]).run("2+3?")
    assert response.text == "IT IS 5."


async def test_agent_middleware_changes_the_stream_and_the_final_response_is_what_was_told() -> None:
    async def shout(context: AgentContext, call_next: CallNext) -> None:
        await call_next()
        inner = context.result

        async def louder() -> AsyncGenerator[AgentResponseUpdate]:
            async with aclosing(inner):
                async for update in inner:
                    yield replace(update, contents=(Text(update.text.upper()),)) if update.text else update

        context.result = louder()

    agent = Agent("desk", tools=[add], model=five(), middleware=[shout])
    assert (await answer(agent, stream=True)).text == "IT IS 5."


async def test_agent_middleware_puts_another_stream_in_the_place_of_the_run() -> None:
    async def other(context: AgentContext, call_next: CallNext) -> None:
        async def told() -> AsyncGenerator[AgentResponseUpdate]:
            yield AgentResponseUpdate((Text("From the "),))
            yield AgentResponseUpdate((Text("cache."),))

        context.result = told()

    client = ScriptedChatClient([])
    response = await answer(Agent("desk", model=client, middleware=[other]), stream=True)
    assert (response.text, response.finish_reason) == ("From the cache.", "stop")
    assert client.opened == 0


async def test_leaving_a_changed_stream_closes_the_run_below_it() -> None:
    async def careless(context: AgentContext, call_next: CallNext) -> None:
        await call_next()
        inner = context.result

        async def passed_on() -> AsyncGenerator[AgentResponseUpdate]:
            async for update in inner:
                yield update

        context.result = passed_on()

    client = ScriptedChatClient(["One two three.", "Next."])
    agent = Agent("desk", model=client, middleware=[careless])
    session = AgentSession()
    async with agent.run("?", stream=True, session=session) as stream:
        async for _ in stream:
            break
    assert client.closed == 1
    assert not session.busy
    assert plain(session.messages) == [("user", "?"), ("assistant", "One ")]
    assert (await agent.run("And?", stream=True, session=session).get_final_response()).text == "Next."


@BOTH
@pytest.mark.parametrize(
    "result", ["Closed today.", Message("assistant", "Closed today."), AgentResponse("Closed today.")]
)
async def test_agent_middleware_ends_the_run_with_its_own_answer(stream: bool, result: Any) -> None:
    async def closed(context: AgentContext, call_next: CallNext) -> None:
        raise MiddlewareTermination(result=result)

    client = ScriptedChatClient([])
    session = AgentSession()
    response = await answer(Agent("desk", model=client, middleware=[closed]), stream=stream, session=session)
    assert response.text == CLOSED
    assert client.opened == 0
    assert not session.busy


@BOTH
@pytest.mark.parametrize("layer", ["agent", "chat"])
async def test_middleware_that_gives_nothing_is_told_so(stream: bool, layer: str) -> None:
    async def forgets(context: Any, call_next: CallNext) -> None: ...

    marked = agent_middleware(forgets) if layer == "agent" else chat_middleware(forgets)
    session = AgentSession()
    with pytest.raises(MiddlewareException, match="call_next"):
        await answer(Agent("desk", model=five(), middleware=[marked]), stream=stream, session=session)
    assert not session.busy


@BOTH
@pytest.mark.parametrize("layer", ["agent", "chat"])
@pytest.mark.parametrize("after", [False, True])
async def test_an_exception_of_middleware_comes_out_as_it_is(stream: bool, layer: str, after: bool) -> None:
    async def breaks(context: Any, call_next: CallNext) -> None:
        if after:
            await call_next()
        raise KeyError("mine")

    marked = agent_middleware(breaks) if layer == "agent" else chat_middleware(breaks)
    client = ScriptedChatClient(["One two three.", "Next."])
    agent = Agent("desk", model=client, middleware=[marked])
    session = AgentSession()
    with pytest.raises(KeyError):
        await answer(agent, stream=stream, session=session)
    assert not session.busy
    assert client.closed == client.opened
    assert (await agent.replace(middleware=(), model=ScriptedChatClient(["Yes."])).run("?", session=session)).text
    check_request(session.messages)


@BOTH
async def test_chat_middleware_sees_each_request_and_changes_it(stream: bool) -> None:
    steps: list[int] = []

    async def changes(context: ChatContext, call_next: CallNext) -> None:
        steps.append(context.step)
        context.messages.append(Message("user", f"step {context.step}"))
        await call_next()

    client = five()
    agent = Agent("desk", tools=[add], model=client, middleware=[changes])
    session = AgentSession()
    await answer(agent, stream=stream, session=session)
    assert steps == [0, 1]
    assert [request.messages[-1].text for request in client.requests] == ["step 0", "step 1"]
    assert roles(session.messages) == ["user", "assistant", "tool", "assistant"], "the conversation itself stays"


@BOTH
async def test_chat_middleware_changes_the_stream_of_the_model(stream: bool) -> None:
    async def shout(context: ChatContext, call_next: CallNext) -> None:
        await call_next()
        inner = context.result
        assert inner is not None

        async def louder() -> AsyncGenerator[ChatDelta]:
            async with aclosing(inner):
                async for delta in inner:
                    yield replace(delta, text=delta.text.upper())

        context.result = louder()

    response = await answer(Agent("desk", tools=[add], model=five(), middleware=[shout]), stream=stream)
    assert response.text == response.messages[-1].text == "IT IS 5."


@BOTH
async def test_a_stream_that_chat_middleware_drops_is_closed(stream: bool) -> None:
    async def other(context: ChatContext, call_next: CallNext) -> None:
        await call_next()

        async def deltas() -> AsyncGenerator[ChatDelta]:
            yield ChatDelta("Mine.", finish_reason="stop")

        context.result = deltas()

    client = ScriptedChatClient(["One two three."])
    assert (await answer(Agent("desk", model=client, middleware=[other]), stream=stream)).text == "Mine."
    for _ in range(3):
        await asyncio.sleep(0)
    assert client.closed == 1


@BOTH
async def test_an_empty_stream_of_chat_middleware_is_an_empty_answer(stream: bool) -> None:
    async def empty(context: ChatContext, call_next: CallNext) -> None:
        context.result = nothing()

    assert (await answer(Agent("desk", model=five(), middleware=[empty]), stream=stream)).messages == ()


@BOTH
async def test_chat_middleware_answers_in_the_models_place(stream: bool) -> None:
    async def cached(context: ChatContext, call_next: CallNext) -> None:
        raise MiddlewareTermination(result="From the cache.")

    client = ScriptedChatClient([])
    session = AgentSession()
    response = await answer(Agent("desk", model=client, middleware=[cached]), stream=stream, session=session)
    assert (response.text, response.finish_reason) == ("From the cache.", "stop")
    assert client.opened == 0
    assert plain(session.messages) == [("user", "2+3?"), ("assistant", "From the cache.")]


@BOTH
async def test_function_middleware_changes_arguments_and_results(stream: bool) -> None:
    seen: list[tuple[str, dict[str, Any], str]] = []

    async def doubled(context: FunctionContext, call_next: CallNext) -> None:
        seen.append((context.tool.name, dict(context.arguments), context.session_id))
        context.arguments["a"] = 100
        await call_next()
        context.result = context.result * 2

    client = five()
    session = AgentSession("s1")
    await answer(Agent("desk", tools=[add], model=client, middleware=[doubled]), stream=stream, session=session)
    assert seen == [("add", {"a": 2, "b": 3}, "s1")]
    assert [result.text for result in results_of(session.messages)] == ["206"]


@BOTH
async def test_function_middleware_ends_the_tool_loop(stream: bool) -> None:
    async def stop(context: FunctionContext, call_next: CallNext) -> None:
        raise MiddlewareTermination(result="not now")

    client = five()
    session = AgentSession()
    response = await answer(Agent("desk", tools=[add], model=client, middleware=[stop]), stream=stream, session=session)
    assert [(result.status, result.text) for result in results_of(session.messages)] == [("ok", "not now")]
    assert client.opened == 1
    assert response.finish_reason == "stop"


async def test_an_exception_of_function_middleware_is_the_calls_failure() -> None:
    async def breaks(context: FunctionContext, call_next: CallNext) -> None:
        raise KeyError

    session = AgentSession()
    await Agent("desk", tools=[add], model=five(), middleware=[breaks]).run("2+3?", session=session)
    assert [result.status for result in results_of(session.messages)] == ["error"]


async def test_function_middleware_may_call_twice() -> None:
    tries: list[int] = []

    @tool
    async def shaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        return "ok"

    async def again(context: FunctionContext, call_next: CallNext) -> None:
        try:
            await call_next()
        except ConnectionError:
            await call_next()

    client = ScriptedChatClient([Reply(calls=(call("shaky"),)), "Done."])
    session = AgentSession()
    await Agent("desk", tools=[shaky], model=client, middleware=[again]).run("?", session=session)
    assert [result.text for result in results_of(session.messages)] == ["ok"]
