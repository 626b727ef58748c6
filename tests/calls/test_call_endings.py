"""However a call ends: its goodbye, one end in the log, one hang-up, and nothing left of it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from invariants import check_nothing_left
from phone import CallUnderTest, calling

from antiphon.agents.agent import Agent
from antiphon.agents.manners import Idle, Manners, Voicemail
from antiphon.calls.events import AgentTextSpoken, EndReason, SessionEnded, TurnCompleted, UserIdle, UserStateChanged
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy, TurnPolicy
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as asks
from antiphon.models.pool import Handling, Pool, PoolLimits
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.tools.prebuilt import end_call
from antiphon.tools.transfer import Transfer, transfer_call

CALLS = 216
ENDS_S = 40
POLICY = CallPolicy(max_call_s=30.0)
LIMIT = CallPolicy(max_call_s=5.0)


class PooledTTS(ScriptedTTS):
    """A voice whose clauses each need a connection of a pool."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(first_chunk_delay_s=0.05, clock=clock)
        self.time = clock
        self.closed = 0
        self.pool: Pool[str, object] = Pool(
            "voices",
            Handling(self._make, self._close, self._reset, lambda _: True),
            limits=PoolLimits(size=300),
            clock=clock,
        )

    async def _make(self, _key: str) -> object:
        await self.time.sleep(0.05)
        return object()

    async def _close(self, _connection: object) -> None:
        self.closed += 1

    async def _reset(self, _connection: object) -> bool:
        return True

    async def synthesize(self, *args: Any, **options: Any) -> AsyncGenerator[SpeechChunk]:
        async with self.pool.lease("voice"):
            chunks = super().synthesize(*args, **options)
            try:
                async for chunk in chunks:
                    yield chunk
            finally:
                await chunks.aclose()


Script = Callable[[CallUnderTest], Coroutine[Any, Any, None]]


async def talk(call: CallUnderTest) -> None:
    await call.speak(1)
    await call.quiet(8)


async def lose(call: CallUnderTest) -> None:
    """The caller hangs up in the middle of the answer."""
    await call.speak(1)
    await call.quiet(1)
    call.call.line_lost()


async def say_nothing(call: CallUnderTest) -> None:
    await call.quiet(14)


async def drain(call: CallUnderTest) -> None:
    await call.quiet(2)
    call.call.end("drained")
    await call.quiet(6)


async def meet_machine(call: CallUnderTest) -> None:
    await call.speak(2)
    await call.quiet(1)
    await call.tone(1000, 0.4)
    await call.quiet(8)


def fails(_messages: Any, _options: Any) -> Any:
    raise IntegrationUnavailableException("The model is away; try later.")


class Exchange:
    """A carrier that puts every caller through."""

    def refusal(self, transfer: Transfer) -> str | None:
        return None

    async def transfer(self, transfer: Transfer, leaving: Callable[[], None]) -> None:
        leaving()

    async def hang_up(self) -> None:
        raise AssertionError("the call's owner hangs up")


IDLE = Agent("desk", "Answer.", manners=Manners(idle=Idle(6, ("Hello?", "Anybody?"), "I hang up now.")))
MACHINE = "Leave a message after the tone."
RINGS = Agent("desk", "Answer.", manners=Manners(voicemail=Voicemail("audio", "Please call the clinic back.")))
ENDS: dict[str, tuple[EndReason, str, Script, dict[str, Any]]] = {
    "line": ("user_hangup", "", lose, {"stt": ["Hello?"], "llm": ["This is the clinic, what can I do for you today?"]}),
    "stop word": ("agent_hangup", "Goodbye.", talk, {"stt": ["Bye."]}),
    "end_call": (
        "agent_hangup",
        "Have a good day.",
        talk,
        {
            "agent": Agent("desk", "Answer.", tools=[end_call]),
            "stt": ["That was all."],
            "llm": [Reply(calls=(asks("end_call", goodbye="Have a good day."),))],
        },
    ),
    "idle": ("idle_timeout", "I hang up now.", say_nothing, {"agent": IDLE}),
    "limit": ("time_limit", LIMIT.limit_goodbye, say_nothing, {"policy": LIMIT}),
    "drained": ("drained", POLICY.limit_goodbye, drain, {}),
    "voicemail": ("voicemail", "Please call the clinic back.", meet_machine, {"agent": RINGS, "stt": [MACHINE]}),
    "transfer": (
        "transferred",
        "",
        talk,
        {
            "agent": Agent("desk", "Answer.", tools=[transfer_call({"billing": "+493023125012"})]),
            "stt": ["Please put me through to billing."],
            "llm": [Reply(calls=(asks("transfer_call", destination="billing", reason="an invoice"),))],
        },
    ),
    "failure": (
        "error",
        POLICY.failure_goodbye,
        lambda call: _repeat(call, 3),
        {"stt": ["Hello?"], "llm": "fails"},
    ),
}


async def _repeat(call: CallUnderTest, times: int) -> None:
    for _ in range(times):
        await call.speak(1)
        await call.quiet(8)


def parts_of(end: str, clock: VirtualClock, **shared: Any) -> dict[str, Any]:
    parts = {"policy": POLICY, **ENDS[end][3], **shared, "hang_up": False}
    if parts.get("llm") == "fails":
        parts["llm"] = ScriptedChatClient(fails, clock=clock)
    if end == "transfer":
        parts["control"] = Exchange()
    return parts


