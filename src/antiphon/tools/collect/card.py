"""Payment cards: the number's check digit and issuer, the last month, and the code on the back."""

from __future__ import annotations

import re
from datetime import date

from antiphon.tools.collect.spoken import digits_in, plain, with_digits

_ISSUERS: tuple[tuple[str, int, int, frozenset[int]], ...] = (
    ("American Express", 34, 34, frozenset({15})),
    ("American Express", 37, 37, frozenset({15})),
    ("Diners Club", 300, 305, frozenset(range(14, 20))),
    ("Diners Club", 36, 36, frozenset(range(14, 20))),
    ("Diners Club", 38, 39, frozenset(range(14, 20))),
    ("JCB", 3528, 3589, frozenset(range(16, 20))),
    ("Visa", 4, 4, frozenset({13, 16, 19})),
    ("Mastercard", 51, 55, frozenset({16})),
    ("Mastercard", 2221, 2720, frozenset({16})),
    ("Discover", 6011, 6011, frozenset(range(16, 20))),
    ("Discover", 644, 649, frozenset(range(16, 20))),
    ("Discover", 65, 65, frozenset(range(16, 20))),
    ("UnionPay", 62, 62, frozenset(range(16, 20))),
    ("Maestro", 50, 50, frozenset(range(13, 20))),
    ("Maestro", 56, 69, frozenset(range(13, 20))),
)
"""Issuer, first and last prefix, and the lengths of its numbers; the first that fits."""
UNKNOWN = "unknown"
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MOST_YEARS = 20


def card_number(text: str) -> str:
    """The digits of a card's number.

    Raises:
        ValueError: It is none. The text does not hold the number.
    """
    try:
        digits = digits_in(text)
    except ValueError:
        raise ValueError("A card number has digits only.") from None
    if not 13 <= len(digits) <= 19:
        raise ValueError(f"A card number has 13 to 19 digits; this one has {len(digits)}.")
    if not has_check_digit(digits):
        raise ValueError("This card number is not right: its check digit does not fit. A digit was misheard.")
    name = issuer(digits)
    if name != UNKNOWN and not any(len(digits) in lengths for lengths in _lengths(name)):
        raise ValueError(f"A {name} card has another number of digits than {len(digits)}.")
    return digits


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is right by the formula of Luhn."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 * (number > 9) for number in doubled) % 10 == 0


def issuer(digits: str) -> str:
    """Whose card a number is; ``unknown`` where that is not known."""
    for name, first, last, _ in _ISSUERS:
        size = len(str(first))
        if len(digits) >= size and first <= int(digits[:size]) <= last:
            return name
    return UNKNOWN


def expiration_date(text: str, today: date) -> str:
    """The last month as ``MM/YY``.

    Raises:
        ValueError: It is none, or it is over.
    """
    month, year = _month_and_year(text)
    if not 1 <= month <= 12:
        raise ValueError(f"There is no month {month}.")
    if (year, month) < (today.year, today.month):
        raise ValueError(f"A card that is valid until {month:02}/{year % 100:02} has expired.")
    if year > today.year + _MOST_YEARS:
        raise ValueError(f"No card is valid until {year}.")
    return f"{month:02}/{year % 100:02}"


def security_code(text: str, number: str = "") -> str:
    """The code on the card: four digits for American Express, three for the others.

    Raises:
        ValueError: It is none. The text does not hold the code.
    """
    try:
        digits = digits_in(text)
    except ValueError:
        raise ValueError("A security code has digits only.") from None
    wanted = {3, 4} if not number or issuer(number) == UNKNOWN else {4 if issuer(number) == "American Express" else 3}
    if len(digits) not in wanted:
        raise ValueError(f"The security code has {' or '.join(map(str, sorted(wanted)))} digits.")
    return digits


def _lengths(name: str) -> list[frozenset[int]]:
    return [lengths for each, _, _, lengths in _ISSUERS if each == name]


def _month_and_year(text: str) -> tuple[int, int]:
    words = plain(text).lower()
    bare = re.sub(r"\s", "", words)
    if re.fullmatch(r"\d{4}|\d{6}", bare):
        return int(bare[:2]), _full(int(bare[2:]))
    if iso := re.fullmatch(r"(\d{4})-(\d{1,2})", bare):
        return int(iso[2]), int(iso[1])
    named = [_MONTHS.index(word[:3]) + 1 for word in re.findall(r"[a-z]+", words) if word[:3] in _MONTHS]
    numbers = [int(word) for word in with_digits(re.sub(r"[/.,-]", " ", words)).split() if word.isdecimal()]
    match named[:1] + numbers:
        case [month, 0, year] if not named:  # "oh three twenty seven" has its zero in front; "three oh seven" behind
            return month, _full(year)
        case [0, month, year] if not named:
            return month, _full(year)
        case [month, year]:
            return month, _full(year)
        case [month, 20, year] | [month, 2000, year]:
            return month, _full(year)
        case [0, month, 20 | 2000, year] if not named:
            return month, _full(year)
    raise ValueError("The last month of the card is not clear: it needs a month and a year.")


def _full(year: int) -> int:
    return year + 2000 if year < 100 else year
