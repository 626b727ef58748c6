"""What context providers bring into a run, in which order, and what it costs when one fails."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.context import RunContext
from antiphon.agents.middleware import CallNext, ChatContext
from antiphon.agents.responses import AgentResponse
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import AgentException, ChatClientUnavailableException, IntegrationUnavailableException
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import check_request, plain, results_of


class Provider:
    """Notes when it is asked and told."""

    def __init__(self, source_id: str, log: list[str], **options: Any) -> None:
        self.source_id = source_id
        self.log = log
        self.seen: list[tuple[AgentResponse | None, BaseException | None]] = []
        for name, value in options.items():
            setattr(self, name, value)

    async def before_run(self, context: RunContext) -> None:
        self.log.append(f"before {self.source_id}")

    async def after_run(self, context: RunContext, response: AgentResponse | None, error: BaseException | None) -> None:
        self.log.append(f"after {self.source_id}")
        self.seen.append((response, error))


async def test_they_are_asked_in_order_and_told_in_reverse() -> None:
    log: list[str] = []
    providers = [Provider("a", log), Provider("b", log)]
    agent = Agent("desk", model=ScriptedChatClient(["Yes."]), context_providers=providers)
    response = await agent.run("Well?")
    assert log == ["before a", "before b", "after b", "after a"]
    assert providers[0].seen == [(response, None)]


async def test_what_they_bring_stands_in_the_request_and_not_in_the_history() -> None:
    @tool
    async def look_up() -> str:
        return "found"

    asked: list[int] = []

    async def counting(context: ChatContext, call_next: CallNext) -> None:
        asked.append(len(context.messages))
        await call_next()

    class Memory(Provider):
        async def before_run(self, context: RunContext) -> None:
            assert [message.text for message in context.messages][-1:] == ["Who am I?"]
            assert context.session_id == "s1"
            context.add_instructions("Use what you know.")
            context.add_messages([Message("user", "(They are Ada.)")])
            context.add_messages([Message("user", "(Kept.)")], keep=True)
            context.add_tools([look_up])
            context.add_middleware([counting])
            context.state["runs"] = context.state.get("runs", 0) + 1

    client = ScriptedChatClient([Reply(calls=(call("look_up"),)), "Ada.", "Ada."])
    agent = Agent("desk", "Be kind.", model=client, context_providers=[Memory("memory", [])])
    session = AgentSession("s1", [Message("user", "Hi."), Message("assistant", "Hello.")])
    await agent.run("Who am I?", session=session)
    first = client.requests[0].messages
    assert first[0].text == "Be kind.\n\nUse what you know."
    assert plain(first[1:3]) == [("user", "Hi."), ("assistant", "Hello.")]
    assert first[3].text.split("\n") == ["(Kept.)", "(They are Ada.)", "Who am I?"]
    assert [spec.name for spec in client.requests[0].options.tools] == ["look_up"]
    assert [result.text for result in results_of(session.messages)] == ["found"]
    assert asked == [4, 6]
    assert [message.text for message in session.messages[2:4]] == ["(Kept.)", "Who am I?"]
    assert "Ada.)" not in "".join(message.text for message in session.messages)
    await agent.run("Who am I?", session=session)
    assert session.state == {"memory": {"runs": 2}}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("trouble", ["raises", "hangs", "raises its own"])
def test_one_that_fails_ends_this_run_or_is_left_out(on_error: Literal["fail", "skip"], trouble: str) -> None:
    clock = VirtualClock()

    class Broken(Provider):
        async def before_run(self, context: RunContext) -> None:
            if context.session_id != "bad":
                return
            if trouble == "hangs":
                await clock.sleep(60)
            if trouble == "raises":
                raise KeyError("secret")
            raise IntegrationUnavailableException("The memory is down.")

    async def main() -> None:
        log: list[str] = []
        provider = Broken("memory", log, on_error=on_error)
        client = ScriptedChatClient(lambda _messages, _options: "Yes.")
        agent = Agent("desk", model=client, context_providers=[provider, Provider("other", log)])
        bad, good = AgentSession("bad", clock=clock), AgentSession("good", clock=clock)
        runs = await asyncio.gather(agent.run("?", session=bad), agent.run("?", session=good), return_exceptions=True)
        assert clock.now() == (2.0 if trouble == "hangs" else 0.0)
        assert isinstance(runs[1], AgentResponse)
        assert not bad.busy
        if on_error == "skip":
            assert isinstance(runs[0], AgentResponse)
            assert log.count("before other") == 2
            return
        assert isinstance(runs[0], IntegrationUnavailableException if trouble == "raises its own" else AgentException)
        assert len(client.requests) == 1
        if trouble != "raises its own":
            assert "memory" in str(runs[0])
            assert getattr(runs[0], "code", "") == "provider_failed"

    clock.run(main())


def test_its_own_time_counts() -> None:
    clock = VirtualClock()

    class Slow(Provider):
        async def before_run(self, context: RunContext) -> None:
            await clock.sleep(5)

    async def main() -> None:
        for timeout_s, on_error, ends_at in ((9.0, "fail", 5.0), (3.0, "skip", 8.0)):
            provider = Slow("slow", [], timeout_s=timeout_s, on_error=on_error)
            agent = Agent("desk", model=ScriptedChatClient(["Yes."]), context_providers=[provider])
            await agent.run("?", session=AgentSession(clock=clock))
            assert clock.now() == ends_at

    clock.run(main())


async def test_they_are_told_of_a_run_that_fails() -> None:
    provider = Provider("memory", [])
    fault = ChatClientUnavailableException("down", retryable=False)
    agent = Agent("desk", model=ScriptedChatClient([Reply(fault=fault)]), context_providers=[provider])
    with pytest.raises(ChatClientUnavailableException):
        await agent.run("?")
    assert provider.seen == [(None, fault)]


@pytest.mark.parametrize("way", ["cancel", "aclose"])
def test_they_are_told_of_a_run_that_ends_early(way: str) -> None:
    clock = VirtualClock()

    async def main() -> None:
        provider = Provider("memory", [])
        client = ScriptedChatClient([Reply("One two three", token_s=1)], clock=clock)
        agent = Agent("desk", model=client, context_providers=[provider])
        stream = agent.run("?", stream=True, session=AgentSession(clock=clock))
        task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(1.5)
        if way == "cancel":
            task.cancel()
        else:
            await stream.aclose()
        await asyncio.wait([task])
        ((response, error),) = provider.seen
        assert response is None
        assert isinstance(error, asyncio.CancelledError)

    clock.run(main())


async def test_one_that_fails_afterwards_costs_nothing_but_its_own_work() -> None:
    class Forgetful(Provider):
        async def after_run(
            self, context: RunContext, response: AgentResponse | None, error: BaseException | None
        ) -> None:
            raise KeyError

    log: list[str] = []
    providers = [Provider("a", log), Forgetful("b", log)]
    agent = Agent("desk", model=ScriptedChatClient(["Yes."]), context_providers=providers)
    assert (await agent.run("?")).text == "Yes."
    assert log == ["before a", "before b", "after a"]


async def test_one_that_fails_afterwards_with_an_error_of_ours_costs_nothing_else_either() -> None:
    class Down(Provider):
        async def after_run(
            self, context: RunContext, response: AgentResponse | None, error: BaseException | None
        ) -> None:
            raise IntegrationUnavailableException("The memory is down.")

    log: list[str] = []
    providers = [Provider("a", log), Down("b", log)]
    agent = Agent("desk", model=ScriptedChatClient(["Yes."]), context_providers=providers)
    session = AgentSession()
    assert (await agent.run("?", session=session)).text == "Yes."
    assert log[-1] == "after a"
    assert not session.busy


def test_two_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="source_id 'a'"):
        Agent("desk", context_providers=[Provider("a", []), Provider("a", [])])


async def test_messages_of_a_provider_do_not_tear_a_call_from_its_result() -> None:
    class Memory(Provider):
        async def before_run(self, context: RunContext) -> None:
            context.add_messages([Message("user", "(They are Ada.)")])

    @tool(approval_mode="always_require")
    async def pay() -> str:
        return "paid"

    client = ScriptedChatClient([Reply(calls=(call("pay"),)), "Done."])
    agent = Agent("desk", tools=[pay], model=client, context_providers=[Memory("memory", [])])
    session = AgentSession()
    (request,) = (await agent.run("Pay.", session=session)).user_input_requests
    await agent.run(request.approve(), session=session)
    sent = client.requests[-1].messages
    check_request(sent)
    assert "(They are Ada.)" in "".join(message.text for message in sent)
