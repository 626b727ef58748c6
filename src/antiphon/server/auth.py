"""Who may come in: holders of an API key, and streams with a token that we gave out. Closed unless told otherwise."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256

from antiphon.clock import Clock
from antiphon.errors import ConfigurationError

TOKEN_LIFE_S = 60.0
MAX_TOKENS = 10_000


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_openness(host: str, *, dev: bool) -> None:
    """Refuse a configuration that would let strangers in.

    Raises:
        ConfigurationError: ``dev`` on an address that others can reach.
    """
    if dev and not is_loopback(host):
        raise ConfigurationError(
            f"--dev opens the server to everyone and works on a loopback address only, not on {host}: "
            "leave --dev out and set ANTIPHON_API_KEYS, or listen on 127.0.0.1."
        )


class ApiKeys:
    """The keys that open this server; only their digests are kept.

    Args:
        keys: The keys.
        dev: Everyone is let in.
    """

    def __init__(self, keys: Iterable[str], *, dev: bool = False) -> None:
        self._digests = [sha256(key.encode()).digest() for key in keys]
        self.dev = dev

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has a good key: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``.

        Args:
            headers: With lower-case names, or blind to case.
        """
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        return self.knows(bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", ""))

    def knows(self, key: str) -> bool:
        """Whether this is a good key."""
        if self.dev:
            return True
        if not key:
            return False
        digest = sha256(key.encode()).digest()
        # All keys are compared, so that the time tells nothing about which one was near.
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0


class StreamTokens:
    """Single-use tokens that a carrier's document hands to the stream that it opens.

    Args:
        clock: Tokens live ``TOKEN_LIFE_S``.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expiry: dict[bytes, float] = {}

    def issue(self) -> str:
        """A new token of 256 bits. The oldest ones give way when there are too many."""
        self._forget_old()
        while len(self._expiry) >= MAX_TOKENS:
            del self._expiry[next(iter(self._expiry))]
        token = secrets.token_hex(32)  # Letters and digits: Plivo passes nothing else on.
        self._expiry[_digest(token)] = self._clock.now() + TOKEN_LIFE_S
        return token

    def redeem(self, token: str | None) -> bool:
        """Whether the token was issued, is young enough and was not used before. It is used now."""
        if not token:
            return False
        self._forget_old()
        return self._expiry.pop(_digest(token), None) is not None

    def knows(self, token: str | None) -> bool:
        """Whether ``redeem`` would accept the token now."""
        self._forget_old()
        return bool(token) and _digest(token or "") in self._expiry

    @property
    def expected(self) -> bool:
        """Whether a stream with a token may still come."""
        self._forget_old()
        return bool(self._expiry)

    def _forget_old(self) -> None:
        now = self._clock.now()
        while self._expiry:
            oldest, expiry = next(iter(self._expiry.items()))
            if expiry > now:
                break
            del self._expiry[oldest]


class UsedSignatures:
    """Signatures that have opened something: none opens anything twice while it is young enough to be good.

    Args:
        clock: Time.
        life_s: How long a signature may be good.
    """

    def __init__(self, clock: Clock, life_s: float) -> None:
        self._clock = clock
        self._life_s = life_s
        self._expiry: dict[bytes, float] = {}

    def use(self, signature: str) -> bool:
        """Whether the signature was not used before; it is now. False too while more come than can be remembered."""
        now = self._clock.now()
        while self._expiry:
            oldest, expiry = next(iter(self._expiry.items()))
            if expiry > now:
                break
            del self._expiry[oldest]
        digest = _digest(signature)
        if digest in self._expiry or len(self._expiry) >= MAX_TOKENS:
            return False
        self._expiry[digest] = now + self._life_s
        return True


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
