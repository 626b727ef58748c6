"""The answers of OpenAI's Responses, sans I/O: from the events of a stream to deltas.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

import msgspec

from antiphon.models.llm.content import Content, FunctionCall, HostedTool, Reasoning, Usage
from antiphon.models.llm.contract import ChatDelta, FinishReason
from antiphon.models.llm.refusals import error_in_stream, filtered, no_answer, unreadable


class _Item(msgspec.Struct):
    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    encrypted_content: str | None = None
    summary: list[dict[str, Any]] | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    store: bool | None = None
    usage: _Usage | None = None
    incomplete_details: _Incomplete | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str
    delta: Any = None
    item: msgspec.Raw = msgspec.Raw()
    response: _Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None


_EVENT = msgspec.json.Decoder(_Event)
_ITEM = msgspec.json.Decoder(_Item)
_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHT = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesAnswer:
    """One answer in the making: takes the data of each event.

    Args:
        provider: For messages, and to mark what only this provider can read.
        secrets: Never shown in a message.
    """

    __slots__ = ("_end", "_has_calls", "_provider", "_said", "_secrets", "_seen", "begun", "done")

    def __init__(self, provider: str, secrets: tuple[str, ...] = ()) -> None:
        self.begun = False
        """Whether the model has begun to write: words, thoughts or calls."""
        self.done = False
        """Whether the server said that nothing more comes."""
        self._provider = provider
        self._secrets = secrets
        self._said = False
        self._has_calls = False
        self._seen = _Response()
        self._end = ""

    def take(self, data: bytes) -> ChatDelta | None:
        """Take the data of an event; gives its words, thoughts, or the call or other item that is now whole.

        Raises:
            ChatClientException: The data is an error, or cannot be read.
        """
        if data == b"[DONE]":
            self.done = True
            return None
        try:
            event = _EVENT.decode(data)
            if event.type == "response.output_item.done":
                return self._take_item(_ITEM.decode(event.item), event.item)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            advice = "check that the base URL is an endpoint of OpenAI's Responses"
            raise unreadable(self._provider, error, advice) from None
        if event.type in _TEXT:
            self.begun = self._said = True
            return ChatDelta(self._words(event.delta))
        if event.type in _THOUGHT:
            self.begun = True
            return ChatDelta(reasoning=self._words(event.delta))
        if event.type == "error":
            raise self._failure(event.error or {"code": event.code, "message": event.message})
        if event.type == "response.output_item.added":
            self.begun = True
        elif event.response is not None:
            self._seen = event.response
            if event.type in _ENDS:
                self._end = event.type
                self.done = True
        return None

    def end(self) -> ChatDelta:
        """The stream has ended; gives the last delta.

        Raises:
            ChatClientException: The provider failed, withheld the answer, or sent none.
        """
        seen = self._seen
        if self._end == "response.failed":
            raise self._failure(seen.error or {"code": "server_error"})
        if not self._end and not self.begun:
            raise no_answer(self._provider)
        finish = self._finish()
        if finish == "content_filter" and not self._said and not self._has_calls:
            raise filtered(self._provider)
        return ChatDelta(
            finish_reason=finish,
            usage=_usage(seen.usage) if seen.usage is not None else None,
            response_id=seen.id,
            model=seen.model,
            conversation_id=seen.id if seen.store else None,
        )

    def _finish(self) -> FinishReason:
        if self._has_calls:
            return "tool_calls"
        if self._end == "response.completed":
            return "stop"
        details = self._seen.incomplete_details
        return "content_filter" if details is not None and details.reason == "content_filter" else "length"

    def _take_item(self, item: _Item, wire: msgspec.Raw) -> ChatDelta | None:
        self.begun = True
        if item.type == "function_call":
            self._has_calls = True
            call = FunctionCall(item.call_id or item.id or "", item.name or "", item.arguments or "")
            return ChatDelta(calls=(call,))
        if item.type == "message":
            return None
        content: Content
        if item.type != "reasoning":
            content = HostedTool(self._provider, msgspec.json.decode(wire))
        elif item.encrypted_content is not None:
            text = "\n\n".join([str(part.get("text", "")) for part in item.summary or ()])
            more = {"id": item.id} if item.id else {}
            content = Reasoning(text, item.encrypted_content, self._provider, more=more)
        else:
            return None
        return ChatDelta(contents=(content,))

    def _words(self, delta: Any) -> str:
        if not isinstance(delta, str):
            raise unreadable(self._provider, "a delta that is no text")
        return delta

    def _failure(self, error: Any) -> Exception:
        return error_in_stream(error, provider=self._provider, secrets=self._secrets)


def _usage(usage: _Usage) -> Usage:
    read, written = usage.input_tokens_details, usage.output_tokens_details
    return Usage(
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cache_read_tokens=(read.cached_tokens or 0) if read is not None else 0,
        reasoning_tokens=(written.reasoning_tokens or 0) if written is not None else 0,
    )
