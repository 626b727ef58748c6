"""The answers of OpenAI's Chat Completions, sans I/O, and lenient to what compatible servers make of them.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from antiphon.models.llm.content import Content, FunctionCall, Reasoning, Usage
from antiphon.models.llm.contract import ChatDelta, FinishReason
from antiphon.models.llm.refusals import error_in_stream, filtered, no_answer, unreadable

_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _CallPiece(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    tool_calls: list[_CallPiece] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(msgspec.Struct):
    id: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class Answer:
    """One answer in the making: takes the data of each event, joins the pieces of calls.

    Args:
        provider: For messages.
        secrets: Never shown in a message.
        keeps_thoughts: The provider wants them back, so that they become a content of the message.
    """

    __slots__ = (
        "_calls",
        "_finish",
        "_id",
        "_keeps_thoughts",
        "_model",
        "_provider",
        "_said",
        "_secrets",
        "_thoughts",
        "_usage",
        "begun",
        "done",
    )

    def __init__(self, provider: str, secrets: tuple[str, ...] = (), *, keeps_thoughts: bool = False) -> None:
        self.begun = False
        """Whether the model has begun to write: words, thoughts or calls."""
        self.done = False
        """Whether the server said that nothing more comes."""
        self._provider = provider
        self._secrets = secrets
        self._keeps_thoughts = keeps_thoughts
        self._thoughts: list[str] = []
        self._said = False
        self._calls: list[_OpenCall] = []
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._id: str | None = None
        self._model: str | None = None

    def take(self, data: bytes) -> ChatDelta | None:
        """Take the data of an event; gives its words or thoughts, if it has any.

        Raises:
            ChatClientException: The data is an error, or cannot be read.
        """
        if data == b"[DONE]":
            self.done = True
            return None
        try:
            chunk = _CHUNK.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            advice = "check that the base URL is an OpenAI-compatible endpoint"
            raise unreadable(self._provider, error, advice) from None
        if chunk.error:
            raise error_in_stream(chunk.error, provider=self._provider, secrets=self._secrets)
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
        if not chunk.choices:
            return None
        if self._id is None:
            self._id = chunk.id if isinstance(chunk.id, str) else None
            self._model = chunk.model if isinstance(chunk.model, str) else None
        choice = chunk.choices[0]
        self._finish = choice.finish_reason or self._finish
        return self._take_delta(choice.delta) if choice.delta is not None else None

    def end(self) -> ChatDelta:
        """The stream has ended; gives the last delta, with the calls.

        Raises:
            ChatClientContentFilterException: All of the answer was withheld.
            ChatClientInvalidResponseException: Nothing came at all.
        """
        calls = tuple(call.whole() for call in self._calls if call.name)
        finish = _FINISH.get(self._finish, "stop") if self._finish else "length"
        if finish == "content_filter" and not self._said and not calls:
            raise filtered(self._provider)
        if not self._finish and not self.begun:
            raise no_answer(self._provider)
        contents: tuple[Content, ...] = ()
        if self._keeps_thoughts and self._thoughts:
            contents = (Reasoning(text="".join(self._thoughts), provider=self._provider),)
        return ChatDelta(
            calls=calls,
            finish_reason="tool_calls" if calls else finish,
            usage=self._usage,
            contents=contents,
            response_id=self._id,
            model=self._model,
        )

    def _take_delta(self, delta: _Delta) -> ChatDelta | None:
        if delta.tool_calls:
            self.begun = True
            for piece in delta.tool_calls:
                self._take_piece(piece)
        text = delta.content or delta.refusal
        if text:
            self.begun = self._said = True
        # Servers that renamed the key send it under both names.
        thought = delta.reasoning_content or delta.reasoning
        if not thought:
            return ChatDelta(text) if text else None
        self.begun = True
        if not isinstance(thought, str):
            return ChatDelta(text) if text else None
        self._thoughts.append(thought)
        return ChatDelta(text or "", reasoning=thought)

    def _take_piece(self, piece: _CallPiece) -> None:
        """Join a piece to its call: by index; where a server counts badly or not at all, a new id is a new call."""
        function = piece.function or _Function()
        call = next((call for call in reversed(self._calls) if call.index == piece.index), None)
        new_id = piece.id and call is not None and call.call_id and piece.id != call.call_id
        new_call = piece.index is None and (piece.id or function.name)
        if call is None or new_id or new_call:
            call = _OpenCall(piece.index)
            self._calls.append(call)
        call.call_id = piece.id or call.call_id
        call.name = function.name or call.name
        if isinstance(function.arguments, str):
            call.arguments.append(function.arguments)
        elif function.arguments is not None:
            call.arguments.append(msgspec.json.encode(function.arguments).decode())


@dataclass(slots=True)
class _OpenCall:
    """A call of which pieces may still come."""

    index: int | None
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def whole(self) -> FunctionCall:
        return FunctionCall(call_id=self.call_id, name=self.name, arguments="".join(self.arguments))


def _usage(usage: _Usage) -> Usage:
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens or 0,
        output_tokens=usage.completion_tokens or 0,
        cache_read_tokens=(read.cached_tokens or 0) if read is not None else 0,
        reasoning_tokens=(written.reasoning_tokens or 0) if written is not None else 0,
    )
