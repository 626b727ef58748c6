"""The places where conversations are kept, each opened for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from antiphon.store.conversations.file import FileHistoryProvider, FileSessionStore
from antiphon.store.conversations.memory import InMemoryHistoryProvider, InMemorySessionStore
from antiphon.store.conversations.redis import RedisHistoryProvider, RedisSessionStore
from antiphon.store.conversations.sql import SqlHistoryProvider, SqlSessionStore
from tests.store import servers
from tests.store.conversations import Stores

KINDS = ["memory", "file", "sqlite", "postgres", "redis"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with servers.redis() as url:
        yield url


@pytest.fixture(params=KINDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    if request.param == "memory":
        history, sessions = InMemoryHistoryProvider(), InMemorySessionStore()
        stores = Stores(lambda: history, lambda: sessions)
    elif request.param == "file":
        stores = Stores(lambda: FileHistoryProvider(tmp_path / "new"), lambda: FileSessionStore(tmp_path / "new"))
    elif request.param == "redis":
        url = request.getfixturevalue("redis_url")
        stores = Stores(lambda: RedisHistoryProvider(url), lambda: RedisSessionStore(url))
    else:
        sqlite = f"sqlite:///{tmp_path}/conversations.db"
        url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_url")
        stores = Stores(lambda: SqlHistoryProvider(url), lambda: SqlSessionStore(url))
    async with stores.opened:
        yield stores


@pytest.fixture
def session_id() -> str:
    return f"ses_{uuid4().hex}"
