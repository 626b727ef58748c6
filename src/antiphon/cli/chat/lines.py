"""Where the user's lines come from: the keyboard, with editing and history, or a pipe."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession


class Lines(Protocol):
    """Lines of input."""

    is_typed: bool

    async def next(self) -> str | None:
        """The next line, or None at the end."""
        ...

    def end(self) -> None:
        """No further line is wanted."""
        ...


class Typed:
    """Lines from the keyboard."""

    is_typed = True

    def __init__(self, session: PromptSession[str]) -> None:
        self._session = session
        self._ended = False

    async def next(self) -> str | None:
        """See ``Lines``; ctrl-c and ctrl-d at the prompt are the end."""
        if self._ended:
            return None
        try:
            return await self._session.prompt_async("You: ")
        except (EOFError, KeyboardInterrupt):
            return None

    async def ask(self, question: str) -> str:
        """A question in between; no answer is no."""
        try:
            return (await self._session.prompt_async(question)).strip().lower()
        except (EOFError, KeyboardInterrupt):
            return ""

    def end(self) -> None:
        """See ``Lines``."""
        self._ended = True


class Piped:
    """Lines from a pipe or a file. They are read in a thread: a file is no stream that a loop can wait for."""

    is_typed = False

    def __init__(self) -> None:
        self._ended = False

    async def next(self) -> str | None:
        """See ``Lines``."""
        if self._ended:
            return None
        line = await asyncio.to_thread(sys.stdin.readline)
        return line if line else None

    def end(self) -> None:
        """See ``Lines``."""
        self._ended = True


def typed() -> Typed:
    """Lines from the keyboard."""
    from prompt_toolkit import PromptSession

    return Typed(PromptSession())


def piped() -> Piped:
    """Lines from the standard input."""
    return Piped()
