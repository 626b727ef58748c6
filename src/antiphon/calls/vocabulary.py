"""The words that a recogniser is to expect: the agent's phrases, and the names that the conversation knows."""

from __future__ import annotations

from collections.abc import Mapping

from antiphon.agents.agent import Agent
from antiphon.agents.session import AgentSession

MOST_PHRASES = 500
_NAMES = ("caller_name", "institution_name")
_PROFILE = "session_profile"
_NAMES_OF_PROFILE = ("full_name", "name", "caller_name", "institution_name")


def vocabulary(agent: Agent, session: AgentSession) -> tuple[str, ...]:
    """What callers of this agent are likely to say, in this conversation; names come first."""
    values = session.values
    profile = values.get(_PROFILE)
    names = [values.get(name) for name in _NAMES]
    if isinstance(profile, Mapping):
        names += [profile.get(name) for name in _NAMES_OF_PROFILE]
    known = [name.strip() for name in names if isinstance(name, str) and name.strip() not in ("", "None")]
    return tuple(dict.fromkeys((*known, *agent.phrases)))[:MOST_PHRASES]
