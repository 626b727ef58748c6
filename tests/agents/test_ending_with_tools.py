"""A turn that ends while its tools run: every call gets one result, and none dangles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.session import AgentSession
from antiphon.agents.stream import ResponseStream
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from antiphon.tools.invoke import INTERRUPTED
from tests.agents.ending import Office
from tests.agents.running import check_request, results_of, roles


@pytest.mark.parametrize("way", ["interrupt", "interrupt_elsewhere", "aclose", "cancel", "close_elsewhere"])
@pytest.mark.parametrize("words", ["", "One moment."])
def test_ending_while_tools_run(way: str, words: str) -> None:
    clock = VirtualClock()
    keeps = way.startswith("interrupt")

    async def main() -> None:
        office = Office(clock)
        reply = Reply(words, calls=(call("book"), call("search"), call("quick")))
        client = ScriptedChatClient([reply, "All right.", "It is booked."], clock=clock)
        agent = Agent("desk", tools=office.tools, model=client)
        session = AgentSession(clock=clock)
        stream = agent.run("Book it.", stream=True, session=session)
        if way in ("interrupt", "aclose"):
            async for update in stream:
                if update.contents[0].type == "tool_finished":
                    break
            await (stream.interrupt() if way == "interrupt" else stream.aclose())
        else:
            task = asyncio.create_task(stream.get_final_response())
            await clock.sleep(1)
            if way == "cancel":
                task.cancel()
            elif way == "close_elsewhere":
                await stream.aclose()
            else:
                await stream.interrupt()
            await asyncio.wait([task])
            assert task.cancelled() is (way == "cancel")
        assert not session.busy
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == (2 if keeps else 1)
        before = clock.now()

        assert (await agent.run("Wait.", session=session)).text == "All right."
        assert clock.now() == before
        request = client.requests[-1].messages
        check_request(request)
        assert roles(request) == ["user", "assistant", "tool", "tool", "tool", "user"]
        assert request[1].text == words
        assert [result.text for result in results_of(request)] == [INTERRUPTED, INTERRUPTED, "quick"]

        await clock.sleep(10)
        assert office.done == (["book"] if keeps else [])
        assert len(asyncio.all_tasks()) == 1
        await agent.run("And?", session=session)
        request = client.requests[-1].messages
        check_request(request)
        texts = [result.text for result in results_of(request)]
        assert texts == ["booked" if keeps else INTERRUPTED, INTERRUPTED, "quick"]
        ids = [result.call_id for result in results_of(session.messages)]
        assert len(ids) == len(set(ids)) == 3, "a call has two results, or none"

    clock.run(main())


@pytest.mark.parametrize("keeps", [True, False])
def test_a_sync_tool_goes_on_after_an_interruption_and_is_abandoned_otherwise(keeps: bool) -> None:
    clock = VirtualClock()

    async def main() -> None:
        office = Office(clock)
        client = ScriptedChatClient([Reply(calls=(call("print_out"),)), "All right.", "Printed."], clock=clock)
        agent = Agent("desk", tools=[tool(office.print_out, timeout_s=300)], model=client)
        session = AgentSession(clock=clock)
        stream = agent.run("Print.", stream=True, session=session)
        async for update in stream:
            if update.contents[0].type == "tool_started":
                break
        assert await asyncio.to_thread(office.sync_started.wait, 30)
        await (stream.interrupt() if keeps else stream.aclose())
        await agent.run("Wait.", session=session)
        check_request(client.requests[-1].messages)
        assert [result.text for result in results_of(client.requests[-1].messages)] == [INTERRUPTED]
        office.gate.set()
        assert await asyncio.to_thread(office.sync_ended.wait, 30)
        while not session.tools({}).idle:  # noqa: ASYNC110 (the thread's result is on its way to the loop)
            await asyncio.sleep(0)
        await agent.run("And?", session=session)
        texts = [result.text for result in results_of(client.requests[-1].messages)]
        assert texts == ["printed" if keeps else INTERRUPTED]
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


def test_a_result_that_comes_while_the_turn_is_being_written_is_kept() -> None:
    clock = VirtualClock()

    class Slow:
        def __init__(self) -> None:
            self.kept: list[Message] = []

        async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
            return []

        async def append(self, session_id: str, messages: Sequence[Message]) -> None:
            await clock.sleep(1)
            self.kept += messages

        async def replace(self, session_id: str, message_id: str, message: Message) -> None: ...

        async def clear(self, session_id: str) -> None: ...

    async def main() -> None:
        office = Office(clock)
        client = ScriptedChatClient([Reply(calls=(call("book"),)), "It is booked."], clock=clock)
        agent = Agent("desk", tools=[office.book], model=client)
        history = Slow()
        session = AgentSession(clock=clock, history=history)
        task = asyncio.create_task(agent.run("Book it.", stream=True, session=session).get_final_response())
        await clock.sleep(3.5)
        stream = session.turn
        assert stream is not None
        stream.run.keep_tools = True  # type: ignore[union-attr]
        task.cancel()
        await asyncio.wait([task])
        await clock.sleep(5)
        assert roles(session.messages) == ["user", "assistant", "tool"]
        assert roles(history.kept) == ["user", "assistant", "tool"]
        await agent.run("And?", session=session)
        assert [result.text for result in results_of(client.requests[-1].messages)] == ["booked"]

    clock.run(main())


def test_a_tool_may_interrupt_its_own_turn() -> None:
    clock = VirtualClock()

    async def main() -> None:
        streams: list[ResponseStream] = []

        async def hang_up() -> str:
            await streams[0].interrupt()
            return "hung up"

        client = ScriptedChatClient([Reply("Bye.", calls=(call("hang_up"),)), "Yes?"], clock=clock)
        agent = Agent("desk", tools=[hang_up], model=client)
        session = AgentSession(clock=clock)
        streams.append(agent.run("Bye.", stream=True, session=session))
        assert (await streams[0].get_final_response()).finish_reason == "interrupted"
        await clock.sleep(1)
        assert [result.text for result in results_of(session.messages)] == ["hung up"]
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())
