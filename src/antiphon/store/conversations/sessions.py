"""What all stores of sessions do alike: check an id, write a session's JSON and read it, say that it has changed."""

from __future__ import annotations

import msgspec

from antiphon.agents.session import AgentSession
from antiphon.errors import AgentInvalidRequestException

MAX_SESSION_BYTES = 16 * 1024 * 1024
MAX_ID_CHARACTERS = 256


def checked(session_id: str) -> str:
    """A session's id that every store can take.

    Raises:
        AgentInvalidRequestException: ``input_invalid``: it is empty, too long or has control characters.
    """
    if 0 < len(session_id) <= MAX_ID_CHARACTERS and session_id.isprintable():
        return session_id
    raise AgentInvalidRequestException(
        f"A session's id has 1 to {MAX_ID_CHARACTERS} printable characters, not {session_id[:40]!r}.",
        code="input_invalid",
    )


def encode_session(session: AgentSession) -> bytes:
    """A session as JSON.

    Raises:
        AgentInvalidRequestException: ``input_invalid``: it is larger than ``MAX_SESSION_BYTES``.
        TypeError: Its state holds what JSON cannot.
    """
    body = msgspec.json.encode(session.to_dict())
    if len(body) > MAX_SESSION_BYTES:
        raise AgentInvalidRequestException(
            f"Session {session.id} has {len(body)} bytes, and at most {MAX_SESSION_BYTES} are kept; keep its messages "
            "in a HistoryProvider, or begin a new session.",
            code="input_invalid",
        )
    return body


def decode_session(body: bytes | str, version: int) -> AgentSession:
    """A session from its JSON and the version under which it was stored."""
    session = AgentSession.from_dict(msgspec.json.decode(body))
    session.version = version
    return session


def conflict(session_id: str, expected_version: int) -> AgentInvalidRequestException:
    """The error of a session that somebody else has saved since."""
    return AgentInvalidRequestException(
        f"Session {session_id} is no longer at version {expected_version}: it was saved elsewhere. Load it again.",
        code="session_conflict",
    )
