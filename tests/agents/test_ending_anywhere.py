"""A turn may end at any point, in any way: what is left is always sound."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from antiphon import Agent, Message, tool
from antiphon.agents.handoff import Handoff
from antiphon.agents.session import AgentSession
from antiphon.clock import VirtualClock
from antiphon.errors import ToolException
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from tests.agents.running import check_request

UPDATES = 33
"""How many updates the whole turn tells."""


class Office:
    """A turn with everything in it: words, slow and quick and late and failing tools, and a handoff."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.stopped = False
        self.client = ScriptedChatClient(self.reply, clock=clock)

        async def book() -> str:
            """Book."""
            await clock.sleep(1)
            return "booked"

        @tool(cancel_on_interrupt=True)
        async def search() -> str:
            """Search."""
            await clock.sleep(0.5)
            return "found"

        @tool(wait="later")
        async def research() -> str:
            """Research."""
            await clock.sleep(0.7)
            return "researched"

        @tool(exclusive=True)
        async def alone() -> str:
            """Alone."""
            await clock.sleep(0.2)
            return "alone"

        async def fails() -> str:
            """Fail."""
            raise ToolException("No.")

        self.clerk = Agent("clerk", "You are the clerk.", tools=[search, alone], model=self.client)
        self.agent = Agent(
            "desk",
            "You are the desk.",
            tools=[book, search, research, alone, fails],
            handoffs=[Handoff(self.clerk)],
            fillers=["One moment."],
            model=self.client,
        )

    def reply(self, messages: Sequence[Message], _options: ChatOptions) -> str | Reply:
        check_request(messages)
        if self.stopped:
            return "Yes?"
        steps = sum(bool(message.calls) for message in messages)
        if steps == 0:
            calls = (call("book"), call("research"), call("search"), call("alone"), call("fails"), call("none"))
            return Reply("Let me see.", calls, first_token_s=0.1, token_s=0.1)
        if steps == 1:
            return Reply("", (call("search"), call("handoff_to_clerk", reason="work")), first_token_s=0.1)
        if steps == 2:
            return Reply("The clerk speaks.", (call("alone"), call("search")), first_token_s=0.1, token_s=0.1)
        return Reply("All is done now.", first_token_s=0.1, token_s=0.1)


async def check_what_is_left(office: Office, session: AgentSession, *, keeps: bool) -> None:
    """Sound at once, sound in the next turn, and sound when all tools have ended."""
    client = office.client
    assert not session.busy
    assert client.opened == client.closed
    for _ in range(5):
        await asyncio.sleep(0)
    late = [task for task in asyncio.all_tasks() if task.get_name() == "research"]
    if not keeps:
        assert len(asyncio.all_tasks()) == 1 + len(late)
    office.stopped = True
    for words in ("Stop.", "And now?"):
        assert (await office.agent.run(words, session=session)).text == "Yes?"
        sent = client.requests[-1].messages
        check_request(sent)
        assert words in sent[-1].text
        await office.clock.sleep(5)
    assert len(asyncio.all_tasks()) == 1
    await office.agent.run(None, session=session)

    asked = [each.call_id for message in session.messages for each in message.calls]
    answered = [message.result.call_id for message in session.messages if message.result is not None]
    assert len(asked) == len(set(asked))
    assert len(answered) == len(set(answered)), "a call has two results"
    assert set(answered) <= set(asked)
    for message in session.messages:
        if message.interrupted and message.generated_text is not None:
            assert message.generated_text.startswith(message.text)
    texts = [message.text for message in session.messages if message.role == "user"]
    assert texts == ["Do it all.", "Stop.", "And now?"]
    again = AgentSession.from_dict(session.to_dict())
    assert again.messages == session.messages


def test_the_whole_turn_tells_this_much() -> None:
    clock = VirtualClock()

    async def main() -> None:
        office = Office(clock)
        session = AgentSession(clock=clock)
        stream = office.agent.run("Do it all.", stream=True, session=session)
        updates = [update async for update in stream]
        assert len(updates) == UPDATES
        assert [update.seq for update in updates] == list(range(UPDATES))
        response = await stream.get_final_response()
        assert response.text == "Let me see. The clerk speaks. All is done now."
        assert "".join(update.text for update in updates) == response.text
        await check_what_is_left(office, session, keeps=False)

    clock.run(main())


@pytest.mark.parametrize("way", ["interrupt", "aclose", "break"])
@pytest.mark.parametrize("after", range(1, UPDATES + 1))
def test_a_turn_that_ends_after_any_update(after: int, way: str) -> None:
    clock = VirtualClock()

    async def main() -> None:
        office = Office(clock)
        session = AgentSession(clock=clock)
        told = ""
        async with office.agent.run("Do it all.", stream=True, session=session) as stream:
            seen = 0
            async for update in stream:
                told += update.text
                seen += 1
                if seen == after:
                    if way == "interrupt":
                        await stream.interrupt()
                    elif way == "aclose":
                        await stream.aclose()
                    break
        response = await stream.get_final_response()
        assert response.text == told
        assert response.finish_reason == "interrupted"
        await check_what_is_left(office, session, keeps=way == "interrupt")

    clock.run(main())


@pytest.mark.parametrize("way", ["interrupt", "aclose", "cancel", "cancel whole"])
@pytest.mark.parametrize("tenths", range(0, 42))
def test_a_turn_that_ends_at_any_time(tenths: int, way: str) -> None:
    clock = VirtualClock()

    async def main() -> None:
        office = Office(clock)
        session = AgentSession(clock=clock)
        if way == "cancel whole":
            task = asyncio.create_task(office.agent.run("Do it all.", session=session))
            stream = None
        else:
            stream = office.agent.run("Do it all.", stream=True, session=session)
            task = asyncio.create_task(stream.get_final_response())
        await clock.sleep(tenths / 10 + 0.05)
        over = task.done()
        if way == "interrupt" and stream is not None:
            await stream.interrupt()
        elif way == "aclose" and stream is not None:
            await stream.aclose()
        else:
            task.cancel()
        before = clock.now()
        await asyncio.wait([task])
        assert clock.now() - before < 0.05
        assert task.cancelled() is (way.startswith("cancel") and not over)
        await check_what_is_left(office, session, keeps=way == "interrupt")

    clock.run(main())
