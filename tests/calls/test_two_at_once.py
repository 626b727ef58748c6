"""Two things at once, in rare orders: the end of a call, a hold, a machine, a gate, a collector, a transfer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import phone
import pytest
import s2s_phone
from invariants import check, check_nothing_left
from phone import CallUnderTest
from s2s_phone import Puppet

from antiphon.agents.agent import Agent
from antiphon.agents.manners import Idle, Manners, Voicemail
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechStarted,
    AgentToolFailed,
    AgentToolStarted,
    CallResumed,
    CallTransferred,
    CallTransferring,
    SessionEnded,
    SessionStarted,
    ToolExecuted,
    UserIdle,
    VoicemailDetected,
)
from antiphon.calls.policy import CallPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as asks
from antiphon.models.s2s.contract import Failed
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.tools.collect import collect_email
from antiphon.tools.context import ToolContext
from antiphon.tools.keypad import pin_gate
from antiphon.tools.prebuilt import HANG_UP
from antiphon.tools.tool import tool
from antiphon.tools.transfer import Transfer
from antiphon.tools.voicemail import MACHINE_ANSWERED

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


@dataclass
class Exchange:
    """A carrier with which the caller is on the way to somebody else for two seconds."""

    clock: VirtualClock

    def refusal(self, transfer: Transfer) -> str | None:
        return None

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        leaving()
        await self.clock.sleep(2)

    async def hang_up(self) -> None:
        raise AssertionError("the call's owner hangs up, not the transfer")


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

    class Slow(Exchange):
        async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
            try:
                await clock.sleep(20)
            except asyncio.CancelledError:
                dropped_at.append(clock.now())
                await clock.sleep(3)  # to hang up takes its time, and is not cut when the tool is
                dropped_at.append(clock.now())
                raise

    @tool(timeout_s=60)
    async def file_report(context: ToolContext) -> str:
        """File a report."""
        await clock.sleep(30)
        return "Filed."

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", "Answer.", tools=[file_report])
        heard = ["File it.", "And connect me to somebody."]
        answers = (Calls("file_report"), "I will.")
        async with start(clock, *answers, heard=heard, agent=agent, control=Slow(clock)) as call:
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
    assert call.phone.hung_up_at is not None
    assert dropped_at == pytest.approx([call.phone.hung_up_at, call.phone.hung_up_at + 3], abs=0.1)


@both
def test_a_gate_counts_no_attempt_while_the_caller_holds(start: Start) -> None:
    clock = VirtualClock()
    agent = Agent("bank", "Check the caller.", tools=[pin_gate("4711", attempts=2, timeout_s=5)])

    async def scenario() -> CallUnderTest:
        answers = (Calls("pin_gate"), "Please type your number.", "Thank you.")
        async with start(clock, *answers, heard=["My balance please."], agent=agent) as call:
            await say(call)
            await call.quiet(3)
            call.call.sounds.hold()
            await call.quiet(30)
            assert call.ended is None
            call.call.sounds.resume()
            for key in "4711#":
                call.call.digit(key)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.call.session.state == {"open:pin_gate": True}
    assert len(call.events(AgentSpeechStarted)) == 2


@both
def test_a_collector_is_not_given_up_while_the_caller_holds(start: Start) -> None:
    clock = VirtualClock()
    agent = Agent("desk", "Answer.", tools=[collect_email(timeout_s=8)])

    async def scenario() -> CallUnderTest:
        answers = (Calls("collect_email"), "Your address?", "Never mind, then.")
        async with start(clock, *answers, heard=["Write to me."], agent=agent) as call:
            await say(call)
            await call.quiet(3)
            call.call.sounds.hold()
            await call.quiet(20)
            call.call.sounds.resume()
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.at(AgentSpeechStarted, 1) > call.at(CallResumed)
    assert not call.events(AgentToolFailed, UserIdle)


@both
def test_who_is_on_the_way_to_somebody_else_is_not_hung_up_on_by_a_late_tool(start: Start) -> None:
    clock = VirtualClock()

    @tool(wait="later")
    async def close_case(context: ToolContext) -> str:
        """Close the case, and the call."""
        await clock.sleep(5)
        context.request(HANG_UP, {"reason": "done", "after_speech": True})
        return "Closed."

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", "Answer.", tools=[close_case])
        answers = (Calls("close_case"), "I will.")
        parts: dict[str, Any] = {"agent": agent, "control": Exchange(clock), "hang_up": False}
        async with start(clock, *answers, heard=["Close it."], **parts) as call:
            await say(call)
            await call.quiet(4.3)
            call.call.transfer(Transfer("+493023125012"))
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.at(CallTransferring) < call.at(ToolExecuted) < call.at(CallTransferred)
    assert call.events(SessionEnded)[0].reason == "transferred"


def test_a_model_that_is_lost_does_not_end_the_call_of_who_is_on_the_way_to_somebody_else() -> None:
    clock = VirtualClock()
    model = Puppet()

    async def scenario() -> CallUnderTest:
        async with s2s_phone.calling(clock, model, control=Exchange(clock), hang_up=False) as call:
            await call.quiet(1)
            call.call.transfer(Transfer("+493023125012"))
            await call.quiet(1)
            model.tell(Failed(IntegrationUnavailableException("The connection is lost."), is_final=True))
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert not call.events(AgentSpeechStarted)
    assert call.events(SessionEnded)[0].reason == "transferred"


def test_a_goodbye_that_has_begun_is_said_also_to_a_machine() -> None:
    clock = VirtualClock()
    model = Puppet()
    manners = Manners(voicemail=Voicemail("audio", "Please call back."))

    async def scenario() -> CallUnderTest:
        agent = Agent("caller", "Remind people.", manners=manners)
        async with s2s_phone.calling(clock, model, agent=agent, hang_up=False) as call:
            await call.quiet(1)
            call.call.end("drained")
            await call.quiet(0.3)
            model.turn("Hi, you have reached Bob. Please leave a message after the tone.")
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert [event.result for event in call.events(VoicemailDetected)] == ["machine"]
    assert [event.transcript for event in call.events(AgentSpeechCompleted)] == [CallPolicy().limit_goodbye]
    [ended] = call.events(SessionEnded)
    assert ended.reason == "drained"
    assert call.at(SessionEnded) < 5  # with its last word, and not when time is over


@pytest.mark.parametrize("start", [cascade, one_model])
def test_a_call_begins_by_the_manners_of_its_agent(start: Start) -> None:
    clock = VirtualClock()
    agent = Agent("desk", "Answer.", manners=Manners(idle=Idle(timeout_s=40, reminders=())))

    async def scenario() -> CallUnderTest:
        async with start(clock, heard=[], agent=agent) as call:
            await call.quiet(1)
        return call

    [started] = clock.run(scenario()).events(SessionStarted)
    assert started.manners["idle_s"] == 40


@both
def test_what_a_tool_still_asks_for_when_the_call_is_over_leaves_nothing_running(start: Start) -> None:
    clock = VirtualClock()
    gate = pin_gate("4711", name="gate")

    @tool
    async def look_twice(context: ToolContext) -> str:
        """Look twice."""
        await clock.sleep(4)
        context.request(MACHINE_ANSWERED, {"transcript": "", "at_once": False})
        return str(await gate.function(context))

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", "Answer.", tools=[look_twice])
        async with start(clock, Calls("look_twice"), heard=["Look."], agent=agent) as call:
            await say(call)
            await call.quiet(3)
        check_nothing_left()
        return call

    check(clock.run(scenario()))


@both
def test_a_collector_that_is_given_up_and_asks_once_more_waits_for_its_own_time(start: Start) -> None:
    clock = VirtualClock()
    agent = Agent("desk", "Answer.", tools=[collect_email(timeout_s=8)])

    async def scenario() -> CallUnderTest:
        again = (Calls("collect_email"), "Your address?")
        async with start(clock, *again, *again, "Never mind.", heard=["Write to me."], agent=agent) as call:
            await say(call)
            await call.quiet(12)
            call.call.line_lost()
            await call.quiet(0.1)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert len(call.events(AgentToolStarted)) == 2
    assert len(call.events(AgentSpeechStarted)) == 2
