"""Dates of birth from speech."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.collect.birth import birth_date, birth_time, spoken_date

TODAY = date(2026, 7, 1)


@pytest.mark.parametrize(
    ("said", "iso"),
    [
        ("1984-03-05", "1984-03-05"),
        ("The twenty. Third of March. Nineteen eighty four.", "1984-03-23"),
        ("March 5, 1984", "1984-03-05"),
        ("the fifth of march nineteen eighty four", "1984-03-05"),
        ("march fifth nineteen eighty-four", "1984-03-05"),
        ("twenty first of May 1990", "1990-05-21"),
        ("May twenty-first nineteen ninety", "1990-05-21"),
        ("the thirtieth of June two thousand five", "2005-06-30"),
        ("June 30th twenty oh five", "2005-06-30"),
        ("December thirty first nineteen ninety nine", "1999-12-31"),
        ("march 3rd two thousand and twelve", "2012-03-03"),
        ("3/5/84", "1984-03-05"),
        ("25/12/1984", "1984-12-25"),
        ("[keypad: 03051984]", "1984-03-05"),
        ("030584", "1984-03-05"),
        ("19840305", "1984-03-05"),
        ("March 5, 05", "2005-03-05"),
        ("July 2, 26", "1926-07-02"),
        ("July 1, 26", "2026-07-01"),
    ],
)
def test_a_date_is_understood_as_it_is_said(said: str, iso: str) -> None:
    assert birth_date(said, TODAY) == iso


@pytest.mark.parametrize(
    ("said", "iso"), [("3/5/84", "1984-05-03"), ("03051984", "1984-05-03"), ("3.5.1984", "1984-05-03")]
)
def test_the_day_stands_first_where_people_write_it_first(said: str, iso: str) -> None:
    assert birth_date(said, TODAY, day_first=True) == iso


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("July 2, 2026", "still to come"),
        ("February 30, 1984", "no day 30"),
        ("March 1984", "no whole date"),
        ("5 3", "no whole date"),
        ("March 5, 1890", "too long ago"),
        ("yesterday", "no whole date"),
        ("March 5 12345", "no day|still to come|not clear"),
    ],
)
def test_a_day_that_nobody_was_born_on_is_refused(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        birth_date(said, TODAY)


@given(st.dates(date(1900, 1, 1), TODAY))
def test_every_day_is_understood_in_digits_and_as_it_is_read_back(born: date) -> None:
    assert birth_date(born.isoformat(), TODAY) == born.isoformat()
    assert birth_date(spoken_date(born.isoformat()), TODAY) == born.isoformat()
    assert birth_date(f"{born:%d%m%Y}", TODAY, day_first=True) == born.isoformat()


@given(st.text(max_size=40))
def test_any_text_gives_a_past_day_or_a_refusal(text: str) -> None:
    try:
        born = birth_date(text, TODAY)
    except ValueError:
        return
    assert date.fromisoformat(born) <= TODAY


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("15:40", "15:40"),
        ("3:40 pm", "15:40"),
        ("three forty p.m.", "15:40"),
        ("12 am", "00:00"),
        ("noon", None),
        ("25:00", None),
        ("13 pm", None),
    ],
)
def test_a_time_is_understood_or_refused(said: str, time: str | None) -> None:
    if time is None:
        with pytest.raises(ValueError, match="no time"):
            birth_time(said)
    else:
        assert birth_time(said) == time
