"""The seven collectors: a name, an e-mail address, a telephone number, an address, a birth date, digits and a card."""

from __future__ import annotations

import re
from typing import Unpack

from antiphon.tools.collect.birth import birth_date, birth_time, spoken_date
from antiphon.tools.collect.card import card_number, expiration_date, issuer, security_code
from antiphon.tools.collect.email import email_address, spoken_email
from antiphon.tools.collect.form import SECRET_MARK, CollectOptions, CollectTool, Field, Known, Values, collector
from antiphon.tools.collect.phone import library, phone_number, region_of, spoken_phone
from antiphon.tools.collect.spoken import digits_in, letters_in, plain

_NAME = re.compile(r"[^\W\d_]+(?:[ '’.-]+[^\W\d_]+)*\.?")
_MOST_CHARS = 200
_MOST_DIGITS = 64
_POSTAL = re.compile(r"[A-Z0-9](?:[A-Z0-9 -]{0,10}[A-Z0-9])?")
_ORDERS: dict[bool | None, str] = {
    True: " In figures the day comes first.",
    False: " In figures the month comes first.",
}
_CARD_S = 120.0
_CARD_DIGITS = 16
"""Most cards have so many: with fewer, the caller may go on."""


def collect_email(**options: Unpack[CollectOptions]) -> CollectTool:
    """Ask for an e-mail address. The result has ``email_address``; options as in ``CollectOptions``."""
    return collector(
        "collect_email",
        options,
        wants="the caller's e-mail address",
        guide="People say it in words, such as 'john dot smith at example dot com', or spell it. Ask to have unusual "
        "parts spelled. Never guess the part behind the at.",
        fields=(
            Field(
                "email_address",
                "The address as the caller said or spelled it.",
                lambda text, _: email_address(text),
                expects="email",
            ),
        ),
        told=lambda values: spoken_email(values["email_address"]),
    )


def collect_phone(*, region: str | None = None, **options: Unpack[CollectOptions]) -> CollectTool:
    """Ask for a telephone number. The result has ``phone_number`` in E.164.

    Args:
        region: Country code of two letters for numbers without a country's prefix; that of the agent's language, such
            as ``GB`` of ``en-GB``, unless given.
        options: As in ``CollectOptions``.

    Raises:
        ValueError: There is no such country.
    """
    regions = library().SUPPORTED_REGIONS  # loaded here, before anybody waits for it
    if region is not None and str(region).upper() not in regions:
        raise ValueError(f"collect_phone: region is {region!r}; give a country code such as US or DE.")

    def check(text: str, known: Known) -> str:
        return phone_number(text, region or region_of(known.language))

    return collector(
        "collect_phone",
        options,
        wants="the caller's telephone number",
        guide="The caller may say it, or type it on the telephone's keypad."
        + (f" Without a country's prefix it is one of {region.upper()}." if region else ""),
        fields=(
            Field(
                "phone_number",
                "The number, with + and the country's prefix if the caller said so.",
                check,
                expects="number",
            ),
        ),
        told=lambda values: spoken_phone(values["phone_number"]),
    )


def collect_digits(*, num_digits: int = 0, label: str = "digits", **options: Unpack[CollectOptions]) -> CollectTool:
    """Ask for a number that is a row of digits. The result has ``digits``.

    Args:
        num_digits: How many there are; 0 for any.
        label: What the number is called, such as ``booking number``.
        options: As in ``CollectOptions``.

    Raises:
        ValueError: ``num_digits`` is out of its bounds.
    """
    if not 0 <= num_digits <= _MOST_DIGITS:
        raise ValueError(f"collect_digits: num_digits is {num_digits}; choose 0 to {_MOST_DIGITS}.")

    def check(text: str, _: Known) -> str:
        digits = digits_in(text)
        if not digits or len(digits) > _MOST_DIGITS or (num_digits and len(digits) != num_digits):
            wanted = f"{num_digits}" if num_digits else f"1 to {_MOST_DIGITS}"
            raise ValueError(f"The {label} has {wanted} digits; these are {len(digits)}.")
        return digits

    size = f" It has {num_digits} digits." if num_digits else ""
    return collector(
        "collect_digits",
        options,
        wants=f"the {label}",
        guide=f"The caller may say it, or type it on the telephone's keypad.{size}",
        fields=(Field("digits", f"The {label}, digits only.", check, expects="number", digits=num_digits or None),),
        told=lambda values: " ".join(values["digits"]),
    )


def collect_name(
    *,
    first_name: bool = True,
    last_name: bool = False,
    middle_name: bool = False,
    name_format: str = "",
    verify_spelling: bool = False,
    **options: Unpack[CollectOptions],
) -> CollectTool:
    """Ask for a name. The result has the parts that are asked for: ``first_name``, ``middle_name``, ``last_name``.

    Args:
        first_name: Ask for the first name.
        last_name: Ask for the last name.
        middle_name: Ask for the middle name, which not everybody has.
        name_format: How it is to be given, such as ``as in the passport``.
        verify_spelling: Have it spelled.
        options: As in ``CollectOptions``.

    Raises:
        ValueError: No part is asked for.
    """
    asked = {"first_name": first_name, "middle_name": middle_name, "last_name": last_name}
    names = [name for name, wanted in asked.items() if wanted]
    if not names:
        raise ValueError("collect_name: ask for a first_name, a middle_name or a last_name.")
    parts = " and ".join(name.replace("_", " ") for name in names)
    spell = "Ask the caller to spell it, and read it back letter by letter." if verify_spelling else ""
    form = f"It is wanted {name_format}." if name_format else ""
    fields = tuple(
        Field(
            name,
            "As the caller said or spelled it.",
            _name,
            required=name != "middle_name" or names == [name],
            expects="spelling" if verify_spelling else None,
        )
        for name in names
    )

    def told(values: Values) -> str:
        words = " ".join(values[name] for name in names if name in values)
        return f"{words}, spelled {' '.join(words.upper())}" if verify_spelling else words

    return collector(
        "collect_name",
        options,
        wants=f"the caller's {parts}",
        guide=" ".join(part for part in (form, spell) if part),
        fields=fields,
        told=told,
    )


