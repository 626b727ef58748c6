"""A language model that falls silent is a language model that failed: here is who notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.contract import BASIC_FEATURES, ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message


class StallGuard:
    """A ``ChatClient`` that gives up when the one behind it gives nothing for ``stall_s``."""

    def __init__(self, client: ChatClient, stall_s: float) -> None:
        self.name = client.name
        self.notice = client.notice
        self.prefill = getattr(client, "prefill", None)
        self.supports = getattr(client, "supports", BASIC_FEATURES)
        self.context_window: int | None = getattr(client, "context_window", None)
        self.base_url: str | None = getattr(client, "base_url", None)
        self._client = client
        self._stall_s = stall_s

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once.

        Raises:
            ChatClientException: The model failed or fell silent.
        """
        async with aclosing(self._client.stream(messages, options)) as deltas:
            while True:
                try:
                    async with asyncio.timeout(self._stall_s):
                        delta = await anext(deltas, None)
                except TimeoutError:
                    message = f"The model {self.name} gave nothing for {self._stall_s:g} s."
                    raise ChatClientUnavailableException(message, code="stalled", retryable=False) from None
                if delta is None:
                    return
                yield delta

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Warm the model behind."""
        await self._client.warm(messages, options)

    async def aclose(self) -> None:
        """Close the model behind."""
        await self._client.aclose()
