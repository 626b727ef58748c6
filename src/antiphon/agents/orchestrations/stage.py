"""One run of an orchestration: who takes part, what is said, and the events that tell of it.

The work is a coroutine that asks one participant after the other, or several at once. It runs as one task, which the
reader of the events owns. Each event waits until the reader comes back for the next one, so no model runs ahead of
its reader, and leaving the reader ends the task and with it every model's stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import structlog

from antiphon.agents.orchestrations.contract import (
    EventType,
    OrchestrationEvent,
    SupportsAgentRun,
)
from antiphon.agents.orchestrations.conversation import GO_ON, Conversation, Seat
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate, Limit
from antiphon.agents.session import AgentSession
from antiphon.errors import AgentInvalidRequestException, AgentInvalidResponseException, AntiphonException
from antiphon.models.llm.content import ApprovalRequest, ApprovalResponse, HandedOff, Usage
from antiphon.models.llm.messages import Message, as_messages

_log = structlog.get_logger(__name__)

Approve = Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]
"""Asks a person about a call: ``return request.approve()``, or ``request.reject("why")``."""
OnEvent = Callable[[OrchestrationEvent], None]

_MOST_APPROVALS = 20
"""Times that one answer of a participant may wait for a person."""
_MARKS = 3
"""Events of the run itself that may lie in the queue besides one for each participant, and the end."""


class Stage:
    """The state of a run, and what an orchestration does with it.

    Args:
        name: Of the orchestration.
        participants: Who takes part, in declared order.
        messages: The conversation with the new messages.
        session: The outer conversation: its clock and its values for templates hold for all.
        values: For tools.
        run_id: Made up unless given.
        share_tools: Whether calls and results are handed on.
        approve: Asks a person about calls that need it.
        on_event: Told of every event.
    """

    def __init__(
        self,
        name: str,
        participants: Sequence[SupportsAgentRun],
        messages: Sequence[Message],
        *,
        session: AgentSession,
        values: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        share_tools: bool = False,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.name = name
        self.run_id = run_id or f"orc_{uuid4().hex[:24]}"
        self.conversation = Conversation(list(messages), share_tools)
        self.usage = Usage()
        self.steps = 0
        self.told: list[str] = []
        """The words of the answer so far."""
        self.told_id: str | None = None
        """The message that they will be part of."""
        self.handoffs: tuple[HandedOff, ...] = ()
        self.response: AgentResponse | None = None
        self.session = session
        self._values = values
        self._approve = approve
        self._on_event = on_event
        self._clock = session.clock
        self._began = self._clock.now()
        self._seq = 0
        self._opened: list[AgentSession] = []
        self._events: asyncio.Queue[OrchestrationEvent | None] = asyncio.Queue(len(participants) + _MARKS)
        self._work: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self.seats: dict[str, Seat] = {each.name: self.seat(each) for each in participants}

    # What an orchestration does.

    def seat(self, agent: SupportsAgentRun) -> Seat:
        """A place for a participant, with a conversation of its own that begins now."""
        session = AgentSession(clock=self._clock, variables=self.session.values)
        self._opened.append(session)
        return Seat(agent, session)

    async def ask(
        self,
        seat: Seat,
        prompt: str | None = None,
        *,
        agent: SupportsAgentRun | None = None,
        is_answer: bool = False,
    ) -> AgentResponse:
        """Let a participant speak; it reads what is new to it, then the prompt.

        Args:
            seat: Who.
            prompt: For this participant alone.
            agent: Speaks in its place, in the same conversation.
            is_answer: Its words are the outcome.
        """
        new = self.conversation.unseen(seat)
        new += [Message("user", note) for note in (*seat.notes, prompt) if note]
        seat.notes.clear()
        await self.tell("executor_invoked", seat.name)
        given = new or as_messages(GO_ON)
        try:
            response = await self._heard(agent or seat.agent, seat, given, is_answer)
            for _ in range(_MOST_APPROVALS):
                if response.finish_reason != "input_required":
                    break
                decisions = [await self._decided(seat, request) for request in response.user_input_requests]
                response = await self._heard(agent or seat.agent, seat, [Message("user", decisions)], is_answer)
            else:
                raise AgentInvalidResponseException(
                    f"Agent {seat.name!r} asked for approval {_MOST_APPROVALS} times in one answer; limit its tools "
                    "with max_calls."
                )
        except Exception as error:  # a participant is somebody else's code; it is told, and goes on its way
            await self.tell("executor_failed", seat.name, fault_of(error))
            raise
        await self.tell("executor_completed", seat.name, response)
        return response

    def restart(self, messages: int, *, keeps: Seat) -> None:
        """Forget what was said behind the first ``messages``, and what participants did, but for one of them.

        What was answered stays part of the outcome.
        """
        del self.conversation.messages[messages:]
        for seat in self.seats.values():
            if seat is not keeps:
                self.seats[seat.name] = self.seat(seat.agent)
        keeps.seen = messages

    async def tell(
        self,
        kind: EventType,
        agent: str = "",
        data: AgentResponse | AgentResponseUpdate | Mapping[str, Any] | None = None,
        *,
        is_answer: bool = False,
    ) -> None:
        """Tell an event, and wait until its reader wants the next one."""
        self._note(kind, agent, data, is_answer)
        await self._events.join()

    def outcome(
        self,
        text: str,
        *,
        last: AgentResponse | None = None,
        agent: str = "",
        limit: Limit | None = None,
    ) -> AgentResponse:
        """What came of the run.

        Args:
            text: The answer.
            last: The response that it was taken from: its value and its own limit hold.
            agent: Who gave it.
            limit: The cap that ended the run.
        """
        return AgentResponse(
            text,
            tuple(self.conversation.produced),
            self.usage,
            "limit" if limit else last.finish_reason if last else "stop",
            limit or (last.limit_hit if last else None),
            agent or self.name,
            handoffs=self.handoffs,
            steps=self.steps,
            parsed=last.parsed if last else None,
        )

    # How it is run.

    async def play(self, conduct: Callable[[Stage], Awaitable[AgentResponse]]) -> AsyncGenerator[OrchestrationEvent]:
        """Do the work and tell it as it goes. Closing the generator ends the work at once.

        Raises:
            Exception: What a participant has raised, behind the event ``failed``.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                work = self._work = tasks.create_task(self._conduct(conduct), name=f"{self.name} {self.run_id}")
                try:
                    while (event := await self._events.get()) is not None:
                        yield event
                        self._events.task_done()
                except GeneratorExit:
                    return  # the group would wrap it
                finally:
                    work.cancel()
        finally:
            for session in self._opened:
                await session.aclose()
        if self._error is not None:
            raise self._error

    async def cancel(self) -> None:
        """End the work; its reader is told ``cancelled`` and then nothing more."""
        if self._work is not None and not self._work.done():
            self._work.cancel()
            await asyncio.wait({self._work})

    async def _conduct(self, conduct: Callable[[Stage], Awaitable[AgentResponse]]) -> None:
        try:
            await self.tell("started", self.name, {"participants": list(self.seats)})
            response = await conduct(self)
            self.response = response
            await self.tell("output", response.agent, response)
        except asyncio.CancelledError:
            self.response = self.response or replace(self.outcome("".join(self.told)), finish_reason="interrupted")
            self._note("cancelled", self.name)
            raise
        except Exception as error:  # the root of the run; the reader gets it
            self._error = error
            self._note("failed", self.name, fault_of(error))
        finally:
            self._events.put_nowait(None)

    async def _heard(
        self, agent: SupportsAgentRun, seat: Seat, given: Sequence[Message], is_answer: bool
    ) -> AgentResponse:
        async with agent.run(given, stream=True, session=seat.session, values=self._values) as stream:
            async for update in stream:
                if is_answer:
                    self.told.append(update.text)
                    self.told_id = update.message_id
                await self.tell("intermediate", seat.name, update, is_answer=is_answer)
                for content in update.contents:
                    if content.type == "handoff":
                        record = {"source": content.source, "target": content.target, "reason": content.reason}
                        await self.tell("handoff", seat.name, record)
            response = await stream.get_final_response()
        self.usage += response.usage
        self.steps += response.steps
        self.handoffs += response.handoffs
        if response.finish_reason == "tool_calls":
            raise AgentInvalidRequestException(
                f"Agent {seat.name!r} called a tool that is only declared, and in an orchestration nobody answers it; "
                "give the tool a function.",
                code="input_invalid",
            )
        return response

    async def _decided(self, seat: Seat, request: ApprovalRequest) -> ApprovalResponse:
        if self._approve is None:
            raise AgentInvalidRequestException(
                f"Agent {seat.name!r} needs a person's approval for {request.prompt}; give the orchestration "
                "approve=, a function that asks one.",
                code="input_invalid",
            )
        return await self._approve(request)

    def _note(
        self,
        kind: EventType,
        agent: str = "",
        data: AgentResponse | AgentResponseUpdate | Mapping[str, Any] | None = None,
        is_answer: bool = False,
    ) -> None:
        at_s = self._clock.now() - self._began
        event = OrchestrationEvent(kind, self.run_id, self._seq, agent, data, is_answer, at_s)
        self._seq += 1
        self._events.put_nowait(event)
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:  # a watcher is somebody else's code, and no part of the run
                _log.exception("orchestration.watcher_failed", run_id=self.run_id, event_type=kind)


def fault_of(error: Exception) -> dict[str, Any]:
    """What an event says of an error."""
    code = error.code if isinstance(error, AntiphonException) else "error"
    return {"code": code, "error": str(error) or type(error).__name__}
