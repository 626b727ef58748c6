"""What was said so far, in the service's order and as far as it was heard; and how to tell it to a new connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from antiphon.clock import Clock
from antiphon.realtime.heard import Spoken
from antiphon.realtime.incoming import OUTPUT_DELTAS, TRANSCRIPT_DELTA, ServerEvent
from antiphon.realtime.item_order import ItemOrder
from antiphon.realtime.metrics import ClientMetrics
from antiphon.wire.realtime.ids import new_id

Role = Literal["user", "assistant", "system"]
TranscriptState = Literal["pending", "done", "failed"]
CallStatus = Literal["running", "done", "error", "timeout", "skipped"]

INAUDIBLE = "[inaudible]"
"""The text of a turn whose words nobody could tell."""

RETRIEVE_AFTER_S = (3.0, 6.0, 12.0)
"""When a user's missing words are asked for, from the item's arrival."""
FAILED_AFTER_S = 15.0

MAX_ID = 32
"""Characters of an item's id that every service accepts."""

TOKENS_PER_CHARACTER = 0.25
TOKENS_PER_S = 10.0
"""The estimate for a service that reports no usage."""


@dataclass(slots=True)
class FunctionCall:
    """A function that the model called.

    Attributes:
        call_id: Joins the call with its output.
        item_id: The call's item.
        name: The function.
        arguments: JSON text.
        output: What it gave, as text for the model.
        output_item_id: The output's item.
        status: How it went.
        ms: How long it took.
    """

    call_id: str
    item_id: str
    name: str
    arguments: str
    output: str | None = None
    output_item_id: str | None = None
    status: CallStatus = "running"
    ms: float | None = None


@dataclass(slots=True)
class Turn:
    """One message of the conversation, with the calls that belong to it.

    Attributes:
        role: Who said it.
        item_id: The service's id.
        text: What was said, and heard: of an interrupted answer the heard part only.
        text_generated: All that the model said.
        heard_ms: How much of an interrupted answer was played.
        generated_ms: How much sound of it came.
        interrupted: Whether it was cut.
        transcript_state: Whether the words are known.
        calls: Function calls.
        started_at: When it began here.
        ended_at: When its words were complete.
    """

    role: Role
    item_id: str
    started_at: datetime
    text: str | None = None
    text_generated: str | None = None
    heard_ms: float | None = None
    generated_ms: float | None = None
    interrupted: bool = False
    transcript_state: TranscriptState = "pending"
    calls: list[FunctionCall] = field(default_factory=list)
    ended_at: datetime | None = None


@dataclass(slots=True)
class _Missing:
    """A user's turn whose words have not come: since when, and how often they were asked for."""

    since_s: float
    tries: int = 0


