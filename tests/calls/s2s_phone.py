"""A telephone call that one scripted model holds, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from phone import CallUnderTest, Phone

from antiphon.agents.agent import Agent
from antiphon.calls.call import Caller
from antiphon.calls.log import CallLog, Entry
from antiphon.calls.pacer import Pacer
from antiphon.calls.policy import CallPolicy
from antiphon.calls.s2s.call import S2SCall
from antiphon.clock import VirtualClock
from antiphon.models.s2s.contract import S2S
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
        caller=Caller("session-1", "call-1", "test", {}),
        team=team,
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
