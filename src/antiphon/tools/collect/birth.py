"""Dates and times of birth, from how people say them."""

from __future__ import annotations

import re
from datetime import date, time

from antiphon.tools.collect.spoken import plain, with_digits, without_stops

_MONTHS = {
    name[:3]: number
    for number, name in enumerate(
        "january february march april may june july august september october november december".split(), 1
    )
}
_ORDINALS = {
    word: number
    for number, word in enumerate(
        (
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
        ).split(),
        1,
    )
} | {"thirtieth": 30}
_OLDEST_YEARS = 130
_CLOCK = re.compile(r"(\d{1,2})(?:[:.h ]\s*(\d{1,2}))?\s*(?:o'clock|uhr)?\s*(a\.?m\.?|p\.?m\.?)?", re.IGNORECASE)


def birth_date(text: str, today: date, *, day_first: bool = False) -> str:
    """The ISO date; a year of two digits is the latest one that is past.

    Args:
        text: Spoken, written or typed.
        today: No birth is later.
        day_first: Whether ``3/4`` is the third of April.

    Raises:
        ValueError: There is no such day, or it is to come.
    """
    day, month, year = _parts(text, day_first)
    if year < 100:
        year += 2000
        year -= 100 * (year > today.year or (year == today.year and (month, day) > (today.month, today.day)))
    try:
        born = date(year, month, day)
    except ValueError:
        raise ValueError(f"There is no day {day} in month {month} of {year}.") from None
    if born > today:
        raise ValueError(f"{born} is still to come.")
    if born.year < today.year - _OLDEST_YEARS:
        raise ValueError(f"{born} is too long ago.")
    return born.isoformat()


def birth_time(text: str) -> str:
    """The time as ``HH:MM``.

    Raises:
        ValueError: It is none.
    """
    found = _CLOCK.fullmatch(with_digits(plain(text).lower()).strip(" .,"))
    if found is None:
        raise ValueError(f"{text!r} is no time of day, such as 15:40.")
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").replace(".", "").lower()
    if half and not 1 <= hour <= 12:
        raise ValueError(f"{text!r} is no time of day, such as 3:40 pm.")
    if half:
        hour = hour % 12 + 12 * (half == "pm")
    try:
        return time(hour, minute).strftime("%H:%M")
    except ValueError:
        raise ValueError(f"{text!r} is no time of day, such as 15:40.") from None


def spoken_date(iso: str) -> str:
    """The date as it is read to somebody, with the month in words so that it is not mistaken."""
    born = date.fromisoformat(iso)
    return f"{born:%B} {born.day}, {born.year}"


def _parts(text: str, day_first: bool) -> tuple[int, int, int]:
    """Day, month and year."""
    words = without_stops(text).lower()
    bare = re.sub(r"\s", "", words)
    if re.fullmatch(r"\d{6}|\d{8}", bare):
        return _typed(bare, day_first)
    iso = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", bare)
    if iso is not None:
        return int(iso[3]), int(iso[2]), int(iso[1])
    month = next((_MONTHS[word[:3]] for word in re.findall(r"[a-z]+", words) if _is_month(word)), None)
    numbers = _numbers(words)
    if month is None:
        if len(numbers) < 3:
            raise ValueError(f"{text!r} is no whole date: it needs day, month and year.")
        first, second, *rest = numbers
        day, month = (first, second) if day_first or first > 12 else (second, first)
        return day, month, _year(rest)
    if len(numbers) < 2:
        raise ValueError(f"{text!r} is no whole date: it needs day, month and year.")
    return numbers[0], month, _year(numbers[1:])


def _typed(digits: str, day_first: bool) -> tuple[int, int, int]:
    """Digits alone: by the order of the country, or with the year in front."""
    if len(digits) == 8 and 1 <= int(digits[4:6]) <= 12:  # where the century stands, if the year is behind
        return int(digits[6:]), int(digits[4:6]), int(digits[:4])
    first, second, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    day, month = (first, second) if day_first or first > 12 else (second, first)
    return day, month, year


def _is_month(word: str) -> bool:
    return word[:3] in _MONTHS and (
        len(word) in (3, 4) or word in "january february march april august september october november december".split()
    )


def _numbers(words: str) -> list[int]:
    words = re.sub(r"\b(twenty|thirty)[ -](\w+)\b", _ordinal, words)
    words = re.sub(r"(\d)(?:st|nd|rd|th)\b", r"\1", re.sub(r"[/,.-]", " ", words))
    words = " ".join(str(_ORDINALS.get(word, word)) for word in words.split())
    words = re.sub(r"\b(\w+ thousand) and (?=\w)", r"\1 ", words)
    return [int(word) for word in with_digits(words).split() if word.isdecimal()]


def _ordinal(found: re.Match[str]) -> str:
    number = _ORDINALS.get(found[2], 10)
    return str({"twenty": 20, "thirty": 30}[found[1]] + number) if number < 10 else found[0]


def _year(numbers: list[int]) -> int:
    """Of what stands behind day and month: ``1984``, ``19 84``, ``2000 5``, ``20 0 5`` or ``84``."""
    match numbers:
        case [year]:
            return year
        case [2000 | 1900 as thousands, rest] if rest < 100:
            return thousands + rest
        case [19 | 20 as century, rest] if 10 <= rest < 100:
            return century * 100 + rest
        case [19 | 20 as century, 0, rest] if rest < 10:
            return century * 100 + rest
        case [0, rest] if rest < 10:
            return rest
        case [19, 100, *rest] | [1900, *rest] if len(rest) < 2:
            return 1900 + sum(rest)
    raise ValueError("The year is not clear.")