def collect_dob(
    *, include_time: bool = False, day_first: bool | None = None, **options: Unpack[CollectOptions]
) -> CollectTool:
    """Ask for the date of birth. The result has ``date_of_birth``, an ISO date.

    Args:
        include_time: Ask for the time of birth too; the result then has ``time_of_birth`` as ``HH:MM``, if it is known.
        day_first: Whether ``3/4`` is the third of April; so outside of the United States unless given.
        options: As in ``CollectOptions``.
    """

    def check(text: str, known: Known) -> str:
        first = region_of(known.language) != "US" if day_first is None else day_first
        return birth_date(text, known.today, day_first=first)

    fields: tuple[Field, ...] = (
        Field(
            "date_of_birth",
            "The date with its year, as the caller said it, or as YYYY-MM-DD.",
            check,
            expects="birth_date",
        ),
    )
    if include_time:
        time = Field("time_of_birth", "The time of day, as HH:MM.", lambda text, _: birth_time(text), required=False)
        fields = (*fields, time)

    def told(values: Values) -> str:
        day = spoken_date(values["date_of_birth"])
        return f"{day}, at {values['time_of_birth']}" if "time_of_birth" in values else day

    return collector(
        "collect_dob",
        options,
        wants="the caller's date and time of birth" if include_time else "the caller's date of birth",
        guide="The caller may say it, or type eight digits on the telephone's keypad. Read the month back in words."
        + _ORDERS.get(day_first, ""),
        fields=fields,
        told=told,
    )


def collect_address(**options: Unpack[CollectOptions]) -> CollectTool:
    """Ask for a postal address; options as in ``CollectOptions``.

    The result has ``street_address`` and ``locality`` and, where they are known, ``unit_number``, ``region``,
    ``postal_code`` and ``country``.
    """
    return collector(
        "collect_address",
        options,
        wants="the caller's postal address",
        guide="Ask for street and number first, then for the town and the postal code. Ask for a unit, a region or a "
        "country only where it is not clear without.",
        fields=(
            Field("street_address", "Street and house number.", _line),
            Field("unit_number", "Apartment or unit.", _line, required=False),
            Field("locality", "Town or city.", _line),
            Field("region", "State or region.", _line, required=False),
            Field("postal_code", "Postal code.", _postal_code, required=False),
            Field("country", "Country.", _line, required=False),
        ),
        told=lambda values: ", ".join(
            " ".join(value) if name == "postal_code" else value for name, value in values.items()
        ),
    )


def collect_credit_card(**options: Unpack[CollectOptions]) -> CollectTool:
    """Ask for a payment card; options as in ``CollectOptions``, but for ``instructions``.

    The result has ``cardholder_name``, ``issuer``, ``card_number``, ``security_code`` and ``expiration_date``. Number
    and code are masked wherever they can be read; a tool gets them from ``context.private``.

    Raises:
        TypeError: ``instructions`` is given.
    """
    if "instructions" in options:
        raise TypeError("collect_credit_card has no option 'instructions'; add to its own by extra_instructions.")
    return collector(
        "collect_credit_card",
        options,
        wants="the caller's payment card",
        guide="Ask for one thing after the other: the number, the last month of validity, the security code, the name "
        "on the card. Number and code may be typed on the telephone's keypad. Record each as soon as you have it. "
        "Never repeat the number or the code: of the number, say the last four digits only.",
        fields=(
            Field(
                "card_number",
                "The digits of the number.",
                lambda text, _: card_number(text),
                shown=_last_four,
                expects="number",
                digits=_CARD_DIGITS,
            ),
            Field(
                "expiration_date", "The last month, as MM/YY.", lambda text, known: expiration_date(text, known.today)
            ),
            Field(
                "security_code",
                "The three or four digits of the code.",
                lambda text, known: security_code(text, known.values.get("card_number", "")),
                shown=lambda code: SECRET_MARK * len(code),
            ),
            Field("cardholder_name", "The name on the card.", _name),
        ),
        told=lambda values: (
            f"a card that ends in {' '.join(values['card_number'][-4:])}, valid until "
            f"{values['expiration_date']}, of {values['cardholder_name']}"
        ),
        added=lambda values: {"issuer": issuer(values["card_number"])},
        timeout_s=_CARD_S,
    )


def _last_four(number: str) -> str:
    return SECRET_MARK * (len(number) - 4) + number[-4:]


def _name(text: str, _: Known) -> str:
    name = " ".join(letters_in(text).split()).strip(" ,;")
    if len(name) > 100 or not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is no name.")
    if name.islower() or (name.isupper() and len(name) > 2):
        name = re.sub(r"[^\W\d_]+", lambda found: found[0].capitalize(), name.lower())
    return name


def _line(text: str, _: Known) -> str:
    line = plain(text).strip(" ,;.")
    if not any(map(str.isalnum, line)) or len(line) > _MOST_CHARS:
        raise ValueError(f"{text[:40]!r} is no part of an address.")
    return line


def _postal_code(text: str, _: Known) -> str:
    try:
        return digits_in(text)
    except ValueError:
        code = letters_in(text).upper().strip(" .,")
    if not _POSTAL.fullmatch(code):
        raise ValueError(f"{text!r} is no postal code.")
    return code
