"""The agent's turn: model, tools and voice, streamed into a ``Speech``.

A reply may be begun before the turn is sure (speculation). Until it is committed it runs no tool, says nothing, and
voices its first clause only, so that it can be forgotten at little cost.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.context import RunContext, tell_after, tell_before
from antiphon.agents.history import build_request
from antiphon.agents.instructions import instructions_for
from antiphon.agents.layers import tell_through
from antiphon.agents.limits import RunLimits
from antiphon.agents.memory import learn
from antiphon.agents.middleware import AgentContext, by_layer
from antiphon.agents.responses import AgentResponseUpdate
from antiphon.agents.run import Run
from antiphon.agents.runner import ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.calls import events
from antiphon.calls.clauses import Clause, ClauseSplitter
from antiphon.calls.history import History
from antiphon.calls.log import CallLog
from antiphon.calls.speech import Speech
from antiphon.calls.voice import Voice
from antiphon.clock import Clock
from antiphon.errors import AgentInvalidResponseException, AntiphonException
from antiphon.models.llm.content import FunctionCall, FunctionResult, HandedOff, Usage
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message

_log = structlog.get_logger(__name__)

_AHEAD_S = 20.0
"""The voice makes no more sound than this before it is heard: most of a long answer is never listened to."""
_LOOK_AGAIN_S = 0.5
_VOICE_LIMITS = RunLimits.voice()


class Reply:
    """An answer that is being made. Times are the clock's seconds.

    Attributes:
        text: The caller's words that it answers.
        speech: What the caller will hear of it.
        unvoiced: Clauses that wait for the voice, because it is far ahead.
        sure: Set when the turn is committed.
        speculative: It was begun before that.
        failed: Why it broke off.
        begun_at: When the model was asked.
        first_token_at: When its first words came.
        first_clause_at: When the voice got its first clause.
        first_sound_at: When that clause had its sound.
    """

    __slots__ = (
        "begun_at",
        "failed",
        "first_clause_at",
        "first_sound_at",
        "first_token_at",
        "speculative",
        "speech",
        "splitter",
        "sure",
        "task",
        "text",
        "unvoiced",
    )

    def __init__(self, text: str, speech: Speech, *, speculative: bool, begun_at: float) -> None:
        self.text = text
        self.speech = speech
        self.unvoiced: deque[Clause] = deque()
        self.sure = asyncio.Event()
        self.speculative = speculative
        self.failed: AntiphonException | None = None
        self.begun_at = begun_at
        self.first_token_at: float | None = None
        self.first_clause_at: float | None = None
        self.first_sound_at: float | None = None
        self.splitter = ClauseSplitter()
        self.task: asyncio.Task[None] | None = None
        if not speculative:
            self.sure.set()

    async def committed(self) -> None:
        """Wait until the turn is sure."""
        await self.sure.wait()

    @property
    def far_ahead(self) -> bool:
        """Whether there is sound for a long time already."""
        return self.speech.audio.seconds(self.speech.waiting) > _AHEAD_S


class Responding:
    """The mind of one call; at most one reply at a time.

    Args:
        agent: Who answers.
        client_for: Gives the model of an agent.
        tools: Owns the tool calls of the call.
        voice: Who speaks.
        history: What was said so far; gets the tool calls and their results.
        log: Gets the events of tools.
        clock: The call's time.
        session: What the conversation's tools, providers and approvals keep, and its variables.
        handed_over: Told when another agent goes on.
        new_speech: Makes an empty speech for a reply.
        failed: Told when a committed reply breaks off.
        say_filler: Says words for a caller who waits for a tool.
        spawn: Runs a task of the call.
    """

    def __init__(
        self,
        agent: Agent,
        client_for: Callable[[Agent], ChatClient],
        tools: ToolRunner,
        *,
        voice: Voice,
        history: History,
        log: CallLog,
        clock: Clock,
        session: AgentSession,
        handed_over: Callable[[HandedOff, Agent], None],
        new_speech: Callable[[], Speech],
        failed: Callable[[Reply, AntiphonException], None],
        say_filler: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
    ) -> None:
        self.usage = Usage()
        self._agent = agent
        self._client_for = client_for
        self._tools = tools
        self._voice = voice
        self._history = history
        self._log = log
        self._clock = clock
        self._session = session
        self._handed_over = handed_over
        self._run: Run | None = None
        self._new_speech = new_speech
        self._failed = failed
        self._say_filler = say_filler
        self._spawn = spawn
        self._instructions: str | None = None
        self._prefill: Any = getattr(client_for(agent), "prefill", None)
        self._prefilling: asyncio.Task[None] | None = None
        self._reply: Reply | None = None
        self._handlers: dict[str, Callable[[Reply, Any], Awaitable[None]]] = {
            "text": self._text,
            "function_call": self._calls,
            "tool_started": self._call_started,
            "tool_finished": self._call_finished,
            "filler": self._filler,
            "handoff": self._handed_off,
        }

    def prefill(self) -> None:
        """The caller speaks: a model of our own may read meanwhile what was said so far."""
        if self._prefill is not None and self._prefilling is None:
            self._prefilling = self._spawn(self._read_on(), "prefill")

    async def _read_on(self) -> None:
        try:
            request = build_request(await self._rendered(), self._history.messages)
            await self._prefill(request, self._agent.request_options)
        except AntiphonException as error:  # the request itself will tell
            _log.debug("prefill_failed", session_id=self._session.id, error=str(error))
        finally:
            self._prefilling = None

    async def _rendered(self) -> str:
        if self._instructions is None:
            session = self._session
            self._instructions = await instructions_for(
                self._agent, session_id=session.id, session=session, variables=session.variables
            )
        return self._instructions

    def speculate(self, text: str, fresh: str) -> None:
        """Try an answer to words that may be the whole turn."""
        self.drop()
        self._begin(text, fresh, speculative=True)

    def commit(self, text: str, fresh: str) -> Reply:
        """The turn is over: the reply to it, which may have been tried before."""
        reply = self._reply
        if reply is None or reply.text != text or reply.sure.is_set() or reply.failed is not None:
            self.drop()
            reply = self._begin(text, fresh, speculative=False)
        self._history.hear_user(text, fresh)
        reply.sure.set()
        return reply

    def drop(self) -> None:
        """Make no more of the reply; what was said of it stays said."""
        reply, self._reply = self._reply, None
        if reply is not None and reply.task is not None:
            reply.task.cancel()

    def note_result(self, call: FunctionCall, result: FunctionResult) -> None:
        """A call has its result, in its turn or after it."""
        self._history.add_result(result)
        failed = result.status not in ("ok", "pending")
        duration_ms = round(result.duration_ms, 1)
        self._log.append(events.ToolExecuted(call.call_id, call.name, result.text, failed, duration_ms))

    def _begin(self, text: str, fresh: str, *, speculative: bool) -> Reply:
        if self._prefilling is not None:
            self._prefilling.cancel()
        reply = Reply(text, self._new_speech(), speculative=speculative, begun_at=self._clock.now())
        messages = self._history.with_user(text, fresh)
        reply.task = self._spawn(self._make(reply, messages), f"reply {reply.speech.number}")
        self._reply = reply
        return reply

    async def _make(self, reply: Reply, messages: Sequence[Message]) -> None:
        try:
            await self._stream(reply, messages)
        except AntiphonException as error:
            await self._break_off(reply, error)
        except Exception:  # The root of the reply's task: somebody else's code (instructions, a provider) is at fault.
            _log.exception("reply_failed", session_id=self._session.id)
            await self._break_off(reply, AgentInvalidResponseException("The reply broke off.", code="internal"))
        reply.speech.finish()

    async def _break_off(self, reply: Reply, error: AntiphonException) -> None:
        reply.failed = error
        await reply.committed()
        self._failed(reply, error)

    async def _stream(self, reply: Reply, messages: Sequence[Message]) -> None:
        agent, session = self._agent, self._session
        context = RunContext(agent, session.id, session.variables, session, messages)
        await tell_before(agent.context_providers, context)
        layers = by_layer(context.middleware)
        run = self._run = Run(
            agent,
            [*messages[:-1], *context.kept, *context.added, *messages[-1:]],
            session=session,
            tools=self._tools,
            clock=self._clock,
            client_for=self._client_for,
            instructions=await self._rendered(),
            more_instructions=context.instructions,
            more_tools=context.tools,
            chat=layers["chat"],
            function=layers["function"],
            fence=reply.committed,
            limits=agent.limits or _VOICE_LIMITS,
            keep_tools=True,
            wait_for_approval=False,
        )
        try:
            async with aclosing(self._told(run, messages)) as updates:
                async for update in updates:
                    handler = self._handlers.get(update.contents[0].type)
                    if handler is not None:
                        await handler(reply, update)
            self.usage += run.usage
            learn(run.agent, session, messages)
        finally:
            if agent.context_providers:
                error = sys.exception()
                await tell_after(agent.context_providers, context, None if error else run.response(), error)
        await self._speak(reply, reply.splitter.flush())
        while reply.unvoiced:
            await self._clock.sleep(_LOOK_AGAIN_S)
            await self._speak(reply, [])
        if not reply.speech.sound:
            raise AgentInvalidResponseException("The model had nothing to say.", code="empty_reply")

    def _told(self, run: Run, messages: Sequence[Message]) -> AsyncGenerator[AgentResponseUpdate]:
        """The run's updates, inside of the agent's middleware."""
        layers = run.agent.layers["agent"]
        if not layers:
            return run.updates()
        context = AgentContext(run.agent, self._session, list(messages[-1:]), True)
        return tell_through(layers, context, run.updates)

    async def _text(self, reply: Reply, update: AgentResponseUpdate) -> None:
        if update.structured:
            return  # data, not words
        if reply.first_token_at is None:
            reply.first_token_at = self._clock.now()
        reply.speech.generated += update.text
        clauses = reply.splitter.feed(update.text)
        if clauses:
            await self._speak(reply, clauses)

    async def _calls(self, reply: Reply, update: AgentResponseUpdate) -> None:
        """What the model wrote before it calls is said while the tools run."""
        self._history.call_tools([content for content in update.contents if content.type == "function_call"])
        await self._speak(reply, reply.splitter.flush())
        reply.splitter = ClauseSplitter()

    async def _call_started(self, _reply: Reply, update: AgentResponseUpdate) -> None:
        started = update.contents[0]
        assert started.type == "tool_started"
        call = started.call
        tool = self._agent.toolset.get(call.name)
        shown = tool.visible_arguments(call.arguments) if tool is not None else {}
        self._log.append(events.ToolCalled(call.call_id, call.name, shown))

    async def _call_finished(self, _reply: Reply, update: AgentResponseUpdate) -> None:
        finished = update.contents[0]
        assert finished.type == "tool_finished"
        self.note_result(finished.call, finished.result)

    async def _filler(self, reply: Reply, update: AgentResponseUpdate) -> None:
        filler = update.contents[0]
        if filler.type == "filler" and not reply.speech.waiting:
            self._say_filler(filler.text)

    async def _handed_off(self, reply: Reply, update: AgentResponseUpdate) -> None:
        """Another agent goes on: what the old one has said so far is its last, and the voice changes behind it."""
        record = update.contents[0]
        assert record.type == "handoff"
        assert self._run is not None
        if record.handoff_type == "discrete":
            reply.unvoiced.clear()
        await self._speak(reply, [] if record.handoff_type == "discrete" else reply.splitter.flush())
        reply.splitter = ClauseSplitter()
        self._agent = self._run.agent
        self._instructions = None
        self._voice.use(self._agent.voice, self._agent.language)
        self._handed_over(record, self._agent)

    async def _speak(self, reply: Reply, clauses: list[Clause]) -> None:
        """Voice clauses in order, unless the voice is far ahead; then they wait."""
        reply.unvoiced.extend(clause for clause in clauses if clause.speech)
        while reply.unvoiced and not reply.far_ahead:
            if reply.first_clause_at is None:
                reply.first_clause_at = self._clock.now()
            else:
                await reply.committed()
            await self._voice.speak(reply.speech, reply.unvoiced.popleft())
            if reply.first_sound_at is None:
                reply.first_sound_at = self._clock.now()
