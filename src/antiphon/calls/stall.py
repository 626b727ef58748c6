"""A language model as a call asks it: one that falls silent has failed, and what each request took is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from antiphon.clock import Clock
from antiphon.errors import ChatClientUnavailableException
from antiphon.models.llm.content import Usage
from antiphon.models.llm.contract import BASIC_FEATURES, ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message

Told = Callable[[str, Usage, float], None]
"""Told of a request, when it is over: who answered it, the tokens as far as they are known, the seconds of waiting."""


class StallGuard:
    """A ``ChatClient`` that gives up when the one behind it gives nothing for ``stall_s``.

    Args:
        client: Is asked.
        stall_s: Longest silence.
        clock: Measures the waiting: the time in which nobody listens does not count.
        told: Told of each request that was answered, also where the answer was cut.
    """

    def __init__(
        self, client: ChatClient, stall_s: float, *, clock: Clock, told: Told = lambda _name, _usage, _waited_s: None
    ) -> None:
        self.name = client.name
        self.notice = client.notice
        self.prefill = getattr(client, "prefill", None)
        self.supports = getattr(client, "supports", BASIC_FEATURES)
        self.context_window: int | None = getattr(client, "context_window", None)
        self.base_url: str | None = getattr(client, "base_url", None)
        self._client = client
        self._stall_s = stall_s
        self._clock = clock
        self._told = told

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once.

        Raises:
            ChatClientException: The model failed or fell silent.
        """
        now, name, usage, waited_s = self._clock.now, "", Usage(), 0.0
        try:
            async with aclosing(self._client.stream(messages, options)) as deltas:
                while True:
                    asked_at = now()
                    try:
                        async with asyncio.timeout(self._stall_s):
                            delta = await anext(deltas, None)
                    except TimeoutError:
                        message = f"The model {self.name} gave nothing for {self._stall_s:g} s."
                        raise ChatClientUnavailableException(message, code="stalled", retryable=False) from None
                    waited_s += now() - asked_at
                    if delta is None:
                        return
                    name = name or delta.client or self.name
                    if delta.usage is not None:
                        usage += delta.usage
                    yield delta
        finally:
            if name:
                self._told(name, usage, waited_s)

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Warm the model behind."""
        await self._client.warm(messages, options)

    async def aclose(self) -> None:
        """Close the model behind."""
        await self._client.aclose()
