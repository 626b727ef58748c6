"""When to connect again, and after how long. Pure: no clock, no socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RECONNECT_CODES = frozenset({1001, 1006, 1011, 1012, 1013})
"""Closes after which the service may be there again: going away, lost, failed, restarting, overloaded."""

FATAL_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "model_not_found",
        "beta_api_shape_disabled",
    }
)
"""Errors that the next connection would meet again; some services say them as ``code``, others as ``type``."""

FATAL_STATUSES = frozenset({400, 401, 403, 404})
"""Refusals of the handshake that the next one would meet again."""

REPEATABLE_FAILURES = frozenset({"rate_limit_exceeded", "server_error"})
"""Codes of a failed response that is worth asking for once more; so is all that begins with the next one."""
REPEATABLE_PREFIX = "inference_rate_limit"


def fatal_code(error: Mapping[str, Any]) -> str | None:
    """The reason in an error object that no reconnect can help against; None: there is none."""
    return next((word for word in _words(error) if word in FATAL_CODES), None)


def is_repeatable(error: Mapping[str, Any]) -> bool:
    """Whether a response that failed so may go well a second later."""
    word = next(iter(_words(error)), "")  # The code; a type says as much only where there is none.
    return word in REPEATABLE_FAILURES or word.startswith(REPEATABLE_PREFIX)


def _words(error: Mapping[str, Any]) -> list[str]:
    return [word for word in (error.get("code"), error.get("type")) if isinstance(word, str)]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between tries.

    Attributes:
        base_s: Before the first new try.
        max_s: The wait doubles up to this.
        max_tries: Tries in a row until it gives up; 0 is never.
        first_tries: The same until there was a first connection: no conversation is lost by giving up early.
        stable_s: A connection that lasted this long clears the count, so that a service that accepts and drops is not
            hammered.
    """

    base_s: float = 0.5
    max_s: float = 8.0
    max_tries: int = 0
    first_tries: int = 5
    stable_s: float = 30.0

    def delay_s(self, failures: int, share: float) -> float:
        """The wait before the next try.

        Args:
            failures: Tries and connections that failed in a row so far, at least 1.
            share: Random in 0..1; the wait is between half and all of the full one, so that clients spread.
        """
        full_s = min(self.max_s, self.base_s * 2.0 ** min(failures - 1, 60))
        return full_s * (0.5 + 0.5 * share)

    def gives_up(self, failures: int, *, was_connected: bool) -> bool:
        """Whether there is no next try."""
        limit = self.max_tries if was_connected else min(self.first_tries, self.max_tries or self.first_tries)
        return 0 < limit <= failures
