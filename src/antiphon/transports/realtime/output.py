"""One item of a response while it is made: what was sent of it, and the events that open and close it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from antiphon.calls.speech import Speech
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.models.llm.messages import Message
from antiphon.transports.realtime.channel import Channel
from antiphon.transports.realtime.conversation import Conversation, Entry
from antiphon.transports.realtime.sound import CALL_AUDIO, Encoder
from antiphon.wire.realtime import events
from antiphon.wire.realtime.ids import new_id
from antiphon.wire.realtime.items import ContentPart, Item, item_object, part_object
from antiphon.wire.realtime.session import WireFormat

Status = Literal["completed", "incomplete"]


class Output(ABC):
    """A message or a call.

    Args:
        channel: Where its events go.
        conversation: What it belongs to; None for an answer beside the conversation.
        response_id: The response it is part of.
        index: Its place in it.

    Attributes:
        entry: Its place in the conversation.
        is_done: Nothing follows.
    """

    def __init__(
        self, channel: Channel, conversation: Conversation | None, *, response_id: str, index: int, entry: Entry
    ) -> None:
        self.entry = entry
        self.is_done = False
        self._channel = channel
        self._conversation = conversation
        self._response_id = response_id
        self._index = index
        assert entry.item is not None
        previous = conversation.add(entry) if conversation is not None else None
        item = item_object(entry.item)
        self._send(events.output_item_added(response_id, item, output_index=index))
        if conversation is not None:
            self._send(events.item_added(item, previous))

    @abstractmethod
    def finish(self, status: Status) -> None:
        """Close it, unless it is closed."""

    @property
    def id(self) -> str:
        """The item's id."""
        return self.entry.id

    def _send(self, event: Mapping[str, Any]) -> None:
        self._channel.send(event)

    def _change(self, **changes: Any) -> Item:
        assert self.entry.item is not None
        self.entry.item = replace(self.entry.item, **changes)
        return self.entry.item

    def _done(self, item: Item) -> None:
        self.is_done = True
        shown = item_object(item)
        self._send(events.output_item_done(self._response_id, shown, output_index=self._index))
        if self._conversation is not None and self._conversation.find(self.id) is not None:
            self._send(events.item_done(shown, self._conversation.before(self.entry)))


class Spoken(Output):
    """A message with sound."""

    def __init__(
        self, channel: Channel, conversation: Conversation | None, *, speech: Speech, wire: WireFormat, **of: Any
    ) -> None:
        item = Item(new_id("item"), "message", role="assistant", status="in_progress")
        super().__init__(channel, conversation, entry=Entry(item.id, item, speech=speech, number=speech.number), **of)
        self.speech = speech
        self._encoder = Encoder(wire)
        self._clauses = 0
        self._told: list[str] = []
        part = part_object(ContentPart("output_audio", transcript=""))
        self._send(events.content_part_added(self._response_id, self.id, part, output_index=self._index))

    @property
    def transcript(self) -> str:
        """The words whose sound was sent, or begun."""
        return "".join(self._told).strip()

    def play(self, payload: bytes) -> None:
        """Send sound, behind the words that it begins."""
        entry, speech = self.entry, self.speech
        clauses = speech.clauses
        while self._clauses < len(clauses) and clauses[self._clauses].start <= entry.sent:
            self._tell(self._clauses)
        fresh = payload[: max(0, speech.sent - entry.sent)]  # not what fills up a frame, nor what is sent again
        entry.sent = max(entry.sent, speech.sent)
        self._send_audio(self._encoder.feed(fresh))

    def _tell(self, number: int) -> None:
        clause = self.speech.clauses[number]
        self._clauses = number + 1
        if clause.text:
            self._told.append(clause.text)
            at_s = round(CALL_AUDIO.seconds(clause.start), 3)
            event = events.transcript_delta(
                self._response_id, self.id, clause.text, output_index=self._index, start_time=at_s
            )
            self._send(event)

    def _send_audio(self, audio: bytes) -> None:
        if audio and self._channel.takes_audio:
            self._channel.send_audio(self._response_id, self.id, output_index=self._index, audio=audio)

    def finish(self, status: Status) -> None:
        """Close it; an incomplete one holds the words that were sent."""
        if self.is_done:
            return
        if status == "completed":
            for number in range(self._clauses, len(self.speech.clauses)):
                self._tell(number)
            self._send_audio(self._encoder.rest())
        at = {"output_index": self._index}
        words = self.transcript
        self._send(events.audio_done(self._response_id, self.id, **at))
        self._send(events.transcript_done(self._response_id, self.id, words, **at))
        part = part_object(ContentPart("output_audio", transcript=words))
        self._send(events.content_part_done(self._response_id, self.id, part, **at))
        if self.entry.limit_ms is None:
            self._change(content=(ContentPart("output_audio", transcript=words),))
        self._done(self._change(status=status))


