"""Appointments of the demonstration's clinic, in a real SQLite table; days and times as people say them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from antiphon.demo.clinic import HOURS, WEEKDAYS
from antiphon.errors import ToolException

SLOT: Final = timedelta(minutes=30)
_BUSY_S = 5.0
_DAYS_AHEAD = 365

_SCHEMA = """
CREATE TABLE IF NOT EXISTS appointments (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    starts_at TEXT NOT NULL UNIQUE,
    booked_at TEXT NOT NULL,
    session_id TEXT NOT NULL
)
"""

_HOUR_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_MINUTE_WORDS: Final = {"fifteen": 15, "thirty": 30, "forty-five": 45, "forty five": 45, "o'clock": 0, "oclock": 0}
_HOUR: Final = rf"(?P<hour>\d{{1,2}}|{'|'.join(_HOUR_WORDS)})"
_MINUTE: Final = rf"(?P<minute>\d{{2}}|{'|'.join(_MINUTE_WORDS)})"
_TIME = re.compile(rf"\b{_HOUR}(?:\s*[:.]?\s*{_MINUTE})?(?=\W|$|[ap]\.?m)", re.IGNORECASE)
_FRACTION = re.compile(rf"\b(?P<part>half past|quarter past|quarter to)\s+{_HOUR}\b", re.IGNORECASE)
_PART_MINUTES: Final = {"half past": 30, "quarter past": 15, "quarter to": -15}
_AFTERNOON = re.compile(r"\bp\.?\s?m\b|afternoon|evening", re.IGNORECASE)
_MORNING = re.compile(r"\ba\.?\s?m\b|morning", re.IGNORECASE)
_FIXED: Final = {"noon": time(12), "midday": time(12)}


def day_of(said: str, today: date) -> date:
    """The next day that is meant: a weekday's name, today, tomorrow, or an ISO date.

    Raises:
        ToolException: No day is named, or it is past or more than a year ahead.
    """
    words = said.lower()
    if found := re.search(r"\d{4}-\d{2}-\d{2}", words):
        return _in_reach(found[0], today)
    if "tomorrow" in words:
        return today + timedelta(days=2 if "after tomorrow" in words else 1)
    if "today" in words:
        return today
    for number, name in enumerate(WEEKDAYS):
        if name.lower() in words:
            return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)
    raise ToolException(f"I did not understand the day {said!r}. Which day of the week would you like?")


def time_of(said: str, day: date) -> time:
    """The time that is meant, such as "ten in the morning", "3 pm", "half past two" or "14:30".

    Without a word for it, an hour is taken in the half of the day in which the clinic is open.

    Raises:
        ToolException: No time is named.
    """
    words = said.lower()
    for name, fixed in _FIXED.items():
        if re.search(rf"\b{name}\b", words):
            return fixed
    if found := _FRACTION.search(words):
        minutes = _number(found["hour"]) * 60 + _PART_MINUTES[found["part"].lower()]
    elif found := _TIME.search(words):
        minute = found["minute"] or "0"
        minutes = _number(found["hour"]) * 60 + (int(minute) if minute.isdigit() else _MINUTE_WORDS[minute])
    else:
        raise _not_a_time(said)
    if _AFTERNOON.search(words):
        minutes += 720 if minutes < 720 else 0
    elif _MORNING.search(words):
        minutes -= 720 if minutes >= 720 else 0
    elif minutes < 720 and not _is_open(day, minutes) and _is_open(day, minutes + 720):
        minutes += 720
    if not 0 <= minutes < 1440:
        raise _not_a_time(said)
    return time(minutes // 60, minutes % 60)


def spoken(day: date, at: time) -> str:
    """Day and time as one says them: "Tuesday at 10 am"."""
    return f"{WEEKDAYS[day.weekday()]} at {spoken_time(at)}"


def spoken_time(at: time) -> str:
    """A time as one says it: "10 am", "2:30 pm"."""
    minutes = f":{at.minute:02d}" if at.minute else ""
    return f"{(at.hour + 11) % 12 + 1}{minutes} {'am' if at.hour < 12 else 'pm'}"


def book(database: Path, *, service: str, starts_at: datetime, now: datetime, session_id: str) -> None:
    """Write an appointment down. Blocks; run it in a thread.

    Raises:
        ToolException: The clinic is closed then, or the time is past or taken; the text is for the caller.
    """
    _check_open(starts_at)
    if starts_at <= now:
        raise ToolException(f"{spoken(starts_at.date(), starts_at.time())} is over. Which other time would you like?")
    with closing(_connect(database)) as connection:
        try:
            with connection:
                connection.execute(
                    "INSERT INTO appointments (service, starts_at, booked_at, session_id) VALUES (?, ?, ?, ?)",
                    (service, _key(starts_at), _key(now), session_id),
                )
        except sqlite3.IntegrityError:
            raise ToolException(_taken(connection, starts_at)) from None


def appointments(database: Path) -> list[tuple[str, datetime]]:
    """What is booked: service and begin, in the order of time."""
    with closing(_connect(database)) as connection:
        rows = connection.execute("SELECT service, starts_at FROM appointments ORDER BY starts_at").fetchall()
    return [(service, datetime.fromisoformat(starts_at)) for service, starts_at in rows]


def _connect(database: Path) -> sqlite3.Connection:
    database.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(database, timeout=_BUSY_S)
    connection.execute(_SCHEMA)
    return connection


def _check_open(starts_at: datetime) -> None:
    day = WEEKDAYS[starts_at.weekday()]
    hours = HOURS[day]
    if hours is None:
        raise ToolException(f"The clinic is closed on {day}. Which other day would you like?")
    opens, closes = (datetime.combine(starts_at.date(), each) for each in hours)
    if not opens <= starts_at <= closes - SLOT:
        told = f"from {spoken_time(hours[0])} to {spoken_time(hours[1])}"
        raise ToolException(f"On {day} the clinic is open {told}. Which time would you like?")


def _taken(connection: sqlite3.Connection, starts_at: datetime) -> str:
    """Say that a time is taken, and offer the next free one of the day."""
    taken = {row[0] for row in connection.execute("SELECT starts_at FROM appointments")}
    at = spoken(starts_at.date(), starts_at.time())
    hours = HOURS[WEEKDAYS[starts_at.weekday()]]
    later = starts_at + SLOT
    while hours is not None and later + SLOT <= datetime.combine(starts_at.date(), hours[1]):
        if _key(later) not in taken:
            return f"{at} is already taken, but {spoken_time(later.time())} is free. Which time would you like?"
        later += SLOT
    return f"{at} is already taken. Which other day would you like?"


def _is_open(day: date, minutes: int) -> bool:
    hours = HOURS[WEEKDAYS[day.weekday()]]
    return hours is not None and hours[0] <= time(minutes // 60, minutes % 60) < hours[1]


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _HOUR_WORDS.index(word)


def _in_reach(iso: str, today: date) -> date:
    try:
        day = date.fromisoformat(iso)
    except ValueError:
        raise ToolException(f"There is no day {iso}. Which day would you like?") from None
    if not today <= day <= today + timedelta(days=_DAYS_AHEAD):
        raise ToolException(f"{iso} cannot be booked. Which day in the next weeks would you like?")
    return day


def _not_a_time(said: str) -> ToolException:
    return ToolException(f"I did not understand the time {said!r}. Which time would you like?")


def _key(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="minutes")
