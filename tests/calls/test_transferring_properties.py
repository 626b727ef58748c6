"""Whatever happens around a transfer, in any order: it has one outcome, and so has the call."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check, check_nothing_left
from phone import CallUnderTest

from antiphon.calls.events import (
    CallHeld,
    CallResumed,
    CallTransferFailed,
    CallTransferred,
    CallTransferring,
    SessionEnded,
    SessionError,
)
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationInvalidRequestException
from antiphon.tools.transfer import HOLD_TEXT, Transfer
from tests.calls.test_transferring import AFTER, BILLING, WISH, Exchange, busy, cascade, desk, one_model

DEEDS = ("speak", "digit", "say", "transfer", "end", "lose", "wait")
SCRIPT = st.lists(st.tuples(st.floats(0.1, 4.0), st.sampled_from(DEEDS)), max_size=6)


async def do(call: CallUnderTest, deed: str) -> None:
    if deed == "speak":
        await call.speak(0.8)
    elif deed == "digit":
        call.call.digit("5")
    elif deed == "say":
        call.call.say("One more thing.")
    elif deed == "transfer":
        try:
            call.call.transfer(Transfer(BILLING))
        except IntegrationInvalidRequestException:
            return
    elif deed == "end":
        call.call.end("time_limit")
    elif deed == "lose":
        call.call.line_lost()


@given(
    script=SCRIPT,
    is_cascade=st.booleans(),
    leaves_after_s=st.none() | st.floats(0.0, 3.0),
    takes_s=st.floats(0.0, 8.0),
    fails=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_a_transfer_has_one_outcome_and_so_has_its_call(
    script: list[tuple[float, str]], is_cascade: bool, leaves_after_s: float | None, takes_s: float, fails: bool
) -> None:
    clock = VirtualClock()
    exchange = Exchange(clock, takes_s=takes_s, leaves_after_s=leaves_after_s, error=busy() if fails else None)
    start: Any = cascade if is_cascade else one_model
    answers = (WISH, AFTER) if is_cascade else (WISH, HOLD_TEXT, AFTER)

    async def scenario() -> CallUnderTest:
        async with start(clock, *answers, agent=desk(), control=exchange) as call:
            await call.quiet(0.5)
            await call.speak(1.0)
            for seconds, deed in script:
                await call.quiet(seconds)
                await do(call, deed)
            await call.quiet(30)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    begun = call.events(CallTransferring)
    assert len(exchange.asked) == len(begun)
    done, failed = call.events(CallTransferred), call.events(CallTransferFailed)
    [ended] = call.events(SessionEnded)
    assert (ended.reason == "transferred") == bool(done)
    assert len(done) <= 1
    # What has neither come about nor failed was given up with the call, and what it had dialled was hung up.
    assert len(begun) - len(done) - len(failed) == exchange.dropped <= 1
    assert len([error for error in call.events(SessionError) if error.code == "transfer_failed"]) == len(failed)
    assert len(call.events(CallHeld)) == len(begun)
    assert len(call.events(CallResumed)) in (len(failed), len(failed) - 1)  # unless the call was over by then
