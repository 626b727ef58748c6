"""Anthropic's models, through Anthropic's own package (the extra ``anthropic``)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from antiphon.models.http import CONNECT_S, public_url
from antiphon.models.llm.anthropic_wire import PROVIDER, request
from antiphon.models.llm.content import Content, FunctionCall, HostedTool, Reasoning, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions, Feature, FinishReason
from antiphon.models.llm.endpoint import FIRST_TOKEN_S, STALL_S
from antiphon.models.llm.families import family
from antiphon.models.llm.messages import Message
from antiphon.models.llm.providers import FULL_FEATURES
from antiphon.models.llm.refusals import filtered, no_answer, unreadable
from antiphon.models.llm.sdk import ForeignCalls, load_sdk

_OFFICIAL_URL = "https://api.anthropic.com"
_FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicClient:
    """Streams Messages. One object for all calls of a process: it keeps its connections.

    Args:
        model: The provider's name of the model.
        api_key: Yours.
        base_url: Another address than the official one.
        context_window: Tokens of a request and its answer; by the model's name unless given.
        first_token_s: Longest wait for the response, and then for its first word.
        stall_s: Longest wait between two pieces of an answer.

    Raises:
        IntegrationInitializationError: The package ``anthropic`` is not installed.
    """

    notice: str | None = None
    provider_name = PROVIDER
    supports: frozenset[Feature] = FULL_FEATURES | {"reasoning"}

    def __init__(
        self,
        model: str,
        *,
        api_key: str,
        base_url: str | None = None,
        context_window: int | None = None,
        first_token_s: float = FIRST_TOKEN_S,
        stall_s: float = STALL_S,
    ) -> None:
        sdk = load_sdk("anthropic", extra="anthropic")
        self.name = f"{PROVIDER}/{model}"
        self.model = model
        self.context_window = context_window or family(model).context_window
        url = base_url or _OFFICIAL_URL
        self.base_url = public_url(url)
        """Where it asks, in telemetry."""
        api_key = api_key.strip()
        timeout = sdk.Timeout(60.0, connect=CONNECT_S)
        self._sdk = sdk.AsyncAnthropic(api_key=api_key, base_url=url, max_retries=0, timeout=timeout)
        self._calls = ForeignCalls(PROVIDER, url, secrets=(api_key,), first_token_s=first_token_s, stall_s=stall_s)

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once; see the contract.

        Raises:
            ChatClientException: One of its five leaves.
        """
        asked = self._sdk.messages.create(**request(self.model, messages, options))
        calls = self._calls.keeping(options.headers)
        response = await calls.begin(asked)
        events = aiter(response)
        answer = _Answer()
        try:
            while not answer.done and (event := await calls.next(events, begun=answer.begun)) is not None:
                if (delta := answer.take(event)) is not None:
                    yield delta
            yield answer.end()
            await calls.drain(events)
        finally:
            await response.close()

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Open a connection and try the key, so that the first turn does not wait for either.

        Raises:
            ChatClientInvalidAuthException: The key is refused.
            ChatClientUnavailableException: The endpoint cannot be reached.
        """
        await self._calls.begin(self._sdk.models.list(limit=1))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()


@dataclass(slots=True)
class _Block:
    """A piece of the answer of which more may come."""

    start: Any
    text: list[str] = field(default_factory=list)
    signature: str = ""


class _Answer:
    """One answer in the making: takes the package's events."""

    def __init__(self) -> None:
        self.begun = False
        self.done = False
        self._said = False
        self._has_calls = False
        self._blocks: dict[int, _Block] = {}
        self._finish: str | None = None
        self._read: Any = None
        self._written: Any = None
        self._id: str | None = None
        self._model: str | None = None

    def take(self, event: Any) -> ChatDelta | None:
        """What an event adds to the answer.

        Raises:
            ChatClientInvalidResponseException: It is not in the provider's form.
        """
        try:
            return self._take(event)
        except (AttributeError, KeyError, TypeError, msgspec.MsgspecError) as error:
            raise unreadable(PROVIDER, repr(error)) from None

    def end(self) -> ChatDelta:
        """The stream has ended; gives the last delta.

        Raises:
            ChatClientContentFilterException: All of the answer was withheld.
            ChatClientInvalidResponseException: Nothing came at all.
        """
        finish = _FINISH.get(self._finish, "stop") if self._finish else "length"
        if finish == "content_filter" and not self._said and not self._has_calls:
            raise filtered(PROVIDER)
        if not self._finish and not self.begun:
            raise no_answer(PROVIDER)
        return ChatDelta(
            finish_reason="tool_calls" if self._has_calls else finish,
            usage=_usage(self._read, self._written),
            response_id=self._id,
            model=self._model,
        )

    def _take(self, event: Any) -> ChatDelta | None:
        kind = event.type
        if kind == "content_block_delta":
            return self._take_delta(self._blocks[event.index], event.delta)
        if kind == "content_block_start":
            self._blocks[event.index] = _Block(event.content_block)
            self.begun = True
            text = getattr(event.content_block, "text", None)
            return self._words(text) if text else None
        if kind == "content_block_stop":
            return self._whole(self._blocks.pop(event.index))
        if kind == "message_start":
            self._id, self._model, self._read = event.message.id, event.message.model, event.message.usage
        elif kind == "message_delta":
            self._finish = event.delta.stop_reason or self._finish
            self._written = event.usage
        elif kind == "message_stop":
            self.done = True
        return None

    def _take_delta(self, block: _Block, delta: Any) -> ChatDelta | None:
        if delta.type == "text_delta":
            return self._words(delta.text)
        if delta.type == "input_json_delta":
            block.text.append(delta.partial_json)
        elif delta.type == "thinking_delta":
            block.text.append(delta.thinking)
            return ChatDelta(reasoning=delta.thinking)
        elif delta.type == "signature_delta":
            block.signature += delta.signature
        return None

    def _words(self, text: Any) -> ChatDelta:
        if not isinstance(text, str):
            raise TypeError("text that is none")
        self._said = True
        return ChatDelta(text)

    def _whole(self, block: _Block) -> ChatDelta | None:
        """What a finished block gives, beside the words that have streamed."""
        start, text = block.start, "".join(block.text)
        if start.type == "text":
            return None
        if start.type == "tool_use":
            self._has_calls = True
            arguments = text or msgspec.json.encode(start.input or {}).decode()
            return ChatDelta(calls=(FunctionCall(start.id, start.name, arguments),))
        content: Content
        if start.type == "thinking":
            content = Reasoning(text, block.signature or None, PROVIDER)
        elif start.type == "redacted_thinking":
            content = Reasoning("", start.data, PROVIDER, more={"redacted": True})
        else:
            payload = start.model_dump(mode="json", exclude_none=True)
            content = HostedTool(PROVIDER, {**payload, "input": msgspec.json.decode(text)} if text else payload)
        return ChatDelta(contents=(content,))


def _usage(read: Any, written: Any) -> Usage | None:
    """The tokens: the provider counts what comes from its cache apart from the rest of the input."""
    if read is None:
        return None
    cached, kept = read.cache_read_input_tokens or 0, read.cache_creation_input_tokens or 0
    details = getattr(written, "output_tokens_details", None)
    return Usage(
        input_tokens=(read.input_tokens or 0) + cached + kept,
        output_tokens=(written if written is not None else read).output_tokens or 0,
        cache_read_tokens=cached,
        cache_write_tokens=kept,
        reasoning_tokens=getattr(details, "thinking_tokens", None) or 0,
    )
