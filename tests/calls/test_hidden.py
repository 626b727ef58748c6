"""What is said in confidence, in what is told of it later."""

from __future__ import annotations

from typing import Any

from antiphon.calls.events import (
    CallEvent,
    FloorDecision,
    TurnCompleted,
    UserSpeechStarted,
    UserTranscription,
    UserTurnCompleted,
)
from antiphon.calls.log import CallLog
from antiphon.clock import VirtualClock

SPOKEN = "Four one one one, four four four four, double two."


def told(*steps: CallEvent | str) -> list[Any]:
    """What readers get of events; a text is a method of the log."""
    clock, entries = VirtualClock(), list[Any]()

    async def scenario() -> None:
        log = CallLog("call-1", clock)
        log.subscribe(lambda entry: entries.append(entry.event))
        for step in steps:
            if isinstance(step, str):
                getattr(log, step)()
            else:
                log.append(step)

    clock.run(scenario())
    return entries


def test_who_goes_on_behind_a_secret_does_not_have_it_told_with_the_rest() -> None:
    whole = f"{SPOKEN} And when will it come?"
    events = told(
        "veil",
        UserTranscription(SPOKEN, True, 1),
        UserTurnCompleted(2, SPOKEN, "silence"),
        "unveil",
        UserSpeechStarted(9.0),
        UserTranscription("And when will it come?", True, 2),
        FloorDecision({"type": "timeout"}, [{"type": "commit", "text": whole, "fresh": "..."}], "thinking"),
        UserTurnCompleted(2, whole, "silence"),
        TurnCompleted(2, whole, "Tomorrow.", False, False),
    )
    assert "four" not in str(events).lower()
    assert events[-2].text == events[-1].user_text == "••• And when will it come?"
    assert events[3].text == "And when will it come?"


def test_short_words_of_an_interview_are_told_elsewhere() -> None:
    events = told(
        "veil",
        UserTranscription("Yes.", True, 1),
        "unveil",
        UserSpeechStarted(9.0),
        UserTranscription("Yes. Tomorrow is fine.", True, 2),
        UserTranscription("Yes.", True, 3),
    )
    assert [event.text for event in events if isinstance(event, UserTranscription)] == [
        "•••",
        "Yes. Tomorrow is fine.",
        "Yes.",
    ]
