"""Any endpoint that speaks OpenAI's Chat Completions: OpenAI, vLLM, Ollama, llama.cpp, Groq, Together and many more."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from antiphon.errors import SettingNotFoundError
from antiphon.models.llm.contract import ChatDelta, ChatOptions, Feature
from antiphon.models.llm.endpoint import FIRST_TOKEN_S, STALL_S, Endpoint, EventStream, Refused
from antiphon.models.llm.families import family
from antiphon.models.llm.messages import Message
from antiphon.models.llm.openai_answer import Answer
from antiphon.models.llm.openai_wire import RequestWriter
from antiphon.models.llm.providers import FULL_FEATURES, PLAIN, PROVIDERS, Dialect

OFFICIAL_URL = PROVIDERS["openai"].base_url

_PATH = "/chat/completions"


class OpenAICompatibleClient:
    """Streams Chat Completions. One object for all calls of a process: it keeps its connections.

    Args:
        model: The provider's name of the model.
        base_url: Where ``/chat/completions`` is.
        api_key: Sent as a bearer token; OpenAI itself needs one.
        provider: For logs and messages; the host unless given. Of a provider that ``PROVIDERS`` knows, the dialect too.
        headers: Further headers of every request.
        dialect: What the provider's requests look like.
        supports: What the model can do.
        context_window: Tokens of a request and its answer; by the model's name unless given.
        first_token_s: Longest wait for the response, and then for its first word.
        stall_s: Longest wait between two pieces of an answer.
        http: An HTTP client to share; it is then not closed here.

    Raises:
        SettingNotFoundError: OpenAI's own endpoint without a key.
        ConfigurationError: The base URL is none.
    """

    notice: str | None = None

    def __init__(
        self,
        model: str,
        *,
        base_url: str = OFFICIAL_URL,
        api_key: str | None = None,
        provider: str | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Dialect | None = None,
        supports: frozenset[Feature] | None = None,
        context_window: int | None = None,
        first_token_s: float = FIRST_TOKEN_S,
        stall_s: float = STALL_S,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        found = _provider_at(base_url)
        provider = provider or found
        if found == "openai" and not api_key:
            raise SettingNotFoundError(
                "OpenAI needs a key: set OPENAI_API_KEY, or set OPENAI_BASE_URL to an endpoint that needs none.",
                provider="openai",
            )
        preset = PROVIDERS.get(provider)
        self.name = f"{provider}/{model}"
        self.model = model
        self.provider_name = preset.telemetry or provider if preset is not None else provider
        """The provider in telemetry."""
        known = family(model)
        thinks: frozenset[Feature] = frozenset({"reasoning"} if known.thinks or known.effort else ())
        self.supports = supports or (preset.supports if preset is not None else FULL_FEATURES) | thinks
        self.context_window = context_window or known.context_window
        self._dialect = dialect or (preset.dialect if preset is not None else PLAIN)
        self._ask_usage = True
        self._writer = RequestWriter(provider, self._dialect, images="images" in self.supports)
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
        events = await self._ask(messages, options)
        endpoint = self._endpoint
        answer = Answer(endpoint.provider, endpoint.secrets, keeps_thoughts=bool(self._dialect.reasoning))
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

    async def _ask(self, messages: Sequence[Message], options: ChatOptions) -> EventStream:
        """Send the request; once more without ``stream_options`` if the server does not know that key."""
        while True:
            body = self._writer.body(self.model, messages, options, usage=self._ask_usage)
            try:
                return await self._endpoint.post(_PATH, body, options.headers)
            except Refused as refused:
                if not (refused.status in (400, 422) and self._ask_usage and b"stream_options" in refused.body):
                    raise refused.error from None
                self._ask_usage = False


def _provider_at(base_url: str) -> str:
    """The provider's name, by its address: a preset's, else the host."""
    try:
        host = urlsplit(base_url).hostname
    except ValueError:
        host = None
    if host in (None, "localhost"):
        return host or ""
    return next((name for name, known in PROVIDERS.items() if urlsplit(known.base_url).hostname == host), str(host))
