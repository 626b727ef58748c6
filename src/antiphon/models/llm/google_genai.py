"""Google's Gemini models, through Google's own package (the extra ``google-genai``)."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from antiphon.models.http import CONNECT_S, new_http_client, public_url
from antiphon.models.llm.content import Content, FunctionCall, HostedTool, Media, Reasoning, Usage
from antiphon.models.llm.contract import ChatDelta, ChatOptions, Feature, FinishReason
from antiphon.models.llm.endpoint import FIRST_TOKEN_S, STALL_S
from antiphon.models.llm.families import family
from antiphon.models.llm.google_wire import PROVIDER, SIGNATURE, request
from antiphon.models.llm.messages import Message
from antiphon.models.llm.providers import FULL_FEATURES
from antiphon.models.llm.refusals import filtered, no_answer, unreadable
from antiphon.models.llm.sdk import ForeignCalls, load_sdk

_OFFICIAL_URL = "https://generativelanguage.googleapis.com"
_FINISH: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
"""Every other reason is an error of the model's."""

_responses: ContextVar[list[httpx.Response]] = ContextVar("_responses")
"""What the package opens for the request that is being made: it has no way of its own to close an answer at once."""


class GoogleClient:
    """Streams ``generateContent``. One object for all calls of a process: it keeps its connections.

    Args:
        model: The provider's name of the model.
        api_key: Yours.
        base_url: Another address than the official one.
        context_window: Tokens of a request and its answer; by the model's name unless given.
        first_token_s: Longest wait for the response, and then for its first word.
        stall_s: Longest wait between two pieces of an answer.

    Raises:
        IntegrationInitializationError: The package ``google-genai`` is not installed.
    """

    notice: str | None = None
    provider_name = "gcp.gemini"
    supports: frozenset[Feature] = FULL_FEATURES | {"audio", "reasoning"}

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
        sdk = load_sdk("google.genai", extra="google-genai")
        self.name = f"{PROVIDER}/{model}"
        self.model = model
        self.context_window = context_window or family(model).context_window
        url = base_url or _OFFICIAL_URL
        self.base_url = public_url(url)
        """Where it asks, in telemetry."""
        api_key = api_key.strip()
        self._http = new_http_client()
        self._http.event_hooks = {"request": [_limit_connecting], "response": [_remember]}
        options = {"base_url": url, "httpx_async_client": self._http}
        self._sdk = sdk.Client(api_key=api_key, vertexai=False, http_options=sdk.types.HttpOptions(**options))
        self._calls = ForeignCalls(PROVIDER, url, secrets=(api_key,), first_token_s=first_token_s, stall_s=stall_s)

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once; see the contract.

        Raises:
            ChatClientException: One of its five leaves.
        """
        opened: list[httpx.Response] = []
        _responses.set(opened)
        calls = self._calls.keeping(options.headers)
        answer = _Answer()
        try:
            asked = self._sdk.aio.models.generate_content_stream(**request(self.model, messages, options))
            chunks = aiter(await calls.begin(asked))
            while (chunk := await calls.next(chunks, begun=answer.begun)) is not None:
                for delta in answer.take(chunk):
                    yield delta
            yield answer.end()
        finally:
            for response in opened:
                await response.aclose()

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Open a connection and try the key, so that the first turn does not wait for either.

        Raises:
            ChatClientInvalidAuthException: The key is refused.
            ChatClientUnavailableException: The endpoint cannot be reached.
        """
        _responses.set([])
        await self._calls.begin(self._sdk.aio.models.get(model=self.model))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


async def _limit_connecting(request: httpx.Request) -> None:
    request.extensions["timeout"] = {**request.extensions.get("timeout", {}), "connect": CONNECT_S}


async def _remember(response: httpx.Response) -> None:
    _responses.get([]).append(response)


class _Answer:
    """One answer in the making: takes the package's chunks."""

    def __init__(self) -> None:
        self.begun = False
        self._said = False
        self._has_calls = False
        self._is_blocked = False
        self._finish: str | None = None
        self._usage: Any = None
        self._id: str | None = None
        self._model: str | None = None

    def take(self, chunk: Any) -> list[ChatDelta]:
        """What a chunk adds to the answer.

        Raises:
            ChatClientInvalidResponseException: It is not in the provider's form.
        """
        try:
            return self._take(chunk)
        except (AttributeError, TypeError) as error:
            raise unreadable(PROVIDER, repr(error)) from None

    def end(self) -> ChatDelta:
        """The stream has ended; gives the last delta.

        Raises:
            ChatClientContentFilterException: All of the answer was withheld.
            ChatClientInvalidResponseException: Nothing came at all, or nothing that can be used.
        """
        finish = _FINISH.get(self._finish, "error") if self._finish else "length"
        something = self._said or self._has_calls
        if not something and (self._is_blocked or finish == "content_filter"):
            raise filtered(PROVIDER)
        if not something and finish == "error":
            raise unreadable(PROVIDER, self._finish, "try again")
        if not self._finish and not self.begun:
            raise no_answer(PROVIDER)
        return ChatDelta(
            finish_reason="tool_calls" if self._has_calls else finish,
            usage=_usage(self._usage),
            response_id=self._id,
            model=self._model,
        )

    def _take(self, chunk: Any) -> list[ChatDelta]:
        self._id = chunk.response_id or self._id
        self._model = chunk.model_version or self._model
        self._usage = chunk.usage_metadata or self._usage
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason is not None:
            self._is_blocked = True
        if not chunk.candidates:
            return []
        candidate = chunk.candidates[0]
        if candidate.finish_reason is not None:
            self._finish = candidate.finish_reason.value
        parts = candidate.content.parts if candidate.content is not None else None
        return [delta for part in parts or () if (delta := self._take_part(part)) is not None]

    def _take_part(self, part: Any) -> ChatDelta | None:
        self.begun = True
        signature = base64.b64encode(part.thought_signature).decode() if part.thought_signature else None
        if part.function_call is not None:
            self._has_calls = True
            return ChatDelta(calls=(_call(part.function_call, signature),))
        if part.text is not None:
            return self._words(part, signature)
        content: Content
        if part.inline_data is not None:
            content = Media.from_bytes(part.inline_data.data, part.inline_data.mime_type)
        else:
            content = HostedTool(PROVIDER, part.model_dump(mode="json", exclude_none=True))
        return ChatDelta(contents=(content,))

    def _words(self, part: Any, signature: str | None) -> ChatDelta | None:
        if part.thought:
            sealed: tuple[Content, ...] = (Reasoning(part.text, signature, PROVIDER),) if signature else ()
            return ChatDelta(reasoning=part.text, contents=sealed)
        if not part.text:
            return None
        self._said = True
        return ChatDelta(part.text)


def _call(call: Any, signature: str | None) -> FunctionCall:
    # Only newer models number their calls.
    call_id = call.id or f"call_{uuid4().hex[:24]}"
    arguments = msgspec.json.encode(call.args or {}).decode()
    return FunctionCall(call_id, call.name or "", arguments, more={SIGNATURE: signature} if signature else {})


def _usage(usage: Any) -> Usage | None:
    """The tokens: the provider counts thoughts apart from the rest of the output."""
    if usage is None:
        return None
    thoughts = usage.thoughts_token_count or 0
    return Usage(
        input_tokens=usage.prompt_token_count or 0,
        output_tokens=(usage.candidates_token_count or 0) + thoughts,
        cache_read_tokens=usage.cached_content_token_count or 0,
        reasoning_tokens=thoughts,
    )
