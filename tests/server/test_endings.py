"""However calls end on real sockets: the server has nothing left of them."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import ClientConnection

from antiphon.agents.agent import Agent
from antiphon.agents.manners import Idle, Manners, Voicemail
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.tones import sine
from antiphon.calls.events import VoicemailBeep, VoicemailDetected
from antiphon.calls.log import CallLog, Entry
from antiphon.models.catalog import Models
from antiphon.models.llm.scripted import ScriptedChatClient
from antiphon.models.stt.scripted import ScriptedSTT
from antiphon.models.tts.scripted import ScriptedTTS
from antiphon.models.vad.energy import EnergyVAD
from antiphon.server.run import Running
from antiphon.wire.caller import MediaCaller
from tests.server.harness import SILENCE, SPEECH, Serve, close_code, phone, start_stream, until

CALLS = 16
MACHINE = "You have reached Bob. Please leave a message after the tone."
BEEP = from_pcm(sine(1000, 400), PHONE)
BEEPS = [BEEP[start : start + 160] for start in range(0, len(BEEP), 160)]
AGENTS = [
    Agent("desk", greeting="Hello."),
    Agent("idle", manners=Manners(idle=Idle(0.6, ("Hello?",), "Goodbye then."))),
    Agent("rings", manners=Manners(voicemail=Voicemail("audio", "Please call us back."))),
]


def models(*heard: str) -> Models:
    return Models(
        vad=EnergyVAD(),
        stt=ScriptedSTT(heard),
        llm=ScriptedChatClient(lambda _messages, _options: "Good morning to you."),
        tts=ScriptedTTS(seconds=0.3),
        turn=None,
    )


async def play(socket: ClientConnection, caller: MediaCaller, frames: list[bytes]) -> None:
    """In real time: the server's own timers run as well."""
    for frame in frames:
        message = caller.media(frame)
        assert message is not None
        await socket.send(message)
        await asyncio.sleep(0.02)


def sound(speech_s: float, silence_s: float) -> list[bytes]:
    return [SPEECH] * round(speech_s * 50) + [SILENCE] * round(silence_s * 50)


async def end(up: Running, number: int, agent: str, frames: list[bytes], *, leaves: bool) -> None:
    async with phone(up) as socket:
        caller = await start_stream(socket, f"CA{number}", agent=agent)
        reading = asyncio.create_task(close_code(socket))
        sending = asyncio.create_task(play(socket, caller, frames))
        if leaves:
            await sending
            await socket.close()
        await reading
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize(
    ("agent", "heard", "frames", "reason"),
    [
        ("desk", "Goodbye.", sound(0.6, 6), "agent_hangup"),
        ("idle", "", sound(0, 6), "idle_timeout"),
        ("rings", MACHINE, [*sound(1.2, 0.6), *BEEPS, *sound(0, 6)], "voicemail"),
        ("desk", "Hello?", sound(0.6, 0.8), "user_hangup"),
    ],
    ids=["agent_hangup", "idle_timeout", "voicemail", "user_hangup"],
)
async def test_calls_give_back_their_slots_and_tasks_however_they_end(
    serve: Serve, agent: str, heard: str, frames: list[bytes], reason: str
) -> None:
    async with serve(agents=AGENTS, models=models(heard), max_calls=CALLS) as up:
        tasks = len(asyncio.all_tasks())
        leaves = reason == "user_hangup"
        await asyncio.gather(*(end(up, number, agent, frames, leaves=leaves) for number in range(CALLS)))
        await until(lambda: up.board.live_sessions("twilio") == 0 and up.board.admission.live == 0)
        assert up.board.metrics.calls_ended == {reason: CALLS}
        await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_machine_on_a_real_line_gets_its_message(serve: Serve) -> None:
    told: list[Entry] = []

    def watch(log: CallLog) -> None:
        log.subscribe(told.append)

    async with serve(agents=AGENTS, models=models(MACHINE)) as up:
        up.board.watchers.append(watch)
        await end(up, 1, "rings", [*sound(1.2, 0.6), *BEEPS, *sound(0, 6)], leaves=False)
    found = [entry.event for entry in told if isinstance(entry.event, (VoicemailDetected, VoicemailBeep))]
    assert found[0] == VoicemailDetected("machine", "audio", MACHINE)
    assert isinstance(found[1], VoicemailBeep)
    assert found[1].frequency_hz == pytest.approx(1000, abs=3)
