"""The agent's turn: model, tools and voice, streamed into a ``Speech``.

A reply may be begun before the turn is sure (speculation). Until it is committed it runs no tool, says nothing, and
voices its first clause only, so that it can be forgotten at little cost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.history import build_request
from antiphon.agents.instructions import instructions_for
from antiphon.agents.loop import run_loop
from antiphon.agents.runner import ToolRunner
from antiphon.agents.updates import CallFinished, CallsRequested, CallStarted, Filler, Finished, TextDelta
from antiphon.calls import events
from antiphon.calls.clauses import Clause, ClauseSplitter
from antiphon.calls.history import History
from antiphon.calls.log import CallLog
from antiphon.calls.speech import Speech
from antiphon.calls.voice import Voice
from antiphon.clock import Clock
from antiphon.errors import AgentInvalidResponseException, AntiphonException
from antiphon.models.llm.contract import ChatClient, FunctionCall, Message, Usage
from antiphon.tools.invoke import ToolResult

_log = structlog.get_logger(__name__)

_AHEAD_S = 20.0
"""The voice makes no more sound than this before it is heard: most of a long answer is never listened to."""
_LOOK_AGAIN_S = 0.5


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
        client: The model.
        tools: Owns the tool calls of the call.
        voice: Who speaks.
        history: What was said so far; gets the tool calls and their results.
        log: Gets the events of tools.
        clock: The call's time.
        session_id: For instructions that are a function.
        variables: Values for the instructions' template.
        new_speech: Makes an empty speech for a reply.
        failed: Told when a committed reply breaks off.
        say_filler: Says words for a caller who waits for a tool.
        spawn: Runs a task of the call.
    """

    def __init__(
        self,
        agent: Agent,
        client: ChatClient,
        tools: ToolRunner,
        *,
        voice: Voice,
        history: History,
        log: CallLog,
        clock: Clock,
        session_id: str,
        variables: Mapping[str, Any],
        new_speech: Callable[[], Speech],
        failed: Callable[[Reply, AntiphonException], None],
        say_filler: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
    ) -> None:
        self.usage = Usage()
        self._agent = agent
        self._client = client
        self._tools = tools
        self._voice = voice
        self._history = history
        self._log = log
        self._clock = clock
        self._session_id = session_id
        self._variables = variables
        self._new_speech = new_speech
        self._failed = failed
        self._say_filler = say_filler
        self._spawn = spawn
        self._instructions: str | None = None
        self._prefill: Any = getattr(client, "prefill", None)
        self._prefilling: asyncio.Task[None] | None = None
        self._reply: Reply | None = None
        self._handlers: dict[str, Callable[[Reply, Any], Awaitable[None]]] = {
            "text": self._text,
            "calls": self._calls,
            "call_started": self._call_started,
            "call_finished": self._call_finished,
            "filler": self._filler,
            "finished": self._finished,
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
            _log.debug("prefill_failed", session_id=self._session_id, error=str(error))
        finally:
            self._prefilling = None

    async def _rendered(self) -> str:
        if self._instructions is None:
            self._instructions = await instructions_for(
                self._agent, session_id=self._session_id, variables=self._variables
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

    def note_result(self, call: FunctionCall, result: ToolResult) -> None:
        """A call has its result, in its turn or after it."""
        self._history.add_result(call, result.text)
        failed = result.status != "ok"
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
            _log.exception("reply_failed", session_id=self._session_id)
            await self._break_off(reply, AgentInvalidResponseException("The reply broke off.", code="internal"))
        reply.speech.finish()

    async def _break_off(self, reply: Reply, error: AntiphonException) -> None:
        reply.failed = error
        await reply.committed()
        self._failed(reply, error)

    async def _stream(self, reply: Reply, messages: Sequence[Message]) -> None:
        instructions = await self._rendered()
        updates = run_loop(
            self._agent,
            messages,
            client=self._client,
            tools=self._tools,
            clock=self._clock,
            instructions=instructions,
            fence=reply.committed,
        )
        async with aclosing(updates):
            async for update in updates:
                handler = self._handlers.get(update.type)
                if handler is not None:
                    await handler(reply, update)
        await self._speak(reply, reply.splitter.flush())
        while reply.unvoiced:
            await self._clock.sleep(_LOOK_AGAIN_S)
            await self._speak(reply, [])
        if not reply.speech.sound:
            raise AgentInvalidResponseException("The model had nothing to say.", code="empty_reply")

    async def _text(self, reply: Reply, update: TextDelta) -> None:
        if reply.first_token_at is None:
            reply.first_token_at = self._clock.now()
        reply.speech.generated += update.text
        clauses = reply.splitter.feed(update.text)
        if clauses:
            await self._speak(reply, clauses)

    async def _calls(self, reply: Reply, update: CallsRequested) -> None:
        """What the model wrote before it calls is said while the tools run."""
        self._history.call_tools(update.message)
        await self._speak(reply, reply.splitter.flush())
        reply.splitter = ClauseSplitter()

    async def _call_started(self, _reply: Reply, update: CallStarted) -> None:
        call = update.call
        tool = self._agent.toolset.get(call.name)
        shown = tool.visible_arguments(call.arguments) if tool is not None else {}
        self._log.append(events.ToolCalled(call.call_id, call.name, shown))

    async def _call_finished(self, _reply: Reply, update: CallFinished) -> None:
        self.note_result(update.call, update.result)

    async def _filler(self, reply: Reply, update: Filler) -> None:
        if not reply.speech.waiting:
            self._say_filler(update.text)

    async def _finished(self, _reply: Reply, update: Finished) -> None:
        self.usage += update.usage

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
