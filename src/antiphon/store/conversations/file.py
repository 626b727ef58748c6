"""Conversations in files: one of JSON lines for each history, one of JSON for each session."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import msgspec

from antiphon.agents.session import AgentSession
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.llm.messages import Message
from antiphon.store.conversations import journal
from antiphon.store.conversations.file_lock import locked
from antiphon.store.conversations.sessions import checked, conflict, decode_session, encode_session

TIMEOUT_S = 10.0

_PLAIN = re.compile(r"[a-z0-9_-]{1,100}")
_STRANGE = re.compile(r"[^a-z0-9_-]+")

T = TypeVar("T")


class FileHistoryProvider:
    """A file of JSON lines for each conversation; each line is one operation, written at once.

    Several processes may write to one folder. What was handed to the system outlives the process; a line that a crash
    has torn is left out and logged.

    Args:
        folder: Where the files are.
        timeout_s: For an operation.
    """

    def __init__(self, folder: str | Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._folder = Path(folder)
        self._timeout_s = timeout_s

    async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
        """The last messages of a conversation, oldest first.

        Raises:
            IntegrationUnavailableException: The file cannot be read.
        """
        path = self._path(session_id)
        return await _in_thread(lambda: journal.last(_read(path, session_id), limit), self._timeout_s)

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """Add messages as one line.

        Raises:
            IntegrationUnavailableException: The file cannot be written.
        """
        if messages:
            path, line = self._path(session_id), journal.added(messages)
            await _in_thread(lambda: _write_line(path, line), self._timeout_s)

    async def replace(self, session_id: str, message_id: str, message: Message) -> None:
        """Add a line that puts a message in the place of another.

        Raises:
            IntegrationUnavailableException: The file cannot be written.
        """
        path, line = self._path(session_id), journal.replaced(message_id, message)
        await _in_thread(lambda: _write_line(path, line), self._timeout_s)

    async def clear(self, session_id: str) -> None:
        """Delete the file.

        Raises:
            IntegrationUnavailableException: It cannot be deleted.
        """
        path = self._path(session_id)
        await _in_thread(lambda: path.unlink(missing_ok=True), self._timeout_s)

    def _path(self, session_id: str) -> Path:
        return self._folder / f"{file_name(session_id)}.jsonl"


class FileSessionStore:
    """A file for each session, replaced in one step. Several processes may use one folder.

    Args:
        folder: Where the files are.
        timeout_s: For an operation.
    """

    def __init__(self, folder: str | Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._folder = Path(folder)
        self._timeout_s = timeout_s

    async def load(self, session_id: str) -> AgentSession | None:
        """The session, or None.

        Raises:
            IntegrationUnavailableException: The file cannot be read.
        """
        path = self._path(session_id)
        found = await _in_thread(lambda: _stored(path), self._timeout_s)
        return None if found is None else await asyncio.to_thread(decode_session, bytes(found.session), found.version)

    async def save(self, session: AgentSession, expected_version: int) -> None:
        """Write the session's state of now.

        Raises:
            AgentInvalidRequestException: ``session_conflict``, or ``input_invalid`` when it is too large.
            IntegrationUnavailableException: The file cannot be written.
        """
        path = self._path(session.id)
        body = msgspec.json.encode(_Stored(expected_version + 1, msgspec.Raw(encode_session(session))))
        if not await _in_thread(lambda: _swap(path, body, expected_version), self._timeout_s):
            raise conflict(session.id, expected_version)
        session.version = expected_version + 1

    async def delete(self, session_id: str) -> None:
        """Delete the file.

        Raises:
            IntegrationUnavailableException: It cannot be deleted.
        """
        path = self._path(session_id)
        await _in_thread(lambda: path.unlink(missing_ok=True), self._timeout_s)

    def _path(self, session_id: str) -> Path:
        return self._folder / f"{file_name(session_id)}.json"


class _Stored(msgspec.Struct):
    version: int
    session: msgspec.Raw


def file_name(session_id: str) -> str:
    """A file's name for a session's id: safe in every file system, and another one for every other id.

    Raises:
        AgentInvalidRequestException: ``input_invalid``: no store takes this id.
    """
    if _PLAIN.fullmatch(checked(session_id)):
        return session_id
    digest = hashlib.sha256(session_id.encode()).hexdigest()[:32]
    return f"{_STRANGE.sub('_', session_id.lower())[:60]}.{digest}"


def _read(path: Path, session_id: str) -> list[Message]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return journal.read((line for line in lines if line), session_id=session_id)


def _write_line(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # A crash has torn the last line: it must not spoil this one too.
                line = b"\n" + line
        file.write(line + b"\n")
        file.flush()


def _stored(path: Path) -> _Stored | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Stored)
    except FileNotFoundError:
        return None


def _swap(path: Path, body: bytes, expected_version: int) -> bool:
    """Write a session's file if the one that is there has the expected version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent / ".lock"):
        stored = _stored(path)
        if (stored.version if stored else 0) != expected_version:
            return False
        draft = path.with_name(f".{uuid4().hex}.tmp")
        try:
            with draft.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())  # Else a power failure may leave the new name with no content.
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return True


async def _in_thread(work: Callable[[], T], timeout_s: float) -> T:
    with _told(timeout_s):
        async with asyncio.timeout(timeout_s):
            return await asyncio.to_thread(work)


@contextmanager
def _told(timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise IntegrationUnavailableException(
            f"The disk did not answer in {timeout_s:g} s; see whether it is full or its network is down.",
            code="timeout",
            provider="file",
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise IntegrationUnavailableException(
            f"A conversation's file cannot be used ({error}); see to the folder's rights and its disk.",
            provider="file",
        ) from error
