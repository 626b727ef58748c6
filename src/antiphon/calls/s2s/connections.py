"""The model's sessions of one call: another is opened for an agent that the one that is open cannot become."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Accepted, own_part
from antiphon.models.llm.messages import Message
from antiphon.models.s2s.contract import S2S, Brief, S2SEvent, S2SSession, Said

_CLOSE_S = 2.0

_log = structlog.get_logger(__name__)


class Connections:
    """Opens and changes the session. What an old one still tells is not heard any more.

    A session can become any agent of the same model and voice. It cannot forget: an agent that does not share the
    context has one of its own, and so has whoever follows that agent.

    Args:
        model: The model that the call begins with.
        model_for: Gives the model of an agent; None where it has none of its own.
        rate_hz: Rate of the line's sound.
        take: Gets what the session of the moment tells.
        spawn: Runs a task of the call.

    Attributes:
        model: The model of the moment.
    """

    def __init__(
        self,
        model: S2S,
        model_for: Callable[[Agent], S2S | None],
        *,
        rate_hz: int,
        take: Callable[[S2SEvent], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self.model = model
        self._model_for = model_for
        self._rate_hz = rate_hz
        self._take = take
        self._spawn = spawn
        self._session: S2SSession | None = None
        self._left: list[S2SSession] = []  # and not closed yet
        self._voice: str | None = None
        self._number = 0
        self._is_partial = False

    def open(self, brief: Brief, history: Sequence[Said] = ()) -> S2SSession:
        """A session of the model of the moment, which knows what was said."""
        self._number += 1
        number = self._number

        def take(event: S2SEvent) -> None:
            if number == self._number:
                self._take(event)

        self._voice = brief.voice
        self._session = self.model.open(brief, self._rate_hz, take, history=history)
        return self._session

    @property
    def sessions(self) -> tuple[S2SSession, ...]:
        """All that are open."""
        return tuple(self._left) if self._session is None else (*self._left, self._session)

    def suits(self, accepted: Accepted) -> bool:
        """Whether the session that is open can go on as the agent that takes over."""
        model = self._model_for(accepted.target) or self.model
        is_same = model is self.model and accepted.target.voice == self._voice
        return is_same and accepted.handoff.share_context and not self._is_partial

    def change(self, accepted: Accepted, brief: Brief, messages: Sequence[Message]) -> S2SSession:
        """Another session for the agent that takes over, with as much of the conversation as it may know."""
        old = self._session
        self.model = self._model_for(accepted.target) or self.model
        self._is_partial = accepted.apart is not None
        known = messages if accepted.apart is None else own_part(messages, accepted.apart)
        session = self.open(brief, _words_of(known))
        if old is not None:
            self._left.append(old)
            self._spawn(self._close(old), "close a session of the model")
        return session

    async def _close(self, session: S2SSession) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await session.aclose()
        except Exception:  # the task's root: a provider that does not close must not cost the call
            _log.exception("close_failed", part=type(session).__name__)
        self._left.remove(session)


def _words_of(messages: Sequence[Message]) -> list[Said]:
    """What was said; calls and their results belong to the session that made them."""
    return [
        ("assistant" if message.role == "assistant" else "user", message.text)
        for message in messages
        if message.text and message.role in ("user", "assistant")
    ]
