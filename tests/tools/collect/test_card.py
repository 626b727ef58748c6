"""Payment cards: numbers that cards have for tests, and those that none has."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.collect.card import card_number, expiration_date, has_check_digit, issuer, security_code

TODAY = date(2026, 7, 31)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("4111111111111111", "Visa"),
        ("4222222222222", "Visa"),
        ("5555555555554444", "Mastercard"),
        ("2223003122003222", "Mastercard"),
        ("378282246310005", "American Express"),
        ("6011111111111117", "Discover"),
        ("30569309025904", "Diners Club"),
        ("3530111333300000", "JCB"),
        ("6250941006528599", "UnionPay"),
        ("9999999999999995", "unknown"),
    ],
)
def test_the_issuer_is_told_by_the_first_digits(number: str, name: str) -> None:
    assert card_number(" ".join(number)) == number
    assert issuer(number) == name


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("4111 1111 1111 1112", "check digit"),
        ("4111", "13 to 19"),
        ("4" * 20, "13 to 19"),
        ("my mother's card", "digits only"),
        ("34343434343434 ", "check digit|another number"),
        ("41111111111111111 3", "check digit|another number"),
    ],
)
def test_a_number_that_no_card_has_is_refused_and_not_repeated(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        card_number(said)
    assert said.replace(" ", "") not in str(refused.value)


@given(st.text("0123456789", min_size=12, max_size=18))
def test_one_wrong_digit_and_two_that_changed_places_are_found(body: str) -> None:
    last = next(digit for digit in "0123456789" if has_check_digit(body + digit))
    right = body + last
    for place, digit in enumerate(right):
        other = str((int(digit) + 1) % 10)
        assert not has_check_digit(right[:place] + other + right[place + 1 :])
    for place in range(len(right) - 1):
        one, two = right[place], right[place + 1]
        if one != two and {one, two} != {"0", "9"}:
            assert not has_check_digit(right[:place] + two + one + right[place + 2 :])


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("12/27", "12/27"),
        ("12 2027", "12/27"),
        ("december twenty seven", "12/27"),
        ("december twenty twenty-seven", "12/27"),
        ("oh three twenty seven", "03/27"),
        ("[keypad: 0327]", "03/27"),
        ("032027", "03/27"),
        ("2027-03", "03/27"),
        ("july 2026", "07/26"),
        ("march two thousand twenty seven", "03/27"),
    ],
)
def test_the_last_month_is_understood(said: str, shown: str) -> None:
    assert expiration_date(said, TODAY) == shown


@pytest.mark.parametrize(
    ("said", "why"), [("06/26", "expired"), ("13/27", "no month 13"), ("12/59", "No card"), ("soon", "not clear")]
)
def test_a_month_that_is_over_or_none_is_refused(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        expiration_date(said, TODAY)


@pytest.mark.parametrize(
    ("said", "number", "code"),
    [
        ("one two three", "4111111111111111", "123"),
        ("1234", "378282246310005", "1234"),
        ("1234", "", "1234"),
        ("123", "378282246310005", None),
        ("1234", "4111111111111111", None),
        ("12", "", None),
        ("abc", "", None),
    ],
)
def test_the_code_has_the_digits_of_its_issuer(said: str, number: str, code: str | None) -> None:
    if code is None:
        with pytest.raises(ValueError, match="security code") as refused:
            security_code(said, number)
        assert said not in str(refused.value)
    else:
        assert security_code(said, number) == code
