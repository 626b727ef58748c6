"""Digits and letters as people say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.collect.spoken import digits_in, letters_in, with_digits, without_numbers

WORDS = "zero one two three four five six seven eight nine".split()


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("double four, seven one", "4471"),
        ("triple oh five", "0005"),
        ("four one one one", "4111"),
        ("it's twenty one forty two", "2142"),
        ("twenty oh five", "2005"),
        ("eighteen thirty", "1830"),
        ("four hundred", "400"),
        ("two thousand", "2000"),
        ("(555) 010-0199", "5550100199"),
        ("555.010.0199", "5550100199"),
        ("[keypad: 4711]", "4711"),
        ("My number is. Five-five-five-five. O198.", "55550198"),
        ("1O5", "105"),
        ("um the number is 1 2 3", "123"),
        ("１２３", "123"),
    ],
)
def test_digits_are_understood_as_they_are_said(said: str, digits: str) -> None:
    assert digits_in(said) == digits


@pytest.mark.parametrize("said", ["four cats", "12a4", "call me"])
def test_what_is_no_digit_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="no digit"):
        digits_in(said)


@given(st.text("0123456789", min_size=1, max_size=30), st.sampled_from([" ", ", ", " - "]))
def test_every_row_of_digits_comes_back_however_it_is_said(digits: str, gap: str) -> None:
    assert digits_in(gap.join(WORDS[int(digit)] for digit in digits)) == digits
    assert digits_in(gap.join(digits)) == digits


@given(st.text(max_size=60))
def test_any_text_gives_digits_or_a_refusal(text: str) -> None:
    try:
        digits = digits_in(text)
    except ValueError:
        return
    assert digits == "" or digits.isdecimal()


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("s m i t h", "smith"),
        ("S-M-I-T-H", "smith"),
        ("sierra mike india tango hotel", "smith"),
        ("s as in sugar m i t h", "smith"),
        ("Mary Ann", "Mary Ann"),
        ("Smith s m y t h e", "Smith smythe"),
        ("John J Doe", "John J Doe"),
    ],
)
def test_letters_are_put_together(said: str, word: str) -> None:
    assert letters_in(said) == word


def test_numbers_in_a_text_become_digits_and_the_rest_stays() -> None:
    assert with_digits("flat twenty one a double b") == "flat 21 a bb"


def test_rows_of_digits_are_taken_out_and_the_rest_stays() -> None:
    told = without_numbers("My code is seven three seven, and the card 4111-1111 is good until 12/39 for 2 people.")
    assert told == "My code is •••, and the card ••• is good until 12/39 for 2 people."
