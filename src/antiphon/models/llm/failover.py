"""Several language models as one: when one cannot be had, the next answers, as long as nothing has been said yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import msgspec

from antiphon.clock import Clock, WallClock
from antiphon.errors import ChatClientException, ChatClientUnavailableException, ConfigurationError
from antiphon.logs import Log
from antiphon.models.health import Member, OnAvailabilityChanged, Ranking
from antiphon.models.llm.contract import BASIC_FEATURES, ChatClient, ChatDelta, ChatOptions, Feature
from antiphon.models.llm.messages import Message
from antiphon.models.llm.refusals import stalled

FIRST_DELTA_S = 4.0
"""Shorter than a call's patience with its model, so that another one can still answer the caller."""

_log = Log(__name__)


class FailoverChatClient:
    """Asks the first client that is well. The order is the preference.

    A client that cannot be reached, is overloaded or stalls before its first delta rests for 5 s, then for twice as
    long each time, up to a minute. After its rest a single request tries it. When all rest, they are asked all the
    same, the one that failed longest ago first: a caller is never refused unasked. Wrong keys and wrong requests are
    no failures of this kind; they are raised.

    Args:
        clients: At least one; closed together with this object.
        clock: Measures the rests.
        first_delta_s: Longest wait for a client's first delta, if another one is left; None for its own limits.
        on_availability_changed: Told when a client begins or ends to be unavailable.

    Raises:
        ConfigurationError: There is no client.
    """

    def __init__(
        self,
        clients: Sequence[ChatClient],
        *,
        clock: Clock | None = None,
        first_delta_s: float | None = FIRST_DELTA_S,
        on_availability_changed: OnAvailabilityChanged | None = None,
    ) -> None:
        if not clients:
            raise ConfigurationError("A failover needs at least one model, such as openai:gpt-4o|groq:llama-3.3-70b.")
        self._clock = clock or WallClock()
        self._ranking: Ranking[ChatClient] = Ranking("llm", clients, clock=self._clock)
        self._ranking.watchers.append(self._renew_notice)
        if on_availability_changed is not None:
            self._ranking.watchers.append(on_availability_changed)
        self._first_delta_s = first_delta_s
        self.name = "|".join(client.name for client in clients)
        self.notice = clients[0].notice
        """What is to be told about the client that answers now."""

    @property
    def supports(self) -> frozenset[Feature]:
        """What each of them can do."""
        return frozenset.intersection(*[_features(member.provider) for member in self._ranking.members])

    @property
    def context_window(self) -> int | None:
        """Tokens that fit into each of them; None where none tells."""
        windows = [getattr(member.provider, "context_window", None) for member in self._ranking.members]
        return min([window for window in windows if window is not None], default=None)

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask until one begins to answer; see the contract.

        Raises:
            ChatClientException: No client could be had, or one refused what it was asked.
        """
        order = self._ranking.order()
        for place, member in enumerate(order):
            deltas = member.provider.stream(messages, self._options_for(member, options))
            is_last = place == len(order) - 1
            try:
                first = await self._first(member, deltas, is_last=is_last)
            except ChatClientUnavailableException as error:
                if is_last:
                    raise
                _log.warning("llm.failover", client=member.provider.name, code=error.code, status=error.status_code)
                continue
            async with aclosing(deltas):
                if first is not None:
                    yield msgspec.structs.replace(first, client=member.provider.name)
                async for delta in deltas:
                    yield delta
            return

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Warm all; one that cannot be had rests.

        Raises:
            ChatClientException: None can be had, or one refuses its key.
        """
        await self._ranking.warm(lambda client: client.warm(messages, options), ChatClientUnavailableException)

    async def prefill(self, messages: Sequence[Message], options: ChatOptions) -> None:
        """Pass on to the client that would answer, if it runs its model itself."""
        prefill = getattr(self._ranking.order()[0].provider, "prefill", None)
        if prefill is not None:
            await prefill(messages, options)

    async def aclose(self) -> None:
        """Close all."""
        await asyncio.gather(*[member.provider.aclose() for member in self._ranking.members])

    def watch(self, told: OnAvailabilityChanged) -> Callable[[], None]:
        """Have somebody told when a client begins or ends to be unavailable; what is given back ends that."""
        self._ranking.watchers.append(told)
        return lambda: self._ranking.watchers.remove(told)

    def available(self) -> dict[str, bool]:
        """Whether each client can be had, by name."""
        return self._ranking.available()

    async def _first(
        self, member: Member[ChatClient], deltas: AsyncGenerator[ChatDelta], *, is_last: bool
    ) -> ChatDelta | None:
        """The first delta, and what it says of the client's health."""
        asked_at = self._clock.now()
        with self._ranking.probing(member):
            try:
                async with asyncio.timeout(None if is_last else self._first_delta_s):
                    first = await anext(deltas, None)
            except TimeoutError:
                error = stalled(member.provider.name)
                self._ranking.rest(member, error, asked_at)
                raise error from None
            except ChatClientUnavailableException as error:
                self._ranking.rest(member, error, asked_at)
                raise
            except ChatClientException:
                # It answered, if only to refuse what it was asked.
                self._ranking.recovered(member)
                raise
        self._ranking.recovered(member)
        return first

    def _options_for(self, member: Member[ChatClient], options: ChatOptions) -> ChatOptions:
        """Another model of the same provider is one of the preferred client's; the others have not got it."""
        if options.model is None or member is self._ranking.members[0]:
            return options
        return replace(options, model=None)

    def _renew_notice(self, _name: str, _available: bool, _reason: str) -> None:
        self.notice = self._ranking.order()[0].provider.notice


def _features(client: ChatClient) -> frozenset[Feature]:
    features: frozenset[Feature] = getattr(client, "supports", BASIC_FEATURES)
    return features
