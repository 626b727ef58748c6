"""Text as the hibari voice reads it right, in pieces that it speaks fast."""

from __future__ import annotations

import re
from collections.abc import Callable

_PIECE_CHARS = 120
_DAYS = {day[:3]: day for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")}
_MONTHS = {
    month[:3]: month
    for month in (
        *("January", "February", "March", "April", "June", "July"),
        *("August", "September", "October", "November", "December"),
    )
}
_DAY = r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_DASH = r"\s?[-–—]\s?"

_Rewrite = str | Callable[[re.Match[str]], str]


def _digit_by_digit(match: re.Match[str]) -> str:
    """A phone number or another long number: its digits one by one, with a breath between groups."""
    digits = re.sub(r"\D", "", match[0])
    groups = {7: (3, 4), 10: (3, 3, 4), 11: (1, 3, 3, 4)}.get(len(digits), (len(digits),))
    spoken = []
    for size in groups:
        spoken.append(" ".join(digits[:size]))
        digits = digits[size:]
    return ("plus " if match[0].startswith("+") else "") + ", ".join(spoken)


_RULES: tuple[tuple[re.Pattern[str], _Rewrite], ...] = tuple(
    (re.compile(pattern), rewrite)
    for pattern, rewrite in (
        (r"\bhttps?://", ""),
        (r"\bwww\.", "W W W dot "),
        (_DAY + r"\.?" + _DASH + _DAY, lambda match: f"{_DAYS[match[1]]} to {_DAYS[match[2]]}"),
        (r"\b(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec)t?\. (?=\d)", lambda match: f"{_MONTHS[match[1]]} "),
        (r"\bapprox\. ", "approximately "),
        (r"\b[Nn]o\. (?=\d)", "number "),
        (r"(?<=\d)\s?([ap])\.?m\b(?!\.)", lambda match: f" {match[1].upper()}M"),
        (r"(?<=[AP]M)" + _DASH + r"(?=\d)", " to "),
        (r"(?<=\d[ap]\.m\.|\s[ap]\.m\.)" + _DASH + r"(?=\d)", " to "),
        (r"(\$[\d,.]*\d|\d:\d\d)" + _DASH + r"(?=\$?\d)", r"\1 to "),
        (r"\b24/7\b", "24 7"),
        (r"(?:\+?\b1[-. ]?)?\(?\b\d{3}\)?[-. ]\s?\d{3}[-. ]\d{4}\b", _digit_by_digit),
        (r"\b\d(?:-\d)+\b", lambda match: match[0].replace("-", ", ")),
        (r"(?<![\d$£€.,])\d{5,}(?![\d]|[.,]\d)", _digit_by_digit),
    )
)


def speakable(text: str) -> str:
    """Rewrite phone numbers, ranges and abbreviations into words that the voice reads well."""
    for pattern, rewrite in _RULES:
        text = pattern.sub(rewrite, text)
    return text


def pieces(text: str) -> list[str]:
    """Cut text at sentences, commas and, where it must be, words, so that no piece keeps a listener waiting."""
    found: list[str] = []
    rest = " ".join(text.split())
    while len(rest) > _PIECE_CHARS:
        cut = _last_break(rest[: _PIECE_CHARS + 1])
        found.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [piece for piece in (*found, rest) if piece]


def _last_break(text: str) -> int:
    """Where best to cut a text that is too long: behind a sentence, a comma, a word, or just at its end."""
    for pattern in (r"[.!?…][\"”')]?\s", r"[,;:—]\s", r"\s"):
        ends = [match.end() for match in re.finditer(pattern, text)]
        if ends and ends[-1] > len(text) // 4:
            return ends[-1]
    return len(text) - 1
