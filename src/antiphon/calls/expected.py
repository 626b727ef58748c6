"""What the agent has asked for, where people give it in pieces: how much of it is there. Pure text in, words out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Completeness = Literal["complete", "uncertain", "incomplete"]
What = Literal["number", "date", "birth_date", "email", "spelling", "announcement"]
"""``announcement`` is asked for by nobody: a machine may have answered, and go on behind its first sentence."""
WHATS: frozenset[str] = frozenset(get_args(What))

_PHONE_DIGITS = 10
_ASKS: tuple[tuple[What, re.Pattern[str]], ...] = (
    ("email", re.compile(r"\be-?mail\b", re.IGNORECASE)),
    ("spelling", re.compile(r"\bspell\b", re.IGNORECASE)),
    ("birth_date", re.compile(r"\b(date of birth|birthday|birth date|born)\b", re.IGNORECASE)),
    ("number", re.compile(r"\b(number|digits?|phone|code|pin|address|card|zip|postcode|iban)\b", re.IGNORECASE)),
    ("date", re.compile(r"\bdate\b|\b(what|which) day\b", re.IGNORECASE)),
)
_DIGITS_WANTED = re.compile(
    r"\b(\d{1,2}|two|three|four|five|six|seven|eight|nine|ten|twelve)[ -]digit\b", re.IGNORECASE
)
_COUNTS = {
    **{word: count for count, word in enumerate("two three four five six seven eight nine ten".split(), 2)},
    "twelve": 12,
}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

_MONTHS = frozenset(
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_YEAR = re.compile(
    r"\b(?:(?:19|20)\d\d|nineteen[ -](?:oh|hundred|[a-z]+(?:ty|teen|ten|eleven|twelve))\b.*|two thousand\b.*"
    r"|twenty[ -](?:oh|ten|eleven|twelve|[a-z]+teen|twenty)\b.*)"
)
_NUMBERS = re.compile(r"\d+")
_ORDINAL = re.compile(r"(?:\d+(?:st|nd|rd|th)|.*(?:first|second|third|fifth|ninth|twelfth|[a-z]{2,}th|ieth))")
_WHOLE_ADDRESS = re.compile(
    r"\S+@\S+\.[a-z]{2,}\W*$|\bat\b.*(?:\bdot |\.)(?:com|org|net|edu|gov|info|de|fr|es|it|uk|eu|io)\W*$"
)
_ADDRESS = re.compile(r"\bat\b.*(?:\bdot |\.)(?!co\b)[a-z]{2,}\W*$")
_DECLINES = re.compile(r"(?:no|sorry|well,? i|i (?:don't|do not|can't|cannot|won't|have no|haven't)|i'd rather)\b")

_QUESTIONS = frozenset("what which why how who where when do does can could should would must".split())
"""Words that make a question. The mark alone does not: recognisers put it behind half of a name too."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is asked for; ``digits``: how many, of a number, where that is known."""

    what: What
    digits: int | None = None


def asks_for(agent_text: str) -> Expected | None:
    """What the agent's last words ask for that people say in pieces: a number, a date, an address, a spelling."""
    last = _SENTENCE_END.split(agent_text.strip())[-2:]
    requests = " ".join(each for each in last if each.endswith("?") or "please" in each.lower())
    for what, pattern in _ASKS:
        if pattern.search(requests):
            wanted = _DIGITS_WANTED.search(requests) if what == "number" else None
            return Expected(what, None if wanted is None else _count(wanted[1].lower()))
    return None


def judge_piece(expected: Expected, text: str, *, words: Sequence[str], digits: int) -> Completeness | None:
    """How likely this is all of what was asked for; None leaves it to the rules for all turns.

    Args:
        expected: What was asked for.
        text: The caller's words so far.
        words: The same, lower-case and without punctuation.
        digits: How many digits stand at the end.
    """
    plain = text.lower().replace("’", "'").strip()
    if _DECLINES.match(plain) or (plain.endswith("?") and not _QUESTIONS.isdisjoint(words)):
        return None
    return _JUDGES[expected.what](expected, plain, words, digits)


def _number(expected: Expected, _text: str, _words: Sequence[str], digits: int) -> Completeness | None:
    if not digits:
        return None
    if expected.digits is not None:
        return "complete" if digits >= expected.digits else "incomplete"
    return "uncertain" if digits >= _PHONE_DIGITS else "incomplete"


def _date(_expected: Expected, _text: str, words: Sequence[str], _digits: int) -> Completeness | None:
    has_day = any(_ORDINAL.fullmatch(word) or word.isdecimal() for word in words)
    return "incomplete" if words[-1] in _MONTHS and not has_day else None


def _birth_date(_expected: Expected, text: str, words: Sequence[str], digits: int) -> Completeness | None:
    has_month = any(word in _MONTHS for word in words)
    if _YEAR.search(text) and (has_month or len(_NUMBERS.findall(text)) > 2):
        return "complete"
    if has_month or digits or any(_ORDINAL.fullmatch(word) for word in words):
        return "incomplete"
    return None


def _email(_expected: Expected, text: str, _words: Sequence[str], _digits: int) -> Completeness | None:
    if _WHOLE_ADDRESS.search(text):
        return "complete"
    return "uncertain" if _ADDRESS.search(text) else "incomplete"


def _spelling(_expected: Expected, _text: str, words: Sequence[str], digits: int) -> Completeness | None:
    return "incomplete" if digits or len(words[-1].rpartition("-")[2]) == 1 else None


_JUDGES: dict[What, Callable[[Expected, str, Sequence[str], int], Completeness | None]] = {
    "number": _number,
    "date": _date,
    "birth_date": _birth_date,
    "email": _email,
    "spelling": _spelling,
}


def _count(word: str) -> int:
    return int(word) if word.isdecimal() else _COUNTS[word]
