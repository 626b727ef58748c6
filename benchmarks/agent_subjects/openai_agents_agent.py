"""OpenAI's Agents SDK."""

# mypy: disable-error-code="import-not-found, misc, untyped-decorator"

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from agents import (
    Agent,
    Model,
    ModelResponse,
    OpenAIChatCompletionsModel,
    RunConfig,
    Runner,
    SQLiteSession,
    Usage,
    function_tool,
)
from openai import AsyncOpenAI
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

from benchmarks.agent_subjects import script as said
from benchmarks.agent_subjects.script import Script

PACKAGES = ("openai-agents", "openai")
IMPORTS = {
    "root": "import agents",
    "agent": "from agents import Agent, ModelResponse, Runner, function_tool",
    "client": "from agents import Agent, ModelResponse, OpenAIChatCompletionsModel, Runner, function_tool",
}
# Its tracing would be sent to OpenAI; without it, it is as the other libraries are.
_CONFIG = RunConfig(tracing_disabled=True)


@function_tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class _Scripted(Model):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> Any:
        return await self.answer(_asked(input))

    def stream_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> Any:
        return self.events(_asked(input))

    async def answer(self, asked: str) -> Any:
        return ModelResponse(output=[_output(asked)], usage=Usage(requests=1), response_id=None)

    async def events(self, asked: str) -> AsyncGenerator[Any]:
        with self._script:
            output = _output(asked)
            number = 0
            if asked != said.ASK:
                for number, word in enumerate(said.WORDS):
                    if self._script.word_s:
                        await asyncio.sleep(self._script.word_s)
                    yield ResponseTextDeltaEvent(
                        content_index=0,
                        delta=word,
                        item_id="item",
                        logprobs=[],
                        output_index=0,
                        sequence_number=number,
                        type="response.output_text.delta",
                    )
            yield ResponseOutputItemDoneEvent(
                item=output, output_index=0, sequence_number=number + 1, type="response.output_item.done"
            )
            response = Response(
                id="response",
                created_at=0.0,
                model="bench",
                object="response",
                output=[output],
                parallel_tool_calls=False,
                tool_choice="auto",
                tools=[],
            )
            yield ResponseCompletedEvent(response=response, sequence_number=number + 2, type="response.completed")


def _asked(given: Any) -> str:
    """The last entry's text; that of a tool's result is of no matter."""
    return given if isinstance(given, str) else str(given[-1].get("content", ""))


def _output(asked: str) -> Any:
    if asked == said.ASK:
        return ResponseFunctionToolCall(
            arguments=said.ARGUMENTS, call_id=said.CALL_ID, name="add", type="function_call", id="item"
        )
    text = ResponseOutputText(annotations=[], text=said.ANSWER, type="output_text")
    return ResponseOutputMessage(id="item", content=[text], role="assistant", status="completed", type="message")


class _OpenAIAgents:
    def __init__(self, model: Any, script: Script, openai: Any = None) -> None:
        self._model = model
        self._script = script
        self._openai = openai
        self._agent = Agent(name="adder", instructions=said.INSTRUCTIONS, tools=[add], model=model)
        self._past = [
            {"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said.PAST)
        ]

    def closed(self) -> int:
        return self._script.closed

    async def turn(self, ask: str, *, past: bool = False) -> str:
        given = [*self._past, {"role": "user", "content": ask}] if past else ask
        result = await Runner.run(self._agent, given, run_config=_CONFIG)
        return str(result.final_output)

    async def stream(self, ask: str, session: Any = None) -> AsyncGenerator[str]:
        result = self._run(ask, session=session)
        try:
            async for event in result.stream_events():
                if text := _text(event):
                    yield text
        finally:
            if not result.is_complete:
                result.cancel()

    async def model_alone(self, ask: str, *, stream: bool) -> None:
        for asked in (ask, "") if ask == said.ASK else (ask,):
            if stream:
                async for _ in self._model.events(asked):
                    pass
            else:
                await self._model.answer(asked)

    async def leave(self, *, close: bool) -> float:
        result = self._run(said.HELLO)
        async for event in result.stream_events():
            if _text(event):
                break
        left_at = said.now()
        if close:
            result.cancel()
        return left_at

    async def cut(self, *, cancel: bool) -> list[tuple[str, str]]:
        session = SQLiteSession("kept")
        await said.cut_short(self.stream(said.HELLO, session), cancel=cancel)
        kept = await session.get_items()
        session.close()
        return [(str(item.get("role", item.get("type"))), str(item.get("content", ""))) for item in kept]

    async def aclose(self) -> None:
        if self._openai is not None:
            await self._openai.close()

    def _run(self, ask: str, **options: Any) -> Any:
        return Runner.run_streamed(self._agent, ask, run_config=_CONFIG, **options)


def _text(event: Any) -> str:
    if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
        return str(event.data.delta)
    return ""


def make(url: str | None, word_s: float) -> _OpenAIAgents:
    """An agent over a scripted model, or over the library's model of Chat Completions."""
    script = Script(word_s)
    if url is None:
        return _OpenAIAgents(_Scripted(script), script)
    openai = AsyncOpenAI(api_key="none", base_url=url)
    return _OpenAIAgents(OpenAIChatCompletionsModel("bench", openai), script, openai)
