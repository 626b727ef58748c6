"""Which of several providers is asked first: the order is the preference, and those that failed rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from antiphon.clock import Clock
from antiphon.errors import AntiphonException
from antiphon.logs import Log

FIRST_REST_S = 5.0
LONGEST_REST_S = 60.0

OnAvailabilityChanged = Callable[[str, bool, str], None]
"""Told a provider's name, whether it can be had, and why it cannot."""

_LASTING = frozenset({"stalled", "rate_limited", "pool_exhausted", "pool_closed"})

_log = Log(__name__)


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """Such as ``deepgram/nova-3``."""
        ...


P = TypeVar("P", bound=Named)


@dataclass(slots=True, eq=False)
class Member(Generic[P]):
    """A provider and its health.

    Attributes:
        provider: Asked.
        failures: Without a success between them.
        failed_at: Time of the last failure.
        rests_until: It is not asked before that, if another can be.
        is_probed: A request finds out whether it is well again.
    """

    provider: P
    failures: int = 0
    failed_at: float = 0.0
    rests_until: float = 0.0
    is_probed: bool = False


class Ranking(Generic[P]):
    """Providers of one kind, in the order in which they are to be asked.

    One that failed rests for 5 s, then for twice as long each time, up to a minute. After its rest a single request
    tries it. When all rest, they are asked all the same, the one that failed longest ago first: a caller is never
    refused unasked.

    Args:
        kind: For the log: ``llm``, ``stt`` or ``tts``.
        providers: At least one.
        clock: Measures the rests.
    """

    def __init__(self, kind: str, providers: Sequence[P], *, clock: Clock) -> None:
        self.members = [Member(provider) for provider in providers]
        self.watchers: list[OnAvailabilityChanged] = []
        self._kind = kind
        self._clock = clock

    def order(self) -> list[Member[P]]:
        """Whom to ask: the well ones and those whose rest is over, then the others, longest failed first."""
        now = self._clock.now()
        ready = [member for member in self.members if now >= member.rests_until and not member.is_probed]
        others = [member for member in self.members if member not in ready]
        return ready + sorted(others, key=lambda member: member.failed_at)

    def rest(self, member: Member[P], error: AntiphonException, asked_at: float) -> None:
        """Let one rest. Requests that were under way together count as one failure."""
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

    @contextmanager
    def probing(self, member: Member[P]) -> Iterator[None]:
        """While one that failed is asked, others do not ask it."""
        member.is_probed = member.failures > 0
        try:
            yield
        finally:
            member.is_probed = False

    def recovered(self, member: Member[P]) -> None:
        """It has answered."""
        if member.failures:
            member.failures = 0
            member.rests_until = 0.0
            self._tell(member, True, "")

    async def warm(self, warming: Callable[[P], Awaitable[None]], away: type[AntiphonException]) -> None:
        """Warm all at once; one that cannot be had rests.

        Args:
            warming: Warms one.
            away: What it raises when it cannot be had.

        Raises:
            AntiphonException: None can be had, or one refuses its key or model, which would stay hidden otherwise.
        """
        results = await asyncio.gather(*[warming(member.provider) for member in self.members], return_exceptions=True)
        failed: list[BaseException] = []
        for member, result in zip(self.members, results, strict=True):
            if isinstance(result, away):
                self.rest(member, result, self._clock.now())
                failed.append(result)
            elif result is not None:
                raise result
        if len(failed) == len(results):
            raise failed[0]

    def available(self) -> dict[str, bool]:
        """Whether each can be had, by name."""
        return {member.provider.name: member.failures == 0 for member in self.members}

    def _tell(self, member: Member[P], available: bool, reason: str) -> None:
        name = member.provider.name
        _log.info(f"{self._kind}.availability_changed", provider=name, available=available, reason=reason)
        for told in tuple(self.watchers):
            told(name, available, reason)


def may_pass_at_once(error: AntiphonException) -> bool:
    """Whether the same request may succeed if it is made again without a pause."""
    return error.retryable and error.code not in _LASTING
