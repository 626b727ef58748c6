"""The contract's suite, for every client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from antiphon.clock import WallClock
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from tests.llm.contract import ChatClientContract, HTTPContract
from tests.llm.vendors import USAGE, Anthropic, ChatCompletions, Google, Responses, Say


class TestChatCompletions(HTTPContract):
    wire = ChatCompletions()


class TestResponses(HTTPContract):
    wire = Responses()


class TestAnthropic(HTTPContract):
    wire = Anthropic()


class TestGoogle(HTTPContract):
    wire = Google()


class GatedClock(WallClock):
    def __init__(self, gate: asyncio.Event) -> None:
        self.gate = gate

    async def sleep(self, seconds: float) -> None:
        await self.gate.wait()


class TestScripted(ChatClientContract):
    @asynccontextmanager
    async def answering(self, *answers: Say) -> AsyncIterator[ChatClient]:
        yield ScriptedChatClient(
            [Reply("".join(say.texts), say.calls, finish_reason=say.finish, usage=USAGE) for say in answers]
        )

    @asynccontextmanager
    async def gated(self, gate: asyncio.Event, first: str, second: str) -> AsyncIterator[ChatClient]:
        yield ScriptedChatClient([Reply(first + second, token_s=1.0)], clock=GatedClock(gate))


class TwentyLines:
    """A client without a base class: this is all that it takes."""

    name = "own/echo"
    notice = None

    def __init__(self, *answers: Say, gate: asyncio.Event | None = None) -> None:
        self.answers = list(answers)
        self.gate = gate

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        say = self.answers.pop(0)
        for text in say.texts:
            yield ChatDelta(text)
            if self.gate is not None:
                await self.gate.wait()
        yield ChatDelta(calls=say.calls, finish_reason=say.reason, usage=USAGE)

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None: ...

    async def aclose(self) -> None: ...


class TestTwentyLines(ChatClientContract):
    @asynccontextmanager
    async def answering(self, *answers: Say) -> AsyncIterator[ChatClient]:
        yield TwentyLines(*answers)

    @asynccontextmanager
    async def gated(self, gate: asyncio.Event, first: str, second: str) -> AsyncIterator[ChatClient]:
        yield TwentyLines(Say((first, second)), gate=gate)


class TestFailover(TestTwentyLines):
    @asynccontextmanager
    async def answering(self, *answers: Say) -> AsyncIterator[ChatClient]:
        yield FailoverChatClient([TwentyLines(*answers), ScriptedChatClient([])])

    @asynccontextmanager
    async def gated(self, gate: asyncio.Event, first: str, second: str) -> AsyncIterator[ChatClient]:
        yield FailoverChatClient([TwentyLines(Say((first, second)), gate=gate)])
