"""A call that the server makes, with a carrier that does what the test says, in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from antiphon.calls.events import SessionEnded, SessionStarted
from antiphon.calls.log import CallLog
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.server.admission import Admission
from antiphon.server.lag import LoopLag
from antiphon.server.outgoing import KEEP, MEDIA_S, QUEUE_S, Order, OutgoingCall, OutgoingCalls
from antiphon.transports.carriers.dialling import Ring, Told

RING_S = 30.0
ORDER = Order(target="+493023125012", caller_id="+15550100", carrier="twilio", agent="desk", context={"name": "Doe"})


@dataclass
class Carrier:
    """Takes the command after ``takes_s``, and keeps what it was told."""

    takes_s: float = 0.0
    refuses: bool = False
    keeps_ringing: bool = False
    told: Told | None = None
    ring: Ring | None = None
    hung_up: list[str] = field(default_factory=list)
    is_closed: bool = False
    clock: VirtualClock | None = None

    async def dial(self, ring: Ring, told: Told) -> str:
        assert self.clock is not None
        self.told, self.ring = told, ring
        await self.clock.sleep(self.takes_s)
        if self.refuses:
            raise IntegrationUnavailableException("Twilio cannot do it now.")
        return "CA1"

    async def hang_up(self, call_id: str) -> None:
        self.hung_up.append(call_id)
        if self.keeps_ringing:
            raise IntegrationUnavailableException("Twilio does not answer.")

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Office:
    """The calls of a process with two slots."""

    clock: VirtualClock
    admission: Admission
    calls: OutgoingCalls
    tokens: list[str] = field(default_factory=list)

    def place(self, carrier: Carrier) -> OutgoingCall:
        carrier.clock = self.clock
        assert self.admission.enter() is None
        return self.calls.place(ORDER, carrier, self._url)

    def _url(self, token: str) -> str:
        self.tokens.append(token)
        return f"wss://example.com/telephony/twilio/calls/{token}"


def run(script: Callable[[Office], Awaitable[Any]]) -> Office:
    clock = VirtualClock()

    async def scenario() -> Office:
        admission = Admission(2, 1000.0, LoopLag())
        admission.ready = True
        calls = OutgoingCalls(admission, clock, ring_s=RING_S, not_reached=Counter())
        office = Office(clock, admission, calls)
        await script(office)
        await office.calls.aclose()
        assert not office.calls._tasks
        return office

    return clock.run(scenario())


def test_who_lets_it_ring_is_given_up_and_hung_up_once() -> None:
    """Also where the carrier tells nothing: the slot is free again."""
    carrier = Carrier()

    async def script(office: Office) -> None:
        call = office.place(carrier)
        await call.placed()
        assert carrier.told is not None
        carrier.told("ringing")
        assert (call.state.status, office.admission.live) == ("ringing", 1)
        await office.calls.all_over()
        assert (call.state.status, call.state.reason, office.admission.live) == ("failed", "no_answer", 0)
        assert office.calls._not_reached == {"no_answer": 1}
        assert office.clock.now() == pytest.approx(RING_S + QUEUE_S)

    run(script)
    assert carrier.hung_up == ["CA1"]
    assert carrier.is_closed


def test_an_answer_without_a_stream_is_hung_up() -> None:
    carrier = Carrier()

    async def script(office: Office) -> None:
        call = office.place(carrier)
        await call.placed()
        assert carrier.told is not None
        carrier.told("answered")
        assert call.state.status == "connected"
        await office.calls.all_over()
        assert (call.state.status, call.state.reason) == ("failed", "no_media")
        assert office.clock.now() == pytest.approx(MEDIA_S)
        assert office.calls.take("twilio", office.tokens[0]) is None

    run(script)
    assert carrier.hung_up == ["CA1"]


@pytest.mark.parametrize("keeps_ringing", [False, True])
def test_a_call_that_is_called_off_before_the_carrier_has_taken_it_is_hung_up_then(keeps_ringing: bool) -> None:
    carrier = Carrier(takes_s=3, keeps_ringing=keeps_ringing)

    async def script(office: Office) -> None:
        call = office.place(carrier)
        await office.clock.sleep(1)
        call.fail("canceled")
        await call.placed()
        assert (office.clock.now(), office.admission.live) == (1, 1)  # the slot is free when the carrier has let go
        await office.calls.all_over()
        assert (call.state.reason, office.admission.live) == ("canceled", 0)

    run(script)
    assert carrier.hung_up == ["CA1"]


def test_what_the_carrier_does_not_take_is_not_hung_up() -> None:
    carrier = Carrier(refuses=True)

    async def script(office: Office) -> None:
        call = office.place(carrier)
        await call.placed()
        await office.calls.all_over()
        assert (call.state.reason, call.state.message) == ("refused", "Twilio cannot do it now.")
        assert office.admission.live == 0

    run(script)
    assert carrier.hung_up == []


def test_a_stream_that_comes_before_the_carriers_answer_is_the_call() -> None:
    """Whatever that answer is."""
    carrier = Carrier(takes_s=3, refuses=True)

    async def script(office: Office) -> None:
        call = office.place(carrier)
        await office.clock.sleep(1)
        assert office.calls.take("twilio", office.tokens[0]) is call
        await call.placed()
        await office.calls.all_over()
        assert (call.state.status, call.is_pending, office.admission.live) == ("initiating", True, 1)

    run(script)
    assert carrier.hung_up == []


def test_the_stream_takes_the_slot_and_the_log_tells_the_rest() -> None:
    carrier = Carrier()

    async def script(office: Office) -> None:
        call = office.place(carrier)
        await call.placed()
        assert office.calls.take("plivo", office.tokens[0]) is None
        assert office.calls.take("twilio", "another") is None
        assert office.calls.take("twilio", office.tokens[0]) is call
        assert office.calls.take("twilio", office.tokens[0]) is None
        await office.calls.all_over()
        assert (office.admission.live, call.is_pending, office.calls.pending()) == (1, True, [call])
        assert carrier.told is not None
        carrier.told("busy")  # nonsense, and too late
        log = CallLog("CA1", office.clock)
        call.read(log)
        log.append(SessionStarted(call.session_id, "CA1", "desk", "twilio", "mulaw/8000", "2026-11-29"))
        assert (call.state.status, call.is_pending) == ("connected", False)
        call.fail("no_media")
        log.append(SessionEnded("user_hangup", 3.0, 1))
        assert (call.state.status, call.state.reason) == ("disconnected", "user_hangup")
        assert office.calls.get(call.id) is call

    run(script)
    assert carrier.hung_up == []


def test_followers_read_each_step_once_and_leave_nothing_behind() -> None:
    async def script(office: Office) -> None:
        carrier = Carrier()
        call = office.place(carrier)
        with call.follow() as box:
            await call.placed()
            assert carrier.told is not None
            for progress in ("ringing", "ringing", "answered", "busy"):
                carrier.told(progress)
            states: list[str] = []
            while (news := await box.take()) is not None:
                states += [state.status for state in news]
            assert states == ["initiating", "ringing", "connected", "failed"]
        assert not call._boxes
        with call.follow() as late:
            assert [state.status for state in await late.take() or []] == ["failed"]
            assert await late.take() is None

    run(script)


def test_the_end_of_the_server_hangs_up_what_rings() -> None:
    carrier = Carrier()

    async def script(office: Office) -> None:
        call = office.place(carrier)
        await call.placed()
        await office.calls.aclose()
        assert (call.state.reason, office.admission.live) == ("canceled", 0)

    run(script)
    assert carrier.hung_up == ["CA1"]


def test_calls_that_are_over_are_forgotten_in_the_end() -> None:
    async def script(office: Office) -> None:
        calls = []
        for _ in range(KEEP + 3):
            calls.append(office.place(Carrier(refuses=True)))
            await calls[-1].placed()
            await office.calls.all_over()
        assert office.calls.get(calls[0].id) is None
        assert office.calls.get(calls[-1].id) is calls[-1]
        assert len(office.calls._calls) <= KEEP + 1

    run(script)


def test_the_context_cannot_change_what_the_server_decides_by() -> None:
    context = {"to": "+1999", "from": "+1999", "direction": "inbound", "agent": "x", "scenario": "x", "name": "Doe"}
    order = Order(target="+1", caller_id="+2", carrier="twilio", agent="desk", context=context, voicemail="llm")
    assert order.parameters() == {
        **{"to": "+1", "from": "+2", "direction": "outbound", "agent": "desk", "scenario": "", "name": "Doe"},
        "voicemail_detect": "llm",
    }
