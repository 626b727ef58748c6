"""When a session that is about to expire gives way to a new one. Pure."""

from __future__ import annotations

EARLIEST_S = 60.0
LATEST_S = 10.0
"""Before the end: from when a quiet moment is taken, and when it is done whatever happens."""

SHORTEST_S = 20.0
"""A session that seems to last less is a matter of two clocks that differ; nothing is done about it."""


class Renewal:
    """Knows the end of the session of the moment; all times are Unix seconds."""

    __slots__ = ("_expires_s", "_lifetime_s")

    def __init__(self) -> None:
        self._expires_s: float | None = None
        self._lifetime_s = 0.0

    def begin(self, expires_at: object, now_s: float) -> None:
        """A session has begun, which tells when it will end, or does not."""
        lifetime_s = expires_at - now_s if isinstance(expires_at, (int, float)) else 0.0
        self._lifetime_s = lifetime_s
        self._expires_s = now_s + lifetime_s if lifetime_s >= SHORTEST_S else None

    def is_due(self, now_s: float, *, quiet: bool) -> bool:
        """Whether to begin a new session now."""
        if self._expires_s is None:
            return False
        left_s = self._expires_s - now_s
        # A short session is not renewed in its first half.
        return left_s <= (min(EARLIEST_S, self._lifetime_s / 2) if quiet else min(LATEST_S, self._lifetime_s / 4))
