"""A telephone call that one scripted model holds, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phone import CallUnderTest, Phone

from antiphon.agents.agent import Agent
from antiphon.audio.tones import sine
from antiphon.calls.caller import Caller
from antiphon.calls.line import AudioTap
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.calls.s2s.call import S2SCall
from antiphon.calls.transferring import CarrierControl
from antiphon.clock import VirtualClock
from antiphon.models.s2s.contract import (
    S2S,
    AnswerAudio,
    AnswerAudioDone,
    AnswerDone,
    AnswerText,
    Brief,
    EventSink,
    Said,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from antiphon.models.s2s.scripted import ScriptedS2S, ScriptedSession
from antiphon.models.tts.contract import TTS
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD


def make_call(
    clock: VirtualClock,
    model: S2S,
    *,
    agent: Agent | None = None,
    policy: CallPolicy | None = None,
    team: Sequence[Agent] = (),
    tts: TTS | None = None,
    tap: AudioTap | None = None,
    control: CarrierControl | None = None,
    model_for: Callable[[Agent], S2S | None] = lambda _: None,
    called: str = "",
    **line: Any,
) -> CallUnderTest:
    """A call that does not run yet."""
    phone = Phone(clock, **line)
    log = CallLog("call-1", clock)
    entries: list[Entry] = []
    log.subscribe(entries.append)
    call = S2SCall(
        agent or Agent("tester", "Answer."),
        phone,
        model,
        vad=EnergyVAD(),
        tts=tts or ScriptedTTS(clock=clock),
        pacer=Pacer(clock),
        clock=clock,
        policy=policy or CallPolicy(),
        log=log,
        caller=Caller("session-1", "call-1", "test", {}, called=called),
        tap=tap,
        team=team,
        control=control,
        model_for=model_for,
    )
    phone.call = call
    return CallUnderTest(call, phone, clock, entries, model)


@asynccontextmanager
async def calling(
    clock: VirtualClock, model: S2S, *, hang_up: bool = True, **parts: Any
) -> AsyncIterator[CallUnderTest]:
    """A running call; at the end the caller hangs up, unless the call must end by itself."""
    under_test = make_call(clock, model, **parts)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: under_test.loop_errors.append(context))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(under_test.run())
        await asyncio.sleep(0)
        yield under_test
        if hang_up:
            under_test.call.line_lost()
        async with asyncio.timeout(120):
            await task


def session_of(model: ScriptedS2S) -> ScriptedSession:
    """The model's side of the call."""
    return model.sessions[-1]


class Puppet:
    """A model that does what the test says; a model of one call, and its session too.

    Attributes:
        did: What the call wanted of it, in order, without the caller's sound.
    """

    name = "puppet"

    def __init__(self) -> None:
        self.did: list[tuple[Any, ...]] = []
        self.rate_hz = 0
        self.tell: EventSink = lambda event: None

    def open(self, brief: Brief, rate_hz: int, on_event: EventSink, *, history: Sequence[Said] = ()) -> Puppet:
        self.rate_hz, self.tell = rate_hz, on_event
        return self

    def answer(self, item_id: str, text: str, seconds: float, *, is_done: bool = True) -> None:
        """Sound, then its words in two deltas, and perhaps the end."""
        half = len(text) // 2
        self.tell(AnswerAudio(item_id, sine(440, seconds * 1000, rate_hz=self.rate_hz)))
        self.tell(AnswerText(item_id, text[:half]))
        self.tell(AnswerText(item_id, text[half:]))
        self.tell(AnswerAudioDone(item_id))
        if is_done:
            self.tell(AnswerDone("completed", "", 10, 5))

    def turn(self, text: str = "Hello.", item_id: str = "u1") -> None:
        """The caller has spoken."""
        self.tell(SpeechStarted(item_id))
        self.tell(SpeechStopped(item_id))
        self.tell(UserTranscript(item_id, text, is_final=True))

    def feed(self, pcm: NDArray[np.int16]) -> None:
        assert pcm.dtype == np.int16

    def interrupt(self, item_id: str, heard_ms: float) -> None:
        self.did.append(("interrupt", item_id, round(heard_ms)))

    def tool_result(self, call_id: str, output: str) -> None:
        self.did.append(("result", call_id, output))

    def say(self, text: str) -> None:
        self.did.append(("say", text))

    def greet(self) -> None:
        self.did.append(("greet",))

    def write(self, text: str) -> None:
        self.did.append(("write", text))

    def rebrief(self, brief: Brief) -> None:
        self.did.append(("rebrief", brief.instructions, [tool.name for tool in brief.tools]))

    async def warm(self) -> None:
        """It is always there."""

    async def aclose(self) -> None:
        self.did.append(("close",))
