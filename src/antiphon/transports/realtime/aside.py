"""Responses beside the conversation: they read it or are given another context, and leave nothing in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

import structlog

from antiphon.agents.run import Run
from antiphon.calls.clauses import Clause, ClauseSplitter
from antiphon.calls.speech import Speech
from antiphon.calls.voice import Voice
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import FunctionCall
from antiphon.tools.tool import FunctionTool
from antiphon.transports.realtime.responses import Response, is_json_object
from antiphon.transports.realtime.sound import CALL_AUDIO

_log = structlog.get_logger(__name__)

_PIECE = CALL_AUDIO.frame_bytes(100)


async def answer_aside(response: Response, run: Run, voice: Voice, *, tools: Sequence[FunctionTool]) -> None:
    """Make a response to its end; it always ends with ``response.done``.

    Args:
        response: Begun.
        run: The agent's loop for it.
        voice: Speaks it where it is to be spoken.
        tools: What the model may call beside the agent's own: the client's functions, and tools of MCP servers.
    """
    try:
        async with aclosing(run.updates()) as updates:
            writer = _Writer(response, voice)
            async for update in updates:
                content = update.contents[0]
                if content.type == "text":
                    await writer.write(update.text)
                elif content.type == "function_call":
                    _call(response, [each for each in update.contents if isinstance(each, FunctionCall)], tools)
                elif content.type == "tool_finished":
                    response.call_finished(content.result)
            await writer.close()
    except AntiphonException as error:
        response.failure = error
    except (
        Exception
    ):  # Somebody else's code (instructions, a provider) is at fault; the response must end all the same.
        _log.exception("reply_failed", response_id=response.id)
        response.failure = AntiphonException("The answer broke off.", code="engine_error")
    response.usage = run.usage
    response.hit_limit = run.finish == "length"
    response.finish_made()


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
