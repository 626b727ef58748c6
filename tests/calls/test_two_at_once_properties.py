"""Everything at once, at random: collectors, gates, handoffs, transfers, holds, machines, keys and ends in one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import phone
import pytest
import s2s_phone
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check_end, check_history, check_log, check_nothing_left, check_sound
from phone import CallUnderTest
from structlog.testing import capture_logs
from test_handoff_properties import CountingS2S

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.manners import Manners, Voicemail
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationInvalidRequestException, IntegrationUnavailableException
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as asks
from antiphon.models.s2s.scripted import Calls
from antiphon.tools.collect import collect_credit_card, collect_email
from antiphon.tools.keypad import pin_gate, send_dtmf
from antiphon.tools.prebuilt import end_call
from antiphon.tools.transfer import Transfer, transfer_call

NUMBER = "+493023125012"
LONG = "This is a rather long sentence that goes on for some time, and then for some more."
ACTS: dict[str, dict[str, str]] = {
    "collect_email": {},
    "collect_credit_card": {},
    "record": {"email_address": "a at b dot com", "card_number": "4111111111111111"},
    "confirm": {},
    "decline": {},
    "pin_gate": {},
    "transfer_call": {"destination": "billing", "reason": "an invoice"},
    "handoff_to_other": {"reason": "an invoice"},
    "handoff_to_desk": {"reason": "an invoice"},
    "end_call": {},
    "send_dtmf": {"keys": "12"},
}
SCRIPT = st.lists(st.sampled_from(["Yes, of course.", "What is it?", LONG, *ACTS]), min_size=3, max_size=12)
WORDS = ["Hello there.", "It is a at b dot com.", "Four one one one.", "Yes.", "Leave a message after the tone."]
HEARD = st.lists(st.sampled_from(WORDS), min_size=3, max_size=8)
DOES = ["speaks", "speaks", "speaks", "4711#", "1", "*", "hold", "resume", "transfer", "say", "press", "end", "lost"]
STEPS = st.lists(st.tuples(st.sampled_from(DOES), st.sampled_from([0.1, 0.6, 2.0, 5.0, 12.0])), min_size=3, max_size=12)
FAULTS = {"call_task_failed", "reply_failed", "log_reader_failed", "transfer_broke_off", "close_failed"}


class Exchange:
    """A carrier that refuses every second transfer, some time after the caller was on the way."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._asked = 0

    def refusal(self, transfer: Transfer) -> str | None:
        return None

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        self._asked += 1
        await self._clock.sleep(3)
        leaving()
        await self._clock.sleep(1)
        if self._asked % 2:
            raise IntegrationUnavailableException("The line is busy.", code="busy")

    async def hang_up(self) -> None:
        """The call's owner does that."""


def team_of(detect: str) -> list[Agent]:
    gate, billing = pin_gate("4711", timeout_s=6), transfer_call({"billing": NUMBER})
    tools = [collect_email(timeout_s=10), collect_credit_card(timeout_s=12), gate, billing, end_call, send_dtmf]
    manners = Manners(voicemail=Voicemail(detect, "Call back."))  # type: ignore[arg-type]
    desk = Agent("desk", tools=tools, greeting="Hello.", handoffs=["other"], manners=manners)
    return [desk, Agent("other", tools=tools, handoffs=[Handoff("desk", handoff_type="discrete", share_context=False)])]


async def take(call: CallUnderTest, what: str) -> None:
    """One step of the caller, the application or the carrier."""
    deeds: dict[str, Callable[[], object]] = {
        "hold": call.call.sounds.hold,
        "resume": call.call.sounds.resume,
        "say": lambda: call.call.say("By the way."),
        "press": lambda: call.call.press("5"),
        "end": lambda: call.call.end("drained"),
        "lost": call.call.line_lost,
    }
    if what == "speaks":
        await call.speak(1)
    elif what == "transfer":
        with suppress(IntegrationInvalidRequestException):  # one is under way
            call.call.transfer(Transfer(NUMBER))
    elif what in deeds:
        deeds[what]()
    else:
        for key in what:
            call.call.digit(key)


@pytest.mark.parametrize("kind", ["cascade", "one_model"])
@settings(max_examples=25, deadline=None)
@given(script=SCRIPT, heard=HEARD, steps=STEPS, detect=st.sampled_from(["off", "audio"]), called=st.booleans())
def test_whatever_comes_together_the_call_is_sound_and_ends_once(
    kind: str, script: list[str], heard: list[str], steps: Any, detect: str, called: bool
) -> None:
    clock, team = VirtualClock(), team_of(detect)
    parts: dict[str, Any] = {"agent": team[0], "team": team, "control": Exchange(clock), "called": NUMBER * called}

    async def scenario() -> CallUnderTest:
        if kind == "cascade":
            llm = [Reply(calls=(asks(each, **ACTS[each]),)) if each in ACTS else each for each in script * 5]
            calling = phone.calling(clock, stt=heard * 5, llm=llm, **parts)
        else:
            answers = [Calls(each, json.dumps(ACTS[each])) if each in ACTS else each for each in script * 5]
            calling = s2s_phone.calling(clock, CountingS2S(answers, heard=heard * 5, clock=clock, delay_s=0.2), **parts)
        async with calling as call:
            for what, seconds in steps:
                if call.ended is None:
                    await take(call, what)
                    await call.quiet(seconds)
        check_nothing_left()
        return call

    with capture_logs() as logs:
        call = clock.run(scenario())
    assert not [line for line in logs if line["event"] in FAULTS]
    check_end(call)
    check_log(call)
    check_sound(call)
    check_history(call.call.history.messages)
