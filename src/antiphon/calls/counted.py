"""A language model whose work is counted, for one answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from antiphon.clock import Clock
from antiphon.models.llm.content import Usage
from antiphon.models.llm.contract import BASIC_FEATURES, ChatClient, ChatDelta, ChatOptions
from antiphon.models.llm.messages import Message

Told = Callable[[str, Usage, float], None]
"""Told of a request, when it is over: who answered it, the tokens as far as they are known, the seconds of waiting."""


class CountedClient:
    """A ``ChatClient`` that tells what each request of the one behind it was.

    Args:
        client: Is asked.
        clock: Measures the waiting: the time in which nobody listens does not count.
        told: Told of each request that was answered, also where the answer was cut.
    """

    def __init__(self, client: ChatClient, clock: Clock, told: Told) -> None:
        self.name = client.name
        self.notice = client.notice
        self.prefill = getattr(client, "prefill", None)
        self.supports = getattr(client, "supports", BASIC_FEATURES)
        self.context_window: int | None = getattr(client, "context_window", None)
        self.base_url: str | None = getattr(client, "base_url", None)
        self._client = client
        self._clock = clock
        self._told = told

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask once; see the contract."""
        clock, name, usage, waited_s = self._clock, "", Usage(), 0.0
        try:
            async with aclosing(self._client.stream(messages, options)) as deltas:
                while True:
                    asked_at = clock.now()
                    delta = await anext(deltas, None)
                    waited_s += clock.now() - asked_at
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
