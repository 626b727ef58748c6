"""From the words that a vendor says it has spoken to places in the text that it was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from antiphon.models.tts.contract import WordTiming


class WordPlaces:
    """Finds spoken words in a clause, in their order. A word that is written otherwise than it is spoken is skipped.

    Args:
        text: The clause.
    """

    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def timings(self, words: Iterable[tuple[str, float]]) -> tuple[WordTiming, ...]:
        """Where words stand.

        Args:
            words: Each word and when it has been spoken, in ms from the clause's first sample.
        """
        found = []
        for word, end_ms in words:
            start = self._text.find(word, self._at) if word else -1
            if start < 0:
                continue
            # Vendors leave out the marks behind a word; it ends where the text has its next space.
            end = start + len(word)
            while end < len(self._text) and not self._text[end].isspace():
                end += 1
            self._at = end
            found.append(WordTiming(end, end_ms))
        return tuple(found)


class SpelledWords:
    """Joins characters with times to words, over the borders of messages."""

    __slots__ = ("_end_ms", "_word")

    def __init__(self) -> None:
        self._word = ""
        self._end_ms = 0.0

    def feed(self, chars: Sequence[str], ends_ms: Sequence[float]) -> list[tuple[str, float]]:
        """Take characters and when each has been spoken; gives the words that a space has ended."""
        words = []
        for char, end_ms in zip(chars, ends_ms, strict=False):
            if char.isspace():
                words += self.finish()
            else:
                self._word += char
                self._end_ms = end_ms
        return words

    def finish(self) -> list[tuple[str, float]]:
        """The word that nothing follows, if there is one."""
        word, self._word = self._word, ""
        return [(word, self._end_ms)] if word else []
