"""OpenAI's Chat Completions, sans I/O, and lenient to what compatible servers make of it.

From messages to a request's body, from a stream's events to deltas, from a refusal to an exception.
Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from antiphon.errors import (
    ChatClientContentFilterException,
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
)
from antiphon.models.llm.contract import ChatDelta, ChatOptions, FinishReason, FunctionCall, Message, ToolSpec, Usage

_REASONING_MODEL = re.compile(r"(o\d|gpt-5)")
"""Families that count thinking into the answer's length and take no temperature, by the start of their name."""
_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_AUTH = frozenset({401, 403})
_BUSY = frozenset({408, 425, 429})
_DETAIL_CHARS = 300


def request_body(model: str, messages: Sequence[Message], options: ChatOptions, *, usage: bool = True) -> bytes:
    """The JSON body of a streaming request.

    Args:
        model: The provider's name of the model.
        messages: A valid conversation.
        options: None values are not sent.
        usage: Ask for the tokens at the end of the stream; not every server knows the key.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [_wire_message(message) for message in messages],
        "stream": True,
    }
    if usage:
        body["stream_options"] = {"include_usage": True}
    thinks = _REASONING_MODEL.match(model.rpartition("/")[2]) is not None
    if options.temperature is not None and not thinks:
        body["temperature"] = options.temperature
    if options.max_tokens is not None:
        body["max_completion_tokens" if thinks else "max_tokens"] = options.max_tokens
    if options.stop:
        body["stop"] = options.stop
    if options.tools:
        body["tools"] = [_wire_tool(tool) for tool in options.tools]
        if options.tool_choice != "auto":
            body["tool_choice"] = options.tool_choice
    body.update(options.extra)
    return msgspec.json.encode(body)


def _wire_message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": _sound(call.arguments)}}
        for call in message.calls
    ]
    return {"role": "assistant", "content": message.text or None, "tool_calls": calls}


def _sound(arguments: str) -> str:
    """Arguments as servers take them back: many parse them, and refuse the whole request when that fails."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return "{}"
    return arguments


def _wire_tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


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


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class Answer:
    """One answer in the making: takes the data of each event, joins the pieces of calls.

    Args:
        provider: For messages.
        secret: Never shown in a message.
    """

    __slots__ = ("_calls", "_finish", "_provider", "_said", "_secret", "_usage", "begun", "done")

    def __init__(self, provider: str, secret: str | None = None) -> None:
        self.begun = False
        """Whether the model has begun to write: words, thoughts or calls."""
        self.done = False
        """Whether the server said that nothing more comes."""
        self._provider = provider
        self._secret = secret
        self._said = False
        self._calls: list[_OpenCall] = []
        self._finish: str | None = None
        self._usage: Usage | None = None

    def take(self, data: bytes) -> str:
        """Take the data of an event; gives its words.

        Raises:
            ChatClientException: The data is an error, or cannot be read.
        """
        if data == b"[DONE]":
            self.done = True
            return ""
        try:
            chunk = _CHUNK.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ChatClientInvalidResponseException(
                f"{self._provider} sent a stream that cannot be read ({error}); check that the base URL is an "
                "OpenAI-compatible endpoint.",
                code="bad_stream",
                provider=self._provider,
            ) from None
        if chunk.error:
            raise error_in_stream(chunk.error, provider=self._provider, secret=self._secret)
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self._finish = choice.finish_reason or self._finish
        return self._take_delta(choice.delta) if choice.delta is not None else ""

    def end(self) -> ChatDelta:
        """The stream has ended; gives the last delta, with the calls.

        Raises:
            ChatClientContentFilterException: All of the answer was withheld.
            ChatClientInvalidResponseException: Nothing came at all.
        """
        calls = tuple(call.whole() for call in self._calls if call.name)
        finish = _FINISH.get(self._finish, "stop") if self._finish else "length"
        if finish == "content_filter" and not self._said and not calls:
            raise ChatClientContentFilterException(
                f"{self._provider}'s content filter withheld the answer; change the instructions or the model.",
                provider=self._provider,
            )
        if not self._finish and not self.begun:
            raise ChatClientInvalidResponseException(
                f"{self._provider} ended the stream without an answer; check that the endpoint serves the model.",
                code="bad_stream",
                provider=self._provider,
            )
        return ChatDelta(calls=calls, finish_reason="tool_calls" if calls else finish, usage=self._usage)

    def _take_delta(self, delta: _Delta) -> str:
        if delta.tool_calls:
            for piece in delta.tool_calls:
                self._take_piece(piece)
        text = delta.content or delta.refusal or ""
        if text:
            self._said = True
        if text or delta.tool_calls or delta.reasoning or delta.reasoning_content:
            self.begun = True
        return text

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
        return FunctionCall(self.call_id, self.name, "".join(self.arguments))


