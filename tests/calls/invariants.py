"""What must be true of every call, whatever happens in it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from phone import CallUnderTest

from antiphon.agents.history import repair
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechInterrupted,
    AgentSpeechStarted,
    AgentStateChanged,
    SessionEnded,
    SessionStarted,
    TurnCompleted,
    UserDtmf,
    UserTurnCompleted,
)
from antiphon.calls.pacer import Pacer
from antiphon.models.llm.messages import Message

TICK_S = 0.021
"""A beat of the pacer."""


def check(call: CallUnderTest, *, max_dead_air_s: float = 4.0) -> None:
    """All of them, for a call that is over."""
    check_end(call)
    check_log(call)
    check_sound(call)
    check_dead_air(call, max_dead_air_s)
    check_history(call.call.history.messages)


def check_end(call: CallUnderTest) -> None:
    """The call is over, once, and nothing of it is left."""
    ended = call.events(SessionEnded)
    assert len(ended) == 1
    assert call.entries[-1].event is ended[0] is call.ended
    assert call.phone.hung_up == call.ended.reason
    assert call.phone.frames_after_end == 0
    assert call.loop_errors == []


def check_log(call: CallUnderTest) -> None:
    """Numbered without gaps, in time; every turn that begins is closed, in order."""
    assert [entry.seq for entry in call.entries] == list(range(1, len(call.entries) + 1))
    assert all(before.at <= after.at for before, after in pairwise(call.entries))
    started = call.events(SessionStarted)
    assert len(started) == 1
    closed = [event.turn for event in call.events(TurnCompleted)]
    assert closed == sorted(set(closed))
    begun = {event.turn for event in call.events(UserTurnCompleted)}
    assert begun <= set(closed)


def check_sound(call: CallUnderTest) -> None:
    """Sound leaves only for a speech that has begun and was not stopped; each speech ends once."""
    created = [event.speech for event in call.events(AgentSpeechCreated)]
    assert len(created) == len(set(created))
    over = [event.speech for event in call.events(AgentSpeechCompleted, AgentSpeechInterrupted)]
    assert len(over) == len(set(over))
    assert set(over) == {event.speech for event in call.events(AgentSpeechStarted)} <= set(created)
    for start, end in silences(call):
        late = [at for at, _ in call.phone.frames if start + 1e-6 < at < end - 1e-6]
        assert not late, f"sound at {late[:3]} between {start} and {end}, when nobody speaks"


def silences(call: CallUnderTest) -> list[tuple[float, float]]:
    """When no speech of the agent is under way: after each stop and before the next start."""
    spans = []
    sounding: set[int] = set()
    since = 0.0
    for entry in call.entries:
        event = entry.event
        if isinstance(event, AgentSpeechStarted):
            if not sounding:
                spans.append((since, entry.at))
            sounding.add(event.speech)
        elif isinstance(event, AgentSpeechCompleted | AgentSpeechInterrupted):
            sounding.discard(event.speech)
            since = entry.at
    if not sounding:
        spans.append((since, float("inf")))
    return spans


def agent_turns(call: CallUnderTest) -> list[tuple[float, float]]:
    """When the floor is the agent's, from and to; a key is an act of the caller, behind which the wait is a new one."""
    spans, since = [], None
    for entry in call.entries:
        if isinstance(entry.event, UserDtmf) and since is not None:
            spans.append((since, entry.at))
            since = entry.at
        if isinstance(entry.event, AgentStateChanged):
            is_agents = entry.event.new_state in {"thinking", "speaking"}
            if is_agents and since is None:
                since = entry.at
            elif not is_agents and since is not None:
                spans.append((since, entry.at))
                since = None
    assert since is None
    return spans


def check_dead_air(call: CallUnderTest, max_dead_air_s: float = 4.0) -> None:
    """The caller is never left in silence for long while it is the agent's turn."""
    for start, end in agent_turns(call):
        silence = call.phone.longest_silence(start, end)
        assert silence <= max_dead_air_s + TICK_S, f"{silence:.2f} s of silence between {start:.2f} and {end:.2f}"


def check_history(messages: list[Message]) -> None:
    """Results belong to calls, once; a request made of it is valid."""
    asked = [call.call_id for message in messages for call in message.calls]
    answered = [message.result.call_id for message in messages if message.result is not None]
    assert len(set(asked)) == len(asked)
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(asked)
    sound = repair(messages)
    assert [m.result.call_id for m in sound if m.result is not None] == asked
    assert all(message.text or message.calls or message.role == "tool" for message in messages)


def check_nothing_left() -> None:
    """No task and no timer of any call is left on the running loop."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, [task.get_name() for task in left]
    timers = [timer._callback for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    assert not [callback for callback in timers if _is_a_calls(callback)], timers


def _is_a_calls(callback: Any) -> bool:
    """Whether a call has asked for a timer: not the metronome of all calls, nor a telephone that plays what it has."""
    owner = getattr(callback, "__self__", None)
    is_other = isinstance(owner, Pacer) or callback.__name__ == "mark_played"
    return type(owner).__module__.startswith("antiphon.calls") and not is_other
