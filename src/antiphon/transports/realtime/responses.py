"""The responses of a session: what the call says and asks for, told in the protocol's order.

A reply of the call is a response. What the call says by itself (a greeting, a filler, an apology) is a message of the
active response, or a response of its own where none is active.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from antiphon.calls.events import CallEvent
from antiphon.calls.floor import Heard
from antiphon.calls.reply import Reply
from antiphon.calls.speech import Speech
from antiphon.calls.watcher import ReplyWatcher
from antiphon.errors import AntiphonException
from antiphon.models.llm.content import FunctionCall, FunctionResult, Usage
from antiphon.tools.tool import FunctionTool
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.conversation import Conversation, Entry
from antiphon.transports.realtime.output import Called, McpAsked, McpCalled, Output, Spoken, Status, Written
from antiphon.transports.realtime.playback import Playback
from antiphon.transports.realtime.sound import CALL_AUDIO
from antiphon.wire.realtime import events
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.items import item_object
from antiphon.wire.realtime.response import (
    INPUT_AUDIO_TOKENS_PER_S,
    OUTPUT_AUDIO_TOKENS_PER_S,
    ResponseConfig,
    ResponseStatus,
    response_object,
    usage_object,
)

_log = structlog.get_logger(__name__)


class Response:
    """One response while it is made.

    Args:
        channel: Where its events go.
        config: What is in effect for it.
        conversation: What its items belong to; None beside the conversation.
        conversation_id: As the client knows it.
        reply: The call's reply that it tells; None for what is said by itself.

    Attributes:
        is_done: ``response.done`` was sent.
        is_made: Nothing more is written.
        failure: Why it fails.
        usage: Of the model.
        heard_s: Seconds of the caller's sound that it answers.
    """

    def __init__(
        self,
        channel: Channel,
        config: ResponseConfig,
        *,
        conversation: Conversation | None,
        conversation_id: str | None,
        reply: Reply | None = None,
    ) -> None:
        self.id = new_id("resp")
        self.config = config
        self.reply = reply
        self.is_done = False
        self.is_made = reply is None
        self.failure: AntiphonException | None = None
        self.hit_limit = False
        self.usage = Usage()
        self.heard_s = 0.0
        self._channel = channel
        self._conversation = conversation
        self._conversation_id = conversation_id
        self._outputs: list[Output] = []
        channel.send(events.response_created(self._object("in_progress")))

    @property
    def entries(self) -> list[Entry]:
        """Its items, in order."""
        return [output.entry for output in self._outputs]

    @property
    def is_sent(self) -> bool:
        """Whether all sound of its messages was sent, also of what was said besides."""
        return all(out.is_done or out.speech.is_sent for out in self._outputs if isinstance(out, Spoken))

    def _of(self) -> dict[str, Any]:
        return {"response_id": self.id, "index": len(self._outputs)}

    def spoken(self, speech: Speech) -> Spoken | None:
        """The message of a speech, if it has begun."""
        return next((out for out in self._outputs if isinstance(out, Spoken) and out.speech is speech), None)

    def speak(self, speech: Speech) -> Spoken:
        """Begin the message of a speech."""
        wire = self.config.output_format
        output = Spoken(self._channel, self._conversation, speech=speech, wire=wire, **self._of())
        self._outputs.append(output)
        return output

    def write(self, number: int, text: str) -> None:
        """Go on with the written message, or begin it."""
        last = self._outputs[-1] if self._outputs else None
        if not isinstance(last, Written) or last.is_done:
            last = Written(self._channel, self._conversation, number=number, **self._of())
            self._outputs.append(last)
        last.write(text)

    def call(self, call: FunctionCall) -> None:
        """Ask the client to run a function."""
        self._finish_outputs("completed")
        self._outputs.append(Called(self._channel, self._conversation, call=call, **self._of()))

    def call_mcp(self, call: FunctionCall, tool: FunctionTool) -> None:
        """Tell of a call of an MCP server's tool, which runs unless the client has to approve it."""
        self._finish_outputs("completed")
        if not is_json_object(call.arguments):
            call = msgspec.structs.replace(call, arguments="{}")  # the model is told what was wrong
        kind = McpCalled if tool.approval_mode == "never_require" else McpAsked
        self._add_mcp(kind, call, name=tool.metadata["tool"], extra={"server_label": tool.metadata["label"]})

    def run_approved(self, call: FunctionCall) -> None:
        """Tell that a call runs which the client has approved."""
        assert self._conversation is not None
        asked = next((entry for entry in self._conversation if call.call_id in entry.call_ids), None)
        if asked is None or asked.item is None or asked.item.name is None:
            return  # the client has deleted it
        asked.message = None  # the call takes its place
        extra = {"approval_request_id": asked.id, **asked.item.extra}
        self._add_mcp(McpCalled, call, name=asked.item.name, extra=extra)

    def _add_mcp(self, kind: type[McpCalled | McpAsked], call: FunctionCall, **item: Any) -> None:
        self._outputs.append(kind(self._channel, self._conversation, call=call, **item, **self._of()))

    def call_finished(self, result: FunctionResult) -> None:
        """Tell what came of a call of an MCP server's tool."""
        for output in self._outputs:
            if isinstance(output, McpCalled) and output.call_id == result.call_id and not output.is_done:
                output.answer(result)

    def _finish_outputs(self, status: Status) -> None:
        for output in self._outputs:
            if status == "incomplete" or isinstance(output, Written):
                output.finish(status)

    def finish(self, status: ResponseStatus, *, reason: str | None = None) -> None:
        """Close what is open, and the response."""
        if self.is_done:
            return
        self.is_done = True
        for output in self._outputs:
            output.finish("completed" if status == "completed" else "incomplete")
        error: Mapping[str, Any] | None = None
        if self.failure is not None:
            error = {"type": "server_error", "code": self.failure.code, "message": str(self.failure)}
        self._channel.send(events.response_done(self._object(status, reason=reason, error=error)))

    def finish_made(self) -> None:
        """Nothing more comes: close it as it went."""
        if self.failure is not None:
            self.finish("failed")
        elif self.hit_limit:
            self.finish("incomplete", reason="max_output_tokens")
        else:
            self.finish("completed")

    def _object(
        self, status: ResponseStatus, *, reason: str | None = None, error: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return response_object(
            self.id,
            self.config,
            conversation_id=self._conversation_id,
            status=status,
            reason=reason,
            error=error,
            output=[item_object(output.entry.item) for output in self._outputs if output.entry.item is not None],
            usage=None if status == "in_progress" else self._usage(),
        )

    def _usage(self) -> dict[str, Any]:
        sent = sum(output.entry.sent for output in self._outputs)
        return usage_object(
            input_text=self.usage.input_tokens,
            input_audio=round(self.heard_s * INPUT_AUDIO_TOKENS_PER_S),
            cached_text=self.usage.cache_read_tokens,
            output_text=self.usage.output_tokens,
            output_audio=round(CALL_AUDIO.seconds(sent) * OUTPUT_AUDIO_TOKENS_PER_S),
        )


class Responses(ReplyWatcher):
    """All responses in the conversation of one session; follows the call (``ReplyWatcher``).

    Args:
        channel: Where events go.
        conversation: The session's.
        conversation_id: As the client knows it.
        config: Gives what is in effect for the next response, and forgets what was asked for it alone.
        heard_s: Gives the seconds of the caller's sound since it was asked last.
        stopped: Told in front of the events of a cut, whatever made it; gives the reason that clients read.
        heard: Told the caller's words.
        turn_dropped: Told when the caller's sound was no turn.
        over: Told when a response is over.
    """

    def __init__(
        self,
        channel: Channel,
        conversation: Conversation,
        *,
        conversation_id: str,
        config: Callable[[], ResponseConfig],
        heard_s: Callable[[], float],
        stopped: Callable[[], str | None],
        heard: Callable[[Heard], None],
        turn_dropped: Callable[[], None],
        over: Callable[[], None],
    ) -> None:
        self.has_spoken = False
        """Whether the caller has heard the voice."""
        self._channel = channel
        self._conversation = conversation
        self._conversation_id = conversation_id
        self._config = config
        self._heard_s = heard_s
        self._stopped = stopped
        self._heard = heard
        self._turn_dropped = turn_dropped
        self._over = over
        self._active: Response | None = None
        self._playback = None if channel.takes_audio else Playback(channel, conversation)

    @property
    def active(self) -> Response | None:
        """The response that is not done."""
        return self._active if self._active is not None and not self._active.is_done else None

    def _begin(self, reply: Reply | None) -> Response:
        if self._active is not None:
            self._close(self._active)
        response = Response(
            self._channel,
            self._config(),
            conversation=self._conversation,
            conversation_id=self._conversation_id,
            reply=reply,
        )
        response.heard_s = self._heard_s()
        self._active = response
        return response

    def call_off(self) -> None:
        """The response that was asked for and has not begun is cancelled."""
        self._begin(None).finish("cancelled", reason="client_cancelled")
        self._over()

    def _close(self, response: Response) -> None:
        if not response.is_done:
            response.finish_made()
            if self._playback is not None:
                self._playback.settle(response)
            self._over()

    # What the line tells.

    def play(self, payload: bytes, speech: Speech) -> None:
        """Sound of a speech, in order."""
        self.has_spoken = True
        last = self._active
        if last is not None and last.is_done and last.spoken(speech) is not None:
            return  # a pause had taken it back: it only sounds again
        response = self._response_of(speech)
        message = response.spoken(speech) or response.speak(speech)
        if self._playback is not None:
            self._playback.begin(response, speech)
        message.play(payload)

    def follow(self, event: CallEvent) -> None:
        """What the call's log tells of the sound that was heard."""
        if self._playback is not None:
            self._playback.read(event)

    def _response_of(self, speech: Speech) -> Response:
        active = self.active
        if active is None:
            return self._begin(None)
        is_own = active.reply is None or speech in active.reply.speeches or active.spoken(speech) is not None
        if active.failure is not None and not is_own:  # an apology is none of the answer's
            self._close(active)
            return self._begin(None)
        return active

    # What the call tells.

    def reply_began(self, reply: Reply) -> None:
        """A reply is sure."""
        response = self._begin(reply)
        for decision in reply.terms.decided:
            if decision.result is None:
                response.run_approved(decision.call)
        if reply.terms.is_silent and reply.speech.generated:
            response.write(reply.speech.number, reply.speech.generated)

    def reply_text(self, reply: Reply, text: str) -> None:
        """New words of a silent reply."""
        response = self.active
        if response is not None and response.reply is reply:
            response.write(reply.speech.number, text)

    def reply_calls(self, reply: Reply, calls: Sequence[FunctionCall]) -> None:
        """The client is asked to run its functions; the agent's own tools run here and are not told."""
        response = self.active
        if response is None or response.reply is not reply:
            return
        tools = {tool.name: tool for tool in reply.terms.tools}
        if not tools.keys().isdisjoint(call.name for call in calls) and not reply.terms.is_silent:
            self._begin_words(response, reply.speech)
        for call in calls:
            tool = tools.get(call.name)
            if tool is None:
                continue
            if tool.kind == "mcp":
                response.call_mcp(call, tool)
            elif is_json_object(call.arguments):
                response.call(call)
            else:
                _log.warning(
                    "function_call_dropped", response_id=response.id, reason="its arguments are no JSON object"
                )
                message = "The model called a function with arguments that are no JSON object."
                response.failure = AntiphonException(message, code="invalid_function_arguments")

    def _begin_words(self, response: Response, speech: Speech) -> None:
        """The words in front of a call stand in front of it, also where their sound is still being made."""
        if speech.generated.strip() and response.spoken(speech) is None:
            response.speak(speech)

    def call_finished(self, result: FunctionResult) -> None:
        """A tool has run."""
        if self.active is not None:
            self.active.call_finished(result)

    def reply_made(self, reply: Reply) -> None:
        """Nothing more is written of a reply; it is done when its sound is sent."""
        response = self.active
        if response is None or response.reply is not reply:
            return
        response.is_made = True
        response.failure = response.failure or reply.failed
        if reply.run is not None:
            response.usage = reply.run.usage
            response.hit_limit = reply.run.finish == "length"

    def speech_sent(self, speech: Speech) -> None:
        """The whole sound of a speech was sent."""
        response = self.active
        if response is None:
            return
        message = response.spoken(speech)
        if message is not None:
            message.finish("incomplete" if response.failure is not None else "completed")
        if response.is_made and response.is_sent and _is_sent(response.reply):
            self._close(response)

    def reply_stopped(self) -> None:
        """Everything that was being said was cut."""
        reason = self._stopped()
        response = self.active
        if response is not None:
            self._cut(response, reason)
        if self._playback is not None:
            self._playback.cut()
        if response is not None:
            self._over()

    def _cut(self, response: Response, reason: str | None) -> None:
        if response.reply is not None and response.reply.run is not None:
            response.usage = response.reply.run.usage
        if reason is None:
            message = "The answer took too long."
            response.failure = response.failure or AntiphonException(message, code="engine_error")
            response.finish("failed")
        else:
            response.finish("cancelled", reason=reason)

    def heard(self, words: Heard) -> None:
        """Words of the caller."""
        self._heard(words)

    def turn_dropped(self) -> None:
        """What the caller began was no turn."""
        self._turn_dropped()


def _is_sent(reply: Reply | None) -> bool:
    """Whether all sound of a reply was sent; what is said by itself is one speech, of which this is told."""
    return reply is None or all(speech.is_sent or not speech.sound for speech in reply.speeches)


def is_json_object(text: str) -> bool:
    """Whether this is the JSON text of an object."""
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False
