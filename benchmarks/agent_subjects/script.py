"""What every scripted model says, and what the measurements ask of a library.

Only the standard library is imported here: this runs in the environments of all libraries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

INSTRUCTIONS = "You add numbers. Use the tool."
ASK = "add 2 and 3"
"""The model answers it with a call of ``add(2, 3)``, and what follows with the answer."""
HELLO = "say the answer"
"""The model answers it at once."""
ARGUMENTS = '{"a": 2, "b": 3}'
CALL_ID = "call_1"
WORDS = tuple(f"word{number} " for number in range(50))
ANSWER = "".join(WORDS)
PAST = tuple(f"what was said before, part {number}" for number in range(100))
"""A hundred messages of history, the user's and the assistant's by turns."""
HEARD = 3
"""Words that have come when an answer is cut."""
_SETTLE_S = 0.05


class Script:
    """One scripted model's state; entered by each stream, so that its end is seen.

    Attributes:
        word_s: Wait before each word of a streamed answer.
        closed: Streams that ended, in whatever way.
    """

    def __init__(self, word_s: float) -> None:
        self.word_s = word_s
        self.closed = 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.closed += 1


class Library(Protocol):
    """A library with an agent that has instructions, the async tool ``add`` and a model.

    A module of this package offers ``PACKAGES``, ``IMPORTS``, and ``make(url, word_s)``: with a URL the model
    is the library's own client of OpenAI's Chat Completions, else it is scripted, in the process.
    """

    def closed(self) -> int:
        """How many streams of the scripted model have ended."""
        ...

    async def turn(self, ask: str, *, past: bool = False) -> str:
        """A whole turn in a new conversation, or behind ``PAST``; gives the answer."""
        ...

    def stream(self, ask: str) -> AsyncGenerator[str]:
        """The same turn streamed: the pieces of the answer."""
        ...

    async def model_alone(self, ask: str, *, stream: bool) -> None:
        """The requests of such a turn, made of the scripted model by hand: what the model itself takes."""
        ...

    async def leave(self, *, close: bool) -> float:
        """Stream ``HELLO``, break at the first word, and close the stream where asked; gives the time of the break."""
        ...

    async def cut(self, *, cancel: bool) -> list[tuple[str, str]] | None:
        """Stream ``HELLO`` in a conversation that is kept, and cut it (``cut_short``).

        Returns:
            Role and text of what the conversation then holds; None where the library keeps none.
        """
        ...

    async def aclose(self) -> None:
        """Free the client."""
        ...


class Module(Protocol):
    """A module of this package that is a subject."""

    PACKAGES: Sequence[str]
    """Whose versions are told."""
    IMPORTS: Mapping[str, str]
    """Code to import the ``root``, the ``agent`` (with tool and message) and the ``client``."""

    def make(self, url: str | None, word_s: float) -> Library:
        """An agent."""
        ...


async def cut_short(pieces: AsyncGenerator[str], *, cancel: bool) -> None:
    """Read the first ``HEARD`` words; then cancel the task that waits for more, or close the stream."""
    heard = asyncio.Event()

    async def read() -> None:
        count = 0
        try:
            async with aclosing(pieces):
                async for _ in pieces:
                    count += 1
                    if count == HEARD:
                        heard.set()
                        if not cancel:
                            return
        finally:
            heard.set()

    reader = asyncio.create_task(read())
    await heard.wait()
    if cancel:
        reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader
    await asyncio.sleep(_SETTLE_S)


def now() -> float:
    """Seconds of the clock that all measurements use."""
    return time.perf_counter()
