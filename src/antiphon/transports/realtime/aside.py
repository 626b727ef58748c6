"""Responses beside the conversation: they read it or are given another context, and leave nothing in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.run import Run
from antiphon.agents.session import AgentSession
from antiphon.calls.call import Call
from antiphon.calls.clauses import Clause, ClauseSplitter
from antiphon.calls.reply import ReplyTerms
from antiphon.calls.speech import Speaker, Speech
from antiphon.calls.voice import Phrases, Voice
from antiphon.clock import Clock
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import FunctionCall
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.tts.contract import TTS
from antiphon.tools.tool import FunctionTool
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.responses import Response, is_json_object
from antiphon.transports.realtime.sound import CALL_AUDIO
from antiphon.wire.realtime.refusal import Refusal
from antiphon.wire.realtime.response import ResponseConfig

_log = structlog.get_logger(__name__)

_MOST = 4
"""At once."""
_PIECE = CALL_AUDIO.frame_bytes(100)


class Asides:
    """The responses beside the conversation of one session.

    Args:
        channel: Where events go.
        call: Whose agent answers.
        tts: The voice.
        client_for: Gives the language model of an agent.
        terms: What a response goes by.
        tts_timeout_s: The voice may take so long for a clause.
        clock: Time.
        spawn: Runs a task of the session.
    """

    def __init__(
        self,
        channel: Channel,
        call: Call,
        tts: TTS,
        *,
        client_for: Callable[[Agent], ChatClient],
        terms: Callable[[ResponseConfig], ReplyTerms],
        tts_timeout_s: float,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._channel = channel
        self._call = call
        self._tts = tts
        self._client_for = client_for
        self._terms = terms
        self._tts_timeout_s = tts_timeout_s
        self._clock = clock
        self._spawn = spawn
        self._running: dict[str, tuple[Response, asyncio.Task[None]]] = {}

    def check_room(self) -> None:
        """See whether another one may run.

        Raises:
            Refusal: Too many do.
        """
        if len(self._running) >= _MOST:
            raise Refusal("too_many_responses", f"{_MOST} responses beside the conversation run: wait for one.")

    def begin(
        self,
        config: ResponseConfig,
        messages: Sequence[Message],
        *,
        speaker: Speaker,
        listing: Collection[asyncio.Task[None]],
    ) -> None:
        """Begin a response.

        Args:
            config: What is in effect for it.
            messages: What it answers.
            speaker: Who says it.
            listing: What it waits for: the tools that it brings.
        """
        response = Response(self._channel, config, conversation=None, conversation_id=None)
        task = self._spawn(self._make(response, messages, speaker, listing))
        self._running[response.id] = response, task
        task.add_done_callback(lambda _: self._running.pop(response.id, None))

    def cancel(self, response_id: str | None) -> bool:
        """Cancel a response, if it is one of these."""
        response, task = self._running.get(response_id or "", (None, None))
        if response is None or task is None:
            return False
        task.cancel()
        response.finish("cancelled", reason="client_cancelled")
        return True

    async def _make(
        self,
        response: Response,
        messages: Sequence[Message],
        speaker: Speaker,
        listing: Collection[asyncio.Task[None]],
    ) -> None:
        """Make a response to its end; it always ends with ``response.done``."""
        if listing:
            await asyncio.wait(listing)
        terms = self._terms(response.config)
        # What the client would have to approve is not offered: it has no way to answer.
        tools = [tool for tool in terms.tools if tool.approval_mode == "never_require"]
        try:
            run = self._run(terms, messages, tools)
            try:
                await _follow(response, run, _Writer(response, self._voice(speaker)), tools)
            finally:
                response.usage = run.usage
                response.hit_limit = run.finish == "length"
        except AntiphonException as error:
            response.failure = error
        except Exception:  # The root of somebody else's code (instructions, a provider): the response must end.
            _log.exception("reply_failed", response_id=response.id)
            response.failure = AntiphonException("The answer broke off.", code="engine_error")
        response.finish_made()

    def _run(self, terms: ReplyTerms, messages: Sequence[Message], tools: Sequence[FunctionTool]) -> Run:
        agent = self._call.agent
        session = AgentSession(variables=self._call.session.values, clock=self._clock)
        return Run(
            agent,
            messages if terms.fit is None else terms.fit(messages, self._client_for(agent)),
            session=session,
            tools=session.tools({}),
            clock=self._clock,
            client_for=self._client_for,
            instructions=terms.instructions,
            variables=terms.variables,
            more_tools=tools,
            options=terms.options,
        )

    def _voice(self, speaker: Speaker) -> Voice:
        timeout_s = self._tts_timeout_s
        return Voice(self._tts, CALL_AUDIO, Phrases(), speaker=speaker, timeout_s=timeout_s, phrase_timeout_s=timeout_s)


async def _follow(response: Response, run: Run, writer: _Writer, tools: Sequence[FunctionTool]) -> None:
    async with aclosing(run.updates()) as updates:
        async for update in updates:
            content = update.contents[0]
            if content.type == "text":
                await writer.write(update.text)
            elif content.type == "function_call":
                _call(response, [each for each in update.contents if isinstance(each, FunctionCall)], tools)
            elif content.type == "tool_finished":
                response.call_finished(content.result)
        await writer.close()


def _call(response: Response, calls: list[FunctionCall], tools: Sequence[FunctionTool]) -> None:
    for call in calls:
        tool = next((each for each in tools if each.name == call.name), None)
        if tool is None:
            continue
        if tool.kind == "mcp":
            response.call_mcp(call, tool)
        elif is_json_object(call.arguments):
            response.call(call)


class _Writer:
    """Words into text, or into sound that is sent as fast as it is made."""

    def __init__(self, response: Response, voice: Voice) -> None:
        self._response = response
        self._voice = voice
        self._splitter = ClauseSplitter()
        self._speech = Speech(0, "reply", turn=0, audio=CALL_AUDIO, speaker=voice.speaker)
        self._speech.on_change = self._send

    async def write(self, text: str) -> None:
        if self._response.config.modality == "text":
            self._response.write(0, text)
        else:
            await self._speak(self._splitter.feed(text))

    async def close(self) -> None:
        await self._speak(self._splitter.flush())
        self._speech.finish()

    async def _speak(self, clauses: list[Clause]) -> None:
        for clause in clauses:
            await self._voice.speak(self._speech, clause)

    def _send(self) -> None:
        speech = self._speech
        while speech.waiting >= _PIECE or (speech.complete and speech.waiting):
            message = self._response.spoken(speech) or self._response.speak(speech)
            piece = bytes(speech.sound[speech.sent : speech.sent + _PIECE])
            speech.sent += len(piece)
            message.play(piece)
