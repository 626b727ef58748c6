"""E-mail addresses from speech."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.collect.email import email_address, spoken_email


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("john dot smith at example dot com", "john.smith@example.com"),
        ("John.Smith@Example.COM", "John.Smith@example.com"),
        ("it's j o h n at example dot co dot uk", "john@example.co.uk"),
        ("J-O-H-N at gmail dot com.", "john@gmail.com"),
        ("my email is anna underscore b at mail dash server dot org", "anna_b@mail-server.org"),
        ("max plus news at example dot com", "max+news@example.com"),
        ("room double four at example dot com", "room44@example.com"),
        ("bob twenty one at example dot com", "bob21@example.com"),
        ("look at me at example dot com", "lookatme@example.com"),
        ("info at sign example dot com", "info@example.com"),
        ("<ann@example.com>", "ann@example.com"),
        ("My email. Is Tom Dot? Miller. At example.com", "tom.miller@example.com"),
        ("john.smith at example.com", "john.smith@example.com"),
    ],
)
def test_an_address_is_understood_as_it_is_said(said: str, address: str) -> None:
    assert email_address(said) == address


@pytest.mark.parametrize(
    "said",
    ["", "john", "john at example", "at example dot com", "john..smith@example.com", "a@b@", "john@-x.com", "ä@x.de"],
)
def test_half_an_address_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="no whole e-mail address"):
        email_address(said)


def test_an_address_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole"):
        email_address(f"{'a' * 65}@example.com")


names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)


@given(st.lists(names, min_size=1, max_size=3), names, st.sampled_from(["com", "de", "org"]))
def test_what_is_read_back_is_understood_again(local: list[str], domain: str, top: str) -> None:
    address = f"{'.'.join(local)}@{domain}.{top}"
    assert email_address(address) == address


@pytest.mark.parametrize("address", ["john.smith@example.com", "anna_b@mail-server.org", "x+y@example.com"])
def test_the_words_that_are_read_back_give_the_address(address: str) -> None:
    assert email_address(spoken_email(address)) == address


@given(st.text(max_size=80))
def test_any_text_gives_an_address_or_a_refusal(text: str) -> None:
    try:
        address = email_address(text)
    except ValueError:
        return
    assert address.count("@") == 1