def _usage(usage: _Usage) -> Usage:
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details is not None else None
    return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, cached or 0)


def error_of_response(
    status: int, headers: Mapping[str, str], body: bytes, *, provider: str, secret: str | None = None
) -> ChatClientException:
    """The exception for a refused request.

    Args:
        status: HTTP status, 400 or more.
        headers: Of the response.
        body: Of the response, or its beginning.
        provider: For the message.
        secret: Never shown in the message.
    """
    try:
        error = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        error = None
    if isinstance(error, dict):
        error = error.get("error", error)
    return _exception(
        error,
        status,
        provider=provider,
        secret=secret,
        request_id=headers.get("x-request-id"),
        retry_after_s=retry_after_s(headers),
    )


def error_in_stream(error: Any, *, provider: str, secret: str | None = None) -> ChatClientException:
    """The exception for an error that came in place of an answer's next piece."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return _exception(error, status, provider=provider, secret=secret)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait: ``retry-after-ms``, else ``retry-after`` in seconds or as a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        wish = headers.get("retry-after", "")
        if not wish or wish.replace(".", "", 1).isdigit():
            return float(wish) if wish else None
        # The server's own clock says how far away the date is.
        return max(0.0, (parsedate_to_datetime(wish) - parsedate_to_datetime(headers["date"])).total_seconds())
    except (ValueError, KeyError, TypeError):
        return None


def _exception(
    error: Any,
    status: int | None,
    *,
    provider: str,
    secret: str | None,
    request_id: str | None = None,
    retry_after_s: float | None = None,
) -> ChatClientException:
    """One of the five leaves, by status and by the provider's own word for what went wrong."""
    fields = error if isinstance(error, dict) else {"message": error}
    words = f"{fields.get('code') or ''} {fields.get('type') or ''}".lower()
    kind, code, advice, retryable = _leaf(status, words)
    detail = " ".join(str(fields.get("message") or "").split())[:_DETAIL_CHARS]
    if secret:
        detail = detail.replace(secret, "***")
    shown = f" ({status})" if status else ""
    # A refused key is often quoted back, in part: that text is not repeated.
    said = f": {detail.rstrip('.')}" if detail and kind is not ChatClientInvalidAuthException else ""
    return kind(
        f"{provider} {advice[0]}{shown}{said}; {advice[1]}.",
        code=code,
        retryable=retryable,
        status_code=status,
        provider=provider,
        request_id=request_id,
        retry_after_s=retry_after_s,
    )


def _leaf(status: int | None, words: str) -> tuple[type[ChatClientException], str, tuple[str, str], bool]:
    if status in _AUTH or "invalid_api_key" in words:
        return ChatClientInvalidAuthException, "auth", ("refused the API key", "check the key and its rights"), False
    if "content_filter" in words or "content_policy" in words:
        advice = ("withheld the answer", "change the instructions or the model")
        return ChatClientContentFilterException, "filtered", advice, False
    if "insufficient_quota" in words:
        advice = ("has no quota left for this key", "top it up or use another key")
        return ChatClientUnavailableException, "quota", advice, False
    if status == 429 or "rate_limit" in words:
        advice = ("asks for fewer requests", "wait, or raise the rate limit")
        return ChatClientUnavailableException, "rate_limited", advice, True
    if status in _BUSY or (status or 0) >= 500 or "server_error" in words or "overloaded" in words:
        code = "timeout" if status in (408, 504) else "server_error"
        return ChatClientUnavailableException, code, ("failed", "try again, or use another provider"), True
    if "context_length" in words:
        advice = ("refused the request", "shorten the conversation or the instructions")
        return ChatClientInvalidRequestException, "context_length_exceeded", advice, False
    if status is not None:
        advice = ("refused the request", "check the model's name, the base URL and the options")
        return ChatClientInvalidRequestException, "invalid_request", advice, False
    return ChatClientInvalidResponseException, "bad_stream", ("broke off its answer", "try again"), False
