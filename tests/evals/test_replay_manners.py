"""Calls whose agents have manners of their own, or that end by a machine or a goodbye, decide the same again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.agents.agent import Agent
from antiphon.agents.handoff import Handoff
from antiphon.agents.manners import Hearing, Idle, Interruption, Manners, Voicemail
from antiphon.audio.convert import to_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.wav import write_wav
from antiphon.calls import events
from antiphon.clock import VirtualClock
from antiphon.evals.replay import Replay, replay_decisions, replay_voice
from antiphon.models.llm.scripted import Reply
from antiphon.models.llm.scripted import call as tool_call
from antiphon.models.stt.scripted import ScriptedSTT
from tests.calls.phone import SILENCE, SPEECH, CallUnderTest, make_call
from tests.calls.providers import LevelVAD

Script = Callable[[CallUnderTest], Coroutine[Any, Any, None]]


def recorded(script: Script, **parts: Any) -> CallUnderTest:
    clock = VirtualClock()
    call = make_call(clock, **parts)

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.run())
            await script(call)
            call.call.line_lost()

    clock.run(both())
    return call


def replayed(call: CallUnderTest) -> Replay:
    return replay_decisions([entry.to_dict() for entry in call.entries])


async def meet_machine(call: CallUnderTest) -> None:
    await call.speak(3)
    await call.quiet(1)
    await call.tone(1000, 0.4)
    await call.quiet(8)


async def say_bye(call: CallUnderTest) -> None:
    await call.speak(1)
    await call.quiet(5)


async def be_handed_over(call: CallUnderTest) -> None:
    await call.speak(1)
    await call.quiet(20)


def billing() -> Agent:
    calm = Manners(Interruption("off"), Hearing(1500), Idle(8, ("Hello?",), "Bye."))
    return Agent("desk", handoffs=[Handoff(Agent("billing", manners=calm), handoff_type="discrete")])


@pytest.mark.parametrize(
    ("script", "parts", "reason"),
    [
        (
            meet_machine,
            {
                "agent": Agent("rings", manners=Manners(voicemail=Voicemail("audio", "Call us back."))),
                "stt": ScriptedSTT(["You have reached Bob. Leave a message after the tone."], words_per_partial=1),
            },
            "voicemail",
        ),
        (say_bye, {"stt": ["Goodbye."]}, "agent_hangup"),
        (
            be_handed_over,
            {
                "agent": billing(),
                "stt": ["My invoice."],
                "llm": [Reply(calls=(tool_call("handoff_to_billing", reason="invoice"),)), "This is billing."],
            },
            "idle_timeout",
        ),
    ],
    ids=["a machine", "a goodbye", "a handoff"],
)
def test_the_decisions_of_a_call_come_out_the_same(script: Script, parts: dict[str, Any], reason: str) -> None:
    call = recorded(script, **parts)
    assert call.ended is not None
    assert call.ended.reason == reason
    replay = replayed(call)
    assert replay.steps > 5
    assert replay.differences == []


async def test_what_the_detector_heard_by_the_agent_s_threshold_is_heard_again(tmp_path: Path) -> None:
    """The sound is over the detector's own threshold, and under the agent's."""

    async def speak(call: CallUnderTest) -> None:
        await call.quiet(0.5)
        await call.speak(1)
        await call.quiet(2)

    deaf = Agent("desk", manners=Manners(hearing=Hearing(threshold=0.5)))
    call = await asyncio.to_thread(recorded, speak, agent=deaf, stt=["Hello?"], llm=["Yes."], vad=LevelVAD())
    assert call.events(events.UserSpeechStarted) == []
    heard = SILENCE * 25 + SPEECH * 50 + SILENCE * 100
    path = tmp_path / "caller.wav"
    write_wav(path, np.asarray(to_pcm(heard, PHONE)), PHONE.rate_hz)
    replay = replayed(call)
    await replay_voice([entry.to_dict() for entry in call.entries], path, vad=LevelVAD(), replay=replay)
    assert (replay.voices, replay.extra_voices) == ([], 0)
