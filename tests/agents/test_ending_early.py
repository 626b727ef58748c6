"""A turn that ends early, in whatever way: the model is silent at once, no task is left, history tells the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from antiphon import Agent, Message
from antiphon.agents.middleware import AgentContext, CallNext, ChatContext
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import AgentInvalidRequestException
from antiphon.models.llm.scripted import ScriptedChatClient
from tests.agents.ending import FIVE, LONG, WAYS, WORDS, Way
from tests.agents.running import check_request, plain, roles


@pytest.mark.parametrize("way", WAYS)
def test_the_history_holds_what_was_heard_and_the_next_request_is_valid(way: Way) -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG, "Yes?"], clock=clock)
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock)
        stream = agent.run("Talk.", stream=True, session=session)
        await way(stream)
        assert clock.now() < 0.05 + 0.05
        assert (client.opened, client.closed, client.completed) == (1, 1, 0)
        assert len(asyncio.all_tasks()) == 1
        assert not session.busy
        said, heard = session.messages
        assert plain([said]) == [("user", "Talk.")]
        assert (heard.role, heard.text, heard.interrupted) == ("assistant", FIVE, True)
        assert (heard.generated_text, heard.author_name) == (FIVE, "desk")
        response = await stream.get_final_response()
        assert response.finish_reason == "interrupted"
        assert plain(response.messages) == [("assistant", FIVE)]

        assert (await agent.run("Stop.", session=session)).text == "Yes?"
        request = client.requests[-1].messages
        check_request(request)
        assert plain(request) == [("user", "Talk."), ("assistant", FIVE), ("user", "Stop.")]

    clock.run(main())


def test_a_dropped_stream_closes_itself() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        session = AgentSession(clock=clock)
        async for _ in Agent("desk", model=client).run("Talk.", stream=True, session=session):
            break
        for _ in range(10):
            await asyncio.sleep(0)
        assert client.closed == 1
        assert not session.busy
        assert len(asyncio.all_tasks()) == 1
        assert plain(session.messages) == [("user", "Talk."), ("assistant", "w0 ")]

    clock.run(main())


def test_a_stream_that_nobody_reads_is_closed_by_the_next_turn() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG, "Yes?"], clock=clock)
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock)
        kept = agent.run("Talk.", stream=True, session=session)
        async for _ in kept:
            break
        assert session.busy
        assert client.closed == 0
        assert (await agent.run("Stop.", session=session)).text == "Yes?"
        assert client.closed == 2
        assert plain(client.requests[-1].messages) == [("user", "Talk."), ("assistant", "w0 "), ("user", "Stop.")]
        assert (await kept.get_final_response()).text == "w0 "

    clock.run(main())


def test_a_stream_that_is_being_read_makes_the_session_busy() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock)
        stream = agent.run("Talk.", stream=True, session=session)
        task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(0.015)
        with pytest.raises(AgentInvalidRequestException) as caught:
            await agent.run("Stop.", session=session)
        assert caught.value.code == "session_busy"
        assert client.opened == 1
        assert (await task).text == " ".join(WORDS)

    clock.run(main())


def test_a_history_that_hangs_holds_up_the_end_for_two_seconds_only() -> None:
    clock = VirtualClock()

    class Hanging:
        async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
            return []

        async def append(self, session_id: str, messages: Sequence[Message]) -> None:
            if messages[0].role == "assistant":
                await clock.sleep(60)

        async def replace(self, session_id: str, message_id: str, message: Message) -> None: ...

        async def clear(self, session_id: str) -> None: ...

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        session = AgentSession(clock=clock, history=Hanging())
        stream = Agent("desk", model=client).run("Talk.", stream=True, session=session)
        async for _ in stream:
            break
        await stream.aclose()
        assert clock.now() == pytest.approx(2.0)
        assert client.closed == 1
        assert not session.busy
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


def test_the_next_turn_waits_for_the_words_of_a_cancelled_one() -> None:
    clock = VirtualClock()

    class Slow:
        async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
            return []

        async def append(self, session_id: str, messages: Sequence[Message]) -> None:
            await clock.sleep(0.5)

        async def replace(self, session_id: str, message_id: str, message: Message) -> None: ...

        async def clear(self, session_id: str) -> None: ...

    async def main() -> None:
        client = ScriptedChatClient([LONG, "Yes?"], clock=clock)
        agent = Agent("desk", model=client)
        session = AgentSession(clock=clock, history=Slow())
        task = asyncio.create_task(agent.run("Talk.", session=session))
        await clock.sleep(0.505)
        task.cancel()
        await asyncio.sleep(0)
        assert (await agent.run("Stop.", session=session)).text == "Yes?"
        assert task.cancelled()
        assert plain(client.requests[-1].messages) == [("user", "Talk."), ("assistant", "w0 "), ("user", "Stop.")]

    clock.run(main())


def test_closing_from_two_sides_and_again_is_harmless() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        session = AgentSession(clock=clock)
        stream = Agent("desk", model=client).run("Talk.", stream=True, session=session)
        task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(0.025)
        await asyncio.gather(stream.interrupt(), stream.aclose(), session.aclose(), stream.aclose())
        await stream.aclose()
        await task
        assert client.closed == 1
        assert roles(session.messages) == ["user", "assistant"]
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())


def test_a_reader_that_is_cancelled_and_closed_at_once_is_cancelled() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        session = AgentSession(clock=clock)
        stream = Agent("desk", model=client).run("Talk.", stream=True, session=session)
        task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(0.025)
        closing = asyncio.create_task(stream.aclose())
        task.cancel()
        await asyncio.wait([task, closing])
        assert task.cancelled()
        assert not closing.cancelled()
        assert closing.exception() is None
        assert not session.busy

    clock.run(main())


def test_a_timeout_around_the_reader_still_works_after_an_interruption() -> None:
    clock = VirtualClock()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        stream = Agent("desk", model=client).run("Talk.", stream=True, session=AgentSession(clock=clock))

        async def read() -> float:
            async with asyncio.timeout(30):
                async for _ in stream:
                    pass
                await clock.sleep(1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await clock.sleep(60)
            return clock.now()

        task = asyncio.create_task(read())
        await clock.sleep(0.025)
        await stream.aclose()
        assert await task == pytest.approx(3.025)

    clock.run(main())


async def test_a_stream_that_is_closed_before_it_was_read_never_begins() -> None:
    for how in ("aclose", "interrupt"):
        client = ScriptedChatClient(["Hello."])
        session = AgentSession()
        stream = Agent("desk", model=client).run("Talk.", stream=True, session=session)
        await (stream.aclose() if how == "aclose" else stream.interrupt(heard_text=""))
        response = await stream.get_final_response()
        assert (response.text, response.finish_reason) == ("", "interrupted")
        assert client.opened == 0
        assert session.messages == []


@pytest.mark.parametrize("way", WAYS)
def test_middleware_around_the_turn_changes_nothing_of_its_end(way: Way) -> None:
    clock = VirtualClock()

    async def agent_layer(context: AgentContext, call_next: CallNext) -> None:
        await call_next()

    async def chat_layer(context: ChatContext, call_next: CallNext) -> None:
        await call_next()

    async def main() -> None:
        client = ScriptedChatClient([LONG], clock=clock)
        session = AgentSession(clock=clock)
        agent = Agent("desk", model=client, middleware=[agent_layer, chat_layer])
        stream = agent.run("Talk.", stream=True, session=session)
        await way(stream)
        assert (client.opened, client.closed, session.busy) == (1, 1, False)
        assert plain(session.messages) == [("user", "Talk."), ("assistant", FIVE)]
        assert (await stream.get_final_response()).finish_reason == "interrupted"
        assert len(asyncio.all_tasks()) == 1

    clock.run(main())
