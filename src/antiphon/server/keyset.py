"""The public keys of someone who signs tokens: fetched when they are needed, and kept for a while."""

from __future__ import annotations

import asyncio

import httpx
import jwt
import structlog

from antiphon.clock import Clock

FETCH_S = 5.0
KEEP_S = 3600.0
AGAIN_AFTER_S = 60.0
"""A key that is not there is looked for at most this often, whoever asks for it."""
MAX_KEYS_BYTES = 1 << 20

_log = structlog.get_logger(__name__)


class KeySet:
    """A JSON Web Key Set at an address.

    Args:
        url: Where it is.
        clock: Time.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def key_of(self, token: str) -> jwt.PyJWK | None:
        """The key that the token says it is signed with; None where the issuer has no such key."""
        try:
            name = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            return None
        if not isinstance(name, str):
            return None
        async with self._fetching:
            now = self._clock.now()
            is_old = now - self._fetched_at > KEEP_S
            if (is_old or name not in self._keys) and now - self._tried_at > AGAIN_AFTER_S:
                self._tried_at = now
                await self._fetch()
        return self._keys.get(name)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_S), httpx.AsyncClient(timeout=FETCH_S) as http:
                answer = await http.get(self._url)
            answer.raise_for_status()
            if len(answer.content) > MAX_KEYS_BYTES:
                raise ValueError("The key set is too large.")
            keys = jwt.PyJWKSet.from_json(answer.text)
        except (httpx.HTTPError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            _log.warning("keys_not_fetched", url=self._url, error=f"{type(error).__name__}: {error}"[:200])
            return
        self._keys = {key.key_id: key for key in keys.keys if key.key_id}
        self._fetched_at = self._clock.now()
