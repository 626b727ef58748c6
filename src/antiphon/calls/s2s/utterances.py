"""What the caller said, as far as the model tells: its words may come after the answer to them has begun."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.calls.history import History
from antiphon.calls.turns import TurnRecord
from antiphon.models.llm.messages import Message

_MOST = 16


@dataclass(slots=True)
class Utterance:
    """One utterance of the caller.

    Attributes:
        number: Counts the utterances from 0.
        text: Its words so far.
        is_final: Whether these stay.
        turn: The turn that it became; None while it is spoken.
        place: Where it stands in the history: what follows it may be known before its words.
    """

    number: int
    text: str = ""
    is_final: bool = False
    turn: TurnRecord | None = None
    place: int = 0


class Utterances:
    """The utterances of one call, each by the model's name for it.

    Args:
        history: Gets the words.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_id: dict[str, Utterance] = {}
        self._count = 0

    def begin(self, item_id: str) -> Utterance:
        """The caller has begun to speak."""
        utterance = self._by_id[item_id] = Utterance(self._count)
        self._count += 1
        while len(self._by_id) > _MOST:
            self._by_id.pop(next(iter(self._by_id)))
        return utterance

    def of(self, item_id: str) -> Utterance:
        """The utterance of this name; the newest where the model gives none."""
        found = self._by_id.get(item_id)
        if found is None and self._by_id and not item_id:
            found = next(reversed(self._by_id.values()))
        return found or self.begin(item_id)

    def end(self, item_id: str, turn: TurnRecord) -> Utterance:
        """The caller has finished; what was said is a turn."""
        utterance = self.of(item_id)
        utterance.turn, utterance.place = turn, len(self._history.messages)
        self._keep(utterance)
        return utterance

    def hear(self, item_id: str, text: str, *, is_final: bool) -> Utterance:
        """Words of an utterance, all so far."""
        utterance = self.of(item_id)
        if not utterance.is_final:
            utterance.text, utterance.is_final = text, is_final
            self._keep(utterance)
        return utterance

    def _keep(self, utterance: Utterance) -> None:
        turn = utterance.turn
        if turn is None:
            return
        turn.user_text = utterance.text
        if utterance.is_final and utterance.text:
            self._history.messages.insert(utterance.place, Message("user", utterance.text))
            for later in self._by_id.values():
                later.place += later.number > utterance.number
