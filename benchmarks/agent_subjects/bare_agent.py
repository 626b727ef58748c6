"""The floor: a loop by hand, arguments checked by Pydantic, and httpx with json where there is a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx
import pydantic

from benchmarks.agent_subjects import script as said
from benchmarks.agent_subjects.script import Script

PACKAGES = ("pydantic", "httpx")
IMPORTS = {
    "root": "import asyncio",
    "agent": "import asyncio; from pydantic import BaseModel",
    "client": "import asyncio, httpx; from pydantic import BaseModel",
}
_SPEC = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
Entry = dict[str, Any]
Delta = tuple[str, str]
"""Text, and the arguments of a call."""


class _Arguments(pydantic.BaseModel):
    a: int
    b: int


async def _add(a: int, b: int) -> int:
    return a + b


class _Scripted(Script):
    async def stream(self, messages: Sequence[Entry]) -> AsyncGenerator[Delta]:
        with self:
            if messages[-1]["content"] == said.ASK:
                yield "", said.ARGUMENTS
                return
            for word in said.WORDS:
                if self.word_s:
                    await asyncio.sleep(self.word_s)
                yield word, ""

    async def answer(self, messages: Sequence[Entry]) -> Delta:
        return ("", said.ARGUMENTS) if messages[-1]["content"] == said.ASK else (said.ANSWER, "")

    async def aclose(self) -> None:
        pass


class _Http(Script):
    def __init__(self, url: str) -> None:
        super().__init__(0.0)
        self._url = f"{url}/chat/completions"
        self._http = httpx.AsyncClient()

    async def stream(self, messages: Sequence[Entry]) -> AsyncGenerator[Delta]:
        body = {"model": "bench", "messages": messages, "tools": [_SPEC], "stream": True}
        arguments = ""
        async with self._http.stream("POST", self._url, json=body) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                for choice in json.loads(line[6:])["choices"]:
                    delta = choice["delta"]
                    if text := delta.get("content"):
                        yield text, ""
                    for call in delta.get("tool_calls", ()):
                        arguments += call["function"].get("arguments", "")
        if arguments:
            yield "", arguments

    async def answer(self, messages: Sequence[Entry]) -> Delta:
        deltas = [delta async for delta in self.stream(messages)]
        return "".join(text for text, _ in deltas), "".join(arguments for _, arguments in deltas)

    async def aclose(self) -> None:
        await self._http.aclose()


class _Bare:
    def __init__(self, model: _Scripted | _Http) -> None:
        self._model = model
        self._past = [
            {"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said.PAST)
        ]

    def closed(self) -> int:
        return self._model.closed

    async def turn(self, ask: str, *, past: bool = False) -> str:
        messages = _begin(ask, self._past if past else ())
        while True:
            text, arguments = await self._model.answer(messages)
            if not arguments:
                return text
            await _call(messages, arguments)

    async def stream(self, ask: str) -> AsyncGenerator[str]:
        messages = _begin(ask, ())
        while True:
            called = ""
            async for text, arguments in self._model.stream(messages):
                called += arguments
                if text:
                    yield text
            if not called:
                return
            await _call(messages, called)

    async def model_alone(self, ask: str, *, stream: bool) -> None:
        for content in (ask, "") if ask == said.ASK else (ask,):
            messages = [{"role": "user", "content": content}]
            if stream:
                async for _ in self._model.stream(messages):
                    pass
            else:
                await self._model.answer(messages)

    async def leave(self, *, close: bool) -> float:
        stream = self.stream(said.HELLO)
        async for _ in stream:
            break
        left_at = said.now()
        if close:
            await stream.aclose()
        return left_at

    async def cut(self, *, cancel: bool) -> None:
        return None

    async def aclose(self) -> None:
        await self._model.aclose()


def _begin(ask: str, past: Sequence[Entry]) -> list[Entry]:
    return [{"role": "system", "content": said.INSTRUCTIONS}, *past, {"role": "user", "content": ask}]


async def _call(messages: list[Entry], arguments: str) -> None:
    checked = _Arguments.model_validate_json(arguments)
    call = {"id": said.CALL_ID, "type": "function", "function": {"name": "add", "arguments": arguments}}
    messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    result = await _add(checked.a, checked.b)
    messages.append({"role": "tool", "tool_call_id": said.CALL_ID, "content": str(result)})


def make(url: str | None, word_s: float) -> _Bare:
    """A loop over a scripted model, or over httpx."""
    return _Bare(_Http(url) if url else _Scripted(word_s))
