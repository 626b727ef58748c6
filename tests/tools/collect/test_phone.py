"""Telephone numbers from speech."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.collect.phone import phone_number, region_of, spoken_phone


@pytest.mark.parametrize(
    ("said", "region", "number"),
    [
        ("five five five, oh one", "US", None),
        ("two one two five five five oh one double nine", "US", "+12125550199"),
        ("(212) 555-0199", "US", "+12125550199"),
        ("212 555 0199 extension 4", "US", "+12125550199"),
        ("plus four nine three oh two three one two five double zero one", "US", "+493023125001"),
        ("030 23125 001", "DE", "+493023125001"),
        ("0044 20 7946 0018", "DE", "+442079460018"),
        ("[keypad: 02079460018]", "GB", "+442079460018"),
    ],
)
def test_a_number_is_understood_as_it_is_dialled(said: str, region: str, number: str | None) -> None:
    if number is None:
        with pytest.raises(ValueError, match="7 to 15"):
            phone_number(said, region)
    else:
        assert phone_number(said, region) == number


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("12345", "7 to 15"),
        ("555 0198", "no area code"),
        ("1" * 16, "7 to 15"),
        ("call me maybe", "no digit"),
        ("+999 1234567", "no telephone number"),
    ],
)
def test_what_cannot_be_dialled_is_refused(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        phone_number(said)


@pytest.mark.parametrize(
    ("language", "region"), [("en-GB", "GB"), ("de_DE", "DE"), ("en", "US"), (None, "US"), ("zh-Hant-TW", "TW")]
)
def test_the_country_is_that_of_the_language(language: str | None, region: str) -> None:
    assert region_of(language) == region


def test_a_number_is_read_back_in_groups() -> None:
    assert spoken_phone("+12125550199") == "plus 1, 2 1 2, 5 5 5, 0 1 9 9"


@given(st.integers(2_000_000, 9_999_999), st.sampled_from(["212", "415", "617"]))
def test_what_is_read_back_is_the_number(number: int, area: str) -> None:
    dialled = phone_number(f"{area} {number}")
    assert dialled == f"+1{area}{number}"
    assert phone_number(spoken_phone(dialled), "DE") == dialled
