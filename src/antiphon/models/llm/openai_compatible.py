"""Any endpoint that speaks OpenAI's Chat Completions: OpenAI, vLLM, Ollama, llama.cpp, Groq, Together and many more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from antiphon.errors import (
    ChatClientException,
    ChatClientInvalidResponseException,
    ChatClientUnavailableException,
    ConfigurationError,
    SettingNotFoundError,
)
from antiphon.models.llm.contract import ChatDelta, ChatOptions, Message
from antiphon.models.llm.openai_wire import Answer, error_of_response, request_body
from antiphon.models.llm.sse import EventTooLong, SSEParser

OFFICIAL_URL = "https://api.openai.com/v1"

_CONNECT_S = 3.0
_WARM_S = 5.0
_DRAIN_S = 0.1
_ERROR_BYTES = 64 * 1024
_STREAM_HEADERS = {
    "accept": "text/event-stream",
    # Compression would hold words back until a block is full.
    "accept-encoding": "identity",
    "content-type": "application/json",
}


class OpenAICompatibleClient:
    """Streams Chat Completions. One object for all calls of a process: it keeps its connections.

    Args:
        model: The provider's name of the model.
        base_url: Where ``/chat/completions`` is.
        api_key: Sent as a bearer token; OpenAI itself needs one.
        provider: For logs and messages; the host unless given.
        headers: Further headers of every request.
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
        first_token_s: float = 30.0,
        stall_s: float = 5.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigurationError(f"The base URL {base_url!r} must begin with http:// or https:// and name a host.")
        if host == urlsplit(OFFICIAL_URL).hostname and not api_key:
            raise SettingNotFoundError(
                "OpenAI needs a key: set OPENAI_API_KEY, or set OPENAI_BASE_URL to an endpoint that needs none.",
                provider="openai",
            )
        self._provider = provider or ("openai" if host == urlsplit(OFFICIAL_URL).hostname else host)
        self.name = f"{self._provider}/{model}"
        self._model = model
        self._url = base_url.rstrip("/")
        self._api_key = api_key
        self._headers = {**({"authorization": f"Bearer {api_key}"} if api_key else {}), **(headers or {})}
        self._first_token_s = first_token_s
        self._stall_s = stall_s
        self._owns_http = http is None
        self._http = http or new_http_client()
        self._ask_usage = True

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once; see the contract.

        Raises:
            ChatClientException: One of its five leaves.
        """
        with self._mapped_errors():
            async with asyncio.timeout(self._first_token_s):
                response = await self._send(messages, options)
        answer = Answer(self._provider, self._api_key)
        parser = SSEParser()
        try:
            chunks = response.aiter_raw()
            while not answer.done and (chunk := await self._next(chunks, answer)) is not None:
                for data in self._events(parser, chunk):
                    if text := answer.take(data):
                        yield ChatDelta(text)
            for data in parser.finish():
                if text := answer.take(data):
                    yield ChatDelta(text)
            yield answer.end()
            await _drain(chunks)
        finally:
            await response.aclose()

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Open a connection and try the key, so that the first turn does not wait for either.

        Raises:
            ChatClientInvalidAuthException: The key is refused.
            ChatClientUnavailableException: The endpoint cannot be reached.
        """
        with self._mapped_errors():
            async with asyncio.timeout(_WARM_S):
                response = await self._http.get(f"{self._url}/models", headers=self._headers)
        if response.status_code in (401, 403):
            raise self._refusal(response, b"")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    async def _send(self, messages: Sequence[Message], options: ChatOptions) -> httpx.Response:
        """Send the request; once more without ``stream_options`` if the server does not know that key."""
        while True:
            body = request_body(self._model, messages, options, usage=self._ask_usage)
            url = f"{self._url}/chat/completions"
            request = self._http.build_request("POST", url, content=body, headers={**_STREAM_HEADERS, **self._headers})
            response = await self._http.send(request, stream=True)
            if response.is_success:
                return response
            try:
                refused = await _beginning(response)
            finally:
                await response.aclose()
            if not (response.status_code == 400 and self._ask_usage and b"stream_options" in refused):
                raise self._refusal(response, refused)
            self._ask_usage = False

    async def _next(self, chunks: AsyncIterator[bytes], answer: Answer) -> bytes | None:
        """The next bytes; None at the end. A model that thinks first may take as long as one that queues."""
        with self._mapped_errors():
            async with asyncio.timeout(self._stall_s if answer.begun else self._first_token_s):
                return await anext(chunks, None)

    def _events(self, parser: SSEParser, chunk: bytes) -> list[bytes]:
        try:
            return parser.feed(chunk)
        except EventTooLong as error:
            raise ChatClientInvalidResponseException(
                f"{self._provider} sent a stream that cannot be read: {error}", code="bad_stream"
            ) from None

    def _refusal(self, response: httpx.Response, body: bytes) -> ChatClientException:
        return error_of_response(
            response.status_code, response.headers, body, provider=self._provider, secret=self._api_key
        )

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        """What goes wrong on the network, as one of ours."""
        try:
            yield
        except (TimeoutError, httpx.ReadTimeout):
            raise self._unavailable("stalled", "sends nothing", "see whether it is well, or use another") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            what = f"cannot be reached at {self._url} ({str(error) or 'timeout'})"
            raise self._unavailable("connect", what, "check the base URL and the network") from None
        except httpx.TransportError as error:
            raise self._unavailable("connection_lost", f"broke the connection ({error})", "try again") from None

    def _unavailable(self, code: str, what: str, advice: str) -> ChatClientUnavailableException:
        return ChatClientUnavailableException(f"{self._provider} {what}; {advice}.", code=code, provider=self._provider)


def new_http_client() -> httpx.AsyncClient:
    """An HTTP client as language models need it: many streams at once, connections that stay."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(60.0, connect=_CONNECT_S),
        limits=httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30.0),
    )


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= _ERROR_BYTES:
            break
    return body


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read what is behind the last event, which is nothing: only then does the connection serve again."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass
    except (TimeoutError, httpx.TransportError):
        pass
