"""E-mail addresses: from speech to what stands in an address book."""

from __future__ import annotations

import re

from antiphon.tools.collect.spoken import letters_in, with_digits, without_stops

_SIGNS = {
    **dict.fromkeys(("at", "at-sign"), "@"),
    **dict.fromkeys(("dot", "point", "period"), "."),
    **dict.fromkeys(("dash", "hyphen", "minus"), "-"),
    **dict.fromkeys(("underscore", "underline"), "_"),
    **{"plus": "+"},
}
_LEAD = re.compile(r"^(?:(?:well|so|yes|ok|okay|it's|its|it is|my e-?mail(?: address)? is|that's|that is)\W+)+", re.I)
_ADDRESS = re.compile(
    r"(?P<local>[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)"
    r"@(?P<domain>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{2,59}))"
)
_MOST_LOCAL = 64
_MOST = 254


def email_address(text: str) -> str:
    """The address that was said or written; the part behind the ``@`` in lower case.

    Raises:
        ValueError: It is none.
    """
    words = without_stops(text).strip(" .,;<>")
    address = words if "@" in words and " " not in words else _from_speech(words)
    local, _, domain = address.rpartition("@")
    address = f"{local}@{domain.lower()}"
    if not _ADDRESS.fullmatch(address) or len(local) > _MOST_LOCAL or len(address) > _MOST:
        raise ValueError(
            f"{address.strip('@') or text!r} is no whole e-mail address: it needs a name, an @ and a domain."
        )
    return address


def spoken_email(address: str) -> str:
    """The address as it is read to somebody."""
    signs = {".": " dot ", "@": " at ", "_": " underscore ", "-": " dash ", "+": " plus "}
    return " ".join("".join(signs.get(sign, sign) for sign in address).split())


def _from_speech(words: str) -> str:
    text = _LEAD.sub("", words.lower()).replace("at sign", "at-sign")
    pieces = [_SIGNS.get(word.strip(",;"), word.strip(",;")) for word in with_digits(letters_in(text)).split()]
    signs = "".join(pieces)
    *before, domain = signs.split("@")
    return f"{'at'.join(before)}@{domain}"  # an earlier "at" is part of the name
