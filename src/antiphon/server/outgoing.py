"""Calls that this server makes: each has its slot from the command on, so that who answers always finds room."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

import structlog

from antiphon.calls.events import SessionEnded, SessionStarted
from antiphon.calls.log import CallLog, Entry
from antiphon.clock import Clock
from antiphon.errors import IntegrationException
from antiphon.server.admission import Admission
from antiphon.server.sse import Mailbox
from antiphon.transports.carriers.dialling import Dialler, Progress, Ring

Status = Literal["initiating", "ringing", "connected", "disconnected", "failed"]

QUEUE_S = 60.0
"""A carrier may let a call wait so long before it rings."""
MEDIA_S = 15.0
"""A call that was answered is streamed to us within this."""
CLOSE_S = 5.0
KEEP = 200
"""Calls that are over and can still be looked up here."""
MAX_FOLLOWERS = 20

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a call is to be.

    Attributes:
        target: Whom to call, in E.164.
        caller_id: The number that is shown there.
        carrier: Who calls.
        agent: Who speaks.
        scenario: The scenario of the agent; empty for the server's.
        context: Values for templates and tools.
        record: Whether the sound is kept; as the server does unless given.
        voicemail: Whether it is found out if a machine answers: ``audio``, ``llm``, ``off``; empty: as the agent does.
    """

    target: str
    caller_id: str
    carrier: str
    agent: str
    scenario: str = ""
    context: Mapping[str, Any]
    record: bool | None = None
    voicemail: str = ""

    def parameters(self) -> dict[str, Any]:
        """What the conversation knows of it; the context cannot overwrite what the server decides by."""
        own = {"direction": "outbound", "from": self.caller_id, "to": self.target}
        asked = {"voicemail_detect": self.voicemail} if self.voicemail else {}
        return {**self.context, **own, **asked, "agent": self.agent, "scenario": self.scenario}


@dataclass(frozen=True, slots=True)
class CallState:
    """How far a call is.

    Attributes:
        call_id: Its id here: the same while it rings, while it goes on, and later.
        status: ``initiating``, ``ringing``, ``connected``, ``disconnected``, or ``failed``: nobody was reached.
        target_number: Who is called.
        caller_id: The number that is shown there.
        carrier: Who calls.
        agent: Who speaks.
        scenario: Empty for none.
        initiated_at: ISO 8601, UTC, as the later times.
        connected_at: When it was answered.
        ended_at: When it was over.
        reason: Why it failed: ``busy``, ``no_answer``, ``rejected``, ``canceled``, ``unreachable``, ``refused``,
            ``hung_up``, ``no_media``, ``draining``; or how the conversation ended.
        message: The same as a sentence, where there is more to say.
    """

    call_id: str
    status: Status
    target_number: str
    caller_id: str
    carrier: str
    agent: str
    scenario: str
    initiated_at: str
    connected_at: str | None = None
    ended_at: str | None = None
    reason: str | None = None
    message: str = ""


