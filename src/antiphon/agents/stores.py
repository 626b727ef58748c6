"""The contracts of what keeps conversations: their messages, and the sessions themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from antiphon.models.llm.messages import Message

if TYPE_CHECKING:
    from antiphon.agents.session import AgentSession


class HistoryProvider(Protocol):
    """Keeps the messages of conversations. The record is never shortened; compaction is a view of it."""

    async def load(self, session_id: str, limit: int | None = None) -> Sequence[Message]:
        """The last ``limit`` messages of a conversation, all unless given, oldest first."""
        ...

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """Add messages in one operation: all or none."""
        ...

    async def replace(self, session_id: str, message_id: str, message: Message) -> None:
        """Put a message in the place of the one with this id; nothing happens where there is none."""
        ...

    async def clear(self, session_id: str) -> None:
        """Forget a conversation."""
        ...


class SessionStore(Protocol):
    """Keeps sessions, so that a conversation goes on in another process."""

    async def load(self, session_id: str) -> AgentSession | None:
        """The session, or None when there is none."""
        ...

    async def save(self, session: AgentSession, expected_version: int) -> None:
        """Write the session and count its version up.

        Raises:
            AgentInvalidRequestException: ``session_conflict``: the stored version is not the expected one (0 for a
                session that was never saved). Nothing is written.
        """
        ...

    async def delete(self, session_id: str) -> None:
        """Forget a session."""
        ...
