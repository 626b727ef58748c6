"""Lines as they are: they die at any moment, send frames of any size, lose some and deliver others late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from invariants import check, check_nothing_left
from phone import SILENCE, SPEECH, CallUnderTest, calling, make_call

from antiphon.agents.agent import Agent
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.tones import sine
from antiphon.calls.events import FloorDecision, SessionEnded, ToolExecuted, UserDtmf, UserTurnCompleted
from antiphon.clock import VirtualClock
from antiphon.models.llm.scripted import Reply, ScriptedChatClient
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.tools.prebuilt import end_call
from antiphon.tools.tool import FunctionTool

LONG = "The clinic opens every morning at nine and closes every afternoon at five except on the weekend."


def answering(clock: VirtualClock, **reply: Any) -> ScriptedChatClient:
    """A model that always gives the same answer."""
    return ScriptedChatClient(lambda messages, _: Reply(LONG, **reply), clock=clock)


async def idle(call: CallUnderTest) -> None:
    await call.quiet(1)


async def hearing(call: CallUnderTest) -> None:
    await call.speak(0.5)


async def pausing(call: CallUnderTest) -> None:
    await call.speak(1)
    await call.quiet(0.3)


async def thinking(call: CallUnderTest) -> None:
    await call.speak(1)
    await call.quiet(0.8)


async def speaking(call: CallUnderTest) -> None:
    await call.speak(1)
    await call.quiet(2)


async def overlap(call: CallUnderTest) -> None:
    await speaking(call)
    await call.speak(0.3)


async def held(call: CallUnderTest) -> None:
    await speaking(call)
    await call.speak(0.7)


async def ending(call: CallUnderTest) -> None:
    call.call.end("time_limit")
    await call.quiet(0.3)


MOMENTS: list[Callable[[CallUnderTest], Awaitable[None]]] = [
    idle,
    hearing,
    pausing,
    thinking,
    speaking,
    overlap,
    held,
    ending,
]


async def after_the_end(call: CallUnderTest) -> None:
    """All that a carrier and an application may still do."""
    for _ in range(50):
        call.call.hear(SPEECH[:160])
        await call.clock.sleep(0.02)
    call.call.digit("1")
    call.call.say("Hello?")
    call.call.end("drained")
    call.call.line_lost()
    call.call.mark_played("m1")
    call.call.line_cleared()
    await call.clock.sleep(5)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_line_that_dies_ends_the_call_at_once_and_whole(moment: Callable[[CallUnderTest], Awaitable[None]]) -> None:
    clock = VirtualClock()
    stt = ScriptedSTT(["When?"], delay_s=0.2, clock=clock)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=stt, llm=answering(clock, first_token_s=0.8)) as call:
            await moment(call)
            phase = call.events(FloorDecision)[-1].phase
            call.call.line_lost()
            lost_at = clock.now()
            await clock.sleep(0.01)
            assert call.ended is not None
            sent = len(call.phone.frames)
            await after_the_end(call)
            assert len(call.phone.frames) == sent
        assert phase == moment.__name__
        assert call.at(SessionEnded) - lost_at < 0.05
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"
    assert call.events(UserDtmf) == []
    llm = call.models.llm
    assert llm.opened == llm.closed


def test_a_line_that_dies_before_the_call_runs() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        call = make_call(clock, agent=Agent("tester", "Answer.", greeting="Hello."))
        call.call.hear(SPEECH[:160])
        call.call.line_lost()
        await call.run()
        await after_the_end(call)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"
    assert call.entries[-1].event is call.ended
    assert call.phone.frames == []


def test_what_comes_before_the_call_runs_is_let_be() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", greeting="Hello.")
        call = make_call(clock, agent=agent, stt=["When?"], llm=answering(clock))
        for start in range(0, 1600, 160):
            call.call.hear(SPEECH[start : start + 160])
        call.call.say("Too early.")
        call.call.digit("1")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.run())
            await call.quiet(2)
            await call.speak(1)
            await call.quiet(9)
            call.call.line_lost()
        return call

    call = clock.run(scenario())
    check(call)
    assert [message.text for message in call.call.history.messages] == ["Hello.", "When?", LONG]


def test_a_call_that_is_cancelled_is_told_to_its_end() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        call = make_call(clock, stt=["When?"], llm=answering(clock))
        task = asyncio.create_task(call.run())
        await speaking(call)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await after_the_end(call)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    assert isinstance(call.entries[-1].event, SessionEnded)
    assert call.entries[-1].event.reason == "error"
    assert call.phone.hung_up == "error"
    assert call.phone.frames_after_end == 0


@pytest.mark.parametrize("audio", [PHONE, AudioFormat("alaw", 8000), AudioFormat("pcm16", 16000)], ids=str)
@pytest.mark.parametrize("size", [33, 159, 161, 399, 10_000, 99_999])
def test_frames_of_any_size_are_heard(size: int, audio: AudioFormat) -> None:
    clock = VirtualClock()
    tone = from_pcm(sine(220, 1000, rate_hz=audio.rate_hz, amplitude=0.3), audio)
    silence = from_pcm(np.zeros(audio.rate_hz * 3, np.int16), audio)
    fed: list[int] = []

    class CountingSTT(ScriptedSTT):
        def open(self, *args: Any, **options: Any) -> Any:
            stream = super().open(*args, **options)
            feed = stream.feed
            stream.feed = lambda pcm: (fed.append(len(pcm)), feed(pcm))[1]  # type: ignore[method-assign]
            return stream

    async def scenario() -> CallUnderTest:
        stt = CountingSTT(["When?"], clock=clock)
        async with calling(clock, stt=stt, llm=answering(clock), audio=audio) as call:
            call.call.hear(b"")
            for sound in (silence, tone, silence, b""):
                for start in range(0, len(sound), size):
                    frame = sound[start : start + size]
                    await clock.sleep(audio.seconds(len(frame)))
                    call.call.hear(frame)
            await clock.sleep(5)
        return call

    call = clock.run(scenario())
    check(call)
    assert [event.text for event in call.events(UserTurnCompleted)] == ["When?"]
    assert sum(fed) >= 0.98 * audio.rate_hz  # all of the speech, but for odd bytes, reaches the recogniser


@pytest.mark.parametrize("audio", [PHONE, AudioFormat("pcm16", 16000)], ids=str)
def test_stray_bytes_between_frames_do_no_harm(audio: AudioFormat) -> None:
    clock = VirtualClock()
    tone = from_pcm(sine(220, 20, rate_hz=audio.rate_hz, amplitude=0.3), audio)
    silence = from_pcm(np.zeros(audio.rate_hz // 50, np.int16), audio)

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=answering(clock), audio=audio) as call:
            for frame, count in ((silence, 25), (tone, 50), (silence, 450)):
                for number in range(count):
                    await clock.sleep(0.02)
                    call.call.hear(frame)
                    if number % 10 == 0:
                        call.call.hear(b"")
                    if number % 10 == 5 and frame is silence:
                        call.call.hear(silence[:1])
        return call

    call = clock.run(scenario())
    check(call)
    assert [event.text for event in call.events(UserTurnCompleted)] == ["When?"]


def test_speech_that_breaks_off_without_any_more_frames_is_answered() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=answering(clock)) as call:
            await call.speak(1)
            await clock.sleep(9)  # the line sends nothing at all
            await call.quiet(1)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.at(UserTurnCompleted) < 3
    assert call.call.history.messages[-1].text == LONG


def test_missing_and_late_frames_change_nothing_but_time() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock, stt=["When?"], llm=answering(clock)) as call:
            for number in range(100):  # two seconds of speech, each third frame is lost
                await clock.sleep(0.02)
                if number % 3:
                    call.call.hear(SPEECH[:160])
            await clock.sleep(0.6)  # nothing, and then all at once
            for _ in range(30):
                call.call.hear(SPEECH[:160])
            await call.quiet(9)
        return call

    call = clock.run(scenario())
    check(call)
    assert len(call.events(UserTurnCompleted)) == 1
    assert call.call.history.messages[-1].text == LONG


@pytest.mark.parametrize(("runs_s", "result"), [(1.0, "booked"), (30.0, "interrupted")])
def test_a_tool_that_runs_when_the_caller_hangs_up_has_its_result(runs_s: float, result: str) -> None:
    clock = VirtualClock()

    async def book() -> str:
        """Book."""
        await clock.sleep(runs_s)
        return "booked"

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[FunctionTool(book, timeout_s=60)])
        llm = [Reply(calls=(tool_call("book"),)), "Never asked."]
        async with calling(clock, agent=agent, stt=["Book it."], llm=llm) as call:
            await call.speak(1)
            await call.quiet(0.7)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert result in call.call.history.messages[-1].text
    assert [event.is_error for event in call.events(ToolExecuted)] == [result == "interrupted"]
    assert call.phone.hung_up_at == pytest.approx(1.7, abs=0.05)
    assert call.models.llm.opened == 1


def test_the_line_dies_while_the_goodbye_is_said() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Answer.", tools=[end_call])
        llm = [Reply(calls=(tool_call("end_call", goodbye="Thank you for calling, goodbye."),))]
        async with calling(clock, agent=agent, stt=["That is all, bye."], llm=llm) as call:
            await call.speak(1)
            await call.quiet(1.2)
        check_nothing_left()
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert call.ended.reason == "user_hangup"
    assert call.call.history.messages[-1].interrupted


def test_a_key_is_told_without_its_digit() -> None:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        async with calling(clock) as call:
            call.call.digit("7")
            call.call.hear(SILENCE)
            await call.quiet(1)
        return call

    call = clock.run(scenario())
    check(call)
    assert [event.digit for event in call.events(UserDtmf)] == ["•"]
    assert not [entry for entry in call.entries if "'7'" in str(entry.to_dict())]


class Tape:
    """Keeps what it is given, as a recording would."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.said: list[tuple[float, bytes]] = []

    def caller(self, at_s: float, payload: bytes) -> None:
        self.heard.append((at_s, payload))

    def agent(self, at_s: float, payload: bytes) -> None:
        self.said.append((at_s, payload))

    def cut(self, at_s: float) -> None:
        kept = [(at, payload[: max(0, round((at_s - at) * 8000))]) for at, payload in self.said]
        self.said = [(at, payload) for at, payload in kept if payload]


@pytest.mark.parametrize("line", [{}, {"can_clear": False}], ids=str)
def test_a_recording_has_what_both_sides_heard_and_nothing_after_the_end(line: dict[str, Any]) -> None:
    clock = VirtualClock()
    tape = Tape()

    async def scenario() -> CallUnderTest:
        llm = ScriptedChatClient(lambda messages, _: LONG, clock=clock)
        async with calling(clock, stt=["When?", "Stop."], llm=llm, tap=tape, **line) as call:
            await speaking(call)
            await call.speak(1)
            await call.quiet(2)
            call.call.line_lost()
            await after_the_end(call)
        return call

    call = clock.run(scenario())
    check(call)
    assert call.ended is not None
    assert len(tape.heard) == 300
    assert max(at for at, _ in tape.heard) <= call.ended.duration_s
    sound = b"".join(payload for _, payload in tape.said)
    assert abs(len(sound) - len(call.phone.sound)) <= 160 * 11  # what was sent ahead when the line died
    assert call.phone.sound.startswith(sound[:8000])
    assert all(at + 0.02 <= later + 1e-6 for (at, _), (later, _) in pairwise(tape.said))
