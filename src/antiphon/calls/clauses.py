"""Cuts what a language model writes into pieces that a voice can say, as early as a listener would not notice."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import chain

from antiphon.calls.boundaries import (
    CLAUSE_SIGNS,
    LOOKAHEAD,
    MARKUP_SIGNS,
    MAX_MARKUP,
    MORE,
    NONE,
    SENTENCE_SIGNS,
    clause_end,
    fence_end,
    markup_end,
    sentence_end,
    word_end,
)
from antiphon.calls.speakable import speakable

_SIGN = re.compile(rf"[\n{re.escape(SENTENCE_SIGNS + CLAUSE_SIGNS + MARKUP_SIGNS)}]")
_CLOSING = "*_~\"'”’»)]"
_SLICE = 256  # a longer delta is taken in parts, so that a text in one piece costs no more than in many


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of a text.

    Attributes:
        text: As the model wrote it; the texts of all pieces together are the whole text.
        speech: What the voice says of it, without markup; empty for what is not said, such as code.
        last: Nothing comes after it.
    """

    text: str
    speech: str
    last: bool = False


class ClauseSplitter:
    """Text in, as it comes; clauses out, as soon as they are sure.

    The first piece leaves early, at the end of a clause; the others are sentences. The pieces do not depend on how
    the text was cut into deltas. Work and memory for a delta do not grow with the text.

    Args:
        first_min_chars: The first piece is at least so long, so that the voice does not run dry behind it.
        max_chars: A longer sentence is cut at its last clause or word; only a link or emphasis that cannot be cut, or
            text without spaces, may be longer.
    """

    def __init__(self, *, first_min_chars: int = 12, max_chars: int = 200) -> None:
        self._first_min = first_min_chars
        self._max = max_chars
        self._reset()

    def _reset(self) -> None:
        self._begun = False  # something was fed
        self._spoken = False  # a piece that is said has left
        self._before = "\n"  # the sign before this piece
        self._fence = ""  # the sign that closes the block of code we are in
        self._begin_piece("")

    def _begin_piece(self, text: str) -> None:
        self._text = text
        self._scan = 0  # up to here all boundaries are known
        self._clause_end = 0  # the last one that a long sentence may be cut at
        self._said = (0, "")  # up to an index of the piece, what is said of it
        self._markup: set[tuple[int, int]] = set()  # from, to: no cut inside

    def feed(self, delta: str) -> list[Clause]:
        """The clauses that are sure now.

        Args:
            delta: What comes next, of any length.
        """
        clauses: list[Clause] = []
        for start in range(0, len(delta), _SLICE):
            self._begun = True
            self._text += delta[start : start + _SLICE]
            clauses += self._cut(final=False)
        return clauses

    def flush(self) -> list[Clause]:
        """The end of the text: the rest of it, then the splitter is as new.

        Returns:
            Nothing if nothing was fed. Otherwise the last clause is marked; it is empty if nothing was left.
        """
        if not self._begun:
            return []
        clauses = self._cut(final=True)
        if self._text or not clauses:
            clauses.append(Clause(self._text, "" if self._fence else self._speech(len(self._text)), last=True))
        else:
            clauses[-1] = replace(clauses[-1], last=True)
        self._reset()
        return clauses

    def _cut(self, *, final: bool) -> list[Clause]:
        clauses: list[Clause] = []
        while clause := self._code_line() if self._fence else self._piece(final):
            clauses.append(clause)
        return clauses

    def _piece(self, final: bool) -> Clause | None:
        end = self._end(final)
        if end <= 0:
            return None
        return self._take(end, "" if self._fence else self._speech(end))

    def _code_line(self) -> Clause | None:
        """A line of code, which is not said; a line too long leaves in parts."""
        end = self._text.find("\n", self._scan, self._max) + 1
        if not end and len(self._text) < self._max:
            self._scan = len(self._text)
            return None
        whole = self._before == "\n"
        clause = self._take(end or self._max, "")
        line = clause.text.strip()
        if whole and line.startswith(self._fence) and not line.strip(self._fence[0]):
            self._fence = ""
        return clause

    def _take(self, end: int, speech: str) -> Clause:
        text = self._text[:end]
        self._spoken = self._spoken or bool(speech)
        self._before = text[-1]
        self._begin_piece(self._text[end:])
        return Clause(text, speech)

    def _speech(self, end: int) -> str:
        if self._said[0] != end:
            self._said = end, speakable(self._text[:end], line_start=self._before == "\n")
        return self._said[1]

    # Where the piece ends: an index, NONE, or MORE if only what comes next can tell.

    def _end(self, final: bool) -> int:
        while True:
            text = self._text
            found = _SIGN.search(text, self._scan)
            at = found.start() if found else len(text)
            known = min(at, len(text) if final else len(text) - LOOKAHEAD)
            if known >= self._max and len(text) > self._max and (end := self._end_of_long(known)):
                return end
            if found is None:
                self._scan = at
                return MORE
            if at >= self._max and known < at:
                return MORE
            if end := self._end_at(at, final):
                return end

    def _end_at(self, at: int, final: bool) -> int:
        """The piece's end at a sign; if there is none, the scan goes on behind it."""
        text = self._text
        sign, behind = at, at + 1
        if text[at] in MARKUP_SIGNS:
            if end := self._fence_at(at, final):
                return end
            behind = markup_end(text, at, final=final)
            if behind == MORE:
                return MORE
            if behind and text[at] in "*_~":  # "**Hours:** Monday": the clause ends with the emphasis
                sign = at + len(text[at:behind].rstrip(_CLOSING)) - 1
            if behind:
                self._markup.add((at, behind))
        end = self._end_behind(sign, final)
        if end == NONE:
            self._scan = max(behind, at + 1)
        return end

    def _end_behind(self, sign: int, final: bool) -> int:
        char = self._text[sign]
        if char == "\n":
            return self._end_of_sentence(sign + 1, final)
        if char in SENTENCE_SIGNS:
            end = sentence_end(self._text, sign, final=final)
            return self._end_of_sentence(end, final) if end > 0 else end
        if char in CLAUSE_SIGNS:
            end = clause_end(self._text, sign, final=final)
            return self._end_of_clause(end) if end > 0 else end
        return NONE

    def _end_of_sentence(self, end: int, final: bool) -> int:
        if end > self._max:
            if not final and len(self._text) < self._max + LOOKAHEAD:
                return MORE
            return self._end_of_long(self._max) or end
        speech = self._speech(end)
        if speech and (self._spoken or len(speech) >= self._first_min):
            return end
        if speech:
            self._clause_end = end
        return NONE  # too short for a first piece, or nothing to say: it goes with what follows

    def _end_of_clause(self, end: int) -> int:
        if end > self._max:
            return NONE
        if not self._spoken and len(self._speech(end)) >= self._first_min:
            return end
        self._clause_end = end
        return NONE

    def _end_of_long(self, known: int) -> int:
        """Where a piece without an end in time is cut; ``known``: up to here all markup is found."""
        if self._clause_end:
            return self._clause_end
        for end in chain(range(self._max, 0, -1), range(self._max + 1, known + 1)):
            if word_end(self._text, end) and not any(start < end < stop for start, stop in self._markup):
                return end
        limit = self._max + MAX_MARKUP
        return limit if known >= limit else NONE

    def _fence_at(self, at: int, final: bool) -> int:
        """The end of the line that opens a block of code, or of the piece before it that was too short to leave."""
        text = self._text
        line = text.rfind("\n", 0, at) + 1
        if text[at] not in "`~" or text[line:at].strip() or not (line or self._before == "\n"):
            return NONE
        behind = fence_end(text, at, final=final)
        if behind <= 0:
            return behind
        if self._speech(line):
            return line
        self._fence = text[at] * 3
        return behind