class Written(Output):
    """A message of text."""

    def __init__(self, channel: Channel, conversation: Conversation | None, *, number: int, **of: Any) -> None:
        item = Item(new_id("item"), "message", role="assistant", status="in_progress")
        super().__init__(channel, conversation, entry=Entry(item.id, item, number=number), **of)
        self._told: list[str] = []
        part = part_object(ContentPart("output_text", text=""))
        self._send(events.content_part_added(self._response_id, self.id, part, output_index=self._index))

    def write(self, text: str) -> None:
        """Send words."""
        self._told.append(text)
        self._send(events.text_delta(self._response_id, self.id, text, output_index=self._index))

    def finish(self, status: Status) -> None:
        """Close it."""
        if self.is_done:
            return
        text = "".join(self._told)
        at = {"output_index": self._index}
        self._send(events.text_done(self._response_id, self.id, text, **at))
        part = part_object(ContentPart("output_text", text=text))
        self._send(events.content_part_done(self._response_id, self.id, part, **at))
        self._done(self._change(status=status, content=(ContentPart("output_text", text=text),)))


class McpAsked(Output):
    """A call of an MCP server's tool that the client has to approve."""

    def __init__(
        self,
        channel: Channel,
        conversation: Conversation | None,
        *,
        call: FunctionCall,
        name: str,
        extra: Mapping[str, Any],
        **of: Any,
    ) -> None:
        item = Item(new_id("mcpr"), "mcp_approval_request", name=name, arguments=call.arguments, extra=extra)
        super().__init__(channel, conversation, entry=Entry(item.id, item, Message("assistant", call)), **of)
        self._done(item)

    def finish(self, status: Status) -> None:
        """It is done already."""


class McpCalled(Output):
    """A call of an MCP server's tool: it runs here.

    Attributes:
        call_id: The model's id of it.
    """

    def __init__(
        self,
        channel: Channel,
        conversation: Conversation | None,
        *,
        call: FunctionCall,
        name: str,
        extra: Mapping[str, Any],
        **of: Any,
    ) -> None:
        item = Item(new_id("mcp"), "mcp_call", status="in_progress", name=name, arguments="", extra=extra)
        super().__init__(channel, conversation, entry=Entry(item.id, item, Message("assistant", call)), **of)
        self.call_id = call.call_id
        self._change(arguments=call.arguments)
        at = {"output_index": self._index}
        self._send(events.mcp_arguments_delta(self._response_id, self.id, call.arguments, **at))
        self._send(events.mcp_arguments_done(self._response_id, self.id, call.arguments, **at))
        self._send(events.mcp_call(self.id, "in_progress", **at))

    def answer(self, result: FunctionResult) -> None:
        """Close it with what came of it."""
        if result.status == "ok":
            self._change(output=result.text, status="completed")
        else:
            self._fail(result.text)
        self._end("completed" if result.status == "ok" else "failed")

    def finish(self, status: Status) -> None:
        """Close it, unless it is closed; what comes of it is for the model only."""
        if not self.is_done:
            self._fail("The response ended before the tool did.")
            self._end("failed")

    def _fail(self, message: str) -> None:
        assert self.entry.item is not None
        error = {"type": "tool_execution_error", "message": message}
        self._change(status="incomplete", extra={**self.entry.item.extra, "error": error})

    def _end(self, state: events.McpState) -> None:
        assert self.entry.item is not None
        self._send(events.mcp_call(self.id, state, output_index=self._index))
        self._done(self.entry.item)


class Called(Output):
    """A call that the client is to answer, from its first event to its last: arguments come as a whole."""

    def __init__(self, channel: Channel, conversation: Conversation | None, *, call: FunctionCall, **of: Any) -> None:
        item = Item(
            new_id("item"), "function_call", status="in_progress", name=call.name, call_id=call.call_id, arguments=""
        )
        super().__init__(channel, conversation, entry=Entry(item.id, item, Message("assistant", call)), **of)
        where: dict[str, Any] = {"call_id": call.call_id, "output_index": self._index}
        self._send(events.arguments_delta(self._response_id, self.id, call.arguments, **where))
        self._send(events.arguments_done(self._response_id, self.id, call.arguments, name=call.name, **where))
        self._done(self._change(status="completed", arguments=call.arguments))

    def finish(self, status: Status) -> None:
        """It is done already."""
