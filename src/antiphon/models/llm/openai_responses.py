"""OpenAI's Responses: its models that think, its own tools, and histories that it keeps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

import httpx

from antiphon.models.llm.contract import ChatDelta, ChatOptions, Feature
from antiphon.models.llm.endpoint import FIRST_TOKEN_S, STALL_S, Endpoint, Refused
from antiphon.models.llm.families import family
from antiphon.models.llm.messages import Message
from antiphon.models.llm.providers import FULL_FEATURES, PROVIDERS
from antiphon.models.llm.responses_answer import ResponsesAnswer
from antiphon.models.llm.responses_wire import ResponsesWriter

_PATH = "/responses"


class OpenAIResponsesClient:
    """Streams Responses. One object for all calls of a process: it keeps its connections.

    Args:
        model: The provider's name of the model.
        base_url: Where ``/responses`` is.
        api_key: Sent as a bearer token.
        provider: For logs and messages, and the mark of contents that only this provider can read.
        headers: Further headers of every request, such as Azure's ``api-key``.
        context_window: Tokens of a request and its answer; by the model's name unless given.
        first_token_s: Longest wait for the response, and then for its first word.
        stall_s: Longest wait between two pieces of an answer.
        http: An HTTP client to share; it is then not closed here.

    Raises:
        ConfigurationError: The base URL is none.
    """

    notice: str | None = None

    def __init__(
        self,
        model: str,
        *,
        base_url: str = PROVIDERS["openai"].base_url,
        api_key: str | None = None,
        provider: str = "openai",
        headers: Mapping[str, str] | None = None,
        context_window: int | None = None,
        first_token_s: float = FIRST_TOKEN_S,
        stall_s: float = STALL_S,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        known = family(model)
        preset = PROVIDERS.get(provider)
        self.name = f"{provider}-responses/{model}"
        self.model = model
        self.provider_name = preset.telemetry or provider if preset is not None else provider
        """The provider in telemetry."""
        thinks: frozenset[Feature] = frozenset({"reasoning"}) if known.thinks else frozenset()
        self.supports = FULL_FEATURES | thinks
        self.context_window = context_window or known.context_window
        self._writer = ResponsesWriter(provider)
        self._endpoint = Endpoint(
            provider,
            base_url,
            headers={**({"authorization": f"Bearer {api_key}"} if api_key else {}), **(headers or {})},
            first_token_s=first_token_s,
            stall_s=stall_s,
            http=http,
        )
        self.base_url = self._endpoint.shown_url
        """Where it asks, in telemetry."""

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once; see the contract.

        Raises:
            ChatClientException: One of its five leaves.
        """
        endpoint = self._endpoint
        try:
            events = await endpoint.post(_PATH, self._writer.body(self.model, messages, options), options.headers)
        except Refused as refused:
            raise refused.error from None
        answer = ResponsesAnswer(endpoint.provider, endpoint.secrets)
        try:
            while not answer.done and (batch := await events.read(begun=answer.begun)) is not None:
                for data in batch:
                    if (delta := answer.take(data)) is not None:
                        yield delta
            yield answer.end()
            await events.drain()
        finally:
            await events.aclose()

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Open a connection and try the key, so that the first turn does not wait for either.

        Raises:
            ChatClientInvalidAuthException: The key is refused.
            ChatClientUnavailableException: The endpoint cannot be reached.
        """
        await self._endpoint.knock("/models")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._endpoint.aclose()