class ConversationState:
    """The local history. It reads the service's events as they come; ``RealtimeClient`` feeds it.

    Args:
        clock: Time.
        metrics: Where turns are counted.

    Attributes:
        latest_tokens: Tokens of the last response, as the service counted them, or an estimate.
        peak_tokens: The most since ``forget_peak``.
        summarising: Whether a summary is being made.
        summary_count: Summaries made so far.
        synopsis: What the last one says.
        summary_item_id: Its item.
    """

    def __init__(self, clock: Clock, metrics: ClientMetrics) -> None:
        self.latest_tokens = 0
        self.peak_tokens = 0
        self.summarising = False
        self.summary_count = 0
        self.synopsis = ""
        self.summary_item_id: str | None = None
        self._clock = clock
        self._metrics = metrics
        self._order = ItemOrder()
        self._turns: dict[str, Turn] = {}
        self._calls: dict[str, FunctionCall] = {}
        self._spoken: dict[str, Spoken] = {}
        self._missing: dict[str, _Missing] = {}
        self._said_in: dict[str, str] = {}
        self._out_of_band: set[str] = set()

    def begin_with(self, said: Iterable[tuple[Role, str]]) -> None:
        """Know what was said before the first connection, which is then told it.

        Args:
            said: Pairs of a role and words, in order.
        """
        for role, text in said:
            item_id = new_id("item")
            self._order.append(item_id)
            turn = self._turns[item_id] = Turn(role, item_id, self._clock.utc())
            self._complete(turn, text)

    @property
    def turns(self) -> list[Turn]:
        """All turns in the service's order."""
        return [self._turns[item_id] for item_id in self._order if item_id in self._turns]

    def turn(self, item_id: str) -> Turn | None:
        """The turn of an item."""
        return self._turns.get(item_id)

    def call(self, call_id: str) -> FunctionCall | None:
        """A function call."""
        return next((call for call in self._calls.values() if call.call_id == call_id), None)

    def take(self, event: ServerEvent) -> None:
        """Follow one event of the service."""
        reader = _READERS.get(event.type)
        if reader is not None:
            reader(self, event)
        elif event.type in OUTPUT_DELTAS:
            self._extend(event)

    def interrupted(self, item_id: str, *, heard_ms: float, generated_ms: float) -> None:
        """Cut an assistant's turn to what was heard.

        Args:
            item_id: The answer's item.
            heard_ms: What was played of it.
            generated_ms: What came of it.
        """
        turn = self._turns.get(item_id)
        if turn is None or turn.role != "assistant":
            return
        turn.interrupted = True
        turn.heard_ms, turn.generated_ms = heard_ms, generated_ms
        turn.ended_at = self._clock.utc()
        self._settle(turn)

    def broken_off(self, item_id: str, *, came_ms: float) -> None:
        """The connection was lost in the middle of an answer: all that came of it is heard, and no more."""
        turn = self._turns.get(item_id)
        if turn is not None and turn.role == "assistant":
            turn.interrupted = True
            turn.generated_ms = came_ms
            turn.ended_at = self._clock.utc()
            self._settle(turn)

    def forget_peak(self) -> None:
        """Begin a new measure of ``peak_tokens``: a summary has been made."""
        self.peak_tokens = self.latest_tokens

    def due_retrievals(self) -> list[str]:
        """Items whose words are missing for so long that they should be asked for now; gives up on the oldest."""
        due = []
        for item_id, missing in list(self._missing.items()):
            waited_s = self._clock.now() - missing.since_s
            if missing.tries < len(RETRIEVE_AFTER_S) and waited_s >= RETRIEVE_AFTER_S[missing.tries]:
                missing.tries += 1
                due.append(item_id)
            elif waited_s >= FAILED_AFTER_S:
                self._inaudible(item_id)
        return due

    @property
    def ends_with_user(self) -> bool:
        """Whether the last word is the user's, and nothing has come for it."""
        turns = self.turns
        return bool(turns) and turns[-1].role == "user" and not turns[-1].calls

    def disconnected(self) -> None:
        """Forget what only a connection's events could have ended."""
        self._said_in.clear()
        self._out_of_band.clear()

    def history(self) -> Iterator[dict[str, Any]]:
        """Items that tell all this to a new connection, in order. Words that are still missing cannot be had any more.

        Ids that are too long for some services are exchanged, here too.
        """
        self._shorten_ids()
        for item_id in list(self._order):
            turn, call = self._turns.get(item_id), self._calls.get(item_id)
            if turn is not None and (content := self._content(turn)):
                yield {"type": "message", "role": turn.role, "id": item_id, "content": content}
            elif call is not None and call.status != "skipped":
                # A call without its output is told too: the output will be, when it comes.
                fields = {"call_id": call.call_id, "name": call.name, "arguments": call.arguments}
                yield {"type": "function_call", "id": item_id, **fields}
                if call.output is not None:
                    output = {"call_id": call.call_id, "output": call.output}
                    yield {
                        "type": "function_call_output",
                        "id": call.output_item_id or f"out_{item_id}"[:MAX_ID],
                        **output,
                    }

    def knows(self, item_id: str) -> bool:
        """Whether an item of this id is, or is told by, the history."""
        return item_id in self._order

    def _added(self, event: ServerEvent) -> None:
        item = event.part("item")
        kind, item_id = item.get("type"), event.item_id
        if not item_id:
            return
        if "previous_item_id" in event.body:
            self._order.add(item_id, event.body["previous_item_id"])
        else:
            self._order.append(item_id)
        if kind == "message":
            self._message(item_id, item)
        elif kind == "function_call_output":
            self._output(item_id, item)

    def _message(self, item_id: str, item: Mapping[str, Any]) -> None:
        role = _ROLES.get(str(item.get("role")))
        if role is None:
            return
        turn = self._turns.get(item_id)
        if turn is None:
            turn = Turn(role, item_id, self._clock.utc())
            self._turns[item_id] = turn
            self._metrics.count("turns_total", role=role)
            if role == "user" and _is_spoken(item):
                self._missing[item_id] = _Missing(self._clock.now())
        text = _text_of(item)
        if text and turn.text is None:
            self._complete(turn, text)

    def _output_item(self, event: ServerEvent) -> None:
        """An item of a response: a message begins a turn, a call joins one."""
        item, item_id = event.part("item"), event.item_id
        if event.response_id in self._out_of_band or not item_id:
            return
        self._order.append(item_id)
        if item.get("type") == "message":
            self._message(item_id, item)
            self._said_in[event.response_id] = item_id
        elif item.get("type") == "function_call":
            self._function_call(item_id, item, self._said_in.get(event.response_id))

    def _function_call(self, item_id: str, item: Mapping[str, Any], said_item: str | None) -> None:
        call = self._calls.get(item_id)
        if call is None:
            call = FunctionCall(str(item.get("call_id") or ""), item_id, str(item.get("name") or ""), "")
            self._calls[item_id] = call
            owner = self._turns.get(said_item or "") or next(iter(reversed(self.turns)), None)
            if owner is not None:
                owner.calls.append(call)
        if item.get("arguments"):
            call.arguments = str(item["arguments"])

    def _output_item_done(self, event: ServerEvent) -> None:
        item = event.part("item")
        if item.get("type") == "function_call":
            self._output_item(event)
            if item.get("status") == "incomplete" and (call := self._calls.get(event.item_id)) is not None:
                call.status = "skipped"
            return
        turn, text = self._turns.get(event.item_id), _text_of(item)
        if turn is not None and text:
            self._complete(turn, text)

    def _arguments_done(self, event: ServerEvent) -> None:
        call = self._calls.get(event.item_id)
        if call is not None:
            call.arguments = event.body["arguments"]

    def _output(self, item_id: str, item: Mapping[str, Any]) -> None:
        call = self.call(str(item.get("call_id") or ""))
        if call is not None:
            call.output = str(item.get("output") or "")
            call.output_item_id = item_id
            if call.status == "running":
                call.status = "done"

    def _extend(self, event: ServerEvent) -> None:
        turn = self._turns.get(event.item_id)
        if turn is None or event.audio:
            return
        start_s = event.body.get("start_time") if event.type == TRANSCRIPT_DELTA else None
        spoken = self._spoken.setdefault(event.item_id, Spoken())
        spoken.add(event.body["delta"], start_s if isinstance(start_s, (int, float)) else None)
        turn.text_generated = spoken.text
        self._settle(turn)

    def _transcript_done(self, event: ServerEvent) -> None:
        turn = self._turns.get(event.item_id)
        if turn is not None:
            self._complete(turn, event.body.get("transcript") or event.body.get("text") or "")

    def _transcribed(self, event: ServerEvent) -> None:
        turn = self._turns.get(event.item_id)
        if turn is None:  # The words came before the item: some services transcribe while the user speaks.
            self._message(event.item_id, {"role": "user"})
            turn = self._turns[event.item_id]
            self._order.append(event.item_id)
        self._complete(turn, event.body["transcript"].strip())

    def _transcription_failed(self, event: ServerEvent) -> None:
        self._inaudible(event.item_id)

    def _retrieved(self, event: ServerEvent) -> None:
        turn, text = self._turns.get(event.item_id), _text_of(event.part("item"))
        missing = self._missing.get(event.item_id)
        if turn is not None and text and turn.transcript_state == "pending":
            self._complete(turn, text)
        elif missing is not None and missing.tries >= len(RETRIEVE_AFTER_S):
            self._inaudible(event.item_id)

    def _deleted(self, event: ServerEvent) -> None:
        item_id = event.item_id
        self._order.remove(item_id)
        self._turns.pop(item_id, None)
        self._missing.pop(item_id, None)
        self._spoken.pop(item_id, None)
        call = self._calls.pop(item_id, None)
        if call is not None:
            for turn in self._turns.values():
                turn.calls = [kept for kept in turn.calls if kept is not call]

    def _response_created(self, event: ServerEvent) -> None:
        response = event.part("response")
        if response.get("conversation_id", "in-band") is None:
            self._out_of_band.add(event.response_id)

    def _response_done(self, event: ServerEvent) -> None:
        said = self._turns.get(self._said_in.pop(event.response_id, ""))
        if said is not None and said.transcript_state == "pending":  # A service that sends no final transcript.
            said.transcript_state = "done"
            said.ended_at = self._clock.utc()
        if event.response_id in self._out_of_band:
            self._out_of_band.discard(event.response_id)
            return
        usage = event.part("response").get("usage")
        total = usage.get("total_tokens") if isinstance(usage, dict) else None
        self.latest_tokens = total if isinstance(total, int) and total > 0 else self._estimated_tokens()
        self.peak_tokens = max(self.peak_tokens, self.latest_tokens)

    def _complete(self, turn: Turn, text: str) -> None:
        """The words are known."""
        turn.transcript_state = "done"
        turn.ended_at = self._clock.utc()
        self._missing.pop(turn.item_id, None)
        if turn.role == "assistant":
            spoken = self._spoken.setdefault(turn.item_id, Spoken())
            spoken.correct(text)
            turn.text_generated = text
            self._settle(turn)
        else:
            turn.text = text

    def _settle(self, turn: Turn) -> None:
        """Make an answer's text of what was said and what was heard of it."""
        if turn.interrupted:
            turn.transcript_state = "done"
        if turn.heard_ms is None:
            turn.text = turn.text_generated
            return
        spoken = self._spoken.get(turn.item_id)
        turn.text = spoken.heard(turn.heard_ms, turn.generated_ms or 0.0) if spoken is not None else ""

    def _inaudible(self, item_id: str) -> None:
        self._missing.pop(item_id, None)
        turn = self._turns.get(item_id)
        if turn is not None and turn.transcript_state == "pending":
            turn.transcript_state = "failed"
            turn.text = INAUDIBLE
            turn.ended_at = self._clock.utc()

    def _content(self, turn: Turn) -> list[dict[str, str]]:
        if turn.role != "assistant":
            return [{"type": "input_text", "text": turn.text or INAUDIBLE}]
        return [{"type": "output_text", "text": turn.text}] if turn.text else []

    def _shorten_ids(self) -> None:
        for number, item_id in enumerate(list(self._order)):
            if len(item_id) <= MAX_ID:
                continue
            short = f"item_{number}_{item_id[-(MAX_ID - 12) :]}"
            self._order.rename(item_id, short)
            for known in (self._turns, self._calls, self._spoken, self._missing):
                _rename(known, item_id, short)

    def _estimated_tokens(self) -> int:
        turns = self.turns
        characters = sum(len(turn.text or "") for turn in turns)
        sound_s = sum(turn.generated_ms or 0.0 for turn in turns) / 1000
        return int(characters * TOKENS_PER_CHARACTER + sound_s * TOKENS_PER_S)


