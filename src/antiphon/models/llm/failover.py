"""Several language models as one: when one cannot be had, the next answers, as long as nothing has been said yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from antiphon.clock import Clock, WallClock
from antiphon.errors import ChatClientException, ChatClientUnavailableException, ConfigurationError
from antiphon.logs import Log
from antiphon.models.llm.contract import BASIC_FEATURES, ChatClient, ChatDelta, ChatOptions, Feature
from antiphon.models.llm.messages import Message
from antiphon.models.llm.refusals import stalled

FIRST_REST_S = 5.0
LONGEST_REST_S = 60.0
FIRST_DELTA_S = 4.0
"""Shorter than a call's patience with its model, so that another one can still answer the caller."""

OnAvailabilityChanged = Callable[[str, bool, str], None]
"""Told a client's name, whether it can be had, and why it cannot."""

_log = Log(__name__)


@dataclass(slots=True, eq=False)
class _Member:
    """A client and its health.

    Attributes:
        client: Asked.
        failures: Without a success between them.
        failed_at: Time of the last failure.
        rests_until: It is not asked before that, if another can be.
        is_probed: A request finds out whether it is well again.
    """

    client: ChatClient
    failures: int = 0
    failed_at: float = 0.0
    rests_until: float = 0.0
    is_probed: bool = False


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
        self._watchers = [on_availability_changed] if on_availability_changed is not None else []
        self._members = [_Member(client) for client in clients]
        self._clock = clock or WallClock()
        self._first_delta_s = first_delta_s
        self.name = "|".join(client.name for client in clients)
        self.notice = clients[0].notice
        """What is to be told about the client that answers now."""

    @property
    def supports(self) -> frozenset[Feature]:
        """What each of them can do."""
        return frozenset.intersection(*[_features(member.client) for member in self._members])

    @property
    def context_window(self) -> int | None:
        """Tokens that fit into each of them; None where none tells."""
        windows = [getattr(member.client, "context_window", None) for member in self._members]
        return min([window for window in windows if window is not None], default=None)

    async def stream(self, messages: Sequence[Message], options: ChatOptions) -> AsyncGenerator[ChatDelta]:
        """Ask until one begins to answer; see the contract.

        Raises:
            ChatClientException: No client could be had, or one refused what it was asked.
        """
        order = self._order()
        for place, member in enumerate(order):
            deltas = member.client.stream(messages, self._options_for(member, options))
            is_last = place == len(order) - 1
            try:
                first = await self._first(member, deltas, is_last=is_last)
            except ChatClientUnavailableException as error:
                if is_last:
                    raise
                _log.warning("llm.failover", client=member.client.name, code=error.code, status=error.status_code)
                continue
            async with aclosing(deltas):
                if first is not None:
                    yield first
                async for delta in deltas:
                    yield delta
            return

    async def warm(self, messages: Sequence[Message] = (), options: ChatOptions | None = None) -> None:
        """Warm all; one that cannot be had rests.

        Raises:
            ChatClientException: None can be had, or one refuses its key.
        """
        made = [member.client.warm(messages, options) for member in self._members]
        results = await asyncio.gather(*made, return_exceptions=True)
        failed: list[BaseException] = []
        for member, result in zip(self._members, results, strict=True):
            if isinstance(result, ChatClientUnavailableException):
                self._rest(member, result, self._clock.now())
                failed.append(result)
            elif result is not None:
                raise result
        if len(failed) == len(self._members):
            raise failed[0]

    async def prefill(self, messages: Sequence[Message], options: ChatOptions) -> None:
        """Pass on to the client that would answer, if it runs its model itself."""
        prefill = getattr(self._order()[0].client, "prefill", None)
        if prefill is not None:
            await prefill(messages, options)

    async def aclose(self) -> None:
        """Close all."""
        await asyncio.gather(*[member.client.aclose() for member in self._members])

    def watch(self, told: OnAvailabilityChanged) -> Callable[[], None]:
        """Have somebody told when a client begins or ends to be unavailable; what is given back ends that."""
        self._watchers.append(told)
        return lambda: self._watchers.remove(told)

    def available(self) -> dict[str, bool]:
        """Whether each client can be had, by name."""
        return {member.client.name: member.failures == 0 for member in self._members}

    async def _first(self, member: _Member, deltas: AsyncGenerator[ChatDelta], *, is_last: bool) -> ChatDelta | None:
        """The first delta, and what it says of the client's health."""
        asked_at = self._clock.now()
        member.is_probed = member.failures > 0
        try:
            try:
                async with asyncio.timeout(None if is_last else self._first_delta_s):
                    first = await anext(deltas, None)
            except TimeoutError:
                raise stalled(member.client.name) from None
        except ChatClientUnavailableException as error:
            self._rest(member, error, asked_at)
            raise
        except ChatClientException:
            # It answered, if only to refuse what it was asked.
            self._recovered(member)
            raise
        finally:
            member.is_probed = False
        self._recovered(member)
        return first

    def _order(self) -> list[_Member]:
        """Whom to ask: the well ones and those whose rest is over, then the others, longest failed first."""
        now = self._clock.now()
        ready = [member for member in self._members if now >= member.rests_until and not member.is_probed]
        others = [member for member in self._members if member not in ready]
        return ready + sorted(others, key=lambda member: member.failed_at)

    def _options_for(self, member: _Member, options: ChatOptions) -> ChatOptions:
        """Another model of the same provider is one of the preferred client's; the others have not got it."""
        if options.model is None or member is self._members[0]:
            return options
        return replace(options, model=None)

    def _rest(self, member: _Member, error: ChatClientException, asked_at: float) -> None:
        """Let a client rest. Requests that were under way together count as one failure."""
        now = self._clock.now()
        if member.failures and asked_at < member.failed_at:
            return
        was_well = member.failures == 0
        member.failures += 1
        member.failed_at = now
        rest_s = min(LONGEST_REST_S, max(FIRST_REST_S * 2 ** (member.failures - 1), error.retry_after_s or 0.0))
        member.rests_until = now + rest_s
        if was_well:
            self._tell(member, False, error.code)

    def _recovered(self, member: _Member) -> None:
        if member.failures:
            member.failures = 0
            member.rests_until = 0.0
            self._tell(member, True, "")

    def _tell(self, member: _Member, available: bool, reason: str) -> None:
        self.notice = self._order()[0].client.notice
        _log.info("llm.availability_changed", client=member.client.name, available=available, reason=reason)
        for told in tuple(self._watchers):
            told(member.client.name, available, reason)


def _features(client: ChatClient) -> frozenset[Feature]:
    features: frozenset[Feature] = getattr(client, "supports", BASIC_FEATURES)
    return features