class OutgoingCall:
    """One call that we make.

    Args:
        order: What it is to be.
        clock: Time.

    Attributes:
        order: The same.
        session_id: Of its conversation.
        state: How far it is.
        is_taken: Its stream has come, and the slot is its session's.
        carrier_id: The carrier's id of the call; empty while there is none.
    """

    def __init__(self, order: Order, clock: Clock) -> None:
        self.order = order
        self.session_id = f"ses_{uuid4().hex[:24]}"
        self.initiated_at = clock.utc()
        self.is_taken = False
        self.carrier_id = ""
        self.state = CallState(
            call_id=f"{self.initiated_at:%Y-%m-%d}.{self.session_id}",
            status="initiating",
            target_number=order.target,
            caller_id=order.caller_id,
            carrier=order.carrier,
            agent=order.agent,
            scenario=order.scenario,
            initiated_at=self.initiated_at.isoformat(timespec="milliseconds"),
        )
        self._clock = clock
        self._is_over_there = False
        self._has_log = False
        self._placed = asyncio.Event()
        self._answered = asyncio.Event()
        self._settled = asyncio.Event()
        self._boxes: set[Mailbox[CallState]] = set()

    @property
    def id(self) -> str:
        """As in ``/v1/calls/ID``."""
        return self.state.call_id

    @property
    def is_ringing(self) -> bool:
        """Whether it can still be called off: its stream has not come."""
        return not self._settled.is_set()

    @property
    def is_pending(self) -> bool:
        """Whether it waits for its conversation: it rings, or its stream is about to begin."""
        return self.is_ringing or (self.is_taken and not self._has_log and self.state.status != "failed")

    def told(self, progress: Progress) -> None:
        """The carrier tells how far it is."""
        if self._settled.is_set():
            return
        if progress == "ringing":
            if self.state.status == "initiating":
                self._become(status="ringing")
        elif progress == "answered":
            self._answered.set()
            self._connected()
        else:
            self._is_over_there = True
            self.fail(progress)

    def fail(self, reason: str, message: str = "") -> None:
        """Nobody was reached; of several reasons the first one counts."""
        if self.state.status == "failed" or self._has_log:
            return
        self._become(status="failed", reason=reason, message=message, ended_at=self._now())
        self._settle()
        self._close_boxes()

    def take(self) -> None:
        """Its stream is there."""
        self.is_taken = True
        self._settle()

    def read(self, log: CallLog) -> None:
        """Follow its conversation."""
        log.subscribe(self._read)

    @property
    def has_room(self) -> bool:
        """Whether one more may follow it."""
        return len(self._boxes) < MAX_FOLLOWERS

    @contextmanager
    def follow(self) -> Iterator[Mailbox[CallState]]:
        """A mailbox that gets how far the call is now, and what comes of it until it talks or has failed."""
        box: Mailbox[CallState] = Mailbox(MAX_FOLLOWERS)
        box.put(self.state)
        self._boxes.add(box)
        if not self.is_pending:
            box.close()
        try:
            yield box
        finally:
            self._boxes.discard(box)

    async def placed(self) -> None:
        """Wait until the carrier has taken the command, or has not."""
        await self._placed.wait()

    async def make(self, dialler: Dialler, ring: Ring) -> None:
        """Call, and wait until the stream comes or nobody was reached; whoever is not wanted any more is hung up."""
        try:
            self.carrier_id = await dialler.dial(ring, self.told)
        except IntegrationException as error:
            if not self.is_taken:  # else the answer to the command is all that was lost
                self.fail("refused", str(error))
            return
        self._placed.set()
        try:
            async with asyncio.timeout(ring.ring_s + QUEUE_S):
                await self._answered.wait()
            async with asyncio.timeout(MEDIA_S):
                await self._settled.wait()
        except TimeoutError:
            self.fail("no_media" if self._answered.is_set() else "no_answer")
        if not (self.is_taken or self._is_over_there):
            await dialler.hang_up(self.carrier_id)

    def _read(self, entry: Entry) -> None:
        if isinstance(entry.event, SessionStarted):
            self._has_log = True
            self._connected()
            self._close_boxes()
        elif isinstance(entry.event, SessionEnded):
            self._become(status="disconnected", reason=entry.event.reason, ended_at=self._now())

    def _connected(self) -> None:
        if self.state.status in ("initiating", "ringing"):
            self._become(status="connected", connected_at=self._now())

    def _settle(self) -> None:
        for event in (self._placed, self._answered, self._settled):
            event.set()

    def _become(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        for box in self._boxes:
            box.put(self.state)

    def _close_boxes(self) -> None:
        for box in self._boxes:
            box.close()

    def _now(self) -> str:
        return self._clock.utc().isoformat(timespec="milliseconds")


class OutgoingCalls:
    """The calls that one process makes.

    Args:
        admission: The slots.
        clock: Time.
        ring_s: How long it may ring.
        not_reached: Counts the calls that nobody has answered, by reason.
    """

    def __init__(self, admission: Admission, clock: Clock, *, ring_s: float, not_reached: Counter[str]) -> None:
        self._admission = admission
        self._not_reached = not_reached
        self._clock = clock
        self._ring_s = ring_s
        self._calls: dict[str, OutgoingCall] = {}
        self._by_token: dict[bytes, OutgoingCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def place(self, order: Order, dialler: Dialler, stream_url: Callable[[str], str]) -> OutgoingCall:
        """Make a call, which has a slot already; the slot is given back if nobody is reached.

        Args:
            order: What it is to be.
            dialler: Makes it.
            stream_url: Gives the address of the call's stream for its token.
        """
        call = OutgoingCall(order, self._clock)
        self._forget_old()
        self._calls[call.id] = call
        token = secrets.token_hex(32)
        self._by_token[_digest(token)] = call
        ring = Ring(order.target, order.caller_id, stream_url(token), self._ring_s)
        task = asyncio.create_task(self._make(call, dialler, ring, token), name=f"outgoing {call.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call

    def take(self, carrier: str, token: str) -> OutgoingCall | None:
        """The call whose stream this is; its slot is the taker's from now on. A token is good once."""
        call = self._by_token.get(_digest(token))
        if call is None or call.order.carrier != carrier or call.state.status == "failed":
            return None
        del self._by_token[_digest(token)]
        call.take()
        return call

    def get(self, name: str) -> OutgoingCall | None:
        """A call by its id."""
        return self._calls.get(name)

    def pending(self) -> list[OutgoingCall]:
        """The calls that nobody has answered yet, the latest first."""
        return [call for call in reversed(self._calls.values()) if call.is_pending]

    def cancel_all(self, reason: str) -> None:
        """Ring nowhere any more."""
        for call in self.pending():
            if not call.is_taken:
                call.fail(reason)

    async def all_over(self) -> None:
        """Wait until nothing rings."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Hang up what rings, within a bounded time."""
        self.cancel_all("canceled")
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()

    async def _make(self, call: OutgoingCall, dialler: Dialler, ring: Ring, token: str) -> None:
        try:
            await call.make(dialler, ring)
        except IntegrationException as error:
            _log.error("not_hung_up", call_id=call.id, carrier=call.order.carrier, error=str(error))
        except Exception:
            _log.exception("outgoing_call_failed", call_id=call.id)
        finally:
            if not call.is_taken:
                call.fail("canceled")
                self._by_token.pop(_digest(token), None)
                self._admission.leave()
                dialler.close()
            if call.state.status == "failed":
                self._not_reached[call.state.reason or "failed"] += 1
                _log.info("call_not_made", call_id=call.id, carrier=call.order.carrier, reason=call.state.reason)

    def _forget_old(self) -> None:
        over = [name for name, call in self._calls.items() if call.state.status in ("failed", "disconnected")]
        for name in over[:-KEEP]:
            del self._calls[name]


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
