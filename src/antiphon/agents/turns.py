"""One turn of a text conversation: what is read and written around the loop."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from antiphon.agents.agent import Agent, Input
from antiphon.agents.approval import Decision
from antiphon.agents.context import RunContext, tell_after, tell_before
from antiphon.agents.handoff import team_of
from antiphon.agents.interviews import interviewer_of
from antiphon.agents.layers import NO_RESULT, response_of, tell_through
from antiphon.agents.limits import RunLimits
from antiphon.agents.memory import learn
from antiphon.agents.middleware import AgentContext, Middleware, by_layer, run_through
from antiphon.agents.observability.switch import SWITCH
from antiphon.agents.responses import AgentResponse, AgentResponseUpdate
from antiphon.agents.run import Run
from antiphon.agents.session import AgentSession
from antiphon.agents.step import Step
from antiphon.errors import AgentInvalidRequestException, MiddlewareException, MiddlewareTermination
from antiphon.logs import Log
from antiphon.models.llm.content import ApprovalResponse, Audio, Content, Text
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message, as_messages
from antiphon.tools.tool import FunctionTool

if TYPE_CHECKING:
    from antiphon.agents.observability.spans import RunTrace

_log = Log(__name__)

_WRITE_S = 2.0
"""How long the last words of a turn may take to be written after it was cancelled."""


class Turn:
    """A turn that is about to be run; see ``Agent.run`` for the arguments."""

    def __init__(
        self,
        agent: Agent,
        messages: Input | None,
        *,
        session: AgentSession | None,
        tools: Sequence[FunctionTool | Callable[..., Any] | Agent],
        middleware: Sequence[Middleware],
        options: ChatOptions | None,
        limits: RunLimits | None,
        variables: Mapping[str, Any] | None,
        values: Mapping[str, Any] | None,
        history: Sequence[Message] | None,
    ) -> None:
        self.run: Run | None = None
        self.reader: asyncio.Task[Any] | None = None
        """Who waits for the next update."""
        self.is_closing = False
        self.heard_text: str | None = None
        self.spoken_text: str | None = None
        self.audio: Audio | None = None
        self._agent = agent
        self._owns_session = session is None
        self._session = session or AgentSession()
        self._given = [] if messages is None else as_messages(messages)
        self._tools = tools
        self._layers = by_layer(middleware) if middleware else _NO_LAYERS
        self._options = options
        self._limits = limits
        self._variables = variables
        self._values = values or {}
        self._history = history
        self._decided: Sequence[Decision] = ()
        self._written = 0
        self._is_durable = False
        self._context: RunContext | None = None
        self._trace: RunTrace | None = None
        self._response: AgentResponse | None = None
        self._updates: AsyncGenerator[AgentResponseUpdate] | None = None
        self.cancelled_before = 0
        """How often the reader had been cancelled when it began to wait."""
        self._is_stopped = False
        self._is_gone = False
        self._gone: asyncio.Event | None = None

    @property
    def response(self) -> AgentResponse:
        """The outcome, as far as it is known."""
        if self._response is not None:
            return self._response
        return self.run.response() if self.run is not None else AgentResponse("", finish_reason="interrupted")

    @property
    def is_over(self) -> bool:
        """Whether the turn came to its end by itself."""
        return self._response is not None

    async def complete(self) -> AgentResponse:
        """Run the turn to its end."""
        layers = self._agent.layers["agent"] + self._layers["agent"]
        if not layers:
            return await self._run()
        context = AgentContext(self._agent, self._session, self._given, False)

        async def inner() -> None:
            self._given = context.messages
            context.result = await self._run()

        try:
            await run_through(layers, context, inner)
        except MiddlewareTermination as end:
            context.result = response_of(end.result, self._agent)
        if not isinstance(context.result, AgentResponse):
            raise MiddlewareException(NO_RESULT)
        return context.result

    def updates(self) -> AsyncGenerator[AgentResponseUpdate]:
        """Run the turn and tell it as it goes, to the one reader of it."""
        layers = self._agent.layers["agent"] + self._layers["agent"]
        self._updates = self._tell_through(layers) if layers else self._tell()
        return self._updates

    async def aclose(self) -> None:
        """End the turn now. A reader that waits for the next update in another task comes to the end of its loop."""
        if not self.is_closing and self.reader is not None:
            self.is_closing = True
            self._is_stopped = True
            self.reader.cancel()
        elif not self.is_closing and self._updates is not None:
            self.is_closing = True
            await self._updates.aclose()
            return
        if self.is_closing and not self._is_gone:
            self._gone = self._gone or asyncio.Event()
            await self._gone.wait()

    def is_stopped(self) -> bool:
        """Whether the reader's cancellation is the work of ``aclose`` alone; takes it back then."""
        return self._is_stopped and self.reader is not None and self.reader.uncancel() <= self.cancelled_before

    def leave(self) -> None:
        """The turn is over, however it ended."""
        self._is_gone = True
        if self._gone is not None:
            self._gone.set()

    async def _tell_through(self, layers: Sequence[Middleware]) -> AsyncGenerator[AgentResponseUpdate]:
        context = AgentContext(self._agent, self._session, self._given, True)
        told: list[AsyncGenerator[AgentResponseUpdate]] = []
        texts: list[str] = []

        def tell() -> AsyncGenerator[AgentResponseUpdate]:
            self._given = context.messages
            told.append(self._tell())
            return told[-1]

        try:
            async with aclosing(tell_through(layers, context, tell)) as updates:
                async for update in updates:
                    texts.append(update.text)
                    yield update
        finally:
            for each in told:  # middleware may have put a stream of its own around it, which does not close it
                await each.aclose()
        if isinstance(context.result, AgentResponse):
            self._response = context.result
        elif context.result not in told:
            known = self.response if self.run is not None else AgentResponse("", agent=self._agent.name)
            self._response = dataclasses.replace(known, text="".join(texts))

    async def _run(self) -> AgentResponse:
        try:
            run = await self._enter()
            run.tells_words = self._is_durable  # what is whole is written down as it is told
            async with aclosing(run.updates()) as updates:
                async for _ in updates:
                    if self._is_durable:
                        await self._keep(run)
            self._response = run.response()
        finally:
            await self._leave(self._failure())
        return self._response

    async def _tell(self) -> AsyncGenerator[AgentResponseUpdate]:
        try:
            run = await self._enter()
            async with aclosing(run.updates()) as updates:
                async for update in updates:
                    yield update
                    if self._is_durable:
                        await self._keep(run)
            self._response = run.response()
        finally:
            await self._leave(self._failure())

    def _failure(self) -> BaseException | None:
        """What ends the turn early. An error that the caller handles while the turn runs is none of it."""
        return sys.exception() if self._response is None else None

    async def _enter(self) -> Run:
        """Have the session for this turn alone, and get ready."""
        await take_over(self._session)
        self._session.turn = self
        self._is_durable = self._session.history is not None and self._history is None
        agent = self._active_agent()
        if SWITCH.tracing is not None:
            self._trace = SWITCH.tracing.begin(agent, self._session, self._session.clock)
        return await self._open(agent)

    async def _keep(self, run: Run) -> None:
        """Write down what is whole while the turn goes on, so that a crash costs little."""
        if len(run.produced) > self._written and run.produced[-1].role != "assistant":
            await self._write(run.produced)

    def _active_agent(self) -> Agent:
        """Who answers: who asks for something just now, or whom the last handoff has named, else who was asked."""
        if self._session.interview is not None:
            return interviewer_of(self._session, team_of(self._agent, self._session.agents))
        active = self._session.active_agent
        if active is None or active == self._agent.name:
            return self._agent
        team = team_of(self._agent, self._session.agents)
        if active not in team:
            raise AgentInvalidRequestException(
                f"Session {self._session.id} was handed over to {active!r}, which {self._agent.name!r} does not know; "
                "give the session its agents, or set active_agent to None.",
                code="agent_unknown",
            )
        return team[active]

    async def _open(self, agent: Agent) -> Run:
        session = self._session
        if session.history is not None:
            await session.load()
        tools = session.tools(self._values)
        context: RunContext | None = None
        given = self._given
        before: list[Message] = session.messages if self._history is None else list(self._history)
        if agent.context_providers:
            context = RunContext(agent, session.id, dict(self._variables or {}), session, [*before, *given])
            await tell_before(agent.context_providers, context)
            self._context = context
        new = self._new_messages(given, context)
        if self._history is None:
            await session.add(new)
            conversation = session.messages
        else:
            conversation = [*before, *new]
        if context is not None and context.added:
            split = len(conversation) - len(given)
            conversation = [*conversation[:split], *context.added, *conversation[split:]]
        more_tools = (*self._tools, *context.tools) if context is not None else self._tools
        layers = by_layer(context.middleware) if context is not None and context.middleware else _NO_LAYERS
        self.run = Run(
            agent,
            conversation,
            session=session,
            tools=tools,
            clock=session.clock,
            more_instructions=context.instructions if context is not None else (),
            variables=self._variables,
            limits=self._limits,
            options=self._options,
            more_tools=more_tools,
            chat=(*self._layers["chat"], *layers["chat"]),
            function=(*self._layers["function"], *layers["function"]),
            decided=self._decided,
            team=(self._agent,),
            trace=self._trace,
        )
        return self.run

    def _new_messages(self, given: Sequence[Message], context: RunContext | None) -> list[Message]:
        """What comes into the conversation first: late results, then words. Decisions are for the run."""
        session = self._session
        new: list[Message] = [] if context is None else list(context.kept)
        words, decisions = _without_decisions(given)
        if decisions:
            self._decided = session.approvals.take_all(decisions, now=session.clock.utc())
            if self._trace is not None:
                self._trace.decide(decisions)
        if session.late:
            new += session.take_late()
        return new + words if new else words

    async def _write(self, messages: Sequence[Message]) -> None:
        new = messages[self._written :]
        self._written = len(messages)
        if new and self._history is None:
            await self._session.add(new)

    async def _leave(self, error: BaseException | None) -> None:
        """Write what is known, tell the providers, and let the next turn begin."""
        if self._session.turn is not self:
            return  # it never had the session
        self.is_closing = True
        try:
            if error is None:
                await self._write_rest()
            else:
                if self.run is not None:
                    self.run.finish = "error" if isinstance(error, Exception) else "interrupted"
                    if isinstance(error, Exception) and self._session.interview is not None:
                        self._session.interview.note_failure()
                    if not isinstance(error, Exception) and not self.run.step.recorded:
                        self._record_interruption(self.run)
                await _shielded(self._write_rest(error))
        finally:
            self._session.turn = None
            self._session.settle()
            self.leave()
            if self._trace is not None:
                self._trace.end(self.run, error)
        if error is None and self.run is not None:
            learn(self.run.agent, self._session, self._session.messages)

    async def _write_rest(self, error: BaseException | None = None) -> None:
        if self.run is not None:
            await self._write(self.run.produced)
            await self._session.cover()
            if error is not None:
                await self._cut_to_heard(self.run.step)
        context = self._context
        if context is not None:
            await tell_after(context.agent.context_providers, context, self._response, error)
        if self._owns_session:
            await self._session.aclose_tools()

    async def cut(self) -> None:
        """Cut the last words of a turn that is over to what was heard of them."""
        if self.run is not None:
            await self._cut_to_heard(self.run.step)

    async def _cut_to_heard(self, step: Step) -> None:
        """Words that are written already, whole: cut them where somebody knows what was heard."""
        heard = self.heard_text if self.audio is None else self.audio.words
        if heard is not None and step.recorded and step.has_text and self._history is None:
            await self._session.set_heard(step.message_id or "", heard_text=heard)

    def _record_interruption(self, run: Run) -> None:
        """The part of an answer that was heard; what was handed out counts as heard unless somebody knows better."""
        written = run.step.text
        if not written:
            return
        contents: tuple[Content, ...] = (Text(written),)
        if self.audio is not None:
            contents = (self.audio,)
        elif self.heard_text is not None:
            contents = (Text(self.heard_text),) if self.heard_text else ()
        message = Message(
            "assistant",
            contents,
            author_name=run.agent.name,
            message_id=run.step.message_id,
            interrupted=True,
            generated_text=written,
            spoken_text=written if self.spoken_text is None else self.spoken_text,
        )
        run.produced.append(message)


