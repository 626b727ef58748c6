"""What keeps conversations: what fails, and what is only so in memory, in files, in SQL or in Redis."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from antiphon.agents.agent import Agent
from antiphon.agents.session import AgentSession
from antiphon.errors import ConfigurationError, IntegrationUnavailableException
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.store.conversations.file import FileHistoryProvider, FileSessionStore, file_name
from antiphon.store.conversations.memory import InMemoryHistoryProvider, InMemorySessionStore
from antiphon.store.conversations.redis import RedisHistoryProvider, RedisSessionStore
from antiphon.store.conversations.sql import SqlHistoryProvider, SqlSessionStore
from tests.store.conversations import Stores, call_group, said


async def test_place_that_cannot_be_used_is_a_typed_error(tmp_path: Path, session_id: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    nowhere = [
        Stores(lambda: FileHistoryProvider(tmp_path / "file"), lambda: FileSessionStore(tmp_path / "file")),
        *(
            Stores(lambda url=url: SqlHistoryProvider(url), lambda url=url: SqlSessionStore(url))  # type: ignore[misc]
            for url in (f"sqlite:///{tmp_path}/no/folder.db", f"postgresql://nobody@/none?host={tmp_path}")
        ),
        Stores(
            lambda: RedisHistoryProvider(f"unix://{tmp_path}/no.sock"),
            lambda: RedisSessionStore(f"unix://{tmp_path}/no.sock"),
        ),
    ]
    for stores in nowhere:
        async with stores.opened:
            with pytest.raises(IntegrationUnavailableException):
                await stores.history().append(session_id, [said(1)])
            with pytest.raises(IntegrationUnavailableException):
                await stores.history().load(session_id)
            with pytest.raises(IntegrationUnavailableException):
                await stores.sessions().save(AgentSession(session_id), 0)


async def test_history_that_fails_costs_its_run_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    agent = Agent("desk", model=ScriptedChatClient(lambda *_: "Hello."))
    broken = AgentSession(history=FileHistoryProvider(tmp_path / "file"))
    sound = AgentSession(history=FileHistoryProvider(tmp_path / "folder"))
    answers = await asyncio.gather(
        *(agent.run("Hi.", session=session) for session in (broken, sound)), return_exceptions=True
    )
    assert isinstance(answers[0], IntegrationUnavailableException)
    assert getattr(answers[1], "text", answers[1]) == "Hello."
    assert not broken.busy


async def test_database_that_hangs_costs_its_timeout_only(tmp_path: Path, session_id: str) -> None:
    held = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_unix_server(say_nothing, tmp_path / "silent.sock")
    async with server:
        history = RedisHistoryProvider(f"unix://{tmp_path}/silent.sock", timeout_s=0.05)
        with pytest.raises(IntegrationUnavailableException) as failed:
            await history.load(session_id)
        assert failed.value.code == "timeout"
        await history.aclose()
        held.set()


@pytest.mark.parametrize("url", ["conversations.db", "sqlserver://host/name"])
def test_wrong_database_url_is_a_sentence(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        SqlHistoryProvider(url)


def test_wrong_redis_url_is_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="redis://"):
        RedisSessionStore("localhost:6379")


@pytest.mark.parametrize(
    ("package", "made", "extra"),
    [
        ("redis", "redis import RedisHistoryProvider as it; it('redis://h')", "antiphon[redis]"),
        ("asyncpg", "sql import SqlHistoryProvider as it; it('postgresql://h/n')", "antiphon[postgres]"),
    ],
)
def test_missing_package_names_its_extra(package: str, made: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from antiphon.store.conversations.{made}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .endswith(f"The package {package} is missing; install it with `pip install '{extra}'`.")
    )


async def test_torn_line_is_skipped_reported_and_spoils_nothing(tmp_path: Path) -> None:
    history = FileHistoryProvider(tmp_path)
    await history.append("ses_1", [said(1)])
    with (tmp_path / "ses_1.jsonl").open("ab") as file:
        file.write(b'[{"role":"assistant","contents":[{"type":"te')
    with capture_logs() as logs:
        assert list(await history.load("ses_1")) == [said(1)]
        await history.append("ses_1", [said(2)])
        assert list(await history.load("ses_1")) == [said(1), said(2)]
    assert [(log["event"], log["entry"]) for log in logs] == [("history.entry_skipped", 2)] * 2


def test_files_hold_json_and_nothing_else(tmp_path: Path) -> None:
    asyncio.run(FileHistoryProvider(tmp_path).append("ses_1", call_group("a")))
    asyncio.run(FileSessionStore(tmp_path).save(AgentSession("ses_1", [said(1)]), 0))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "ses_1.json", "ses_1.jsonl"]
    assert len(json.loads((tmp_path / "ses_1.jsonl").read_text())) == 3
    assert json.loads((tmp_path / "ses_1.json").read_text())["version"] == 1


def test_file_names_are_safe_and_differ() -> None:
    names = [file_name(each) for each in ["ses_1", "SES_1", "../ses_1", "a/b", "a_b", "ä", "ö", "x" * 200, "x" * 201]]
    assert names[0] == "ses_1"
    assert len({name.lower() for name in names}) == len(names)
    assert all("/" not in name and not name.startswith(".") and len(name) < 110 for name in names)


async def test_memory_forgets_the_oldest_conversation_first() -> None:
    history, sessions = InMemoryHistoryProvider(max_conversations=2), InMemorySessionStore(max_sessions=2)
    for each in ("a", "b", "a", "c"):
        await history.append(each, [said(1)])
    assert [len(await history.load(each)) for each in ("a", "b", "c")] == [2, 0, 1]
    for each in ("a", "b", "c"):
        await sessions.save(AgentSession(each), 0)
    assert [await sessions.load(each) is None for each in ("a", "b", "c")] == [True, False, False]


async def test_redis_forgets_after_its_time(redis_url: str, session_id: str) -> None:
    from redis.asyncio import Redis

    history = RedisHistoryProvider(redis_url, prefix="mine", ttl_s=100)
    sessions = RedisSessionStore(redis_url, prefix="mine", ttl_s=200)
    await history.append(session_id, [said(1)])
    await sessions.save(AgentSession(session_id), 0)
    async with Redis.from_url(redis_url) as redis:
        assert 0 < await redis.ttl(f"mine:history:{session_id}") <= 100
        assert 100 < await redis.ttl(f"mine:session:{session_id}") <= 200
    await history.aclose()
    await sessions.aclose()
