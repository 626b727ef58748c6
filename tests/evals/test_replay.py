from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from antiphon.calls import events
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import ConfigurationError
from antiphon.evals.replay import replay_decisions
from tests.calls.phone import CallUnderTest, make_call


async def _changed_in_the_middle(call: CallUnderTest) -> None:
    await call.quiet(0.5)
    await call.speak(1.0)
    await call.quiet(3.0)
    patient = replace(TurnPolicy(idle_s=0.0), complete_delay_s=1.5, uncertain_delay_s=1.5, speculate=False)
    call.call.adopt(patient)
    await call.speak(1.0)
    await call.quiet(4.0)
    call.call.line_lost()


def _recorded(clock: VirtualClock) -> CallUnderTest:
    policy = CallPolicy(turn=TurnPolicy(idle_s=0.0))
    call = make_call(clock, stt=["What time is it?", "And now?"], llm=["It is ten.", "Half past."], policy=policy)

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.run())
            tasks.create_task(_changed_in_the_middle(call))

    clock.run(both())
    return call


def test_a_call_whose_manners_changed_replays_to_the_same_decisions() -> None:
    call = _recorded(VirtualClock())
    assert len(call.events(events.UserTurnCompleted)) == 2
    entries = [entry.to_dict() for entry in call.entries]
    replay = replay_decisions(entries)
    assert replay.steps > 10
    assert replay.differences == []


def test_the_change_of_manners_is_what_makes_it_so() -> None:
    entries = [entry.to_dict() for entry in _recorded(VirtualClock()).entries]
    without = [entry for entry in entries if entry["type"] != "session.manners"]
    assert replay_decisions(without).differences


def test_call_whose_model_finds_the_turns_has_no_decisions() -> None:
    start = {"seq": 1, "type": "session.started", "models": {"s2s": "realtime/openai"}, "manners": {}}
    with pytest.raises(ConfigurationError, match="found its turns by itself"):
        replay_decisions([start])
    with pytest.raises(ConfigurationError, match="log_decisions"):
        replay_decisions([{**start, "models": {"llm": "scripted"}}])
