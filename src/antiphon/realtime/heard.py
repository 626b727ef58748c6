"""Which words of an answer were heard when it was cut."""

from __future__ import annotations

from itertools import pairwise


class Spoken:
    """The text of one answer as it came, with the times of its pieces where the service tells them.

    Attributes:
        text: All of it so far.
    """

    __slots__ = ("_starts", "text")

    def __init__(self) -> None:
        self.text = ""
        self._starts: list[tuple[int, float]] = []

    def add(self, piece: str, start_s: float | None) -> None:
        """Add a piece; ``start_s`` is when it begins in the answer's sound."""
        if start_s is not None:
            self._starts.append((len(self.text), start_s * 1000))
        self.text += piece

    def correct(self, text: str) -> None:
        """Take the final text; the times stay where it begins like the pieces did."""
        if not text.startswith(self.text) and not self.text.startswith(text):
            self._starts = []
        self.text = text

    def heard(self, heard_ms: float, generated_ms: float) -> str:
        """The words that were heard whole.

        Args:
            heard_ms: What was played of the answer.
            generated_ms: What came of it. Without times of the words each character takes the same share of it.
        """
        if heard_ms >= generated_ms > 0:
            return self.text
        if generated_ms <= 0 or heard_ms <= 0:
            return ""
        # Times tell where to begin to count in shares, and the next one where to end.
        points = [(0, 0.0), *self._starts, (len(self.text), generated_ms)]
        for (begin, from_ms), (end, to_ms) in pairwise(points):
            if heard_ms < to_ms:
                share = (heard_ms - from_ms) / (to_ms - from_ms) if to_ms > from_ms else 0.0
                return _whole_words(self.text, begin + int(max(0.0, share) * (end - begin)))
        return self.text


def _whole_words(text: str, length: int) -> str:
    """The words that end within the first ``length`` characters."""
    if length >= len(text) or text[length].isspace():
        return text[:length].rstrip()
    cut = text[:length]
    return cut[: len(cut) - len(cut.split()[-1])].rstrip() if cut.strip() and not cut[-1].isspace() else cut.rstrip()
