"""Lasting facts of a conversation: a short sheet of keys and values that outlives summaries, and runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

MAX_FACTS = 50
MAX_CHARS = 200
"""Of a value; a key has a third of it."""

_MARKUP = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact.

    Attributes:
        value: In words.
        updated_at: When it was said last.
        source_item_id: The item of the conversation that said it, where that is known.
        pinned: It stays when the sheet is full, and no summary removes it.
    """

    value: str
    updated_at: datetime
    source_item_id: str | None = None
    pinned: bool = False


class FactsSheet:
    """At most ``MAX_FACTS`` facts by key; those that were not mentioned for longest leave first.

    Args:
        facts: What is known already.
    """

    def __init__(self, facts: Mapping[str, Fact] | None = None) -> None:
        self._facts: dict[str, Fact] = dict(facts or {})

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, key: str) -> bool:
        return _key(key) in self._facts

    @property
    def facts(self) -> Mapping[str, Fact]:
        """All facts, in the order in which they were first told."""
        return self._facts

    @property
    def text(self) -> str:
        """For a model, on one line."""
        return "; ".join(f"{key}: {fact.value}" for key, fact in self._facts.items())

    def put(
        self, key: str, value: str, *, at: datetime, source_item_id: str | None = None, pinned: bool = False
    ) -> None:
        """Add a fact, or replace its value."""
        name, words = _key(key), _MARKUP.sub(" ", value).strip()[:MAX_CHARS]
        if not name or not words:
            return
        known = self._facts.get(name)
        self._facts[name] = Fact(words, at, source_item_id, pinned or (known is not None and known.pinned))
        while len(self._facts) > MAX_FACTS:
            loose = [key for key, fact in self._facts.items() if not fact.pinned and key != name]
            del self._facts[min(loose or [name], key=lambda each: self._facts[each].updated_at)]

    def remove(self, key: str) -> bool:
        """Forget a fact; whether it was there."""
        return self._facts.pop(_key(key), None) is not None

    def take(self, changes: Mapping[str, str], removed: Iterable[str], *, at: datetime) -> None:
        """Take what a summary has found: facts that it does not name stay, and so do pinned ones that it removes."""
        for key in removed:
            fact = self._facts.get(_key(key))
            if fact is not None and not fact.pinned:
                self.remove(key)
        for key, value in changes.items():
            self.put(key, value, at=at)


def _key(key: str) -> str:
    return _MARKUP.sub(" ", key).strip().strip(":").lower()[: MAX_CHARS // 3]
