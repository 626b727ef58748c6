"""Word error rate, blind to how a recogniser writes what was said.

"$90 at 10 a.m." and "ninety dollars at ten AM" are the same words. Numbers are compared digit by digit, because
"1984", "nineteen eighty-four" and "one nine eight four" are one number that is said in three ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_UNITS = {
    word: value
    for value, word in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
            *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        )
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), start=2
    )
}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_IRREGULAR = {
    "first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight", "ninth": "nine",
    "twelfth": "twelve",
}  # fmt: skip
_ORDINALS = {
    **_IRREGULAR,
    **{f"{word}th": word for word in (*_UNITS, "hundred", "thousand") if f"{word}th" not in ("oneth", "twoth")},
    **{f"{word[:-1]}ieth": word for word in _TENS},
}
_SAME = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay", "goodbye": "good bye",
    "alright": "all right", "cannot": "can not", "won't": "will not", "can't": "can not", "&": "and",
}  # fmt: skip
_ENDINGS = {"n't": " not", "'ll": " will", "'re": " are", "'ve": " have", "'m": " am"}
_FILLERS = frozenset(["um", "umm", "uhm", "uh", "er", "erm", "hm", "hmm", "mm", "mhm"])


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Errors of one or more transcripts; ``+`` adds.

    Attributes:
        substitutions: Words heard as another.
        deletions: Words not heard.
        insertions: Words that nobody said.
        words: Words said.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    words: int = 0

    @property
    def rate(self) -> float:
        """Errors for each word said; 0 is perfect, and insertions can bring it above 1."""
        errors = self.substitutions + self.deletions + self.insertions
        return errors / self.words if self.words else float(errors > 0)

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
        )


def word_errors(said: str, heard: str) -> WordErrors:
    """Compare a transcript with what was said, by the fewest edits.

    Args:
        said: The reference.
        heard: The transcript.
    """
    reference, hypothesis = normalize(said), normalize(heard)
    # Each cell is (edits, substitutions, deletions, insertions) between a prefix of both.
    row = [(n, 0, 0, n) for n in range(len(hypothesis) + 1)]
    for n, word in enumerate(reference, start=1):
        above, row = row, [(n, 0, n, 0)]
        for m, other in enumerate(hypothesis, start=1):
            if word == other:
                row.append(above[m - 1])
                continue
            replaced, deleted, inserted = above[m - 1], above[m], row[m - 1]
            row.append(
                min(
                    (replaced[0] + 1, replaced[1] + 1, replaced[2], replaced[3]),
                    (deleted[0] + 1, deleted[1], deleted[2] + 1, deleted[3]),
                    (inserted[0] + 1, inserted[1], inserted[2], inserted[3] + 1),
                )
            )
    _, substitutions, deletions, insertions = row[-1]
    return WordErrors(substitutions, deletions, insertions, len(reference))


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Rate over many (said, heard) pairs, each word counting the same."""
    return sum((word_errors(said, heard) for said, heard in pairs), WordErrors()).rate


def normalize(text: str) -> list[str]:
    """Words as they are compared: lower case, no punctuation, no fillers, numbers digit by digit."""
    text = text.lower().replace("’", "'")
    text = re.sub(r"\$\s*(\d[\d,]*)(?:\.(\d\d))?", _dollars, text)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"(?<=\d)(?=[ap]m\b)", " ", text)
    text = re.sub(r"(\d)(?:st|nd|rd|th)\b", r"\1", text)
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    text = re.sub(r"(?<=\w)\.(?=\w\w)", " dot ", text)
    text = text.replace("@", " at ").replace("%", " percent ")
    words = re.findall(r"[a-z]+(?:'[a-z]+)?|\d+|&", text.replace("-", " "))
    return _digits([word for word in _expanded(words) if word not in _FILLERS])


def _dollars(match: re.Match[str]) -> str:
    cents = f" {match[2]}" if match[2] and match[2] != "00" else ""
    return f"{match[1]} dollars{cents} "


def _expanded(words: Iterable[str]) -> list[str]:
    expanded = []
    for word in words:
        word = _SAME.get(word, word)
        for ending, full in _ENDINGS.items():
            if word.endswith(ending):
                word = word.removesuffix(ending) + full
        expanded.extend(word.replace("'", "").split())
    return expanded


def _digits(words: Sequence[str]) -> list[str]:
    """Replace numbers, in words or in digits, by one word for each digit."""
    result: list[str] = []
    at = 0
    while at < len(words):
        value, used = _number(words, at)
        if used:
            result.extend(str(value))
            at += used
        elif words[at] == "oh" and result and result[-1].isdigit():
            result.append("0")
            at += 1
        else:
            result.extend(words[at] if words[at].isdigit() else [words[at]])
            at += 1
    return result


def _number(words: Sequence[str], at: int) -> tuple[int, int]:
    """The number that starts at a place, and how many words it takes; (0, 0) where none starts."""
    total = current = 0
    used = 0
    last = 10**9  # The size of the part before: parts of one number get smaller, "five five" are two numbers.
    start = at
    if words[at] == "a" and at + 1 < len(words) and words[at + 1] in _SCALES:
        current, last, at = 1, 1, at + 1
    while at < len(words):
        word = _ORDINALS.get(words[at], words[at])
        if word in _SCALES and (current or total):
            if _SCALES[word] == 100:
                current *= 100
            else:
                total, current = total + current * _SCALES[word], 0
            last = _SCALES[word]
        elif word in _TENS and last >= 100:
            current, last = current + _TENS[word], 10
        elif word in _UNITS and last >= (100 if _UNITS[word] > 9 else 10) and not (last == 10 and word == "zero"):
            current, last = current + _UNITS[word], 1
        elif not (
            word == "and" and last in (100, 1000) and at + 1 < len(words) and words[at + 1] in {**_TENS, **_UNITS}
        ):
            break
        at += 1
        used = at - start
    return total + current, used
