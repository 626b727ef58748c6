"""The SQL database that conversations are in: SQLite, or Postgres for several machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
    func,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from antiphon.errors import ConfigurationError, IntegrationInitializationError, IntegrationUnavailableException
from antiphon.store.conversations.sessions import MAX_ID_CHARACTERS

TIMEOUT_S = 10.0
_ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_EXTRAS = {"sqlite": "aiosqlite", "postgresql": "antiphon[postgres]"}
_CREATION = 0x616E7469  # The name, within the database, of the lock under which tables are made.

metadata = MetaData()
entries = Table(
    "antiphon_history",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("session_id", String(MAX_ID_CHARACTERS), nullable=False),
    Column("entry", Text, nullable=False),
    Column("saved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("antiphon_history_session", "session_id", "number"),
)
sessions = Table(
    "antiphon_sessions",
    metadata,
    Column("id", String(MAX_ID_CHARACTERS), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("saved_at", DateTime(timezone=True), nullable=False, server_default=func.now(), onupdate=func.now()),
)


class Database:
    """An engine whose tables are there when they are first used.

    Args:
        url: ``sqlite:///conversations.db`` or ``postgresql://user@host/name``, or an engine, which stays its owner's.
        timeout_s: For an operation.

    Raises:
        ConfigurationError: The URL is none.
        IntegrationInitializationError: The database's package is missing.
    """

    def __init__(self, url: str | AsyncEngine, *, timeout_s: float = TIMEOUT_S) -> None:
        self._owned = isinstance(url, str)
        self._engine = _engine(url, timeout_s) if isinstance(url, str) else url
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._ready = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one transaction. Begin with what writes, if anything does: SQLite cannot change its mind.

        Raises:
            IntegrationUnavailableException: The database cannot be reached, is too slow, or refuses.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._make_tables()
                async with self._engine.begin() as connection:
                    yield connection
        except TimeoutError as error:
            raise _unavailable(f"did not answer in {self._timeout_s:g} s", self._engine, code="timeout") from error
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise _unavailable(f"cannot be used ({reason})", self._engine) from error

    async def aclose(self) -> None:
        """Close the connections, unless the engine is somebody else's."""
        if self._owned:
            await self._engine.dispose()

    async def _make_tables(self) -> None:
        async with self._lock:
            if self._ready:
                return
            async with self._engine.begin() as connection:
                if self._engine.dialect.name == "postgresql":
                    # Two servers that start at once would otherwise both find no table, and one would fail.
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION})
                for table in metadata.sorted_tables:
                    await connection.execute(CreateTable(table, if_not_exists=True))
                    for index in table.indexes:
                        await connection.execute(CreateIndex(index, if_not_exists=True))
            self._ready = True


def _engine(url: str, timeout_s: float) -> AsyncEngine:
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=_ASYNC_DRIVERS.get(parsed.drivername, parsed.drivername))
        engine = create_async_engine(
            parsed, pool_pre_ping=True, connect_args={"timeout": timeout_s}, hide_parameters=True
        )
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigurationError(
            "The database's URL cannot be used; write one such as sqlite:///conversations.db or "
            "postgresql://user@host/name."
        ) from error
    except ModuleNotFoundError as error:
        package = _EXTRAS.get(parsed.get_backend_name(), str(error.name))
        raise IntegrationInitializationError(
            f"The package {error.name} is missing; install it with `pip install '{package}'`."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """Readers do not wait for the writer, and what is committed outlives the process."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _unavailable(what: str, engine: AsyncEngine, code: str | None = None) -> IntegrationUnavailableException:
    name = engine.dialect.name
    return IntegrationUnavailableException(
        f"The {name} database of the conversations {what}; see whether it is up and its URL is right.",
        code=code,
        provider=name,
    )
