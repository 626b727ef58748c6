"""The log of a call: numbered, timed, closed by its last event; no reader can slow or break the call."""

from __future__ import annotations

import asyncio
from dataclasses import is_dataclass
from typing import get_args

import pytest

from antiphon.calls import events
from antiphon.calls.events import AgentTextSpoken, SessionEnded, ToolCalled, UserDtmf, UserSpeechStopped
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import VirtualClock, WallClock

ENDED = SessionEnded("user_hangup", 1.0, 0)


def test_entries_are_numbered_and_timed_from_the_start() -> None:
    clock = VirtualClock()
    entries: list[Entry] = []

    async def scenario() -> None:
        await clock.sleep(5)
        log = CallLog("call-1", clock)
        log.subscribe(entries.append)
        log.append(UserDtmf("•"))
        await clock.sleep(1.5)
        log.append(UserDtmf("•"))
        assert log.seconds(clock.now() - 1) == 0.5

    clock.run(scenario())
    assert [(entry.seq, entry.at) for entry in entries] == [(1, 0.0), (2, 1.5)]
    assert entries[1].to_dict() == {"seq": 2, "at": 1.5, "type": "user.dtmf", "digit": "•"}


async def test_a_reader_that_fails_keeps_nothing_from_the_others() -> None:
    log = CallLog("call-1", WallClock())
    entries: list[Entry] = []

    def broken(entry: Entry) -> None:
        raise ValueError("a reader's bug")

    log.subscribe(broken)
    log.subscribe(entries.append)
    log.append(UserDtmf("•"))
    log.append(ENDED)
    assert [entry.seq for entry in entries] == [1, 2]


async def test_a_reader_may_leave_while_it_reads() -> None:
    log = CallLog("call-1", WallClock())
    once: list[Entry] = []
    entries: list[Entry] = []

    def read_once(entry: Entry) -> None:
        once.append(entry)
        leave()
        leave()

    leave = log.subscribe(read_once)
    log.subscribe(entries.append)
    log.append(UserDtmf("•"))
    log.append(UserDtmf("•"))
    assert len(once) == 1
    assert len(entries) == 2


async def test_nothing_is_taken_after_the_end() -> None:
    log = CallLog("call-1", WallClock())
    entries: list[Entry] = []
    log.subscribe(entries.append)
    log.append(ENDED)
    log.append(UserDtmf("•"))
    log.append(ENDED)
    assert log.ended
    assert [entry.event for entry in entries] == [ENDED]


def test_a_follower_gets_all_at_its_own_pace_and_ends_with_the_call() -> None:
    clock = VirtualClock()

    async def scenario() -> list[int]:
        log = CallLog("call-1", clock)
        follower = log.follow()
        read: list[int] = []

        async def follow() -> None:
            async for entry in follower:
                await clock.sleep(0.1)
                read.append(entry.seq)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow())
            for _ in range(20):
                log.append(UserDtmf("•"))
                await clock.sleep(0.03)
            log.append(ENDED)
        assert follower.dropped == 0
        return read

    assert clock.run(scenario()) == list(range(1, 22))


@pytest.mark.parametrize("capacity", [1, 4])
def test_a_follower_that_is_too_slow_loses_the_oldest_and_counts_them(capacity: int) -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        log = CallLog("call-1", clock)
        follower = log.follow(capacity)
        for number in range(10):
            log.append(AgentTextSpoken(number, "word"))
        log.append(ENDED)
        read = [entry.seq async for entry in follower]
        assert read == list(range(12 - capacity, 12))
        assert follower.dropped == 11 - capacity

    clock.run(scenario())


def test_a_follower_that_comes_after_the_end_has_nothing_to_wait_for() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        log = CallLog("call-1", clock)
        log.append(ENDED)
        async with asyncio.timeout(1):
            assert [entry async for entry in log.follow()] == []

    clock.run(scenario())


def test_a_follower_that_leaves_is_forgotten() -> None:
    clock = VirtualClock()

    async def scenario() -> None:
        log = CallLog("call-1", clock)
        follower = log.follow(2)
        task = asyncio.create_task(anext(aiter(follower.__aiter__())))
        await clock.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(10):
            log.append(UserDtmf("•"))
        assert follower.dropped == 0

    clock.run(scenario())


def test_a_number_that_was_typed_is_hidden_wherever_it_comes_back() -> None:
    clock = VirtualClock()

    async def scenario() -> list[Entry]:
        log, entries = CallLog("call-1", clock), list[Entry]()
        log.subscribe(entries.append)
        log.append(AgentTextSpoken(1, "Before: 4711."))
        log.hide("4711")
        log.hide("12")  # a choice in a menu, too short to be looked for
        log.append(AgentTextSpoken(1, "It is 4-7 1, 1; not 147110, and 12 euros."))
        log.append(ToolCalled("c1", "look_up", {"pin": 4711, "list": ["4711", {"deep": "is 4711"}], "yes": True}))
        log.append(UserSpeechStopped(1.0, 4711))
        return entries

    entries = clock.run(scenario())
    assert [entry.event for entry in entries] == [
        AgentTextSpoken(1, "Before: 4711."),
        AgentTextSpoken(1, "It is ••••; not 147110, and 12 euros."),
        ToolCalled("c1", "look_up", {"pin": "••••", "list": ["••••", {"deep": "is ••••"}], "yes": True}),
        UserSpeechStopped(1.0, 4711),
    ]


def test_every_event_is_one_that_a_log_may_hold() -> None:
    known = {each for each in vars(events).values() if is_dataclass(each) and hasattr(each, "type")}
    assert known == set(get_args(events.CallEvent))
    names = [each.type for each in get_args(events.CallEvent)]
    assert len(set(names)) == len(names)
