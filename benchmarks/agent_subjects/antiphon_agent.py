"""Antiphon."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from antiphon import Agent, Message, tool
from antiphon.agents.session import AgentSession
from antiphon.models.llm.contract import ChatClient, ChatOptions
from antiphon.models.llm.openai_compatible import OpenAICompatibleClient
from antiphon.models.llm.scripted import Reply, ScriptedChatClient, call
from benchmarks.agent_subjects import script as said

PACKAGES = ("antiphon",)
IMPORTS = {
    "root": "import antiphon",
    "agent": "from antiphon import Agent, Message, tool",
    "client": (
        "from antiphon import Agent, Message, tool\n"
        "from antiphon.models.llm.openai_compatible import OpenAICompatibleClient"
    ),
}


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class _Antiphon:
    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self._agent = Agent("adder", said.INSTRUCTIONS, tools=[add], model=client)
        self._past = [Message("assistant" if place % 2 else "user", text) for place, text in enumerate(said.PAST)]

    def closed(self) -> int:
        assert isinstance(self._client, ScriptedChatClient)
        return self._client.closed

    async def turn(self, ask: str, *, past: bool = False) -> str:
        response = await self._agent.run([*self._past, Message("user", ask)] if past else ask)
        return response.text

    async def stream(self, ask: str, session: AgentSession | None = None) -> AsyncGenerator[str]:
        async with self._agent.run(ask, stream=True, session=session) as stream:
            async for update in stream:
                if update.text:
                    yield update.text

    async def model_alone(self, ask: str, *, stream: bool) -> None:
        for asked in (ask, "") if ask == said.ASK else (ask,):
            # It always streams, also where the turn is not.
            async for _ in self._client.stream([Message("user", asked)], ChatOptions()):
                pass

    async def leave(self, *, close: bool) -> float:
        stream = self._agent.run(said.HELLO, stream=True)
        async for update in stream:
            if update.text:
                break
        left_at = said.now()
        if close:
            await stream.aclose()
        return left_at

    async def cut(self, *, cancel: bool) -> list[tuple[str, str]]:
        session = AgentSession()
        await said.cut_short(self.stream(said.HELLO, session), cancel=cancel)
        return [(message.role, message.text) for message in session.messages]

    async def aclose(self) -> None:
        await self._client.aclose()


def make(url: str | None, word_s: float) -> _Antiphon:
    """An agent over the scripted client, or over the client of Chat Completions."""
    if url:
        return _Antiphon(OpenAICompatibleClient("bench", base_url=url, api_key="none"))
    asks = Reply(calls=(call("add", a=2, b=3),))
    answers = Reply(said.ANSWER, first_token_s=word_s, token_s=word_s)

    def reply(messages: Sequence[Message], options: ChatOptions) -> Reply:
        return asks if messages[-1].text == said.ASK else answers

    return _Antiphon(ScriptedChatClient(reply))
