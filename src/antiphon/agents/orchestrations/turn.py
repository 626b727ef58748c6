"""One turn of a conversation with an orchestration: its session, and the stream of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from antiphon.agents.agent import Input
from antiphon.agents.orchestrations.contract import OrchestrationEvent
from antiphon.agents.orchestrations.conversation import handed_on, message_id_of
from antiphon.agents.orchestrations.stage import Stage
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.agents.session import AgentSession
from antiphon.agents.turns import Turn, take_over
from antiphon.models.llm.content import Content, Reasoning, Text
from antiphon.models.llm.messages import Message

if TYPE_CHECKING:
    from antiphon.agents.agent import Agent
    from antiphon.agents.orchestrations.orchestration import Orchestration


class OrchestrationTurn(Turn):
    """A turn in which several agents work. How it is read, closed and alone on its session is as in every turn."""

    def __init__(
        self,
        orchestration: Orchestration,
        messages: Input | None,
        *,
        session: AgentSession | None,
        values: Mapping[str, Any] | None,
        run_id: str | None = None,
    ) -> None:
        super().__init__(
            cast("Agent", orchestration),
            messages,
            session=session,
            tools=(),
            middleware=(),
            options=None,
            limits=None,
            variables=None,
            values=values,
            history=None,
        )
        self._orchestration = orchestration
        self._run_id = run_id
        self._stage: Stage | None = None

    @property
    def response(self) -> AgentResponse:
        """The outcome, as far as it is known."""
        known = self._stage.response if self._stage is not None else None
        return known or AgentResponse("", finish_reason="interrupted", agent=self._orchestration.name)

    async def complete(self) -> AgentResponse:
        """Run the turn to its end."""
        async with aclosing(read(self)) as events:
            async for _ in events:
                pass
        return self.response

    def updates(self) -> AsyncGenerator[AgentResponseUpdate]:
        """Run the turn and tell its answer as it goes, to the one reader of it."""
        self._updates = self._tell()
        return self._updates

    def events(self) -> AsyncGenerator[OrchestrationEvent]:
        """Run the turn and tell what happens, to the one reader of it."""
        events = self._play()
        self._updates = cast("AsyncGenerator[AgentResponseUpdate]", events)
        return events

    async def aclose(self) -> None:
        """End the turn now. A reader in another task is told ``cancelled`` and comes to the end of its loop."""
        if self._stage is not None and self.reader is not None and not self.is_closing:
            self.is_closing = True
            await self._stage.cancel()
        await super().aclose()

    async def _tell(self) -> AsyncGenerator[AgentResponseUpdate]:
        seq = 0
        async with aclosing(self._play()) as events:
            async for event in events:
                update = None if self._stage is None else _update(event, self._stage)
                if update is not None:
                    yield replace(update, seq=seq)
                    seq += 1

    async def _play(self) -> AsyncGenerator[OrchestrationEvent]:
        session, orchestration = self._session, self._orchestration
        try:
            await take_over(session)
            session.turn = self
            await session.load()
            await session.add([*session.queue, *self._given])
            session.queue.clear()
            stage = self._stage = Stage(
                orchestration.name,
                orchestration.members,
                handed_on(session.messages, share_tools=orchestration.share_tools),
                session=session,
                values=self._values,
                run_id=self._run_id,
                share_tools=orchestration.share_tools,
                approve=orchestration.approve,
                on_event=orchestration.on_event,
            )
            async with aclosing(stage.play(orchestration.conduct)) as events:
                async for event in events:
                    yield event
            self._response = stage.response
        finally:
            await self._leave(self._failure())

    async def _write_rest(self, error: BaseException | None = None) -> None:
        if self._stage is not None:
            await self._session.add([*self._stage.conversation.produced, *self._interrupted(self._stage)])

    def _interrupted(self, stage: Stage) -> list[Message]:
        """The part of the answer that was heard, where the answer was cut."""
        written = "".join(stage.told)
        if not written or stage.response is None or stage.response.finish_reason != "interrupted":
            return []
        contents: tuple[Content, ...] = (Text(written),)
        if self.audio is not None:
            contents = (self.audio,)
        elif self.heard_text is not None:
            contents = (Text(self.heard_text),) if self.heard_text else ()
        cut = Message(
            "assistant",
            contents,
            author_name=self._orchestration.name,
            message_id=stage.told_id,
            interrupted=True,
            generated_text=written,
            spoken_text=written if self.spoken_text is None else self.spoken_text,
        )
        return [cut]


async def read(turn: OrchestrationTurn) -> AsyncGenerator[OrchestrationEvent]:
    """The events of a turn. Not a method: a reader who leaves must not be kept by the turn that the session holds."""
    events = turn.events()
    try:
        while True:
            turn.reader = asyncio.current_task()
            try:
                event = await anext(events, None)
            finally:
                turn.reader = None
            if event is None:
                return
            yield event
    finally:
        turn.is_closing = True
        await events.aclose()
        turn.leave()


def _update(event: OrchestrationEvent, stage: Stage) -> AgentResponseUpdate | None:
    """What the reader of the answer is told of an event."""
    data = event.data
    if isinstance(data, AgentResponseUpdate):
        if not event.is_answer:
            return replace(data, contents=tuple(_aside(content) for content in data.contents))
        return data
    if event.type == "output" and isinstance(data, AgentResponse) and data.text and not any(stage.told):
        return AgentResponseUpdate((Text(data.text),), data.agent, message_id=message_id_of(data))
    return None


def _aside(content: Content) -> Content:
    """What participants say among themselves is thought, not spoken."""
    return Reasoning(text=content.text) if content.type == "text" else content
