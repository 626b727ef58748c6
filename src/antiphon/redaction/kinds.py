"""What is recognised: how each kind looks, how a candidate is checked, and what may still become one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.errors import ConfigurationError

MAX_MATCH_CHARS = 64
"""The longest match of the kinds here, and so the most that a stream holds back."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def _all_of(candidate: str) -> int:
    return len(candidate)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of personal data.

    Attributes:
        name: As the settings name it.
        pattern: Finds candidates. It may look one character ahead and one behind, and never matches nothing.
        tail: Matches the end of a text that may still grow to a candidate: every beginning of one, and itself.
        replacement: Put in the place of a match; None leaves the match as it is, and hides it from the other kinds.
        accept: How many characters of a candidate are the real thing; 0 when none.
        max_chars: Longest match; longer ones are not found.
    """

    name: str
    pattern: re.Pattern[str]
    tail: re.Pattern[str]
    replacement: str | None
    accept: Callable[[str], int] = _all_of
    max_chars: int = MAX_MATCH_CHARS


def custom_kind(name: str, pattern: str, max_chars: int) -> Kind:
    """A kind of one's own.

    Args:
        name: Lower case letters, digits and ``_``.
        pattern: A regular expression that never matches nothing. It may look one character around a match.
        max_chars: The longest possible match. A stream holds back so much, since nothing tells what may become one.

    Raises:
        ConfigurationError: The name or the expression cannot be used.
    """
    if not _NAME.fullmatch(name) or name in KINDS or name == _DATE.name:
        raise ConfigurationError(f"{name!r} is no name for a kind of data of your own: use other lower case letters.")
    if not 1 <= max_chars <= 1000:
        raise ConfigurationError(f"The longest match of {name!r} must be 1 to 1000 characters, not {max_chars}.")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"The expression of {name!r} cannot be read ({error}): correct it.") from None
    if compiled.fullmatch(""):
        raise ConfigurationError(f"The expression of {name!r} matches nothing at all: make it ask for a character.")
    return Kind(name, compiled, _ANYTHING, f"[REDACTED_{name.upper()}]", max_chars=max_chars)


def _luhn_valid(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _card(candidate: str) -> int:
    """The longest row of whole groups that is a card number; a security code may follow it."""
    for end in _ends(candidate):
        digits = "".join(filter(str.isdecimal, candidate[:end]))
        if len(digits) < 13:
            return 0
        if _luhn_valid(digits):
            return end
    return 0


def _iban(candidate: str) -> int:
    """The longest row of whole groups with the right check digits; words may follow it."""
    for end in _ends(candidate):
        account = "".join(filter(str.isalnum, candidate[:end])).upper()
        if len(account) < 15:
            return 0
        if int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1:
            return end
    return 0


def _ends(candidate: str) -> list[int]:
    """Where a group of letters and digits ends, the last one first."""
    return [group.end() for group in _GROUP.finditer(candidate)][::-1]


def _dotted(*, spoken: bool) -> str:
    return r"(?:\.|\s{1,3}dot\s{1,3})" if spoken else r"\."


_GROUP = re.compile(r"[^\W_]+")
_ANYTHING = re.compile(r"[\s\S]+\Z")

# Written numbers hold every sort of space and dash.
_SPACE = " \t\u00a0\u2009\u202f"
_DASH = "\\-\u2010-\u2015"
_BETWEEN = f"[{_SPACE}{_DASH}]?"
_AROUND = f"[{_SPACE}{_DASH}.()/]{{0,3}}"

_WORD = r"[\w+%'-]++"
_AT = r"(?:\s{0,3}@\s{0,3}|\s{1,3}at\s{1,3}|\s{0,3}[(\[]\s?at\s?[)\]]\s{0,3})"
# An address that is spelt with words is one only if its last word is a top-level domain: people meet at noon.
_TOP_LEVEL = """ac ae ai app ar at au be bg biz br ca cc ch cl cloud cn co com cz de dev dk edu ee email es eu fi fr
gov gr hk hr hu id ie il in info int io ir is it jp ke kr lt lu lv me mil mx my net ng nl no nz online org pe ph pk pl
pro pt ro rs ru se sg shop si site sk store tech th tr tv tw ua uk us uy vn xyz za""".split()
_EMAIL = Kind(
    "email",
    re.compile(
        rf"(?<![\w+%'-]){_WORD}(?:{_dotted(spoken=True)}{_WORD})*(?:"
        rf"\s?@\s?{_WORD}(?:\.{_WORD})*\.[^\W\d_]{{2,24}}+"
        rf"|{_AT}{_WORD}(?:{_dotted(spoken=True)}{_WORD})*{_dotted(spoken=True)}(?:{'|'.join(_TOP_LEVEL)})(?![^\W\d])"
        r")",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![\w+%'-]){_WORD}(?:(?:{_dotted(spoken=True)}|{_AT}){_WORD})*"
        r"(?:\.|\s{0,3}[@(\[]?\s{0,3}|\s{1,3}(?:d|do|dot\s{0,3}|a|at\s{0,3})|\s{0,3}[(\[]\s?(?:a|at\s?[)\]]?\s{0,3}))\Z",
        re.IGNORECASE,
    ),
    "[REDACTED_EMAIL]",
)
_NUMBER_TAIL = re.compile(rf"(?<!\d)(?:[+(]{{1,2}}|[+(]{{0,2}}\d(?:{_AROUND}\d)*{_AROUND})\Z")
_PHONE = Kind(
    "phone",
    re.compile(rf"(?<!\d)[+(]{{0,2}}\d(?:{_AROUND}\d){{6,14}}(?!\d)"),
    _NUMBER_TAIL,
    "[REDACTED_PHONE]",
)
_CARD = Kind(
    "card", re.compile(rf"(?<!\d)\d(?:{_BETWEEN}\d){{12,18}}(?!\d)"), _NUMBER_TAIL, "[REDACTED_CARD]", accept=_card
)
_IBAN = Kind(
    "iban",
    re.compile(rf"(?<![A-Za-z0-9])[A-Za-z]{{2}}\d\d(?:{_BETWEEN}[A-Za-z0-9]){{11,30}}(?![A-Za-z0-9])"),
    re.compile(
        rf"(?<![A-Za-z0-9])[A-Za-z](?:[A-Za-z](?:\d(?:\d(?:{_BETWEEN}[A-Za-z0-9])*{_BETWEEN})?)?)?\Z",
    ),
    "[REDACTED_IBAN]",
    accept=_iban,
)
_SSN = Kind(
    "ssn",
    re.compile(rf"(?<!\d)\d{{3}}[{_SPACE}{_DASH}]\d{{2}}[{_SPACE}{_DASH}]\d{{4}}(?!\d)"),
    _NUMBER_TAIL,
    "[REDACTED_SSN]",
)
# Where people live: "12 Elm Street", as English has it, and "Lindenweg 12".
_HOUSE = r"\d{1,5}[A-Za-z]?"
_STREET_WORD = r"(?:[^\W\d_a-z][\w'.-]{0,19}|\d{1,3}(?:st|nd|rd|th))"
_STREET = """avenue ave boulevard blvd circle close court crescent drive gardens grove highway hwy hill lane ln mews
parade parkway place plaza road rd row square street st terrace walk way""".split()
_STRASSE = "straße|strasse|str\\.|weg|gasse|allee|platz|ufer|damm"
_ADDRESS = Kind(
    "address",
    re.compile(
        rf"(?<![\w.,]){_HOUSE}(?:\s{_STREET_WORD}){{1,3}}\s(?i:{'|'.join(_STREET)})(?![^\W\d])"
        rf"|(?<!\w)[^\W\d_a-z][^\W\d_]{{1,20}}(?:{_STRASSE})\s\d{{1,4}}(?!\d)[a-z]?(?![^\W\d])"
    ),
    re.compile(
        rf"(?<![\w.,]){_HOUSE}(?:\s{_STREET_WORD}){{0,3}}(?:\s[\w'.-]{{0,19}})?\Z"
        r"|(?<!\w)[^\W\d_a-z][^\W\d_]*\.?(?:\s(?:\d{1,4}[a-z]?)?)?\Z"
    ),
    "[REDACTED_ADDRESS]",
)
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_DATE = Kind(
    "date",
    re.compile(
        rf"(?<!\d)(?:{_YEAR}([-./]){_MONTH}\1{_DAY}|{_DAY}([-./]){_MONTH}\2{_YEAR}|{_MONTH}([-./]){_DAY}\3{_YEAR})(?!\d)"
    ),
    _NUMBER_TAIL,
    None,
)

KINDS = {kind.name: kind for kind in (_EMAIL, _IBAN, _CARD, _SSN, _ADDRESS, _PHONE)}
"""Those that the settings can name. Where two begin at the same place, the one that stands first here is taken."""

NOT_NUMBERS_OF_PEOPLE = (_DATE,)
"""What looks like a telephone number and is none."""
