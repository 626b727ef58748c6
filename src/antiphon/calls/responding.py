"""The agent's turn: model, tools and voice, streamed into a ``Speech``.

A reply may be begun before the turn is sure (speculation). Until it is committed it runs no tool, says nothing, and
voices its first clause only, so that it can be forgotten at little cost.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.care import waits_for
from antiphon.agents.context import RunContext, tell_after, tell_before
from antiphon.agents.handoff import visible
from antiphon.agents.history import build_request
from antiphon.agents.instructions import instructions_for
from antiphon.agents.interview import seen_by_agent
from antiphon.agents.layers import tell_through
from antiphon.agents.limits import RunLimits
from antiphon.agents.memory import compacted, learn
from antiphon.agents.middleware import AgentContext, by_layer
from antiphon.agents.responses import AgentResponseUpdate
from antiphon.agents.run import Run
from antiphon.agents.runner import ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.calls import events
from antiphon.calls.clauses import Clause
from antiphon.calls.events import SpeechKind
from antiphon.calls.history import History, ReplyRecord
from antiphon.calls.ledger import Ledger
from antiphon.calls.log import CallLog
from antiphon.calls.reply import Reply, ReplyTerms
from antiphon.calls.speech import Speech
from antiphon.calls.stall import StallGuard
from antiphon.calls.voice import Voice
from antiphon.calls.watcher import ReplyWatcher
from antiphon.clock import Clock
from antiphon.errors import AgentInvalidResponseException, AntiphonException
from antiphon.models.llm.content import (
    AgentToolEnded,
    AgentToolStarted,
    ApprovalRequest,
    FunctionCall,
    FunctionResult,
    HandedOff,
    Usage,
)
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.prices import Used

_log = structlog.get_logger(__name__)

_LOOK_AGAIN_S = 0.5
_OTHER_MODEL = "other"
_MENDED = "The model refused the conversation with its tool calls, and was asked once more without them."
_VOICE_LIMITS = RunLimits.voice()


class Responding:
    """The mind of one call; at most one reply at a time.

    Args:
        agent: Who answers.
        client_for: Gives the model of an agent.
        tools: Owns the tool calls of the call.
        stall_s: Longest silence of a model.
        voice: Who speaks.
        history: What was said so far; gets the tool calls and their results.
        log: Gets the events of tools.
        clock: The call's time.
        session: What the conversation's tools, providers and approvals keep, and its variables.
        handed_over: Told when another agent goes on, for good or for a collector.
        next_speech: Makes a speech that stands behind what is said already.
        dropped: Told of a speech of which nothing more is to be heard.
        asked: Told of a call that a person has to approve.
        new_speech: Makes an empty speech for a reply.
        failed: Told when a committed reply breaks off.
        say_filler: Says words for a caller who waits for a tool.
        spawn: Runs a task of the call.
        watcher: Told how replies come about.
        ledger: Told what replies use of their models.

    Attributes:
        terms: What replies go by from now on.
    """

    def __init__(
        self,
        agent: Agent,
        client_for: Callable[[Agent], ChatClient],
        tools: ToolRunner,
        *,
        stall_s: float,
        voice: Voice,
        history: History,
        log: CallLog,
        clock: Clock,
        session: AgentSession,
        handed_over: Callable[[HandedOff | AgentToolStarted | AgentToolEnded, Agent], None],
        next_speech: Callable[[SpeechKind], Speech],
        dropped: Callable[[Speech], None],
        asked: Callable[[ApprovalRequest], None],
        new_speech: Callable[[], Speech],
        failed: Callable[[Reply, AntiphonException], None],
        say_filler: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
        watcher: ReplyWatcher,
        ledger: Ledger,
    ) -> None:
        self.terms = ReplyTerms()
        self._watcher = watcher
        self._ledger = ledger
        self._agent = agent
        self._client_for = client_for
        self._stall_s = stall_s
        self._tools = tools
        self._voice = voice
        self._history = history
        self._log = log
        self._clock = clock
        self._session = session
        self._handed_over = handed_over
        self._next_speech = next_speech
        self._dropped = dropped
        self._asked = asked
        self._first = agent
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
            "tool_finished": self._call_finished,
            "filler": self._filler,
            "approval_request": self._approval,
            "handoff": self._handed_off,
            "agent_tool_started": self._passed_on,
            "agent_tool_ended": self._passed_on,
        }

    def prefill(self) -> None:
        """The caller speaks: a model of our own may read meanwhile what was said so far."""
        if self._prefill is not None and self._prefilling is None:
            self._prefilling = self._spawn(self._read_on(), "prefill")

    async def _read_on(self) -> None:
        try:
            agent, messages = self._agent, seen_by_agent(self._history.messages, self._session)
            parts = [await self._instructed(self.terms), *(route.when for route in agent.routes)]
            seen = visible(messages, self._session.apart)
            fitting = compacted(agent, seen, self._session, self._client_for(agent))
            request = build_request("\n\n".join(part for part in parts if part), fitting)
            await self._prefill(request, agent.request_options)
        except AntiphonException as error:  # the request itself will tell
            _log.debug("prefill_failed", session_id=self._session.id, error=str(error))
        finally:
            self._prefilling = None

    async def _instructed(self, terms: ReplyTerms) -> str:
        is_agents = self._session.interview is None  # a collector has instructions of its own
        if terms.instructions is not None and is_agents:
            return terms.instructions
        if terms.variables and is_agents:
            return await self._render(terms.variables)
        if self._instructions is None:
            self._instructions = await self._render({})
        return self._instructions

    async def _render(self, variables: Mapping[str, str]) -> str:
        session = self._session
        values = {**session.values, **variables}
        return await instructions_for(self._agent, session_id=session.id, session=session, variables=values)

    def speculate(self, text: str, fresh: str) -> None:
        """Try an answer to words that may be the whole turn."""
        self.drop()
        interview = self._session.interview
        is_over = interview is not None and interview.is_over(self._clock)
        if not self._session.late and not is_over:  # a turn that has more to tell than this begins when it is sure
            self._begin(text, fresh, speculative=True)

    def commit(self, text: str, fresh: str, terms: ReplyTerms | None = None) -> Reply:
        """The turn is over: the reply to it, which may have been tried before; ``terms`` hold for this one."""
        reply = None if terms is not None else self._reply
        if reply is None or reply.text != text or reply.sure.is_set() or reply.failed is not None:
            self.drop()
            self._history.keep(self._session.take_late())
            reply = self._begin(text, fresh, speculative=False, terms=terms)
        self._keep(reply)
        self._history.hear_user(text, fresh)
        reply.sure.set()
        return reply

    def tell_news(self) -> Reply:
        """The agent speaks unasked: late results are told."""
        self.drop()
        self._history.keep(self._session.take_late())
        return self._begin("", "", speculative=False)

    def respond(self, terms: ReplyTerms | None) -> Reply:
        """The application asks for an answer to the conversation as it stands."""
        self.drop()
        self._history.keep(self._session.take_late())
        return self._begin("", "", speculative=False, terms=terms)

    def drop(self) -> None:
        """Make no more of the reply; what was said of it stays said."""
        reply, self._reply = self._reply, None
        if reply is None:
            return
        if reply.task is not None:
            reply.task.cancel()
        if reply.terms.is_silent and reply.sure.is_set() and not reply.is_made:
            self._note_written(reply, interrupted=True)
        run = reply.run
        if run is not None and run.agent is not self._agent:  # cut on the way to another agent, who goes on from here
            self._become(reply, run.interviews.last or run.handoffs[-1], run.agent)

    def note_deed(self) -> None:
        """A tool does something on the line: the reply is that, with or without words."""
        if self._reply is not None:
            self._reply.is_deed = True

    def note_result(self, call: FunctionCall, result: FunctionResult) -> None:
        """A call has its result, in its turn or after it."""
        self._history.add_result(result)
        self._watcher.call_finished(result)
        if result.status != "pending":
            self._log.append(executed(call, result))

    def _begin(self, text: str, fresh: str, *, speculative: bool, terms: ReplyTerms | None = None) -> Reply:
        if self._prefilling is not None:
            self._prefilling.cancel()
        terms = terms or self.terms
        reply = Reply(text, self._new_speech(), speculative=speculative, begun_at=self._clock.now(), terms=terms)
        messages = self._history.with_user(text, fresh) if terms.context is None else list(terms.context)
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
        await reply.committed()  # an answer that is forgotten is told to nobody, and teaches nothing
        reply.is_made = True
        if reply.terms.is_silent:
            self._note_written(reply, interrupted=reply.failed is not None)
        self._watcher.reply_made(reply)
        reply.finish()
        if reply.failed is None and reply.run is not None:
            learn(reply.run.agent, self._session, self._history.messages)

    async def _break_off(self, reply: Reply, error: AntiphonException) -> None:
        reply.failed = error
        await reply.committed()
        if self._session.interview is not None:
            self._session.interview.note_failure()
        if reply is self._reply:  # else it was dropped, by what a tool of its own has asked for
            self._failed(reply, error)

    async def _stream(self, reply: Reply, messages: Sequence[Message]) -> None:
        agent, session = self._agent, self._session
        if reply.terms.fit is not None:
            messages = reply.terms.fit(messages, self._client_for(agent))
        context = RunContext(agent, session.id, session.values, session, messages)
        await tell_before(agent.context_providers, context)
        reply.kept = context.kept
        if reply.sure.is_set():
            self._keep(reply)
        run: Run | None = None
        try:
            run = reply.run = await self._run_of(reply, context)
            await self._follow(reply, run, messages)
        finally:
            if run is not None:
                self._note_other_models(reply, run)
                if run.mended:
                    self._log.append(events.SessionError("llm_history_mended", _MENDED))
            if agent.context_providers:
                error = sys.exception()
                response = run.response() if run is not None and error is None else None
                await tell_after(agent.context_providers, context, response, error)
        await self._speak(reply, reply.flush())
        reply.drop_held()
        while reply.unvoiced:
            await self._clock.sleep(_LOOK_AGAIN_S)
            await self._speak(reply, [])
        has_answer = reply.has_sound or reply.is_deed or reply.terms.is_silent
        has_answer = has_answer or run.finish in ("tool_calls", "input_required")
        if reply.text and not has_answer:
            raise AgentInvalidResponseException("The model had nothing to say.", code="empty_reply")

    def _worked(self, reply: Reply, client: str, usage: Usage, waited_s: float) -> None:
        """A model was asked for a reply, and this is what it took."""
        reply.thought_s = (reply.thought_s or 0.0) + waited_s
        reply.usage += usage
        self._ledger.note("llm", client, _used(usage))

    def _note_other_models(self, reply: Reply, run: Run) -> None:
        """What the run has used of models that middleware has put in the place of the agent's own."""
        other = Usage(
            run.usage.input_tokens - reply.usage.input_tokens, run.usage.output_tokens - reply.usage.output_tokens
        )
        if other.total_tokens > 0:
            self._ledger.note("llm", _OTHER_MODEL, _used(other))

    def _note_written(self, reply: Reply, *, interrupted: bool) -> None:
        """What is written counts as heard."""
        speech = reply.speech
        words = speech.generated.strip()
        if words:
            author = speech.speaker.agent if speech.speaker is not None else ""
            self._history.add_reply(ReplyRecord(words, words, words, interrupted, author, speech.number))

    async def _run_of(self, reply: Reply, context: RunContext) -> Run:
        """The agent's loop for one reply."""
        messages = context.messages
        place = len(messages) - (bool(messages) and messages[-1].role == "user")
        layers = by_layer(context.middleware)
        return Run(
            self._agent,
            [*messages[:place], *context.kept, *context.added, *messages[place:]],
            session=self._session,
            tools=self._tools,
            clock=self._clock,
            client_for=lambda agent: StallGuard(
                self._client_for(agent), self._stall_s, clock=self._clock, told=partial(self._worked, reply)
            ),
            instructions=await self._instructed(reply.terms),
            more_instructions=context.instructions,
            more_tools=[*context.tools, *reply.terms.tools],
            options=reply.terms.options,
            chat=layers["chat"],
            function=layers["function"],
            team=(self._first,),
            fence=reply.committed,
            limits=self._agent.limits or _VOICE_LIMITS,
            keep_tools=True,
            greets=not reply.terms.is_silent,
            decided=reply.terms.decided,
            wait_for_approval=_names(reply.terms),
        )

    async def _follow(self, reply: Reply, run: Run, messages: Sequence[Message]) -> None:
        """Say and note what the run tells, inside of the agent's middleware."""
        told = run.updates()
        layers = run.agent.layers["agent"]
        updates: AsyncGenerator[AgentResponseUpdate] = told
        if layers:
            context = AgentContext(run.agent, self._session, list(messages[-1:]), True)
            updates = tell_through(layers, context, lambda: told)
        async with aclosing(told), aclosing(updates):  # middleware may have put a stream of its own around it
            async for update in updates:
                handler = self._handlers.get(update.contents[0].type)
                if handler is not None:
                    await handler(reply, update)

    def _keep(self, reply: Reply) -> None:
        """Write what context providers want to be kept, now that the turn is sure."""
        if reply.kept:
            self._history.keep(reply.kept)
            reply.kept = ()

    async def _text(self, reply: Reply, update: AgentResponseUpdate) -> None:
        if update.structured:
            return  # data, not words
        reply.last_token_at = self._clock.now()
        if reply.first_token_at is None:
            reply.first_token_at = reply.last_token_at
        if reply.terms.is_silent:
            reply.speech.generated += update.text
            if reply.sure.is_set():
                self._watcher.reply_text(reply, update.text)
            return
        clauses = reply.write(update.text)
        if clauses:
            await self._speak(reply, clauses)

    async def _calls(self, reply: Reply, update: AgentResponseUpdate) -> None:
        """What the model wrote before it calls is said while the tools run; not where it leaves without a word."""
        calls = [content for content in update.contents if content.type == "function_call"]
        self._watcher.reply_calls(reply, calls)
        self._history.call_tools(calls, update.agent)
        tools = self._agent.toolset if reply.run is None else reply.run.toolset
        for call in calls:
            tool = tools.get(call.name)
            shown = tool.visible_arguments(call.arguments) if tool is not None else {}
            self._log.append(events.ToolCalled(call.call_id, call.name, shown))
        silent = {route.tool_name for route in self._agent.routes if route.handoff_type == "discrete"}
        if silent.isdisjoint(call.name for call in calls):
            await self._speak(reply, reply.flush())

    async def _call_finished(self, reply: Reply, update: AgentResponseUpdate) -> None:
        """Of a handoff the result is noted when it is carried out: until then other calls of its step may be cut."""
        finished = update.contents[0]
        assert finished.type == "tool_finished"
        if reply.run is not None and finished.call.call_id == reply.run.handovers.leaves_by:
            reply.accepted = finished
        else:
            self.note_result(finished.call, finished.result)

    async def _filler(self, reply: Reply, update: AgentResponseUpdate) -> None:
        filler = update.contents[0]
        if filler.type == "filler" and not reply.waits:
            self._say_filler(filler.text)

    async def _approval(self, reply: Reply, update: AgentResponseUpdate) -> None:
        """A person is asked; the application, which sees its own calls, asks for those itself."""
        request = update.contents[0]
        assert request.type == "approval_request"
        if not waits_for(request, _names(reply.terms)):
            self._asked(request)

    async def _handed_off(self, reply: Reply, update: AgentResponseUpdate) -> None:
        """Another agent goes on, in a speech and a voice of its own."""
        record = update.contents[0]
        assert record.type == "handoff"
        assert reply.run is not None
        self._become(reply, record, reply.run.agent)
        old, is_silent = reply.speeches.copy(), record.handoff_type == "discrete"
        greeting = reply.run.handovers.greeting
        reply.go_on_as(self._next_speech("greeting" if greeting else "reply"), drops_rest=is_silent)
        for speech in old if is_silent else ():
            self._dropped(speech)
        if greeting:
            self._voice.recall(reply.speech, greeting)
            reply.greet(greeting, self._next_speech("reply"))
        await self._speak(reply, [])

    async def _passed_on(self, reply: Reply, update: AgentResponseUpdate) -> None:
        """A collector asks, or the agent goes on that has waited for it: in the same voice, behind what is said."""
        record = update.contents[0]
        assert record.type == "agent_tool_started" or record.type == "agent_tool_ended"
        assert reply.run is not None
        self._become(reply, record, reply.run.agent)
        reply.go_on_as(self._next_speech("reply"), drops_rest=False)
        await self._speak(reply, [])

    def _become(self, reply: Reply, record: HandedOff | AgentToolStarted | AgentToolEnded, agent: Agent) -> None:
        if reply.run is not None:
            reply.run.interviews.last = None
        if reply.accepted is not None:
            self.note_result(reply.accepted.call, reply.accepted.result)
            reply.accepted = None
        if record.type == "agent_tool_ended":
            self.note_result(record.call, record.result)
        self._agent = agent
        self._instructions = None
        self._prefill = getattr(self._client_for(agent), "prefill", None)
        self._handed_over(record, agent)

    async def _speak(self, reply: Reply, clauses: list[Clause]) -> None:
        """Voice clauses in order, unless the voice is far ahead; then they wait."""
        reply.queue(clauses)
        while reply.unvoiced and not reply.far_ahead:
            if reply.unvoiced[0][1] is not None and reply.first_clause_at is not None:
                await reply.committed()
            speech, clause = reply.unvoiced.popleft()
            if clause is None:
                speech.finish()
                continue
            begun_at = self._clock.now()
            if reply.first_clause_at is None:
                reply.first_clause_at = begun_at
            await self._voice.speak(speech, clause)
            reply.voiced_s = (reply.voiced_s or 0.0) + self._clock.now() - begun_at
            if reply.first_sound_at is None:
                reply.first_sound_at = self._clock.now()


def _used(usage: Usage) -> Used:
    return Used(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)


def _names(terms: ReplyTerms) -> set[str]:
    """The tools of the application."""
    return {tool.name for tool in terms.tools}


def executed(call: FunctionCall, result: FunctionResult) -> events.ToolExecuted:
    """What is told of a call that has its result."""
    duration_ms = round(result.duration_ms, 1)
    return events.ToolExecuted(call.call_id, call.name, result.text, result.status != "ok", duration_ms)
