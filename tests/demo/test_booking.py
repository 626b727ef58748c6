from __future__ import annotations

import asyncio
import threading
from datetime import date, datetime, time
from pathlib import Path

import pytest

from antiphon.demo.booking import appointments, book, day_of, spoken_time, time_of
from antiphon.errors import ToolException

MONDAY = date(2026, 1, 5)
TUESDAY = date(2026, 1, 6)
NOW = datetime(2026, 1, 5, 9, 0)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("Tuesday", date(2026, 1, 6)),
        ("next Monday", date(2026, 1, 12)),
        ("on saturday", date(2026, 1, 10)),
        ("today", MONDAY),
        ("tomorrow", TUESDAY),
        ("the day after tomorrow", date(2026, 1, 7)),
        ("2026-02-03", date(2026, 2, 3)),
    ],
)
def test_a_day_is_the_next_one_that_is_meant(said: str, day: date) -> None:
    assert day_of(said, MONDAY) == day


@pytest.mark.parametrize("said", ["", "cleaning", "2025-01-01", "2026-13-40", "2099-01-01"])
def test_no_day_is_asked_for_again(said: str) -> None:
    with pytest.raises(ToolException, match="Which day"):
        day_of(said, MONDAY)


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("ten in the morning", time(10)),
        ("at ten", time(10)),
        ("10:00", time(10)),
        ("10 am", time(10)),
        ("10am", time(10)),
        ("10 30", time(10, 30)),
        ("ten thirty", time(10, 30)),
        ("2 p.m.", time(14)),
        ("3pm", time(15)),
        ("three in the afternoon", time(15)),
        ("at three", time(15)),
        ("14:30", time(14, 30)),
        ("half past two", time(14, 30)),
        ("a quarter to nine", time(8, 45)),
        ("eleven o'clock", time(11)),
        ("noon", time(12)),
        ("12 pm", time(12)),
    ],
)
def test_a_time_is_understood_as_people_say_it(said: str, at: time) -> None:
    assert time_of(said, TUESDAY) == at


@pytest.mark.parametrize("said", ["", "in the afternoon", "cleaning", "27:00"])
def test_no_time_is_asked_for_again(said: str) -> None:
    with pytest.raises(ToolException, match="Which time"):
        time_of(said, TUESDAY)


@pytest.mark.parametrize(
    ("at", "text"), [(time(10), "10 am"), (time(14, 30), "2:30 pm"), (time(0, 5), "12:05 am"), (time(12), "12 pm")]
)
def test_a_time_is_said_as_people_say_it(at: time, text: str) -> None:
    assert spoken_time(at) == text


def take(database: Path, starts_at: datetime) -> None:
    book(database, service="cleaning", starts_at=starts_at, now=NOW, session_id="s")


def test_a_booking_is_in_the_table(tmp_path: Path) -> None:
    database = tmp_path / "new" / "a.sqlite"
    take(database, datetime(2026, 1, 6, 10, 0))
    assert appointments(database) == [("cleaning", datetime(2026, 1, 6, 10, 0))]


@pytest.mark.parametrize(
    ("starts_at", "words"),
    [
        (datetime(2026, 1, 11, 10, 0), "closed on Sunday"),
        (datetime(2026, 1, 10, 13, 0), "from 9 am to 1 pm"),
        (datetime(2026, 1, 6, 7, 30), "from 8 am to 6 pm"),
        (datetime(2026, 1, 6, 18, 0), "from 8 am to 6 pm"),
        (datetime(2026, 1, 5, 8, 30), "is over"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_a_question(tmp_path: Path, starts_at: datetime, words: str) -> None:
    with pytest.raises(ToolException, match=words) as caught:
        take(tmp_path / "a.sqlite", starts_at)
    assert str(caught.value).endswith("?")


def test_a_taken_time_is_refused_and_the_next_free_one_is_offered(tmp_path: Path) -> None:
    database = tmp_path / "a.sqlite"
    take(database, datetime(2026, 1, 6, 10, 0))
    take(database, datetime(2026, 1, 6, 10, 30))
    with pytest.raises(ToolException, match="already taken, but 11 am is free"):
        take(database, datetime(2026, 1, 6, 10, 0))
    take(database, datetime(2026, 1, 6, 17, 30))
    with pytest.raises(ToolException, match=r"already taken\. Which other day"):
        take(database, datetime(2026, 1, 6, 17, 30))


async def test_of_many_callers_who_want_the_same_time_one_gets_it(tmp_path: Path) -> None:
    database = tmp_path / "a.sqlite"
    begin = threading.Barrier(4, timeout=10)

    def one() -> bool:
        begin.wait()
        try:
            take(database, datetime(2026, 1, 6, 10, 0))
        except ToolException:
            return False
        return True

    won = await asyncio.gather(*(asyncio.to_thread(one) for _ in range(4)))
    assert won.count(True) == 1
    assert len(appointments(database)) == 1
