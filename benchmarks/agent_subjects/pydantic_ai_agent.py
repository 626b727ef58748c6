"""Pydantic AI."""

# mypy: disable-error-code="import-not-found, misc, untyped-decorator"

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from benchmarks.agent_subjects import script as said
from benchmarks.agent_subjects.script import Script

PACKAGES = ("pydantic-ai-slim", "openai")
IMPORTS = {
    "root": "import pydantic_ai",
    "agent": "from pydantic_ai import Agent, ModelRequest, Tool",
    "client": (
        "from pydantic_ai import Agent, ModelRequest, Tool\nfrom pydantic_ai.models.openai import OpenAIChatModel"
    ),
}


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class _Scripted:
    """The functions of the library's own FunctionModel."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def answer(self, messages: Any, info: Any) -> Any:
        if messages[-1].parts[-1].content == said.ASK:
            return ModelResponse(parts=[ToolCallPart("add", said.ARGUMENTS, said.CALL_ID)])
        return ModelResponse(parts=[TextPart(said.ANSWER)])

    async def stream(self, messages: Any, info: Any) -> AsyncGenerator[Any]:
        with self._script:
            if messages[-1].parts[-1].content == said.ASK:
                yield {0: DeltaToolCall("add", said.ARGUMENTS, tool_call_id=said.CALL_ID)}
                return
            for word in said.WORDS:
                if self._script.word_s:
                    await asyncio.sleep(self._script.word_s)
                yield word


class _PydanticAI:
    def __init__(self, model: Any, script: Script) -> None:
        self._script = script
        self._model = model
        self._scripted = _Scripted(script)
        if model is None:
            model = FunctionModel(self._scripted.answer, stream_function=self._scripted.stream, model_name="bench")
        self._agent = Agent(model, instructions=said.INSTRUCTIONS, tools=[add])
        self._past = [
            ModelResponse(parts=[TextPart(text)]) if place % 2 else ModelRequest(parts=[UserPromptPart(text)])
            for place, text in enumerate(said.PAST)
        ]

    def closed(self) -> int:
        return self._script.closed

    async def turn(self, ask: str, *, past: bool = False) -> str:
        result = await self._agent.run(ask, message_history=self._past if past else None)
        return str(result.output)

    async def stream(self, ask: str, results: list[Any] | None = None) -> AsyncGenerator[str]:
        async with self._agent.run_stream(ask) as result:
            if results is not None:
                results.append(result)
            try:
                async for text in result.stream_text(delta=True, debounce_by=None):
                    yield text
            finally:
                if not result.is_complete:
                    await result.cancel()

    async def model_alone(self, ask: str, *, stream: bool) -> None:
        for asked in (ask, "") if ask == said.ASK else (ask,):
            messages = [ModelRequest(parts=[UserPromptPart(asked)])]
            if stream:
                async for _ in self._scripted.stream(messages, None):
                    pass
            else:
                await self._scripted.answer(messages, None)

    async def leave(self, *, close: bool) -> float:
        # It streams only inside a context manager: leaving the loop leaves that too.
        async with self._agent.run_stream(said.HELLO) as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                break
            left_at = said.now()
            if close:
                await result.cancel()
        return left_at

    async def cut(self, *, cancel: bool) -> list[tuple[str, str]]:
        # It keeps no conversations itself: what its result holds is what a program can keep.
        results: list[Any] = []
        await said.cut_short(self.stream(said.HELLO, results), cancel=cancel)
        return [
            (
                "assistant" if message.kind == "response" else "user",
                "".join(str(part.content) for part in message.parts),
            )
            for message in results[0].all_messages()
        ]

    async def aclose(self) -> None:
        if self._model is not None:
            await self._model.client.close()


def make(url: str | None, word_s: float) -> _PydanticAI:
    """An agent over a scripted model, or over the library's model of Chat Completions."""
    script = Script(word_s)
    if url is None:
        return _PydanticAI(None, script)
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return _PydanticAI(OpenAIChatModel("bench", provider=OpenAIProvider(base_url=url, api_key="none")), script)
