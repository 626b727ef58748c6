"""The span of a request to a model, one for each attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry.trace import SpanKind, set_span_in_context

from antiphon.agents.observability.common import fail, rarer_tokens
from antiphon.agents.observability.content import input_messages, output_messages, system_instructions
from antiphon.models.llm.content import Usage
from antiphon.models.llm.contract import ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message

if TYPE_CHECKING:
    from antiphon.agents.observability.spans import RunTrace

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""The conventions' names of providers, where they are not ours."""


class WatchedClient:
    """A client for one step of a run; each stream of it is a span.

    Args:
        client: Who is asked.
        trace: Of the run.
    """

    __slots__ = ("_client", "_trace", "name", "notice")

    def __init__(self, client: ChatClient, trace: RunTrace) -> None:
        self.name = client.name
        self.notice = client.notice
        self._client = client
        self._trace = trace

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once; see the contract."""
        attempt = _Attempt(self._trace, self._client, messages, options)
        deltas = self._client.stream(messages, options)
        try:
            delta = await attempt.first(deltas)
            if delta is not None:
                attempt.take(delta)
                yield delta
            async for delta in deltas:
                # Most pieces are words alone, which only a span with texts wants.
                if delta.finish_reason or delta.usage or delta.response_id or delta.model or attempt.taken is not None:
                    attempt.take(delta)
                yield delta
        except (GeneratorExit, asyncio.CancelledError):
            attempt.interrupted = True
            raise
        except Exception as error:
            attempt.fail(error)
            raise
        finally:
            attempt.end()
            await deltas.aclose()

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """As the client does."""
        await self._client.warm(messages, options)

    async def aclose(self) -> None:
        """As the client does."""
        await self._client.aclose()


class _Attempt:
    """One request and what is known of its answer."""

    __slots__ = (
        "_began",
        "_context",
        "_finish",
        "_first_s",
        "_labels",
        "_model",
        "_response_id",
        "_span",
        "_trace",
        "_usage",
        "interrupted",
        "taken",
    )

    def __init__(self, trace: RunTrace, client: ChatClient, messages: Sequence[Message], options: ChatOptions) -> None:
        provider, model, host, port = _whereabouts(client.name, getattr(client, "base_url", None))
        model = trace.model = options.model or model
        self.interrupted = False
        self._trace = trace
        self._labels: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        attributes = {
            **trace.about,
            **self._labels,
            "gen_ai.request.stream": True,
            "gen_ai.output.type": "text" if options.output is None else "json",
            "antiphon.attempt": trace.failed + 1,
            **_asked(options),
        }
        if host:
            attributes["server.address"] = host
            attributes["server.port"] = port
        self._span = trace.tracing.tracer.start_span(
            f"chat {model}", trace.context, kind=SpanKind.CLIENT, attributes=attributes
        )
        self._context = set_span_in_context(self._span, trace.context)
        self.taken: list[ChatDelta] | None = None
        if trace.content and self._span.is_recording():
            self.taken = []
            self._span.set_attribute("gen_ai.system_instructions", system_instructions(messages))
            self._span.set_attribute("gen_ai.input.messages", input_messages(messages, trace.tools))
        self._finish = ""
        self._usage: Usage | None = None
        self._response_id: str | None = None
        self._model: str | None = None
        self._first_s: float | None = None
        trace.failed += 1  # Until it answers.
        self._began = trace.clock.now()

    async def first(self, deltas: AsyncGenerator[ChatDelta]) -> ChatDelta | None:
        """The first piece of the answer. While it is waited for, an HTTP client's own spans hang below this one."""
        token = contexts.attach(self._context)
        try:
            delta = await anext(deltas, None)
        finally:
            contexts.detach(token)
        self._trace.failed = 0
        if delta is not None:
            self._first_s = self._trace.clock.now() - self._began
        return delta

    def take(self, delta: ChatDelta) -> None:
        """Note a piece of the answer."""
        if delta.finish_reason is not None:
            self._finish = delta.finish_reason
        if delta.usage is not None:
            self._usage = delta.usage if self._usage is None else self._usage + delta.usage
        if delta.response_id is not None:
            self._response_id = delta.response_id
        if delta.model is not None:
            self._model = delta.model
        if delta.client is not None:
            provider, model, _, _ = _whereabouts(delta.client, None)
            self._labels |= {"gen_ai.provider.name": provider, "gen_ai.request.model": model}
            self._span.set_attributes(self._labels)
        if self.taken is not None:
            self.taken.append(delta)

    def fail(self, error: Exception) -> None:
        """The model failed."""
        self._labels["error.type"] = fail(self._span, error)

    def end(self) -> None:
        """The answer is over, or nobody reads it any more."""
        span, labels = self._span, self._labels
        if self._model is not None:
            labels["gen_ai.response.model"] = self._model
        if span.is_recording():
            span.set_attributes(self._answer())
        span.end()
        metrics = self._trace.tracing.metrics
        metrics.request.record(self._trace.clock.now() - self._began, labels, self._context)
        if self._first_s is not None:
            metrics.first_chunk.record(self._first_s, labels)
        usage = self._usage
        if usage is not None:
            metrics.tokens.record(usage.input_tokens, {**labels, "gen_ai.token.type": "input"})
            metrics.tokens.record(usage.output_tokens, {**labels, "gen_ai.token.type": "output"})

    def _answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        if self._response_id is not None:
            answer["gen_ai.response.id"] = self._response_id
        if self._model is not None:
            answer["gen_ai.response.model"] = self._model
        if self._finish:
            answer["gen_ai.response.finish_reasons"] = (self._finish,)
        if self._first_s is not None:
            answer["gen_ai.response.time_to_first_chunk"] = self._first_s
        if self._usage is not None:
            answer["gen_ai.usage.input_tokens"] = self._usage.input_tokens
            answer["gen_ai.usage.output_tokens"] = self._usage.output_tokens
            answer.update(rarer_tokens(self._usage))
        if self.interrupted:
            answer["antiphon.interrupted"] = True
        if self.taken:
            answer["gen_ai.output.messages"] = output_messages(self.taken, self._trace.tools)
        return answer


def _asked(options: ChatOptions) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if options.temperature is not None:
        asked["gen_ai.request.temperature"] = options.temperature
    if options.top_p is not None:
        asked["gen_ai.request.top_p"] = options.top_p
    if options.max_tokens is not None:
        asked["gen_ai.request.max_tokens"] = options.max_tokens
    if options.stop:
        asked["gen_ai.request.stop_sequences"] = options.stop
    return asked


@lru_cache(maxsize=256)
def _whereabouts(name: str, base_url: str | None) -> tuple[str, str, str, int]:
    """Provider, model, host and port of a client. Of several that stand in for each other it is the first."""
    provider, _, model = name.partition("|")[0].partition("/")
    provider = provider.removesuffix("-responses")
    parts = urlsplit(base_url or "")
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return _PROVIDERS.get(provider, provider), model or name, parts.hostname or "", port
