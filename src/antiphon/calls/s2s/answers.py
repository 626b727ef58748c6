"""What the model says in one call: its pieces of sound and words as speeches that are played and can be cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from antiphon.audio.convert import from_pcm
from antiphon.calls.clauses import ClauseSplitter
from antiphon.calls.events import SpeechKind
from antiphon.calls.speaking import Speaking
from antiphon.calls.speech import Speech, SpokenClause
from antiphon.models.s2s.contract import AnswerAudio, AnswerText

MAX_ANSWER_S = 300.0
"""An answer that is longer is cut: a model that does not stop must not fill the memory."""
_MOST_CUT = 64
_PACE_S = 0.065
"""Seconds of a character, as people speak, until the model's own pace is known."""


class Item:
    """One item of an answer: a speech of its own, since the model counts what was heard of each.

    Args:
        speech: What is played of it.
        pace_s: Seconds of a character: words are often told before their sound, and its length is not known then.

    Attributes:
        speech: As the argument.
    """

    def __init__(self, speech: Speech, pace_s: float = _PACE_S) -> None:
        self.speech = speech
        self._pace_s = pace_s
        self._splitter = ClauseSplitter()

    def add_sound(self, payload: bytes) -> None:
        """Sound that follows what came before."""
        speech = self.speech
        if not speech.clauses:
            speech.clauses.append(SpokenClause("", "", 0, 0))
        speech.add_sound(payload)
        self._reckon()

    def add_words(self, delta: str, start_ms: float | None) -> None:
        """Words that follow those before. Where they begin in the sound decides which of them were heard.

        Without that, words are spread evenly over the sound, as long as more may come over that of the usual pace.
        """
        speech = self.speech
        speech.generated += delta
        last = speech.clauses[-1] if speech.clauses else None
        if last is None or (start_ms is not None and last.text):
            self._begin(delta, start_ms or 0.0, last)
        else:
            last.text += delta
            last.speech += delta
        self._reckon()
        self._tell(delta)

    def finish(self) -> None:
        """Nothing more comes."""
        for clause in self._splitter.flush():
            self._tell_clause(clause.text)
        if self.speech.clauses:
            last = self.speech.clauses[-1]
            last.end = max(last.start, len(self.speech.sound))
        self.speech.finish()

    def _reckon(self) -> None:
        """Where the last words will end, as far as can be told by now."""
        speech = self.speech
        if not speech.complete:
            last = speech.clauses[-1]
            samples = round(len(last.text) * self._pace_s * speech.audio.rate_hz)
            last.end = last.start + samples * speech.audio.sample_bytes

    def _begin(self, delta: str, start_ms: float, before: SpokenClause | None) -> None:
        audio = self.speech.audio
        start = round(start_ms / 1000 * audio.rate_hz) * audio.sample_bytes
        if before is not None:
            start = max(start, before.start)
            before.end = start
        self.speech.clauses.append(SpokenClause(delta, delta, start, max(start, len(self.speech.sound))))

    def _tell(self, delta: str) -> None:
        for clause in self._splitter.feed(delta):
            self._tell_clause(clause.text)

    def _tell_clause(self, text: str) -> None:
        if self.speech.on_clause is not None:
            self.speech.on_clause(text)


