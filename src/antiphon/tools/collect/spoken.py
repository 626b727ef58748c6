"""What people say when they spell or count, as the letters and digits that they mean. Pure text in, text out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_UNITS = {
    word: digit
    for digit, words in enumerate(
        ("zero oh o nought null", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
    for word in words.split()
}
_TEENS = {
    word: number
    for number, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), 10
    )
}
_TENS = {
    word: number
    for number, word in zip(
        range(20, 100, 10), "twenty thirty forty fifty sixty seventy eighty ninety".split(), strict=True
    )
}
HIDDEN = "•••"
"""Stands for what nobody may read."""
_DIGIT = rf"(?:\d|\b(?:{'|'.join(_UNITS)})\b)"
_NUMBER = re.compile(rf"{_DIGIT}(?:[\s.,-]*{_DIGIT}){{2,}}", re.IGNORECASE)
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_ZEROS = {"hundred": "00", "thousand": "000"}
_FILLERS = frozenset("a ah and er erm is it its it's my number ok so the then this um uh well yes".split())
_STOPS = re.compile(r"[,;:?!]+(?=\s|$)|\.+(?=\s|$)")
_ZERO = re.compile(r"(?<![^\W\d_])[oO](?=\d)|(?<=\d)[oO](?![^\W\d_])")
_KEYPAD = re.compile(r"\[keypad: ([^\]]*)\]")
_LETTERS_APART = re.compile(r"(?<![^\W_])(?:[^\W\d_]-){2,}[^\W\d_](?![^\W_])")
_EXAMPLE = re.compile(r"\b(\w)\s+(?:as in|like in|for|wie)\s+[^\W\d_]+", re.IGNORECASE)
_ALPHABET = {
    word[0]: word
    for word in (
        "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec "
        "romeo sierra tango uniform victor whiskey xray yankee zulu"
    ).split()
}
_CODE_WORDS = {word: letter for letter, word in _ALPHABET.items()} | {"alfa": "a", "juliett": "j", "x-ray": "x"}


def plain(text: str) -> str:
    """The text in the usual form of its signs, with what was typed on the keypad as if it had been said."""
    return " ".join(_KEYPAD.sub(r" \1 ", unicodedata.normalize("NFKC", text)).replace("’", "'").split())


def without_stops(text: str) -> str:
    """The text without the marks that a recogniser puts behind each piece of it."""
    return _STOPS.sub("", plain(text))


def digits_in(text: str) -> str:
    """The digits that somebody has said or typed: ``double four, seven one`` is ``4471``.

    Raises:
        ValueError: There is something else in it.
    """
    pieces: list[str] = []
    for word in _number_words(text):
        if not word.isdecimal():
            raise ValueError(f"{word!r} is no digit.")
        pieces.append(word)
    return "".join(pieces)


def with_digits(text: str) -> str:
    """The text with its number words in digits; ``double`` and the like also repeat letters."""
    return " ".join(_number_words(text, keep_fillers=True))


def without_numbers(text: str) -> str:
    """The text without its rows of three and more digits, said or written."""
    return _NUMBER.sub(HIDDEN, text)


def letters_in(text: str) -> str:
    """A word that was spelled, as one: ``s m i t h`` and ``S-M-I-T-H`` are ``smith``; other words stay."""
    text = _EXAMPLE.sub(r"\1", plain(text))
    text = _LETTERS_APART.sub(lambda found: found[0].replace("-", " "), text)
    words = [word.strip(",.;:") or word for word in text.split()]
    coded = [word.lower() for word in words]
    if len(words) > 2 and all(len(word) == 1 or word in _CODE_WORDS for word in coded):
        return "".join(_CODE_WORDS.get(word, word) for word in coded)
    return _joined(words)


def _joined(words: list[str]) -> str:
    """Runs of three and more single letters as one word."""
    joined: list[str] = []
    letters: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha():
            letters.append(word)
            continue
        joined += ["".join(letters)] if len(letters) > 2 else letters
        letters = []
        joined.append(word)
    return " ".join(joined).strip()


def _number_words(text: str, *, keep_fillers: bool = False) -> Iterator[str]:
    """The words with those of numbers in digits, and what is to be said twice said twice."""
    words = re.findall(r"[^\s,;/()-]+" if not keep_fillers else r"\S+", _ZERO.sub("0", plain(text)))
    place = 0
    while place < len(words):
        word = words[place]
        low = word.lower().strip(".,?!") or word
        after = words[place + 1].lower().strip(".,?!") if place + 1 < len(words) else ""
        place += 1
        if low in _TIMES and after:
            yield str(_UNITS.get(after, after)) * _TIMES[low]
            place += 1
        elif low in _TENS:
            unit = _UNITS.get(after, 0) if after not in ("o", "oh") else 0
            yield str(_TENS[low] + unit)
            place += bool(unit)
        elif low in _UNITS or low in _TEENS or low.isdecimal():
            number = str(_UNITS.get(low, _TEENS.get(low, low)))
            if after in _ZEROS:
                number += _ZEROS[after]
                place += 1
            yield number
        elif keep_fillers:
            yield word
        elif low in _FILLERS or not low.strip(".+#*"):
            continue
        else:
            yield from _grouped(low)


def _grouped(word: str) -> Iterator[str]:
    """Digits with points between, as they are written in some countries; else the word itself."""
    bare = word.replace(".", "").replace("-", "")
    yield bare if bare.isdecimal() else word
