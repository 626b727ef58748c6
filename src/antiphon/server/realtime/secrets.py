"""Short-lived keys for clients that must not hold the server's own: a browser, an app."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from antiphon.clock import Clock

MAX_SECRETS = 10_000
DEFAULT_LIFE_S = 600
LIVES_S = (10, 7200)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """What a secret opens.

    Attributes:
        expires_at: The clock's seconds.
        session: The configuration that its sessions begin with, as the client gave it.
    """

    expires_at: float
    session: Mapping[str, Any]


class ClientSecrets:
    """The secrets of this process; only their digests are kept.

    Args:
        clock: Secrets live for a time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secrets: dict[bytes, ClientSecret] = {}

    def issue(self, session: Mapping[str, Any], life_s: int) -> str:
        """A new secret. The oldest ones give way when there are too many."""
        while len(self._secrets) >= MAX_SECRETS:
            del self._secrets[next(iter(self._secrets))]
        value = f"ek_{secrets.token_hex(24)}"
        self._secrets[_digest(value)] = ClientSecret(self._clock.now() + life_s, session)
        return value

    def find(self, value: str) -> ClientSecret | None:
        """What was issued under this value, also when it has expired."""
        return self._secrets.get(_digest(value))

    def is_good(self, secret: ClientSecret) -> bool:
        """Whether it still opens sessions."""
        return secret.expires_at > self._clock.now()


def _digest(value: str) -> bytes:
    return sha256(value.encode()).digest()
