"""Microsoft's Agent Framework."""

# mypy: disable-error-code="import-not-found, misc, untyped-decorator"

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    Message,
    tool,
)
from agent_framework.observability import ChatTelemetryLayer

from benchmarks.agent_subjects import script as said
from benchmarks.agent_subjects.script import Script

PACKAGES = ("agent-framework-core", "agent-framework-openai", "openai")
IMPORTS = {
    "root": "import agent_framework",
    "agent": "from agent_framework import Agent, Message, tool",
    "client": (
        "from agent_framework import Agent, Message, tool\n"
        "from agent_framework_openai import OpenAIChatCompletionClient"
    ),
}


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class _Scripted(FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, BaseChatClient):
    """Made of the layers that the library's own clients have."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_: Any) -> Any:
        asked = messages[-1].text
        return self._build_response_stream(self.deltas(asked)) if stream else self.answer(asked)

    async def deltas(self, asked: str) -> AsyncGenerator[Any]:
        with self._script:
            if asked == said.ASK:
                yield ChatResponseUpdate(contents=[_call()], role="assistant", finish_reason="tool_calls")
                return
            for word in said.WORDS:
                if self._script.word_s:
                    await asyncio.sleep(self._script.word_s)
                yield ChatResponseUpdate(contents=[Content.from_text(word)], role="assistant")

    async def answer(self, asked: str) -> Any:
        if asked == said.ASK:
            return ChatResponse(messages=[Message("assistant", [_call()])], finish_reason="tool_calls")
        return ChatResponse(messages=[Message("assistant", [said.ANSWER])], finish_reason="stop")


def _call() -> Any:
    return Content.from_function_call(said.CALL_ID, "add", arguments=said.ARGUMENTS)


class _AgentFramework:
    def __init__(self, client: Any, script: Script) -> None:
        self._client = client
        self._script = script
        self._agent = Agent(client, said.INSTRUCTIONS, name="adder", tools=[add])
        self._past = [Message(("user", "assistant")[place % 2], [text]) for place, text in enumerate(said.PAST)]

    def closed(self) -> int:
        return self._script.closed

    async def turn(self, ask: str, *, past: bool = False) -> str:
        response = await self._agent.run([*self._past, Message("user", [ask])] if past else ask)
        return str(response.text)

    async def stream(self, ask: str, session: Any = None) -> AsyncGenerator[str]:
        async with self._agent.run(ask, stream=True, session=session) as stream:
            async for update in stream:
                if update.text:
                    yield update.text

    async def model_alone(self, ask: str, *, stream: bool) -> None:
        for asked in (ask, "") if ask == said.ASK else (ask,):
            if stream:
                async for _ in self._client.deltas(asked):
                    pass
            else:
                await self._client.answer(asked)

    async def leave(self, *, close: bool) -> float:
        stream = self._agent.run(said.HELLO, stream=True)
        async for update in stream:
            if update.text:
                break
        left_at = said.now()
        if close:
            await stream.close()
        return left_at

    async def cut(self, *, cancel: bool) -> list[tuple[str, str]]:
        session = self._agent.create_session()
        await said.cut_short(self.stream(said.HELLO, session), cancel=cancel)
        kept = session.state.get("in_memory", {}).get("messages", [])
        return [(message.role, message.text) for message in kept]

    async def aclose(self) -> None:
        if not isinstance(self._client, _Scripted):
            await self._client.client.close()


def make(url: str | None, word_s: float) -> _AgentFramework:
    """An agent over a scripted client, or over the library's client of Chat Completions."""
    script = Script(word_s)
    if url is None:
        return _AgentFramework(_Scripted(script), script)
    from agent_framework_openai import OpenAIChatCompletionClient

    return _AgentFramework(OpenAIChatCompletionClient(model="bench", api_key="none", base_url=url), script)