_READERS = {
    "conversation.item.added": ConversationState._added,
    "conversation.item.input_audio_transcription.completed": ConversationState._transcribed,
    "conversation.item.input_audio_transcription.failed": ConversationState._transcription_failed,
    "conversation.item.retrieved": ConversationState._retrieved,
    "conversation.item.deleted": ConversationState._deleted,
    "response.created": ConversationState._response_created,
    "response.done": ConversationState._response_done,
    "response.output_item.added": ConversationState._output_item,
    "response.output_item.done": ConversationState._output_item_done,
    "response.function_call_arguments.done": ConversationState._arguments_done,
    "response.output_audio_transcript.done": ConversationState._transcript_done,
    "response.output_text.done": ConversationState._transcript_done,
}


_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def _is_spoken(item: Mapping[str, Any]) -> bool:
    """Whether the words of a user's item are still to come."""
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    return not parts or any(isinstance(part, dict) and part.get("type") == "input_audio" for part in parts)


def _text_of(item: Mapping[str, Any]) -> str:
    """The words of an item's parts, written or spoken, in any dialect."""
    content = item.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    words = [part.get("text") or part.get("transcript") or "" for part in parts]
    return " ".join(word for word in words if isinstance(word, str) and word).strip()


def _rename(known: dict[str, Any], old: str, new: str) -> None:
    if old in known:
        value = known.pop(old)
        known[new] = value
        if hasattr(value, "item_id"):
            value.item_id = new
