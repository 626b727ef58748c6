"""A model that fails is asked again before its first word, and never after it."""

from __future__ import annotations

import asyncio

import pytest

from antiphon import Agent
from antiphon.agents.limits import RunLimits
from antiphon.agents.middleware import CallNext, ChatContext
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import (
    ChatClientContentFilterException,
    ChatClientInvalidRequestException,
    ChatClientUnavailableException,
)
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import add, check_request, plain, ran, roles

BUSY = ChatClientUnavailableException("busy")
REFUSED = ChatClientInvalidRequestException("no calls, please", status_code=400)


def asked_again(replies: list[str | Reply]) -> tuple[float, ScriptedChatClient, list[str]]:
    clock = VirtualClock()
    client = ScriptedChatClient(replies, clock=clock)
    done = clock.run(ran(Agent("desk", tools=[add]), client, clock=clock))
    return clock.now(), client, [update.text for update in done.updates]


def test_it_waits_a_little_and_asks_the_same_again() -> None:
    waited, client, texts = asked_again([Reply(fault=BUSY), "Here I am."])
    assert texts == ["Here ", "I ", "am."]
    assert 0.25 <= waited <= 0.3125
    assert client.requests[0] == client.requests[1]
    assert client.closed == 2


def test_it_waits_as_long_as_the_provider_says() -> None:
    waited, _, _ = asked_again([Reply(fault=ChatClientUnavailableException("busy", retry_after_s=0.9)), "Here."])
    assert waited == pytest.approx(0.9)


def test_each_step_has_its_own_attempts() -> None:
    replies = [Reply(fault=BUSY), Reply(calls=(call("add", a=1, b=1),)), Reply(fault=BUSY), "Two."]
    _, client, texts = asked_again(replies)
    assert texts[-1] == "Two."
    assert len(client.requests) == 4


@pytest.mark.parametrize(
    ("replies", "requests"),
    [
        ([Reply(fault=BUSY), Reply(fault=BUSY), "no"], 2),
        ([Reply("One word", fault=BUSY, fault_after=1), "no"], 1),
        ([Reply(fault=ChatClientUnavailableException("x", retryable=False)), "no"], 1),
        ([Reply(fault=ChatClientUnavailableException("x", retry_after_s=1.1)), "no"], 1),
        ([Reply(fault=ChatClientContentFilterException("x")), "no"], 1),
        ([Reply(fault=REFUSED), "no"], 1),
    ],
)
def test_what_cannot_be_helped_comes_out(replies: list[str | Reply], requests: int) -> None:
    clock = VirtualClock()
    client = ScriptedChatClient(replies, clock=clock)
    session = AgentSession(clock=clock)

    async def main() -> None:
        with pytest.raises(
            (ChatClientUnavailableException, ChatClientContentFilterException, ChatClientInvalidRequestException)
        ):
            await Agent("desk", model=client).run("?", session=session)
        assert plain(session.messages) == [("user", "?")]
        assert not session.busy

    clock.run(main())
    assert len(client.requests) == client.closed == requests


def test_the_end_of_the_runs_time_ends_the_wait() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([Reply(fault=ChatClientUnavailableException("x", retry_after_s=0.9)), "no"])
        agent = Agent("desk", model=client, limits=RunLimits(max_seconds=0.5))
        response = await agent.run("?", session=AgentSession(clock=clock))
        assert (response.limit_hit, clock.now()) == ("max_seconds", 0.5)
        assert len(client.requests) == 1

    clock.run(main())


def test_cancelling_in_the_wait_is_a_cancellation() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([Reply(fault=BUSY), "no"])
        task = asyncio.create_task(Agent("desk", model=client).run("?", session=AgentSession(clock=clock)))
        await clock.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


async def test_a_request_that_is_refused_goes_once_more_without_its_calls() -> None:
    client = ScriptedChatClient([Reply("Hm.", calls=(call("add", a=1, b=1),)), Reply(fault=REFUSED), "Two."])
    session = AgentSession()
    response = await Agent("desk", "Be kind.", tools=[add], model=client).run("1+1?", session=session)
    assert response.text == "Hm. Two."
    refused, plainly = client.requests[1].messages, client.requests[2].messages
    assert roles(refused) == ["system", "user", "assistant", "tool"]
    assert plain(plainly) == [("system", "Be kind."), ("user", "1+1?"), ("assistant", "Hm.")]
    check_request(plainly)
    assert roles(session.messages) == ["user", "assistant", "tool", "assistant"], "the record keeps the call"


async def test_a_second_refusal_comes_out() -> None:
    client = ScriptedChatClient(
        [Reply(calls=(call("add", a=1, b=1),)), Reply(fault=REFUSED), Reply(fault=REFUSED), "no"]
    )
    session = AgentSession()
    with pytest.raises(ChatClientInvalidRequestException):
        await Agent("desk", tools=[add], model=client).run("1+1?", session=session)
    assert len(client.requests) == 3
    assert roles(session.messages) == ["user", "assistant", "tool"]


async def test_a_context_that_is_too_long_is_no_reason_to_drop_the_calls() -> None:
    fault = ChatClientInvalidRequestException("too long", code="context_length_exceeded")
    client = ScriptedChatClient([Reply(calls=(call("add", a=1, b=1),)), Reply(fault=fault), "no"])
    with pytest.raises(ChatClientInvalidRequestException):
        await Agent("desk", tools=[add], model=client).run("1+1?")
    assert len(client.requests) == 2


async def test_chat_middleware_is_around_the_mended_request_too() -> None:
    seen: list[int] = []

    async def count(context: ChatContext, call_next: CallNext) -> None:
        seen.append(len(context.messages))
        await call_next()

    client = ScriptedChatClient([Reply(calls=(call("add", a=1, b=1),)), Reply(fault=REFUSED), "Two."])
    agent = Agent("desk", tools=[add], model=client, middleware=[count])
    assert (await agent.run("1+1?")).text == "Two."
    assert seen == [1, 3, 1]
    assert len(client.requests) == client.closed == 3