def _without_decisions(given: Sequence[Message]) -> tuple[list[Message], list[ApprovalResponse]]:
    """The messages without the approvals in them, and these."""
    words: list[Message] = []
    decisions: list[ApprovalResponse] = []
    for message in given:
        contents = message.contents
        if len(contents) == 1 and contents[0].type != "approval_response":
            words.append(message)
            continue
        decisions += [content for content in contents if content.type == "approval_response"]
        others = tuple(content for content in contents if content.type != "approval_response")
        if others:
            words.append(message if len(others) == len(contents) else message.replace(contents=others))
    return words, decisions


async def take_over(session: AgentSession) -> None:
    """Make sure that this turn is alone on its session. A stream that nobody reads any more is closed."""
    other = session.turn
    if other is None:
        return
    if other.reader is None or other.is_closing:
        await other.aclose()
    if session.turn is not None:
        raise AgentInvalidRequestException(
            f"Session {session.id} is busy with another turn; wait for it, or use a session of its own.",
            code="session_busy",
        )


async def _shielded(work: Any) -> None:
    """Finish this although the turn's task is being cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=_WRITE_S)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_WRITE_S)
        raise
    finally:
        if not task.done():
            task.cancel()
            _log.error("turn.write_cut", seconds=_WRITE_S)
    if task.done():
        task.result()


_NO_LAYERS = by_layer(())