class Answers:
    """The model's mouth. One answer at a time; each of its items is a speech.

    Args:
        speaking: Plays the speeches.
        unasked: Told of an item that nobody waits for; says whether it may be heard, and has then called ``expect``.
        next_speech: Told of a further speech of the same answer.
        overlong: Told that the answer is too long, and has to stop it.
    """

    def __init__(
        self,
        speaking: Speaking,
        *,
        unasked: Callable[[str], bool],
        next_speech: Callable[[Speech], None],
        overlong: Callable[[], None],
    ) -> None:
        self._speaking = speaking
        self._unasked = unasked
        self._next_speech = next_speech
        self._overlong = overlong
        self._pending: Speech | None = None  # waits for the first sound or word of the next item
        self._items: dict[str, Item] = {}
        self._open: Item | None = None  # more of it may come
        self._cut: deque[str] = deque(maxlen=_MOST_CUT)
        self._said_s = self._said_chars = 0.0  # of whole items: the model's pace
        self._kind: SpeechKind = "reply"
        self._turn = 0

    @property
    def is_owed(self) -> bool:
        """Whether an answer is waited for, or more of it."""
        return self._pending is not None or self._open is not None

    @property
    def has_begun(self) -> bool:
        """Whether something of the answer that is waited for has come."""
        return self._open is not None

    def expect(self, kind: SpeechKind, turn: int) -> Speech:
        """The model is to speak: what comes next belongs to this turn."""
        self._items = {key: item for key, item in self._items.items() if not item.speech.over}
        self._kind, self._turn = kind, turn
        return self._begin_speech()

    def take_sound(self, event: AnswerAudio) -> bool:
        """Play a piece of sound; whether anybody wants it."""
        item = self._item(event.item_id)
        if item is None:
            return False
        speech = item.speech
        if speech.audio.seconds(len(speech.sound)) > MAX_ANSWER_S:
            self._overlong()
            return False
        item.add_sound(from_pcm(event.pcm, speech.audio))
        return True

    def take_words(self, event: AnswerText) -> bool:
        """Note words; whether anybody wants them."""
        item = self._item(event.item_id)
        if item is not None:
            item.add_words(event.delta, event.start_ms)
        return item is not None

    def go_on_as(self, kind: SpeechKind) -> None:
        """What comes next is another agent's, in a speech of its own."""
        self._close_open()
        before, self._kind = self._pending, kind
        self._next_speech(self._begin_speech())
        if before is not None:
            before.finish()

    def change_model(self) -> None:
        """What comes from here on comes from another session, which may use the same names again."""
        self._close_open()
        self._items.clear()
        self._cut.clear()

    def done(self, *, more: bool, kind: SpeechKind | None = None) -> None:
        """The answer is over; or a step of it is, and more follows, which may be of another kind."""
        self._kind = kind or self._kind
        if more and self._open is None:
            return  # what is to come has its speech already
        self._close_open()
        if more:
            self._next_speech(self._begin_speech())
        elif self._pending is not None:
            pending, self._pending = self._pending, None
            pending.finish()

    def stop(self) -> list[tuple[str, float]]:
        """Say no more.

        Returns:
            What the model has to know: each item that was not heard whole, and the milliseconds that were; an empty
            name where nothing of an answer had come.
        """
        was_owed = self.is_owed
        self._speaking.stop()
        cut = [(key, item.speech.played_s * 1000) for key, item in self._items.items() if not item.speech.over]
        self._cut.extend(key for key, _ in cut)
        self._items.clear()
        self._open = self._pending = None
        return cut or ([("", 0.0)] if was_owed else [])

    def drop(self) -> None:
        """Forget what was not heard of the items so far; what is still to come is said."""
        for key, item in self._items.items():
            self._cut.append(key)
            self._speaking.drop(item.speech)
        self._items.clear()
        self._open = None

    def _item(self, item_id: str) -> Item | None:
        item = self._items.get(item_id)
        if item is not None:
            return item
        if item_id in self._cut:
            return None
        if not self.is_owed and not self._unasked(item_id):
            self._cut.append(item_id)
            return None
        self._close_open()
        if self._pending is None:
            self._next_speech(self._begin_speech())
        assert self._pending is not None
        item = self._items[item_id] = self._open = Item(self._pending, self._pace_s())
        self._pending = None
        return item

    def _begin_speech(self) -> Speech:
        speech = self._pending = self._speaking.new(self._kind, self._turn)
        self._speaking.begin(speech)
        return speech

    def _close_open(self) -> None:
        """The item that was being made is whole. Late words of it still find it."""
        if self._open is not None:
            item, self._open = self._open, None
            item.finish()
            if item.speech.generated:
                self._said_s += item.speech.audio.seconds(len(item.speech.sound))
                self._said_chars += len(item.speech.generated)

    def _pace_s(self) -> float:
        return self._said_s / self._said_chars if self._said_s else _PACE_S
