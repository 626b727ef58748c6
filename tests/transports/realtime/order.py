"""The order of a Realtime session's events, as a state machine over both sides of a connection.

It holds what the types of events cannot say: what comes first, what answers what, how a turn, a response and an item
go through their stages, and that everything that was begun is closed.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import deque
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]

DELTA_MS = 100
_REPLIES = {
    "session.update": "session.updated",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "input_audio_buffer.dtmf_event": "input_audio_buffer.dtmf_event_received",
    "conversation.item.create": "conversation.item.added",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.truncate": "conversation.item.truncated",
    "conversation.item.delete": "conversation.item.deleted",
}
"""What answers a client event; each may be refused by an ``error`` in its place."""
_CLOSING = {
    "audio": ("output_audio.done", "output_audio_transcript.done", "content_part.done", "output_item.done"),
    "text": ("output_text.done", "content_part.done", "output_item.done"),
    "function_call": ("function_call_arguments.done", "output_item.done"),
}
_BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}


@dataclass
class Output:
    """An item of a response while it grows."""

    id: str
    index: int
    kind: str = "function_call"
    call_id: str = ""
    has_part: bool = False
    words: str = ""
    is_in_conversation: bool = False
    closing: int = 0
    status: str = ""


@dataclass
class Response:
    """A response from ``response.created`` to ``response.done``."""

    id: str
    is_aside: bool
    format: str
    metadata: Any
    outputs: list[Output] = field(default_factory=list)
    is_cancelling: bool = False


@dataclass
class Turn:
    """The caller's item on its way into the conversation."""

    id: str
    stage: str
    start_ms: int = 0


