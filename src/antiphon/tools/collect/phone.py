"""Telephone numbers, as they are dialled from anywhere."""

from __future__ import annotations

import re
from functools import cache
from types import ModuleType

from antiphon.tools.collect.spoken import digits_in, plain

_EXTENSION = re.compile(r"\b(?:ext(?:ension)?\.?|x)\s*\d+\s*$", re.IGNORECASE)
_PLUS = re.compile(r"^\W*(?:\+|plus\b)", re.IGNORECASE)
_LEAST, _MOST = 7, 15


def phone_number(text: str, region: str = "US") -> str:
    """The number in E.164.

    Args:
        text: Spoken or written.
        region: Country code of two letters, for a number without the country's prefix.

    Raises:
        ValueError: It is none.
    """
    words = _EXTENSION.sub("", plain(text))
    has_plus = _PLUS.match(words) is not None
    digits = digits_in(_PLUS.sub("", words))
    if not _LEAST <= len(digits) <= _MOST:
        raise ValueError(f"A telephone number has {_LEAST} to {_MOST} digits; this one has {len(digits)}.")
    numbers = library()
    try:
        number = numbers.parse(f"+{digits}" if has_plus else digits, region.upper())
    except numbers.NumberParseException:
        raise ValueError(f"This is no telephone number that can be dialled from {region}.") from None
    fits = numbers.is_possible_number_with_reason(number)
    if fits == numbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise ValueError("This number has no area code.")
    if fits != numbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("This number is too short or too long for its country.")
    return str(numbers.format_number(number, numbers.PhoneNumberFormat.E164))


def spoken_phone(number: str) -> str:
    """The number as it is read to somebody: in groups, digit by digit."""
    numbers = library()
    shown = numbers.format_number(numbers.parse(number), numbers.PhoneNumberFormat.INTERNATIONAL)
    groups = re.findall(r"\d+", shown)
    return "plus " + ", ".join(" ".join(group) for group in groups)


def region_of(language: str | None) -> str:
    """The country that a language tag names; else the United States."""
    parts = (language or "").replace("_", "-").split("-")
    return next((part.upper() for part in parts[1:] if len(part) == 2 and part.isalpha()), "US")


@cache
def library() -> ModuleType:
    """The numbering plans of the world; loaded with the first collector of numbers, since they are large."""
    import phonenumbers

    return phonenumbers
