"""Two things at once, in orders that are rare: the end of a call, a hold, a machine, a gate, a collector, a transfer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import phone
import pytest
import s2s_phone
from invariants import check, check_nothing_left
from phone import CallUnderTest

from antiphon.agents.agent import Agent
from antiphon.calls.events import SessionEnded
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as asks
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.tools.context import ToolContext
from antiphon.tools.keypad import pin_gate
from antiphon.tools.tool import tool
from antiphon.tools.transfer import Transfer

Start = Callable[..., AbstractAsyncContextManager[CallUnderTest]]


@asynccontextmanager
async def cascade(clock: VirtualClock, *answers: Any, heard: list[str], **parts: Any) -> AsyncIterator[CallUnderTest]:
    script = [Reply(calls=(asks(each.name),)) if isinstance(each, Calls) else each for each in answers]
    async with phone.calling(clock, stt=heard, llm=script, **parts) as call:
        yield call


@asynccontextmanager
async def one_model(clock: VirtualClock, *answers: Any, heard: list[str], **parts: Any) -> AsyncIterator[CallUnderTest]:
    async with s2s_phone.calling(clock, ScriptedS2S([*answers], heard=heard, clock=clock), **parts) as call:
        yield call


both = pytest.mark.parametrize("start", [cascade, one_model])


async def say(call: CallUnderTest, seconds: float = 1.2) -> None:
    await call.quiet(0.5)
    await call.speak(seconds)


@both
def test_who_hangs_up_before_a_gate_leaves_nobody_waiting_for_a_number(start: Start) -> None:
    clock = VirtualClock()
    agent = Agent("bank", "Check the caller.", tools=[pin_gate("4711")])

    async def scenario() -> CallUnderTest:
        answers = (Calls("pin_gate"), "Please type your number.")
        async with start(clock, *answers, heard=["My balance please."], agent=agent) as call:
            await say(call)
            await call.quiet(5)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.phone.hung_up_at is not None
    assert call.at(SessionEnded) == pytest.approx(call.phone.hung_up_at, abs=0.1)


@both
def test_what_was_dialled_is_dropped_with_the_call_although_a_tool_still_runs(start: Start) -> None:
    clock = VirtualClock()
    dropped_at: list[float] = []

    class Exchange:
        def refusal(self, transfer: Transfer) -> str | None:
            return None

        async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
            try:
                await clock.sleep(20)
            except asyncio.CancelledError:
                dropped_at.append(clock.now())
                raise

        async def hang_up(self) -> None: ...

    @tool(timeout_s=60)
    async def file_report(context: ToolContext) -> str:
        """File a report."""
        await clock.sleep(30)
        return "Filed."

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", "Answer.", tools=[file_report])
        heard = ["File it.", "And connect me to somebody."]
        answers = (Calls("file_report"), "I will.")
        async with start(clock, *answers, heard=heard, agent=agent, control=Exchange()) as call:
            await say(call)
            await call.quiet(2)
            await say(call)
            await call.quiet(5)
            call.call.transfer(Transfer("+493023125012"))
            await call.quiet(2)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert dropped_at == [pytest.approx(call.phone.hung_up_at, abs=0.1)]
