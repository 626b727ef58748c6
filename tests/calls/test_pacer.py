"""The metronome: on time, silent when nobody speaks, deaf to one member's faults."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.calls.pacer import Pacer
from antiphon.clock import VirtualClock


class Member:
    """Notes its beats; leaves, or fails, at one of them."""

    def __init__(self, pacer: Pacer, *, leave_at: int = 0, fail_at: int = 0) -> None:
        self.beats: list[float] = []
        self._pacer = pacer
        self._leave_at = leave_at
        self._fail_at = fail_at

    def beat(self, now: float) -> None:
        self.beats.append(round(now, 6))
        if len(self.beats) == self._fail_at:
            raise BrokenPipeError
        if len(self.beats) == self._leave_at:
            self._pacer.leave(self)


def test_beats_come_each_step_and_stop_when_the_last_has_left() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock)
    member = Member(pacer, leave_at=5)

    async def scenario() -> None:
        pacer.join(member)
        pacer.join(member)
        await clock.sleep(1)
        assert asyncio.get_running_loop().time() == 1
        pacer.join(member)
        await clock.sleep(0.05)
        pacer.leave(member)
        pacer.leave(member)
        await clock.sleep(1)

    clock.run(scenario())
    assert member.beats == [0.02, 0.04, 0.06, 0.08, 0.1, 1.02, 1.04]


def test_beats_do_not_drift_and_lateness_is_caught_up() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock)

    class Slow(Member):
        def beat(self, now: float) -> None:
            super().beat(now)
            if len(self.beats) == 3:
                clock._loop._virtual_now += 0.07  # the process was busy

    member = Slow(pacer)

    async def scenario() -> None:
        pacer.join(member)
        await clock.sleep(0.3)
        pacer.leave(member)

    clock.run(scenario())
    assert member.beats[:4] == [0.02, 0.04, 0.06, 0.13]
    assert member.beats[-1] == pytest.approx(0.3, abs=0.021)
    assert pacer.late_max_s == pytest.approx(0.05)
    steps = [later - earlier for earlier, later in zip(member.beats[5:], member.beats[6:], strict=False)]
    assert all(step <= 0.021 for step in steps)


def test_a_member_that_fails_is_dropped_and_the_others_go_on() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock)
    bad, good = Member(pacer, fail_at=3), Member(pacer)

    async def scenario() -> None:
        pacer.join(bad)
        pacer.join(good)
        await clock.sleep(0.2)
        pacer.leave(good)

    clock.run(scenario())
    assert len(bad.beats) == 3
    assert len(good.beats) >= 9