def check_end(call: CallUnderTest, name: str) -> None:
    reason, goodbye, _, _ = ENDS[name]
    (ended,) = call.events(SessionEnded)
    assert call.entries[-1].event is ended
    assert ended.reason == reason == call.phone.hung_up, name
    assert call.phone.frames_after_end == 0
    assert call.loop_errors == []
    spoken = "".join(event.text for event in call.events(AgentTextSpoken))
    assert spoken.endswith(goodbye), (name, spoken)


@pytest.mark.parametrize("name", ENDS)
def test_each_end_has_its_goodbye_and_is_told_once(name: str) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, **parts_of(name, clock)) as call:
            await ENDS[name][2](call)
        check_nothing_left()
        return call

    check_end(clock.run(scenario()), name)


def test_nothing_is_left_of_two_hundred_calls_however_they_end() -> None:
    clock = VirtualClock()
    names = [name for _, name in zip(range(CALLS), list(ENDS) * CALLS, strict=False)]

    async def scenario() -> list[CallUnderTest]:
        tts, pacer = PooledTTS(clock), Pacer(clock)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as callers:
            calls = []
            for number, name in enumerate(names):
                parts = parts_of(name, clock, tts=tts, pacer=pacer, name=f"call-{number}")
                calls.append(await stack.enter_async_context(calling(clock, **parts)))
                callers.create_task(ENDS[name][2](calls[-1]))
            await clock.sleep(ENDS_S)
            assert all(call.ended is not None for call in calls)
        assert tts.pool.active == 0
        assert tts.pool.counters.allocations_total > CALLS
        await tts.pool.aclose()
        assert tts.pool.warm == 0
        check_nothing_left()
        asyncio.get_running_loop().set_exception_handler(None)  # the last call's, which the test would keep
        return calls

    calls = clock.run(scenario())
    for call, name in zip(calls, names, strict=True):
        check_end(call, name)
    alive = [weakref.ref(call.call) for call in calls]
    del call
    calls.clear()
    gc.collect()
    assert not [call for call in alive if call() is not None]


def test_reminders_are_said_one_after_the_other_and_then_the_call_ends() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, **parts_of("idle", clock)) as call:
            await say_nothing(call)
        return call

    call = clock.run(scenario())
    assert [event.text for event in call.events(AgentTextSpoken)] == ["Hello?", "Anybody?", "I hang up now."]
    assert [(event.retry_count, event.reason) for event in call.events(UserIdle)] == [
        *[(1, "no_response"), (2, "no_response"), (2, "max_retries_exhausted")],
    ]


def test_a_caller_who_is_reminded_is_away_until_there_is_a_sign_of_life() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=IDLE, stt=["Yes."], llm=["Good."] * 2) as call:
            await call.quiet(2.5)
            call.call.digit("1")
            await call.quiet(5)
            await call.speak(1)
            await call.quiet(1)
        return call

    call = clock.run(scenario())
    changes = [(event.old_state, event.new_state) for event in call.events(UserStateChanged)]
    assert changes == [
        *[("listening", "away"), ("away", "listening"), ("listening", "away")],
        *[("away", "speaking"), ("speaking", "listening")],
    ]
    assert call.at(UserStateChanged) == call.at(UserIdle) == 2.0


def test_who_answers_a_reminder_is_not_hung_up_on() -> None:
    """Speech is a sign of life, and a new silence begins with the first reminder."""
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        parts = parts_of("idle", clock, stt=["Yes, I am here."], llm=["Good."])
        async with calling(clock, **{**parts, "hang_up": True}) as call:
            await call.quiet(5.5)
            await call.speak(1)
            await call.quiet(4)
        return call

    call = clock.run(scenario())
    said = [event.text for event in call.events(AgentTextSpoken)]
    assert said == ["Hello?", "Anybody?", "Good.", "Hello?"]
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"


@pytest.mark.parametrize(
    ("manners", "heard", "reason", "ends_s"),
    [(Manners(idle=Idle(3, (), "")), "", "idle_timeout", 3.0), (Manners(goodbye=""), "Bye.", "agent_hangup", 1.35)],
)
def test_who_has_no_goodbye_hangs_up_at_once(manners: Manners, heard: str, reason: str, ends_s: float) -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, agent=Agent("desk", manners=manners), stt=[heard], hang_up=False) as call:
            await call.speak(1 if heard else 0)
            await call.quiet(6)
        return call

    call = clock.run(scenario())
    assert call.events(AgentTextSpoken) == []
    assert call.ended is not None
    assert (call.ended.reason, call.ended.duration_s) == (reason, ends_s)


def test_a_call_without_words_for_it_reminds_in_silence() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        silent = CallPolicy(TurnPolicy(idle_s=2, idle_reminders=1), reminders=())
        async with calling(clock, policy=silent, hang_up=False) as call:
            await call.quiet(10)
        return call

    call = clock.run(scenario())
    assert [event.retry_count for event in call.events(UserIdle)] == [1, 1]
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"


def test_an_agent_that_waits_for_ever_reminds_nobody() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        patient = Agent("desk", "Answer.", manners=Manners(idle=Idle(0)))
        async with calling(clock, agent=patient) as call:
            await call.quiet(120)
        return call

    assert clock.run(scenario()).events(UserIdle) == []


def test_r28_the_turn_in_which_the_caller_says_goodbye_is_not_interrupted() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, **parts_of("stop word", clock)) as call:
            await talk(call)
        return call

    call = clock.run(scenario())
    (turn,) = call.events(TurnCompleted)
    assert (turn.user_text, turn.interrupted) == ("Bye.", False)
    assert call.models.llm.opened == 0
