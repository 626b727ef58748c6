"""What callers of the demonstration's clinic say to the embedded language model, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GREETING: Final = "Harbor Dental, good morning. How can I help you?"


@dataclass(frozen=True, slots=True)
class Question:
    """A question on the clinic's facts.

    Attributes:
        said: The caller's words, some with errors of speech recognition.
        expected: Regular expression that the answer must match, ignoring case.
        numbers: The numbers that a right answer may hold.
    """

    said: str
    expected: str
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking, and the row that it must write.

    Attributes:
        lines: What the caller says, one line a turn.
        service: The row's service.
        starts_at: The row's begin, as ISO text; today is Monday, 5 January 2026, 9 o'clock.
    """

    lines: tuple[str, ...]
    service: str
    starts_at: str


@dataclass(frozen=True, slots=True)
class Routed:
    """An utterance, and the tool that it should lead to; empty for an answer."""

    said: str
    tool: str
    before: tuple[str, ...] = ()
    """The conversation so far, the agent first, taking turns."""


QUESTIONS: Final = (
    Question("What time do you open on Saturday?", r"\b9 am", ("9", "1")),
    Question("When do you open on Saturdays?", r"\b9 am", ("9", "1")),
    Question("How long are you there on Saturday?", r"\b1 pm", ("9", "1")),
    Question("Are you open on Sunday?", r"closed", ()),
    Question("Can somebody see me on Sunday morning?", r"closed", ()),
    Question("What are your hours on Monday?", r"8 am.*6 pm", ("8", "6")),
    Question("what time do you clothes on friday", r"6 pm", ("8", "6")),
    Question("How much is a cleaning?", r"95", ("95",)),
    Question("And what would a teeth cleaning cost me?", r"95", ("95",)),
    Question("How much do you charge for a check up?", r"60", ("60",)),
    Question("What do I pay for a filling?", r"180", ("180",)),
    Question("how much is the whitening", r"240", ("240",)),
    Question("What does a root canal cost?", r"do not know|don't know|not sure", ()),
    Question("Do you take Aetna insurance?", r"we take|yes", ()),
    Question("Is Cigna okay with you?", r"we take|yes|is okay", ()),
    Question("Where can I park my car?", r"behind the building|mill street", ()),
    Question("What is your address?", r"12 harbor street", ("12",)),
    Question("Which dentist speaks Spanish?", r"ruiz", ()),
    Question("What should I bring to my first visit?", r"photo|card", ()),
    Question("My tooth hurts a lot since yesterday evening.", r"same day|today", ()),
)

BOOKINGS: Final = (
    Booking(("Please book a cleaning on Tuesday at ten in the morning.",), "cleaning", "2026-01-06T10:00"),
    Booking(("I'd like to make an appointment for a filling on Thursday at 2 pm.",), "filling", "2026-01-08T14:00"),
    Booking(("Can I come in for a check-up on Friday at nine?",), "check-up", "2026-01-09T09:00"),
    Booking(("Put me down for a whitening, Wednesday at half past three.",), "whitening", "2026-01-07T15:30"),
    Booking(("book me a check up tuesday at eleven",), "check-up", "2026-01-06T11:00"),
    Booking(("I need a cleaning.", "On Thursday.", "At four in the afternoon."), "cleaning", "2026-01-08T16:00"),
    Booking(("I want an appointment.", "A filling, tomorrow at nine thirty."), "filling", "2026-01-06T09:30"),
    Booking(("Could I get a cleaning on Sunday at ten?", "Then on Saturday."), "cleaning", "2026-01-10T10:00"),
    Booking(("What does a check-up cost?", "Good, I would like one on Friday at two."), "check-up", "2026-01-09T14:00"),
    Booking(("Schedule a tooth whitening for next Monday, 10 30.",), "whitening", "2026-01-12T10:30"),
)

_BOOK: Final = "book_appointment"
_END: Final = "end_call"
_BOOKED: Final = (
    GREETING,
    "Please book a cleaning on Tuesday at ten.",
    "Done: the cleaning is booked for Tuesday at 10 am.",
)

ROUTED: Final = (
    Routed("I'd love to get an appointment this week.", _BOOK),
    Routed("Could you fit me in for a filling on Monday at noon?", _BOOK),
    Routed("I want to reserve a slot for whitening, Friday at four.", _BOOK),
    Routed("Let's do a check-up on Wednesday, eleven o'clock.", _BOOK),
    Routed("Make it a cleaning for Thursday at half past nine.", _BOOK),
    Routed("My son needs a filling, is Tuesday at three possible?", _BOOK),
    Routed("schedule me for a cleaning tomorrow at two", _BOOK),
    Routed(
        "Then Friday at ten, please.",
        _BOOK,
        (GREETING, "I need a check-up.", "Sure. Could you tell me the day and the time, please?"),
    ),
    Routed(
        "Eleven would be good.",
        _BOOK,
        (GREETING, "A filling on Monday, please.", "Sure. Could you tell me the time, please?"),
    ),
    Routed("What time do you close on weekdays?", ""),
    Routed("Is there parking nearby?", ""),
    Routed("How expensive is a check-up?", ""),
    Routed("Do you accept Delta Dental?", ""),
    Routed("Does anybody there speak Spanish?", ""),
    Routed("Where exactly is the clinic?", ""),
    Routed("I have a terrible pain in my tooth.", ""),
    Routed("Hi there, how are you today?", ""),
    Routed("Hello, can you hear me?", ""),
    Routed("Uh-huh.", "", _BOOKED),
    Routed("Perfect, thank you.", "", _BOOKED),
    Routed("Wait, one more question.", "", _BOOKED),
    Routed("Can I pay with a credit card?", "", _BOOKED),
    Routed("Thanks a lot, bye bye.", _END, _BOOKED),
    Routed("That was everything, goodbye.", _END, _BOOKED),
    Routed("Okay, see you on Tuesday, bye.", _END, _BOOKED),
    Routed("Good bye.", _END),
)
