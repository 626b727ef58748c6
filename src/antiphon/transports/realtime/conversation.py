"""The conversation of a session: the items that the client sees, and beside each the message that the model gets.

The two differ on purpose: of a spoken answer the client keeps the words that were sent, the model gets those that were
*heard*. Calls of the agent's own tools have messages and no item: clients know nothing of them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from antiphon.calls.history import History, ReplyRecord
from antiphon.calls.speech import Speech
from antiphon.models.llm.content import Content, FunctionCall, FunctionResult, Media, Text
from antiphon.models.llm.messages import Message, tool_message
from antiphon.wire.realtime.items import ContentPart, Item
from antiphon.wire.realtime.refusal import Refusal, invalid_value

PCM_BYTES_PER_MS = 48
"""16-bit mono at 24 kHz."""
_LATE_MS = 250
"""A client that counts by its own clock may ask for so much more than there is."""
ROOT = "root"


@dataclass(slots=True)
class Entry:
    """One place of the conversation.

    Attributes:
        id: The item's id.
        item: What the client sees; None where it sees nothing.
        message: What the model gets; None where that is nothing, or is not known yet.
        speech: The sound of a spoken answer.
        number: Of the speech that an answer is, spoken or written; 0 for none.
        sent: Bytes of it that were sent, 24 kHz PCM.
        limit_ms: Where the client has truncated it.
        audio: The user's sound, 24 kHz PCM, where it is kept.
        utterance: The recogniser's number of the end of that sound, where the client has ended it.
        words: What is known of it so far.
        waits: Whether the words of the sound are still to come.
    """

    id: str
    item: Item | None = None
    message: Message | None = None
    speech: Speech | None = None
    number: int = 0
    sent: int = 0
    limit_ms: int | None = None
    audio: bytes = b""
    utterance: int = -1
    words: list[str] = field(default_factory=list)
    waits: bool = False

    @property
    def sent_ms(self) -> int:
        """Length of the sound that was sent, rounded up."""
        return -(-self.sent // PCM_BYTES_PER_MS)

    @property
    def call_ids(self) -> frozenset[str]:
        """The calls that the model reads here, or whose result it does."""
        if self.message is None:
            return frozenset()
        answered = () if self.message.result is None else (self.message.result.call_id,)
        return frozenset((*answered, *(call.call_id for call in self.message.calls)))


class Conversation(History):
    """What was said and done, in the order of the items.

    Args:
        turn_over: Told the new words of a turn of the caller that the call has ended, if there are any.
        max_items: The most items that a conversation may hold.

    Attributes:
        heard: Words of the caller that no item holds yet.
    """

    def __init__(self, turn_over: Callable[[str], None], *, max_items: int) -> None:
        super().__init__()
        self.heard: list[str] = []
        self._turn_over = turn_over
        self._max_items = max_items
        self._entries: list[Entry] = []
        self._uncounted: list[Entry] = []  # committed by the client, and not ended as a turn by the call yet
        self._gone: set[int] = set()  # speeches whose items were deleted while they were spoken

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def find(self, item_id: str) -> Entry | None:
        """The entry that the client sees under this id."""
        return next((entry for entry in self._entries if entry.id == item_id and entry.item is not None), None)

    def has_call(self, call_id: str | None) -> bool:
        """Whether the client sees a call of this id."""
        items = (entry.item for entry in self._entries if entry.item is not None)
        return any(item.type == "function_call" and item.call_id == call_id for item in items)

    def before(self, entry: Entry) -> str | None:
        """The id of the item in front of an entry."""
        previous: str | None = None
        for other in self._entries:
            if other is entry:
                return previous
            if other.item is not None:
                previous = other.id
        return previous

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return next((entry.id for entry in reversed(self._entries) if entry.item is not None), None)

    # What the session adds and changes.

    def add(self, entry: Entry) -> str | None:
        """Put an entry at the end; gives the id of the item before it."""
        previous = self.last_id
        self._entries.append(entry)
        self._rebuild()
        return previous

    def create(self, item: Item, after: str | None) -> Entry:
        """Put a client's item in its place.

        Raises:
            Refusal: Its id is taken, the place is unknown, or there are too many items.
        """
        if self.find(item.id) is not None:
            raise Refusal("item_create_duplicate_item_id", f"Item with id '{item.id}' already exists.", "item.id")
        if len(self._entries) >= self._max_items:
            raise Refusal("too_many_items", f"A conversation holds {self._max_items} items at most: delete some first.")
        place = self._place(after)
        entry = Entry(item.id, item, message_of(item), audio=_sound_of(item))
        self._entries.insert(place, entry)
        self._rebuild()
        return entry

    def _place(self, after: str | None) -> int:
        if after is None:
            return len(self._entries)
        if after == ROOT:
            return 0
        for place, entry in enumerate(self._entries):
            if entry.id == after and entry.item is not None:
                return place + 1
        raise Refusal(
            "item_create_invalid_previous_item_id",
            f"There is no item with id '{after}' that the new one could stand after.",
            "previous_item_id",
        )

    def delete(self, item_id: str) -> None:
        """Take an item out; of a call and its output the model never sees one alone.

        Raises:
            Refusal: There is no such item.
        """
        entry = self.find(item_id)
        if entry is None:
            raise Refusal("item_delete_invalid_item_id", f"There is no item with id '{item_id}' to delete.", "item_id")
        self._entries.remove(entry)
        if entry.number:
            self._gone.add(entry.number)
        for other in self._entries:
            if not entry.call_ids.isdisjoint(other.call_ids):
                other.message = None
        self._rebuild()

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> int:
        """Forget the part of an answer that was not heard; gives the milliseconds that stay.

        Raises:
            Refusal: There is no such answer, or it is shorter.
        """
        entry = self.find(item_id)
        if entry is None:
            message = f"There is no item with id '{item_id}' to truncate."
            raise Refusal("item_truncate_invalid_item_id", message, "item_id")
        if entry.speech is None:
            message = "Only model output audio messages can be truncated"
            raise Refusal("unsupported_content_type", message, "item_id")
        if content_index != 0:
            raise invalid_value("An answer has one content part: content_index is 0.", "content_index")
        have_ms = entry.sent_ms
        if audio_end_ms > have_ms + _LATE_MS:
            message = f"Audio content of {have_ms}ms is already shorter than {audio_end_ms}ms"
            raise invalid_value(message, "audio_end_ms")
        kept_ms = min(audio_end_ms, have_ms if entry.limit_ms is None else entry.limit_ms)
        entry.limit_ms = kept_ms
        self._cut(entry)
        self._rebuild()
        return kept_ms

    def _cut(self, entry: Entry) -> None:
        """What was heard stays, as the item's transcript and for the model."""
        assert entry.speech is not None
        assert entry.limit_ms is not None
        assert entry.item is not None
        heard = entry.speech.text_until(entry.limit_ms * PCM_BYTES_PER_MS)
        entry.item = replace(entry.item, content=(ContentPart("output_audio", transcript=heard),))
        entry.message = Message("assistant", heard, interrupted=True) if heard else None

    def commit(self, entry: Entry) -> str | None:
        """Add a turn that the client has ended; its words come later."""
        entry.waits = True
        self._uncounted.append(entry)
        return self.add(entry)

    def set_words(self, entry: Entry, text: str) -> None:
        """The words of a user's sound are known."""
        assert entry.item is not None
        entry.waits = False
        content = (
            replace(part, transcript=text) if part.type == "input_audio" and part.transcript is None else part
            for part in entry.item.content
        )
        entry.item = replace(entry.item, content=tuple(content))
        entry.message = message_of(entry.item)
        self._rebuild()

    def committed_with(self, utterance: int) -> Entry | None:
        """What the client has committed with this utterance in it, and still waits for words."""
        return next((entry for entry in self._uncounted if entry.waits and entry.utterance >= utterance), None)

    def count(self) -> list[Entry]:
        """The call has done with what the client has committed."""
        counted, self._uncounted = self._uncounted, []
        return counted

    def _rebuild(self) -> None:
        """A system item at the start belongs to the instructions; a later one stays where it was said, as told to us.

        Models take one system message, at the start, and clients send as system items what their users have written.
        """
        messages: list[Message] = []
        begun = False
        for entry in self._entries:
            message = entry.message
            if message is None:
                continue
            if message.role != "system":
                begun = True
            elif begun:
                message = Message("user", message.contents)
            messages.append(message)
        self.messages = messages

    # What the call tells.

    def with_user(self, text: str, fresh: str) -> list[Message]:
        """The messages as they would be with this turn of the caller."""
        if self._uncounted and not any(entry.waits and entry in self._entries for entry in self._uncounted):
            fresh = " ".join(self.heard)
        return [*self.messages, Message("user", fresh)] if fresh else self.messages.copy()

    def hear_user(self, text: str, fresh: str) -> None:
        """A turn of the caller is over."""
        self._turn_over(fresh)

    def keep(self, messages: Sequence[Message]) -> None:
        """Put messages in front of the caller's words that wait for an answer."""
        waits = bool(self.messages) and self.messages[-1].role == "user"
        place = len(self._entries)
        if waits:
            place = max(n for n, entry in enumerate(self._entries) if entry.message is not None)
        self._entries[place:place] = [Entry("", message=message) for message in messages]
        self._rebuild()

    def call_tools(self, calls: Sequence[FunctionCall], author: str = "") -> None:
        """Calls that the client does not see, or does not run: their results follow."""
        items = {call_id: entry.item for entry in self._entries if entry.item for call_id in entry.call_ids}
        hidden = [call for call in calls if call.call_id not in items]
        self._open_calls |= {call.call_id for call in calls if call.call_id in items and _is_mcp(items[call.call_id])}
        if hidden:
            self._entries.append(Entry("", message=Message("assistant", hidden, author_name=author or None)))
            self._open_calls |= {call.call_id for call in hidden}
            self._rebuild()

    def add_result(self, result: FunctionResult) -> None:
        """The result of a call that was not the client's to run."""
        if result.call_id in self._open_calls:
            self._open_calls.remove(result.call_id)
            self._entries.append(Entry("", message=tool_message(result)))
            self._rebuild()

    def add_reply(self, record: ReplyRecord) -> None:
        """What the agent said, as far as it was heard, or as the client has truncated it."""
        self.replies.append(record)
        if record.speech in self._gone:
            return
        author = record.author or None
        entry = next((entry for entry in self._entries if entry.number == record.speech), None)
        heard = record.heard
        if entry is not None and entry.speech is None:
            entry, heard = self._last_written(record)
        message = Message("assistant", heard, author_name=author, interrupted=record.interrupted) if heard else None
        if entry is None:
            if message is not None:
                self._entries.append(Entry("", message=message))
        elif entry.limit_ms is not None:
            self._cut(entry)
        else:
            entry.message = message
        self._rebuild()

    def _last_written(self, record: ReplyRecord) -> tuple[Entry, str]:
        """The last piece of a written reply and its words; each call in the midst of a reply begins another one."""
        *pieces, last = [entry for entry in self._entries if entry.number == record.speech]
        words = record.heard
        for piece in pieces:
            assert piece.item is not None
            piece.message = message_of(piece.item)
            words = words.removeprefix(piece.message.text.strip() if piece.message else "").strip()
        return last, words


def _is_mcp(item: Item) -> bool:
    return item.type in ("mcp_call", "mcp_approval_request")


def message_of(item: Item) -> Message | None:
    """What the model gets of a client's item; None for nothing."""
    if item.type == "function_call":
        call = FunctionCall(call_id=item.call_id or item.id, name=item.name or "", arguments=item.arguments or "{}")
        return Message("assistant", call)
    if item.type == "function_call_output":
        return tool_message(FunctionResult(call_id=item.call_id or "", name="", text=item.output or ""))
    if item.type != "message" or item.role is None:
        return None
    contents: list[Content] = []
    for part in item.content:
        words = part.text if part.text is not None else part.transcript
        if words:
            contents.append(Text(text=words))
        elif part.image_url:
            media_type = part.image_url.partition(":")[2].partition(";")[0]
            contents.append(Media(uri=part.image_url, media_type=media_type))
    return Message(item.role, contents) if contents else None


def _sound_of(item: Item) -> bytes:
    return b"".join(part.audio for part in item.content if part.type == "input_audio" and part.audio)


def base64_of(audio: bytes) -> str:
    """Sound as events carry it."""
    return base64.b64encode(audio).decode()
