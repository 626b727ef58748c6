"""Checks recorded server events for what the types cannot say: their order, and that the pieces are the whole.

.venv/bin/python -m tests.clients.validate.order RECORD ...
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from tests.clients.validate.records import main

Event = dict[str, Any]


class Disorder(Exception):
    """What is wrong with an event at its place."""


@dataclass
class Output:
    """One item of a response while it grows; ``stage`` is the last of its events that come once."""

    kind: str
    stage: str = "output_item.added"
    words: str = ""
    arguments: str = ""


_MESSAGE_STAGES = (
    "output_item.added",
    "conversation.item.added",
    "content_part.added",
    "output_audio.done",
    "output_audio_transcript.done",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "conversation.item.done",
)
_CALL_STAGES = (
    "output_item.added",
    "conversation.item.added",
    "function_call_arguments.done",
    "output_item.done",
    "conversation.item.done",
)
_MCP_STAGES = (
    "output_item.added",
    "conversation.item.added",
    "mcp_call_arguments.done",
    "mcp_call.in_progress",
    "mcp_call.completed",
    "mcp_call.failed",
    "output_item.done",
    "conversation.item.done",
)
_STAGES = {"message": _MESSAGE_STAGES, "function_call": _CALL_STAGES}
_GROWS_AFTER = {
    "output_audio.delta": ("content_part.added",),
    "output_audio_transcript.delta": ("content_part.added", "output_audio.done"),
    "output_text.delta": ("content_part.added",),
    "function_call_arguments.delta": ("output_item.added", "conversation.item.added"),
}
"""The stages in which an item gets more of itself."""


@dataclass
class Connection:
    """What a client may expect next from one connection."""

    seen: int = 0
    event_ids: set[str] = field(default_factory=set)
    responses: dict[str, dict[str, Output]] = field(default_factory=dict)
    """The responses that are not done, and their items."""
    active: str | None = None
    over: set[str] = field(default_factory=set)
    turn: tuple[str, str] | None = None
    """The user's item, and how far it has come."""
    cut: str | None = None
    """The response that speech has interrupted and that is not done."""
    interrupts: bool = True
    added: set[str] = field(default_factory=set)
    """Items of the conversation that are not done."""
    transcribed: set[str] = field(default_factory=set)

    def check(self, event: Event) -> None:
        """Take the next event.

        Raises:
            Disorder: It may not come here.
        """
        kind = event["type"]
        self.seen += 1
        if event["event_id"] in self.event_ids:
            raise Disorder("its event_id came before")
        self.event_ids.add(event["event_id"])
        if self.seen == 1 and kind != "session.created":
            raise Disorder("the first event is session.created")
        if self.seen == 2 and kind != "conversation.created":
            raise Disorder("the second event is conversation.created")
        if kind in ("session.created", "session.updated"):
            detection = event["session"]["audio"]["input"]["turn_detection"]
            self.interrupts = bool(detection and detection["interrupt_response"])
        elif kind.startswith("input_audio_buffer."):
            self._check_turn(kind.partition(".")[2], event)
        elif kind.startswith("conversation.item."):
            self._check_item(kind, event)
        elif kind == "response.created":
            self._begin(event["response"])
        elif kind == "response.done":
            self._end(event["response"])
        elif kind.startswith("response."):
            self._check_output(kind.removeprefix("response."), event)

    def _begin(self, response: Event) -> None:
        if response["conversation_id"] is not None:
            if self.active is not None:
                raise Disorder("another response of the conversation is active")
            self.active = response["id"]
        self.responses[response["id"]] = {}

    def _end(self, response: Event) -> None:
        outputs = self.responses.pop(response["id"], None)
        if outputs is None:
            raise Disorder("the response is not active")
        self.over.add(response["id"])
        if response["id"] == self.active:
            self.active = None
        if self.cut == response["id"]:
            if (response["status"], response["status_details"]["reason"]) != ("cancelled", "turn_detected"):
                raise Disorder("speech has interrupted it, and it does not say so")
            self.cut = None
        if [item["id"] for item in response["output"]] != list(outputs):
            raise Disorder("its output is not what was announced")
        last = "output_item.done" if response["conversation_id"] is None else "conversation.item.done"
        if any(output.stage != last for output in outputs.values()):
            raise Disorder("an item of it is still open")

    def _check_turn(self, kind: str, event: Event) -> None:
        item = event.get("item_id", "")
        if kind == "speech_started":
            self.turn = item, kind
            self.cut = self.active if self.interrupts else None
        elif kind == "speech_stopped" and self.turn != (item, "speech_started"):
            raise Disorder("its speech_started did not come")
        elif kind == "speech_stopped":
            self.turn = item, kind
        elif kind == "committed" and self.turn is not None and self.turn[0] != item:
            raise Disorder("another item was announced")
        elif kind == "committed":
            self.turn = item, kind
        elif kind == "cleared":
            self.turn = None

    def _check_item(self, kind: str, event: Event) -> None:
        if kind == "conversation.item.added":
            item = event["item"]
            if self.turn is not None and self.turn[0] == item["id"]:
                if self.turn[1] != "committed":
                    raise Disorder("its audio was not committed")
                self.turn = None
            self.added.add(item["id"])
            is_listing = item["type"] == "mcp_list_tools"  # It belongs to no response.
            if not self._advance(item["id"], kind) and item["status"] == "in_progress" and not is_listing:
                raise Disorder("no response has announced it")
        elif kind == "conversation.item.done":
            if event["item"]["id"] not in self.added:
                raise Disorder("it was not added, or was done before")
            self.added.discard(event["item"]["id"])
            self._advance(event["item"]["id"], kind)
        elif kind.endswith("input_audio_transcription.completed"):
            if event["item_id"] in self.transcribed:
                raise Disorder("the item was transcribed before")
            self.transcribed.add(event["item_id"])

    def _check_output(self, kind: str, event: Event) -> None:
        if kind.startswith("mcp_call."):
            self._advance(event["item_id"], kind)
            return
        response = event["response_id"]
        if response in self.over:
            raise Disorder("its response is done")
        if response not in self.responses:
            raise Disorder("its response was not created")
        if kind == "output_audio.delta" and response == self.cut:
            raise Disorder("speech has interrupted its response")
        if kind == "output_item.added":
            item = event["item"]
            if event["output_index"] != len(self.responses[response]):
                raise Disorder("its output_index is not the next one")
            self.responses[response][item["id"]] = Output(item["type"])
            return
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        output = self.responses[response].get(item_id)
        if output is None:
            raise Disorder("its item was not announced")
        self._check_pieces(kind, event, output)
        if not kind.endswith(".delta"):
            self._advance(item_id, kind)

    def _check_pieces(self, kind: str, event: Event, output: Output) -> None:
        if kind in _GROWS_AFTER and output.stage not in _GROWS_AFTER[kind]:
            raise Disorder(f"it comes after {output.stage}")
        if kind == "output_audio.delta" and len(b64decode(event["delta"], validate=True)) == 0:
            raise Disorder("it has no sound")
        elif kind in ("output_audio_transcript.delta", "output_text.delta"):
            output.words += event["delta"]
        elif kind in ("output_audio_transcript.done", "output_text.done"):
            whole = str(event.get("transcript", event.get("text")))
            if not output.words.startswith(whole.rstrip("… ")):
                raise Disorder("its words are not those of the deltas")
        elif kind == "function_call_arguments.delta":
            output.arguments += event["delta"]
        elif kind == "function_call_arguments.done" and (
            output.arguments not in ("", event["arguments"]) or not isinstance(json.loads(event["arguments"]), dict)
        ):
            raise Disorder("its arguments are not those of the deltas, or no object")

    def _advance(self, item_id: str, kind: str) -> bool:
        """Note the stage of a response's item; tells whether it is one."""
        for outputs in self.responses.values():
            if item_id in outputs:
                output = outputs[item_id]
                stages = _STAGES.get(output.kind, _MCP_STAGES)
                if stages.index(kind) <= stages.index(output.stage):
                    raise Disorder(f"{output.stage} came before it")
                output.stage = kind
                return True
        return False


class Order:
    """The check of all connections of a record, one after the other."""

    def __init__(self) -> None:
        self._connection = Connection()

    def __call__(self, event: Event) -> str:
        """What is wrong with the next event; nothing when it is right."""
        if event["type"] == "session.created":
            self._connection = Connection()
        try:
            self._connection.check(event)
        except Disorder as exc:
            return str(exc)
        return ""


if __name__ == "__main__":
    main("sequence", Order())
