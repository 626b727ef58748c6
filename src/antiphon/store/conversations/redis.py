"""Conversations in Redis: a list for each history, a hash for each session. Needs the extra ``redis``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from antiphon.agents.session import AgentSession
from antiphon.errors import ConfigurationError, IntegrationInitializationError, IntegrationUnavailableException
from antiphon.models.llm.messages import Message
from antiphon.store.conversations import journal
from antiphon.store.conversations.sessions import checked, conflict, decode_session, encode_session

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT_S = 5.0

_SAVE = """
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3])
if ARGV[4] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
return 1
"""


class _Server:
    """A connection pool whose errors are ours.

    Args:
        url: ``redis://host:6379/0``.
        timeout_s: For an operation.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        try:
            import redis.asyncio as driver
            from redis.exceptions import RedisError
        except ModuleNotFoundError as error:
            raise IntegrationInitializationError(
                "The package redis is missing; install it with `pip install 'antiphon[redis]'`."
            ) from error
        try:
            self.client: Redis = driver.Redis.from_url(url)
        except ValueError as error:
            raise ConfigurationError(
                "The URL of Redis cannot be used; write one such as redis://localhost:6379/0."
            ) from error
        self._errors = RedisError
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Redis]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield self.client
        except TimeoutError as error:
            raise IntegrationUnavailableException(
                f"Redis did not answer in {self._timeout_s:g} s; see whether it is up and its URL is right.",
                code="timeout",
                provider="redis",
            ) from error
        except (self._errors, OSError) as error:
            raise IntegrationUnavailableException(
                f"Redis cannot be used ({error}); see whether it is up and its URL is right.", provider="redis"
            ) from error


class RedisHistoryProvider:
    """Messages in a list for each conversation; an operation is one element, and so all or nothing.

    Args:
        url: ``redis://host:6379/0``.
        prefix: Of the keys.
        ttl_s: Seconds after the last writing at which a conversation is forgotten; never unless given.
        timeout_s: For an operation.

    Raises:
        ConfigurationError: The URL is none.
        IntegrationInitializationError: The package ``redis`` is missing.
    """

    def __init__(
        self, url: str, *, prefix: str = "antiphon", ttl_s: int | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._server = _Server(url, timeout_s)
        self._prefix = prefix
        self._ttl_s = ttl_s

    async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
        """The last messages of a conversation, oldest first.

        Raises:
            IntegrationUnavailableException: Redis cannot be used.
        """
        if limit is not None:
            found = await self._entries(session_id, -(limit + journal.MORE_ENTRIES))
            messages = await journal.read_aside(found, session_id=session_id)
            if journal.is_enough(messages, limit, entries=len(found)):
                return journal.last(messages, limit)
        found = await self._entries(session_id, 0)
        return journal.last(await journal.read_aside(found, session_id=session_id), limit)

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """Add messages as one element.

        Raises:
            IntegrationUnavailableException: Redis cannot be used.
        """
        if messages:
            await self._write(session_id, journal.added(messages))

    async def replace(self, session_id: str, message_id: str, message: Message) -> None:
        """Add an element that puts a message in the place of another.

        Raises:
            IntegrationUnavailableException: Redis cannot be used.
        """
        await self._write(session_id, journal.replaced(message_id, message))

    async def clear(self, session_id: str) -> None:
        """Delete a conversation's list.

        Raises:
            IntegrationUnavailableException: Redis cannot be used.
        """
        async with self._server.asked() as redis:
            await redis.delete(self._key(session_id))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.client.aclose()

    async def _write(self, session_id: str, entry: bytes) -> None:
        key = self._key(session_id)
        async with self._server.asked() as redis, redis.pipeline(transaction=True) as transaction:
            transaction.rpush(key, entry)
            if self._ttl_s is not None:
                transaction.expire(key, self._ttl_s)
            await transaction.execute()

    async def _entries(self, session_id: str, begin: int) -> list[bytes | str]:
        async with self._server.asked() as redis:
            return await redis.lrange(self._key(session_id), begin, -1)

    def _key(self, session_id: str) -> str:
        return f"{self._prefix}:history:{checked(session_id)}"


class RedisSessionStore:
    """Sessions in a hash each; version and session are compared and written by one script.

    Args:
        url: ``redis://host:6379/0``.
        prefix: Of the keys.
        ttl_s: Seconds after the last saving at which a session is forgotten; never unless given.
        timeout_s: For an operation.

    Raises:
        ConfigurationError: The URL is none.
        IntegrationInitializationError: The package ``redis`` is missing.
    """

    def __init__(
        self, url: str, *, prefix: str = "antiphon", ttl_s: int | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._server = _Server(url, timeout_s)
        self._prefix = prefix
        self._ttl_s = ttl_s
        self._save = self._server.client.register_script(_SAVE)

    async def load(self, session_id: str) -> AgentSession | None:
        """The session, or None.

        Raises:
            IntegrationUnavailableException: Redis cannot be used.
        """
        async with self._server.asked() as redis:
            version, body = await redis.hmget(self._key(session_id), ["version", "body"])
        if version is None or body is None:
            return None
        return await asyncio.to_thread(decode_session, body, int(version))

    async def save(self, session: AgentSession, expected_version: int) -> None:
        """Write the session's state of now.

        Raises:
            AgentInvalidRequestException: ``session_conflict``, or ``input_invalid`` when it is too large.
            IntegrationUnavailableException: Redis cannot be used.
        """
        values: list[bytes | int] = [expected_version, expected_version + 1, encode_session(session), self._ttl_s or 0]
        async with self._server.asked():
            saved = await self._save(keys=[self._key(session.id)], args=values)
        if not saved:
            raise conflict(session.id, expected_version)
        session.version = expected_version + 1

    async def delete(self, session_id: str) -> None:
        """Delete a session's hash.

        Raises:
            IntegrationUnavailableException: Redis cannot be used.
        """
        async with self._server.asked() as redis:
            await redis.delete(self._key(session_id))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.client.aclose()

    def _key(self, session_id: str) -> str:
        return f"{self._prefix}:session:{checked(session_id)}"
