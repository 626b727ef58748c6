"""While the caller speaks, a model of our own reads what was said so far."""

from __future__ import annotations

from collections.abc import Sequence

from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.clock import VirtualClock
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import ScriptedChatClient


class Reader(ScriptedChatClient):
    """Takes a long time to read."""

    def __init__(self, clock: VirtualClock, *, takes_s: float) -> None:
        super().__init__(["At nine.", "At one."], clock=clock)
        self.read: list[list[Message]] = []
        self.finished = 0
        self._time = clock
        self._takes_s = takes_s

    async def prefill(self, messages: Sequence[Message], options: ChatOptions) -> None:
        self.read.append(list(messages))
        await self._time.sleep(self._takes_s)
        self.finished += 1


def two_turns(takes_s: float) -> tuple[CallUnderTest, Reader]:
    clock = VirtualClock()
    client = Reader(clock, takes_s=takes_s)

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", "Be kind.", greeting="Hello.")
        async with calling(clock, agent=agent, stt=["When do you open?", "And close?"], llm=client) as call:
            for _ in range(2):
                await call.quiet(2)
                await call.speak(1)
            await call.quiet(2)
        return call

    return clock.run(scenario()), client


def test_what_was_said_so_far_is_read_when_the_caller_begins_to_speak() -> None:
    _, client = two_turns(0.1)
    assert [message.text for message in client.read[0]] == ["Be kind.", "Hello."]
    assert [message.text for message in client.read[1]] == ["Be kind.", "Hello.", "When do you open?", "At nine."]
    assert client.finished == 2
    for read, request in zip(client.read, client.requests, strict=True):
        assert list(request.messages[: len(read)]) == read  # the request only adds to what was read


def test_a_request_does_not_wait_for_the_reading() -> None:
    call, client = two_turns(60.0)
    assert len(client.read) == 2
    assert client.finished == 0
    assert [message.text for message in call.call.history.messages if message.role == "assistant"][-1] == "At one."
