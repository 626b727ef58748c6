"""Callers who are brought to somebody else: by the agent's tool or the application, in both kinds of call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import phone
import pytest
import s2s_phone
from invariants import check
from phone import CallUnderTest

from antiphon.agents.agent import Agent
from antiphon.calls.events import (
    AgentSpeechCompleted,
    AgentSpeechStarted,
    CallHeld,
    CallResumed,
    CallTransferFailed,
    CallTransferred,
    CallTransferring,
    SessionEnded,
    SessionError,
    TurnCompleted,
    UserDtmf,
    UserIdle,
    UserTurnCompleted,
)
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import (
    IntegrationException,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
    ToolException,
)
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.models.s2s.scripted import Calls, ScriptedS2S
from antiphon.tools.context import ToolContext
from antiphon.tools.transfer import HOLD_TEXT, NO_LINE, Transfer, checked_destination, transfer_call

BILLING = "+493023125012"
SAID = "Please put me through to billing."
AFTER = "Sorry, nobody is there. Can I help?"
WISH = {"destination": "billing", "reason": "an invoice", "context_summary": "Ms Doe asks about invoice 7."}


@dataclass
class Exchange:
    """A carrier that takes its time, and then does what it is told, or not."""

    clock: VirtualClock
    takes_s: float = 2.0
    leaves_after_s: float | None = None
    error: IntegrationException | None = None
    fault: Exception | None = None
    warm: bool = True
    asked: list[tuple[float, Transfer]] = field(default_factory=list)
    dropped: int = 0

    def refusal(self, transfer: Transfer) -> str | None:
        return None if self.warm or transfer.kind == "blind" else "Only a blind transfer is possible here."

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        self.asked.append((self.clock.now(), transfer))
        try:
            if self.leaves_after_s is not None:
                await self.clock.sleep(self.leaves_after_s)
                leaving()
            await self.clock.sleep(self.takes_s)
        except BaseException:
            self.dropped += 1
            raise
        if self.fault is not None:
            raise self.fault
        if self.error is not None:
            raise self.error

    async def hang_up(self) -> None:
        raise AssertionError("the call's owner hangs up, not the transfer")


def busy() -> IntegrationUnavailableException:
    return IntegrationUnavailableException("The other party is busy; try later.", code="busy")


def desk(**options: Any) -> Agent:
    return Agent("desk", "Answer.", tools=[transfer_call({"billing": BILLING}, **options)])


Start = Callable[..., AbstractAsyncContextManager[CallUnderTest]]


@asynccontextmanager
async def cascade(
    clock: VirtualClock, *answers: Any, heard: Sequence[str] = (SAID,), **parts: Any
) -> AsyncIterator[CallUnderTest]:
    script = [Reply(calls=(asks("transfer_call", **each),)) if isinstance(each, dict) else each for each in answers]
    async with phone.calling(clock, stt=[*heard], llm=script, **parts) as call:
        yield call


@asynccontextmanager
async def one_model(
    clock: VirtualClock, *answers: Any, heard: Sequence[str] = (SAID,), **parts: Any
) -> AsyncIterator[CallUnderTest]:
    script = [Calls("transfer_call", json.dumps(each)) if isinstance(each, dict) else each for each in answers]
    model = ScriptedS2S(script, heard=[*heard], clock=clock)
    async with s2s_phone.calling(clock, model, **parts) as call:
        yield call


both = pytest.mark.parametrize("start", [cascade, one_model])


async def ask_for_it(call: CallUnderTest) -> None:
    await call.quiet(0.5)
    await call.speak(1.2)


@both
def test_what_is_said_is_said_then_the_caller_is_transferred_and_the_call_is_over(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock)

    async def scenario() -> CallUnderTest:
        async with start(clock, WISH, HOLD_TEXT, agent=desk(), control=exchange, hang_up=False) as call:
            await ask_for_it(call)
            await call.quiet(12)
        return call

    call = clock.run(scenario())
    check(call)
    [(_, wish)] = exchange.asked
    assert wish == Transfer(BILLING, "blind", "billing", "an invoice", "Ms Doe asks about invoice 7.")
    [said] = call.events(AgentSpeechCompleted)
    assert said.transcript == HOLD_TEXT
    assert call.at(CallTransferring) >= call.at(AgentSpeechCompleted)
    assert call.events(CallTransferred) == [CallTransferred(BILLING, "billing", "blind")]
    assert call.at(SessionEnded) == pytest.approx(call.at(CallTransferring) + 2.0, abs=0.1)
    [ended] = call.events(SessionEnded)
    assert ended.reason == call.phone.hung_up == "transferred"
    assert call.phone.hung_up_at is not None
    assert call.phone.hung_up_at >= call.at(CallTransferred)
    assert not call.events(SessionError)


@both
def test_a_transfer_that_fails_is_told_and_the_call_goes_on(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, error=busy())

    async def scenario() -> CallUnderTest:
        told = (WISH, HOLD_TEXT, AFTER, "Of course.") if start is one_model else (WISH, AFTER, "Of course.")
        heard = (SAID, "Yes please.")
        async with start(clock, *told, heard=heard, agent=desk(), control=exchange) as call:
            await ask_for_it(call)
            await call.quiet(12)
            await call.speak(0.8)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(CallTransferFailed) == [CallTransferFailed(BILLING, "billing", "busy")]
    assert [error.code for error in call.events(SessionError)] == ["transfer_failed"]
    assert not call.events(CallTransferred)
    assert call.at(CallTransferring) == call.at(CallHeld) < call.at(CallTransferFailed) == call.at(CallResumed)
    assert call.phone.longest_silence(call.at(CallHeld) + 0.1, call.at(CallResumed)) < 0.1  # there is music
    assert [turn.agent_text for turn in call.events(TurnCompleted)][-2:] == [AFTER, "Of course."]
    results = [message.result.text for message in call.call.history.messages if message.result is not None]
    assert "The transfer to billing failed: the line is busy. Tell the caller, and go on." in results
    [ended] = call.events(SessionEnded)
    assert ended.reason == "user_hangup"


@both
def test_a_caller_who_waits_is_not_heard_and_not_asked(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, takes_s=20)

    async def scenario() -> CallUnderTest:
        policy = CallPolicy(turn=TurnPolicy(idle_s=5))
        async with start(clock, WISH, HOLD_TEXT, agent=desk(), control=exchange, policy=policy, hang_up=False) as call:
            await ask_for_it(call)
            await call.quiet(8)
            await call.speak(1.5)
            call.call.digit("5")
            await call.quiet(20)
        return call

    call = clock.run(scenario())
    check(call)
    assert len(call.events(UserTurnCompleted)) == 1
    assert not call.events(UserIdle, UserDtmf)
    assert call.events(SessionEnded)[0].reason == "transferred"


@both
def test_after_a_failed_transfer_the_silence_counts_again(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, takes_s=8, error=busy())

    async def scenario() -> CallUnderTest:
        policy = CallPolicy(turn=TurnPolicy(idle_s=5, idle_reminders=1))
        told = (WISH, HOLD_TEXT, AFTER) if start is one_model else (WISH, AFTER)
        async with start(clock, *told, agent=desk(), control=exchange, policy=policy, hang_up=False) as call:
            await ask_for_it(call)
            await call.quiet(40)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.at(UserIdle) > call.at(CallTransferFailed) + 5
    assert call.events(SessionEnded)[0].reason == "idle_timeout"


@both
def test_a_caller_who_hangs_up_meanwhile_is_gone_and_so_is_what_was_dialled(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, takes_s=20)

    async def scenario() -> CallUnderTest:
        async with start(clock, WISH, HOLD_TEXT, agent=desk(), control=exchange) as call:
            await ask_for_it(call)
            await call.quiet(8)
        return call

    call = clock.run(scenario())
    check(call)
    assert len(exchange.asked) == exchange.dropped == 1
    assert call.events(SessionEnded)[0].reason == "user_hangup"
    assert not call.events(CallTransferred, CallTransferFailed, SessionError)


@both
@pytest.mark.parametrize(("error", "reason"), [(None, "transferred"), (busy(), "user_hangup")])
def test_a_line_that_ends_because_the_caller_is_moved_tells_nothing_before_the_carrier_does(
    start: Start, error: IntegrationException | None, reason: str
) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, leaves_after_s=1.0, takes_s=1.0, error=error)

    async def scenario() -> CallUnderTest:
        async with start(clock, WISH, HOLD_TEXT, agent=desk(), control=exchange, hang_up=False) as call:
            await ask_for_it(call)
            while not exchange.asked:
                await call.quiet(0.1)
            await call.quiet(1.2)
            call.call.line_lost()
            await call.quiet(0.2)
            assert call.ended is None
            await call.quiet(3)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(SessionEnded)[0].reason == reason
    assert bool(call.events(CallTransferred)) == (reason == "transferred")


@both
@pytest.mark.parametrize(("error", "reason"), [(None, "transferred"), (busy(), "drained")])
def test_a_call_that_is_to_end_while_the_caller_is_moved_is_ended_only_if_that_fails(
    start: Start, error: IntegrationException | None, reason: str
) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, leaves_after_s=1.0, takes_s=3.0, error=error)

    async def scenario() -> CallUnderTest:
        async with start(clock, WISH, HOLD_TEXT, agent=desk(), control=exchange, hang_up=False) as call:
            await ask_for_it(call)
            while not exchange.asked:
                await call.quiet(0.1)
            await call.quiet(1.2)
            call.call.end("drained")
            call.call.line_lost()
            await call.quiet(0.5)
            assert call.ended is None
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.events(SessionEnded)[0].reason == reason


@both
def test_a_caller_who_speaks_before_it_begins_keeps_the_agent(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock)

    async def scenario() -> CallUnderTest:
        told = (WISH, HOLD_TEXT, "You stay here.", "Fine.") if start is one_model else (WISH, "You stay here.", "Fine.")
        heard = (SAID, "No wait, I have another question first.")
        wish = {**WISH, "hold_text": HOLD_TEXT + " It may take a while until somebody is there, so please be patient."}
        async with start(clock, wish, *told[1:], heard=heard, agent=desk(), control=exchange) as call:
            await ask_for_it(call)
            while not call.events(AgentSpeechStarted):
                await call.quiet(0.1)
            await call.quiet(0.3)
            await call.speak(2)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    check(call)
    assert not exchange.asked
    results = [message.result.text for message in call.call.history.messages if message.result is not None]
    assert any(text.startswith("The caller has spoken before the transfer began") for text in results)
    assert call.events(SessionEnded)[0].reason == "user_hangup"


@both
def test_r10_a_warm_transfer_is_refused_with_the_reason_where_the_carrier_cannot_confer(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, warm=False)

    async def scenario() -> CallUnderTest:
        async with start(clock, {**WISH, "type": "warm"}, "Only at once.", agent=desk(), control=exchange) as call:
            await ask_for_it(call)
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert not exchange.asked
    results = [message.result.text for message in call.call.history.messages if message.result is not None]
    assert results == ["Only a blind transfer is possible here."]
    assert [turn.agent_text for turn in call.events(TurnCompleted)] == ["Only at once."]
    assert not call.events(SessionError)


@both
def test_without_an_account_at_the_carrier_the_agent_is_told_in_one_sentence(start: Start) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with start(clock, WISH, "I cannot connect you.", agent=desk()) as call:
            await ask_for_it(call)
            await call.quiet(5)
        return call

    call = clock.run(scenario())
    check(call)
    results = [message.result.text for message in call.call.history.messages if message.result is not None]
    assert results == ["This call cannot be transferred: no account of its carrier is set up here."]
    assert [turn.agent_text for turn in call.events(TurnCompleted)] == ["I cannot connect you."]


@both
def test_the_application_transfers_too_behind_what_is_being_said(start: Start) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock)

    async def scenario() -> CallUnderTest:
        agent = Agent("desk", "Answer.", greeting="Welcome to the desk of the clinic.")
        answers = (agent.greeting,) if start is one_model else ()
        async with start(clock, *answers, heard=(), agent=agent, control=exchange, hang_up=False) as call:
            await call.quiet(0.6)
            call.call.transfer(Transfer(BILLING))
            with pytest.raises(IntegrationInvalidRequestException, match="under way"):
                call.call.transfer(Transfer(BILLING))
            await call.quiet(8)
        with pytest.raises(IntegrationInvalidRequestException, match="over"):
            call.call.transfer(Transfer(BILLING))
        return call

    call = clock.run(scenario())
    check(call)
    assert call.at(CallTransferring) >= call.at(AgentSpeechCompleted)
    assert call.events(SessionEnded)[0].reason == "transferred"


def test_a_fault_of_the_carriers_code_costs_the_transfer_and_not_the_call() -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, fault=RuntimeError("boom"))

    async def scenario() -> CallUnderTest:
        async with cascade(clock, WISH, AFTER, agent=desk(), control=exchange) as call:
            await ask_for_it(call)
            await call.quiet(10)
        return call

    call = clock.run(scenario())
    assert call.events(CallTransferFailed) == [CallTransferFailed(BILLING, "billing", "internal")]
    assert call.events(TurnCompleted)[-1].agent_text == AFTER


# The tool.


@pytest.mark.parametrize("text", ["+49 30 23125-012", "+49(30)23125012", " +493023125012 "])
def test_numbers_are_read_as_people_write_them(text: str) -> None:
    assert checked_destination(text) == BILLING


@pytest.mark.parametrize(
    "text",
    ["030123456", "+0301234", "+4", "+4930231250123456", "sip:", "sip:a b@c", "911", "sip:x@y?z=1", "+49 30 abc"],
)
def test_what_cannot_be_dialled_is_no_destination(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be dialled"):
        checked_destination(text)


def test_a_tool_with_nobody_to_call_is_refused() -> None:
    with pytest.raises(ValueError, match="needs destinations"):
        transfer_call()
    with pytest.raises(ValueError, match="cannot be dialled"):
        transfer_call({"billing": "12"})


async def test_the_model_cannot_invent_a_number() -> None:
    tool = transfer_call({"billing": BILLING})
    assert tool.spec.parameters["properties"]["destination"]["enum"] == ["billing"]
    with pytest.raises(ToolException, match="no destination"):
        await tool(ToolContext(), "+15550100", "x")


async def test_a_number_of_the_caller_is_taken_only_where_the_agent_may() -> None:
    tool = transfer_call({"billing": BILLING}, any_number=True)
    wishes: list[Transfer] = []

    def take(name: str, details: Any) -> None:
        wishes.append(details["transfer"])
        details["answer"].set_result("")

    context = ToolContext(request=take)
    assert await tool(context, "+1 555 0100", "x") == HOLD_TEXT
    assert await tool(context, "Billing", "x", hold_text="One moment.") == "One moment."
    with pytest.raises(ToolException, match="cannot be dialled"):
        await tool(context, "the boss", "x")
    assert [(wish.name, wish.destination) for wish in wishes] == [("", "+15550100"), ("billing", BILLING)]


async def test_a_text_conversation_cannot_be_transferred() -> None:
    llm = ScriptedChatClient([Reply(calls=(asks("transfer_call", **WISH),)), "I cannot do that here."])
    response = await Agent("desk", "Answer.", model=llm, tools=[transfer_call({"billing": BILLING})]).run("Billing!")
    assert response.text == "I cannot do that here."
    assert NO_LINE in [message.result.text for message in response.messages if message.result is not None]
