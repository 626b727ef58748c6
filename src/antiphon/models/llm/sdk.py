"""Vendors' own packages: loaded when they are first used, with their errors as ours."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from antiphon.errors import ChatClientException, IntegrationInitializationError
from antiphon.models.http import redact
from antiphon.models.llm.refusals import (
    connection_lost,
    error_in_stream,
    error_of_status,
    not_reached,
    stalled,
    unreadable,
)

T = TypeVar("T")

_DRAIN_S = 0.1
_WHY_CHARS = 200


def load_sdk(module: str, *, extra: str) -> Any:
    """A vendor's package.

    Args:
        module: What to import.
        extra: Antiphon's name for what has to be installed.

    Raises:
        IntegrationInitializationError: It is not installed, or does not load.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise IntegrationInitializationError(
            f'The package {module} is missing or does not load ({error}); run `pip install "antiphon[{extra}]"`.',
            provider=extra,
        ) from None


@dataclass(frozen=True, slots=True)
class ForeignCalls:
    """Asks through a vendor's package, with our limits of time and our errors.

    Attributes:
        provider: For messages.
        url: Where the provider is, for messages.
        secrets: Never shown in a message.
        first_token_s: Longest wait for the response, and then for its first word.
        stall_s: Longest wait between two pieces of an answer.
    """

    provider: str
    url: str
    secrets: tuple[str, ...]
    first_token_s: float
    stall_s: float

    def keeping(self, headers: Mapping[str, str]) -> ForeignCalls:
        """The same for a request whose headers are secret too."""
        return replace(self, secrets=(*self.secrets, *headers.values())) if headers else self

    async def begin(self, asked: Awaitable[T]) -> T:
        """Wait for the response to begin.

        Raises:
            ChatClientException: It does not.
        """
        with self._mapped_errors():
            async with asyncio.timeout(self.first_token_s):
                return await asked

    async def next(self, events: AsyncIterator[Any], *, begun: bool) -> Any:
        """The next event; None at the end.

        Raises:
            ChatClientException: There is none in time, or none that can be read.
        """
        with self._mapped_errors():
            async with asyncio.timeout(self.stall_s if begun else self.first_token_s):
                return await anext(events, None)

    async def drain(self, events: AsyncIterator[Any]) -> None:
        """Read what is behind the last event, which is nothing: only then does the connection serve again."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                async for _ in events:
                    pass
        except Exception:
            # The answer is whole; whatever the vendor's package finds behind it does not matter.
            pass

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except ChatClientException:
            raise
        except Exception as error:
            # The vendor's package raises its own errors, its HTTP client's, and what odd data make of its code.
            raise self._mapped(error) from None

    def _mapped(self, error: Exception) -> ChatClientException:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        body = getattr(error, "body", None) or getattr(error, "details", None)
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        if isinstance(status, int) and status >= 300:
            return error_of_status(status, headers, body, provider=self.provider, secrets=self.secrets)
        if isinstance(body, dict):
            return error_in_stream(body, provider=self.provider, secrets=self.secrets)
        chain = list(_chain(error))
        kinds = {kind.__name__ for each in chain for kind in type(each).__mro__}
        why = redact(str(chain[-1]), self.secrets)
        if kinds & {"ConnectError", "ConnectTimeout"}:
            return not_reached(self.provider, self.url, why)
        if kinds & {"TimeoutError", "TimeoutException"}:
            return stalled(self.provider)
        if kinds & {"TransportError", "ConnectionError"}:
            return connection_lost(self.provider, why)
        return unreadable(self.provider, f"{type(chain[-1]).__name__}: {why}"[:_WHY_CHARS])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__