class Order:
    """Takes both sides' events as they are sent; raises ``AssertionError`` for what may not come here."""

    def __init__(self) -> None:
        self.appended_ms = 0.0
        self.is_prompt = True  # sound comes as it is spoken: everything is handled when it is sent
        self.items: list[str] = []
        self._open_items: set[str] = set()  # those that were added and are not done
        self._count = 0
        self._event_ids: set[str] = set()
        self._conversation = ""
        self._session: Event = {}
        self._replies: deque[tuple[str, str, str]] = deque()  # event id, type of the reply, item it is about
        self._asked: set[str] = set()  # events that ask for a response
        self._responses: dict[str, Response] = {}
        self._over: set[str] = set()
        self._outputs_of: dict[str, set[str]] = {}
        self._active: Response | None = None
        self._turn: Turn | None = None
        self._turn_ids: set[str] = set()
        self._next: deque[tuple[str, str]] = deque()  # what must come next: type and item
        self._cut: tuple[Response, float] | None = None  # speech has interrupted this one, at this time
        self._owed: set[str] = set()  # items whose words are to come
        self._transcribed: set[str] = set()
        self._deltas: dict[str, str] = {}
        self._heard: set[str] = set()  # responses that the server plays
        self._silent: set[str] = set()  # responses that it has played, or cut
        self._cut_items: set[str] = set()  # items that the server itself may truncate

    @property
    def is_busy(self) -> bool:
        """Whether a response is under way."""
        return bool(self._responses)

    # The client.

    def asked(self, event: Event, _at: float) -> None:
        """The client sends this."""
        kind, event_id = event["type"], event["event_id"]
        if kind == "input_audio_buffer.append":
            rate = _BYTES_PER_MS[self._session["audio"]["input"]["format"]["type"]]
            self.appended_ms += len(b64decode(event["audio"])) / rate
        elif kind == "response.create":
            self._asked.add(event_id)
        elif kind in _REPLIES:
            item = event.get("item", {}).get("id") or event.get("item_id", "")
            self._replies.append((event_id, _REPLIES[kind], item))
        elif kind == "response.cancel" and self._active is not None and "response_id" not in event:
            self._active.is_cancelling = self.is_prompt

    # The server.

    def told(self, event: Event, at: float) -> None:
        """The server sends this."""
        kind = event["type"]
        self._count += 1
        assert event["event_id"] not in self._event_ids, "an event_id came twice"
        self._event_ids.add(event["event_id"])
        if self._count <= 2:
            assert kind == ("session.created", "conversation.created")[self._count - 1]
        if self._next:
            expected, item = self._next.popleft()
            assert (kind, _item_id(event)) == (expected, item), f"{kind} in place of {expected} of {item}"
        if self._cut is not None:
            assert at == self._cut[1], "what speech has interrupted went on"
        if kind in ("session.created", "session.updated"):
            self._session = event["session"]
        if kind == "conversation.created":
            assert not self._conversation, "there is one conversation"
            self._conversation = event["conversation"]["id"]
        elif kind == "session.updated":
            self._answered(kind)
        elif kind == "error":
            self._refused(event["error"])
        elif kind.startswith("output_audio_buffer."):
            self._played(kind.partition(".")[2], event["response_id"])
        elif kind.startswith("input_audio_buffer."):
            self._input(kind.partition(".")[2], event, at)
        elif kind.startswith("conversation.item.input_audio_transcription."):
            self._words(kind.rpartition(".")[2], event)
        elif kind.startswith("conversation.item."):
            self._item(kind.rpartition(".")[2], event)
        elif kind == "response.created":
            self._begin(event["response"])
        elif kind == "response.done":
            self._end(event["response"])
        elif kind.startswith("response."):
            self._output(kind.removeprefix("response."), event)

    def closed(self) -> None:
        """Nothing more comes, and nothing was left to do."""
        assert not self._next, f"{self._next} did not come"
        assert not self._replies, f"{self._replies} were not answered"
        assert not self._open_items, f"{self._open_items} are not done"
        assert self._heard == self._silent, f"{self._heard - self._silent} still sound"
        assert not self._asked, f"{self._asked} were not answered"
        assert not self._responses, f"{list(self._responses)} are not done"
        assert not self._owed, f"the words of {self._owed} were not told"

    # What answers what.

    def _answered(self, kind: str, item: str = "") -> None:
        """This is the reply to the oldest event that waits for one."""
        assert self._replies, f"{kind} answers nothing"
        event_id, expected, about = self._replies.popleft()
        assert kind == expected, f"{event_id} is answered by {kind} in place of {expected}"
        assert not about or not item or about == item, f"{event_id} asks for {about}, not {item}"

    def _refused(self, error: Event) -> None:
        event_id = error["event_id"]
        assert error["code"] != "internal_error"
        if event_id in self._asked:
            self._asked.discard(event_id)
        elif event_id is not None and any(event_id == each for each, _, _ in self._replies):
            assert self._replies.popleft()[0] == event_id, "an older event was not answered"

    # The caller's turn.

    def _input(self, kind: str, event: Event, at: float) -> None:
        item = event.get("item_id", "")
        turn = self._turn
        if kind == "speech_started":
            assert turn is None, f"the turn {turn} is not over"
            assert item not in self._turn_ids, "the item of another turn"
            assert isinstance(event["audio_start_ms"], int)
            assert 0 <= event["audio_start_ms"] <= self.appended_ms
            self._turn_ids.add(item)
            self._turn = Turn(item, kind, event["audio_start_ms"])
            detection = self._session["audio"]["input"]["turn_detection"]
            if detection is not None and detection["interrupt_response"] and self._active is not None:
                self._cut = self._active, at
        elif kind == "speech_stopped":
            assert turn is not None, "no speech had started"
            assert (turn.id, turn.stage) == (item, "speech_started")
            assert isinstance(event["audio_end_ms"], int)
            assert turn.start_ms <= event["audio_end_ms"] <= self.appended_ms
            turn.stage = kind
            self._next.append(("input_audio_buffer.committed", item))
        elif kind == "timeout_triggered":
            assert turn is None, "the caller speaks"
            self._turn = Turn(item, kind)
            self._next.append(("input_audio_buffer.committed", item))
        elif kind == "committed":
            self._committed(item, event)
        elif kind == "cleared":
            self._answered(f"input_audio_buffer.{kind}")
            self._turn = None

    def _committed(self, item: str, event: Event) -> None:
        turn = self._turn
        if turn is None or turn.stage == "speech_started":  # the client did it
            self._answered("input_audio_buffer.committed")
        assert turn is None or turn.id == item, "another item was announced"
        assert event["previous_item_id"] == (self.items[-1] if self.items else None)
        self._turn = None
        self._next += [("conversation.item.added", item), ("conversation.item.done", item)]
        if self._session["audio"]["input"]["transcription"] is not None:
            self._owed.add(item)

    def _words(self, kind: str, event: Event) -> None:
        item = event["item_id"]
        assert item not in self._transcribed, "its words were told before"
        if kind == "delta":
            self._deltas[item] = self._deltas.get(item, "") + event["delta"]
            return
        self._transcribed.add(item)
        self._owed.discard(item)
        assert item in self.items, "its item is not in the conversation"
        if kind == "completed":
            assert event["usage"]["type"] in ("duration", "tokens")
            deltas = self._deltas.get(item, "").strip()
            assert deltas in event["transcript"] or event["transcript"] in deltas  # it corrects them
        else:
            assert kind == "failed"
            assert all(isinstance(event["error"][name], str) for name in ("type", "code", "message"))

    # What the server plays.

    def _played(self, kind: str, response: str) -> None:
        if kind == "started":
            assert response in self._responses, "it is not under way"
            assert any(output.has_part for output in self._responses[response].outputs)
            assert response not in self._heard, "it was heard before"
            self._heard.add(response)
            return
        assert response in self._heard - self._silent, "it is not heard"
        assert response in self._over, "it is not done"
        self._silent.add(response)
        if kind == "cleared":
            self._cut_items.update(self._outputs_of[response])

    # The conversation.

    def _item(self, kind: str, event: Event) -> None:
        if kind in ("retrieved", "truncated", "deleted"):
            item = event["item"]["id"] if kind == "retrieved" else event["item_id"]
            assert item in self.items
            if kind == "truncated" and item in self._cut_items:
                self._cut_items.discard(item)
                return
            self._answered(f"conversation.item.{kind}", item)
            if kind == "deleted":
                self.items.remove(item)
                self._open_items.discard(item)
                self._owed.discard(item)
            return
        item, previous = event["item"], event["previous_item_id"]
        if kind == "added":
            self._added(item, previous)
        else:
            assert kind == "done"
            assert item["id"] in self._open_items, "it is not in the conversation, or was done before"
            self._open_items.discard(item["id"])
            place = self.items.index(item["id"])
            assert previous == (self.items[place - 1] if place else None), "it stands elsewhere"
            assert item["status"] in ("completed", "incomplete")

    def _added(self, item: Event, previous: str | None) -> None:
        assert item["id"] not in self.items, "it is in the conversation already"
        assert item["object"] == "realtime.item"
        assert previous is None or previous in self.items, "the item before it is not known"
        is_users = any(item["id"] == about for _, about in self._next)
        output = self._find(item["id"])
        if output is not None:
            assert item["status"] == "in_progress"
            output.is_in_conversation = True
        elif not is_users:
            self._answered("conversation.item.added", item["id"])
            self._next.append(("conversation.item.done", item["id"]))
        if output is not None or is_users:
            assert previous == (self.items[-1] if self.items else None), "it does not stand at the end"
        self._open_items.add(item["id"])
        self.items.insert(0 if previous is None else self.items.index(previous) + 1, item["id"])

    def _find(self, item_id: str) -> Output | None:
        outputs = (output for response in self._responses.values() for output in response.outputs)
        return next((output for output in outputs if output.id == item_id), None)

    # Responses.

    def _begin(self, response: Event) -> None:
        assert (response["status"], response["output"], response["usage"]) == ("in_progress", [], None)
        assert response["id"] not in self._responses
        assert response["id"] not in self._over
        is_aside = response["conversation_id"] is None
        audio_format = response.get("audio", {}).get("output", {}).get("format", {}).get("type", "audio/pcm")
        made = Response(response["id"], is_aside, audio_format, response["metadata"])
        if not is_aside:
            assert response["conversation_id"] == self._conversation
            assert self._active is None, "another response is active"
            self._active = made
        self._responses[made.id] = made
        if response["metadata"] is not None and "asked" in response["metadata"]:
            self._asked.discard(response["metadata"]["asked"])

    def _end(self, response: Event) -> None:
        made = self._responses.pop(response["id"], None)
        assert made is not None, "the response is not under way"
        self._over.add(made.id)
        self._outputs_of[made.id] = {output.id for output in made.outputs}
        status, details = response["status"], response["status_details"] or {}
        assert response["metadata"] == made.metadata
        assert [item["id"] for item in response["output"]] == [output.id for output in made.outputs]
        assert all(isinstance(value, int) for value in _leaves(response["usage"]))
        for output, item in zip(made.outputs, response["output"], strict=True):
            assert output.closing == len(_CLOSING[output.kind]), f"{output.id} is still open"
            assert item["status"] == output.status
            assert status != "completed" or item["status"] == "completed"
        if self._cut is not None and self._cut[0] is made:
            assert (status, details["reason"]) == ("cancelled", "turn_detected")
            self._cut = None
        if status == "cancelled":
            assert details["reason"] in ("turn_detected", "client_cancelled")
        if status == "failed":
            assert details["error"]["type"] == "server_error"
            assert all(isinstance(details["error"][name], str) for name in ("code", "message"))
        if made is self._active:
            self._active = None

    def _output(self, kind: str, event: Event) -> None:
        response = self._responses.get(event["response_id"])
        assert response is not None, f"{kind} of a response that is not under way"
        if kind == "output_item.added":
            self._announced(response, event)
            return
        item_id = _item_id(event)
        output = next((each for each in response.outputs if each.id == item_id), None)
        assert output is not None, f"{kind} of an item that was not announced"
        assert event["output_index"] == output.index
        assert event.get("content_index", 0) == 0
        assert output.is_in_conversation is not response.is_aside, "its conversation.item.added is missing"
        if kind == "content_part.added":
            assert not output.has_part
            output.has_part = True
            output.kind = event["part"]["type"]
        elif kind.endswith(".delta"):
            self._delta(kind, response, output, event)
        else:
            self._close(kind, response, output, event)

    def _announced(self, response: Response, event: Event) -> None:
        item = event["item"]
        assert item["status"] == "in_progress"
        assert event["output_index"] == len(response.outputs)
        assert item.get("content", []) == []
        output = Output(item["id"], event["output_index"], call_id=item.get("call_id", ""))
        if item["type"] == "message":
            output.kind = "audio"
        else:
            assert (item["type"], item["arguments"], bool(item["name"])) == ("function_call", "", True)
        response.outputs.append(output)
        if not response.is_aside:
            self._next.append(("conversation.item.added", item["id"]))

    def _delta(self, kind: str, response: Response, output: Output, event: Event) -> None:
        assert output.closing == 0, "it grows behind its end"
        assert output.has_part or output.kind == "function_call"
        if kind == "output_audio.delta":
            assert output.kind == "audio"
            assert not response.is_cancelling, "the client has cancelled it"
            sound = b64decode(event["delta"], validate=True)
            rate = _BYTES_PER_MS[response.format]
            assert 0 < len(sound) <= DELTA_MS * rate
            assert response.format != "audio/pcm" or len(sound) % 2 == 0
            return
        expected = {"audio": "output_audio_transcript", "text": "output_text"}.get(
            output.kind, "function_call_arguments"
        )
        assert kind == f"{expected}.delta"
        output.words += event["delta"]

    def _close(self, kind: str, response: Response, output: Output, event: Event) -> None:
        stages = _CLOSING[output.kind]
        assert output.closing < len(stages), f"{kind} behind the end of its item"
        assert kind == stages[output.closing], f"{kind} in place of {stages[output.closing]}"
        output.closing += 1
        if kind == "output_audio_transcript.done":
            assert event["transcript"] == output.words.strip()
        elif kind == "output_text.done":
            assert event["text"] == output.words
        elif kind == "function_call_arguments.done":
            assert event["arguments"] == output.words
            assert isinstance(json.loads(event["arguments"]), dict)
            assert (event["call_id"], bool(event["name"])) == (output.call_id, True)
        elif kind == "output_item.done":
            assert event["item"]["status"] in ("completed", "incomplete")
            output.status = event["item"]["status"]
            if not response.is_aside and output.id in self.items:
                self._next.append(("conversation.item.done", output.id))
        if output.closing < len(stages):
            self._next.append((f"response.{stages[output.closing]}", output.id))


def _item_id(event: Event) -> str:
    return str(event["item"]["id"] if "item" in event else event.get("item_id", ""))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    return [value]
