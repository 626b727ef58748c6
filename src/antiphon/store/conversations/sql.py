"""Conversations in a SQL database: one row for each operation on a history, one row for each session."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from antiphon.agents.session import AgentSession
from antiphon.models.llm.messages import Message
from antiphon.store.conversations import journal
from antiphon.store.conversations.database import TIMEOUT_S, Database, entries, sessions
from antiphon.store.conversations.sessions import checked, conflict, decode_session, encode_session


class SqlHistoryProvider:
    """Messages in the table ``antiphon_history``; an operation is one row, and so all or nothing.

    Args:
        url: ``sqlite:///conversations.db`` or ``postgresql://user@host/name``, or an engine.
        timeout_s: For an operation.

    Raises:
        ConfigurationError: The URL is none.
        IntegrationInitializationError: The database's package is missing.
    """

    def __init__(self, url: str | AsyncEngine, *, timeout_s: float = TIMEOUT_S) -> None:
        self._database = Database(url, timeout_s=timeout_s)

    async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
        """The last messages of a conversation, oldest first.

        Raises:
            IntegrationUnavailableException: The database cannot be used.
        """
        if limit is not None:
            rows = await self._last_entries(session_id, limit + journal.MORE_ENTRIES)
            messages = await journal.read_aside(rows, session_id=session_id)
            if journal.is_enough(messages, limit, entries=len(rows)):
                return journal.last(messages, limit)
        rows = await self._last_entries(session_id, None)
        return journal.last(await journal.read_aside(rows, session_id=session_id), limit)

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """Add messages as one row.

        Raises:
            IntegrationUnavailableException: The database cannot be used.
        """
        if messages:
            await self._write(session_id, journal.added(messages))

    async def replace(self, session_id: str, message_id: str, message: Message) -> None:
        """Add a row that puts a message in the place of another.

        Raises:
            IntegrationUnavailableException: The database cannot be used.
        """
        await self._write(session_id, journal.replaced(message_id, message))

    async def clear(self, session_id: str) -> None:
        """Delete a conversation's rows.

        Raises:
            IntegrationUnavailableException: The database cannot be used.
        """
        async with self._database.transaction() as connection:
            await connection.execute(delete(entries).where(entries.c.session_id == checked(session_id)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._database.aclose()

    async def _write(self, session_id: str, entry: bytes) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(insert(entries).values(session_id=checked(session_id), entry=entry.decode()))

    async def _last_entries(self, session_id: str, count: int | None) -> list[str]:
        newest_first = (
            select(entries.c.entry)
            .where(entries.c.session_id == checked(session_id))
            .order_by(entries.c.number.desc())
            .limit(count)
        )
        async with self._database.transaction() as connection:
            rows = (await connection.execute(newest_first)).scalars().all()
        return [*reversed(rows)]


class SqlSessionStore:
    """Sessions in the table ``antiphon_sessions``.

    Args:
        url: ``sqlite:///conversations.db`` or ``postgresql://user@host/name``, or an engine.
        timeout_s: For an operation.

    Raises:
        ConfigurationError: The URL is none.
        IntegrationInitializationError: The database's package is missing.
    """

    def __init__(self, url: str | AsyncEngine, *, timeout_s: float = TIMEOUT_S) -> None:
        self._database = Database(url, timeout_s=timeout_s)

    async def load(self, session_id: str) -> AgentSession | None:
        """The session, or None.

        Raises:
            IntegrationUnavailableException: The database cannot be used.
        """
        stored = select(sessions.c.body, sessions.c.version).where(sessions.c.id == checked(session_id))
        async with self._database.transaction() as connection:
            row = (await connection.execute(stored)).first()
        return None if row is None else await asyncio.to_thread(decode_session, row.body, row.version)

    async def save(self, session: AgentSession, expected_version: int) -> None:
        """Write the session's state of now.

        Raises:
            AgentInvalidRequestException: ``session_conflict``, or ``input_invalid`` when it is too large.
            IntegrationUnavailableException: The database cannot be used.
        """
        values = {"id": checked(session.id), "version": expected_version + 1, "body": encode_session(session).decode()}
        written = update(sessions).where(sessions.c.id == session.id, sessions.c.version == expected_version)
        try:
            async with self._database.transaction() as connection:
                if expected_version == 0:
                    await connection.execute(insert(sessions).values(values))
                elif (await connection.execute(written.values(values))).rowcount == 0:
                    raise conflict(session.id, expected_version)
        except IntegrityError as error:
            raise conflict(session.id, expected_version) from error
        session.version = expected_version + 1

    async def delete(self, session_id: str) -> None:
        """Delete a session's row.

        Raises:
            IntegrationUnavailableException: The database cannot be used.
        """
        async with self._database.transaction() as connection:
            await connection.execute(delete(sessions).where(sessions.c.id == checked(session_id)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._database.aclose()
