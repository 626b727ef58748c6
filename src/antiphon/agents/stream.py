"""The stream of a turn: pulled by its reader, closed when it is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from antiphon.agents.heard import heard_audio
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.agents.structured import partial_value
from antiphon.models.llm.content import Audio

if TYPE_CHECKING:
    from antiphon.agents.turns import Turn

OnUpdate = Callable[[AgentResponseUpdate], AgentResponseUpdate | None]


class ResponseStream:
    """The updates of a turn, as they happen. Nothing is sent before the first one is asked for.

        async for update in agent.run("Tell me a story.", stream=True):
            print(update.text, end="", flush=True)

    Leaving the loop, however it is left, closes the model's stream. Where the stream is kept in a variable, that is
    ``async with``, ``aclose``, or the next turn on the session.
    """

    __slots__ = ("__weakref__", "_on_final", "_on_update", "_text", "_turn", "_updates")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._updates: AsyncGenerator[AgentResponseUpdate] | None = None
        self._on_update: list[OnUpdate] = []
        self._on_final: list[Callable[[AgentResponse], Any]] = []
        self._text: list[str] = []

    def __aiter__(self) -> AsyncIterator[AgentResponseUpdate]:
        if self._updates is not None:
            raise RuntimeError("A ResponseStream is read once; run the agent again for another answer.")
        return self._begin()

    async def __aenter__(self) -> ResponseStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def get_final_response(self) -> AgentResponse:
        """Read what is left, and give the outcome. May be asked any number of times."""
        if not self._turn.is_over:
            async for _ in self._updates if self._updates is not None else self._begin():
                pass
        return self._turn.response

    async def aclose(self) -> None:
        """End the turn now: the model stops, async tools are cancelled, what was handed out counts as heard."""
        turn = self._turn
        updates = self._begin() if self._updates is None else self._updates  # one that was never read never begins
        if turn.reader is None and not turn.is_closing:
            await updates.aclose()
        await turn.aclose()

    async def interrupt(
        self,
        *,
        heard_text: str | None = None,
        audio: Audio | None = None,
        heard_ms: float | None = None,
        spoken_text: str | None = None,
    ) -> None:
        """End the turn because somebody speaks: the model stops, tools go on to their end, the heard part is kept.

        Args:
            heard_text: The words that were heard; all that was handed out unless given.
            audio: The answer as it was spoken, with its transcript.
            heard_ms: With ``audio``: how much of it was heard. Words are cut by its alignment, else by their share.
            spoken_text: The words that the voice had made.
        """
        turn = self._turn
        turn.spoken_text = spoken_text
        turn.heard_text = heard_text
        if audio is not None:
            turn.audio = heard_audio(audio, heard_ms, heard_text)
        if turn.run is not None:
            turn.run.keep_tools = True
        if turn.is_over:
            await turn.cut()  # the model was done, the voice was not
        await self.aclose()

    def partial_value(self) -> Any:
        """The sound beginning of a structured answer that is still being written; None where nothing is known yet."""
        return partial_value("".join(self._text))

    def on_update(self, hook: OnUpdate) -> ResponseStream:
        """Let ``hook`` see each update; it gives the update, another, or None to drop it."""
        self._on_update.append(hook)
        return self

    def on_final(self, hook: Callable[[AgentResponse], Any]) -> ResponseStream:
        """Let ``hook`` see the outcome, once."""
        self._on_final.append(hook)
        return self

    async def map(self, function: Callable[[AgentResponseUpdate], Any]) -> AsyncGenerator[Any]:
        """What ``function`` makes of each update. Closing it closes this stream."""
        try:
            async for update in self:
                yield function(update)
        finally:
            await self.aclose()

    async def text_deltas(self) -> AsyncGenerator[str]:
        """The words alone. Closing it closes this stream."""
        try:
            async for update in self:
                if update.text:
                    yield update.text
        finally:
            await self.aclose()

    def _begin(self) -> AsyncGenerator[AgentResponseUpdate]:
        self._updates = _pull(self._turn, self._text, self._on_update, self._on_final)
        return self._updates


async def _pull(
    turn: Turn, text: list[str], on_update: list[OnUpdate], on_final: list[Callable[[AgentResponse], Any]]
) -> AsyncGenerator[AgentResponseUpdate]:
    """Not a method: a stream that is dropped must not be kept alive by its own generator."""
    updates = turn.updates()
    message_id: str | None = None
    try:
        while True:
            task = turn.reader = asyncio.current_task()
            turn.cancelled_before = task.cancelling() if task is not None else 0
            try:
                update = await anext(updates, None)
            except asyncio.CancelledError:
                if not turn.is_stopped():
                    raise
                return
            finally:
                turn.reader = None
            if update is None:
                break
            if update.message_id is not message_id:  # another answer: after tools, or after a repair
                message_id = update.message_id
                text.clear()
            text.append(update.text)
            for hook in on_update:
                if update is not None:
                    update = hook(update)
            if update is not None:
                yield update
        for tell in on_final:
            tell(turn.response)
    finally:
        turn.is_closing = True
        await updates.aclose()
        turn.leave()
