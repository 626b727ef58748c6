"""Conversations in this process: for tests, and where nothing has to outlive it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from antiphon.agents.session import AgentSession
from antiphon.models.llm.messages import Message
from antiphon.store.conversations.journal import last
from antiphon.store.conversations.sessions import checked, conflict, decode_session, encode_session

MAX_CONVERSATIONS = 10_000

T = TypeVar("T")


class InMemoryHistoryProvider:
    """Keeps messages in a dictionary.

    Args:
        max_conversations: When there are more, the one that was not written to for longest is forgotten.
    """

    def __init__(self, max_conversations: int = MAX_CONVERSATIONS) -> None:
        self._max = max_conversations
        self._kept: dict[str, list[Message]] = {}

    async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
        """The last messages of a conversation, oldest first."""
        return last(self._kept.get(checked(session_id), []).copy(), limit)

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """Add messages."""
        if messages:
            kept = self._kept.get(checked(session_id), [])
            kept.extend(messages)
            _put(self._kept, session_id, kept, self._max)

    async def replace(self, session_id: str, message_id: str, message: Message) -> None:
        """Put a message in the place of another."""
        kept = self._kept.get(checked(session_id), [])
        for place, old in enumerate(kept):
            if old.message_id == message_id:
                kept[place] = message

    async def clear(self, session_id: str) -> None:
        """Forget a conversation."""
        self._kept.pop(checked(session_id), None)


class InMemorySessionStore:
    """Keeps sessions as JSON, so that what is loaded shares nothing with what was saved.

    Args:
        max_sessions: When there are more, the one that was not saved for longest is forgotten.
    """

    def __init__(self, max_sessions: int = MAX_CONVERSATIONS) -> None:
        self._max = max_sessions
        self._kept: dict[str, tuple[int, bytes]] = {}

    async def load(self, session_id: str) -> AgentSession | None:
        """The session, or None."""
        kept = self._kept.get(checked(session_id))
        return None if kept is None else decode_session(kept[1], kept[0])

    async def save(self, session: AgentSession, expected_version: int) -> None:
        """Keep the session's state of now.

        Raises:
            AgentInvalidRequestException: ``session_conflict``, or ``input_invalid`` when it is too large.
        """
        version, _ = self._kept.get(checked(session.id), (0, b""))
        body = encode_session(session)
        if version != expected_version:
            raise conflict(session.id, expected_version)
        _put(self._kept, session.id, (expected_version + 1, body), self._max)
        session.version = expected_version + 1

    async def delete(self, session_id: str) -> None:
        """Forget a session."""
        self._kept.pop(checked(session_id), None)


def _put(kept: dict[str, T], key: str, value: T, most: int) -> None:
    kept.pop(key, None)
    if len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value
