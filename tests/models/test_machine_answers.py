"""Machines and people who answer the telephone, spoken, with the real detector and recogniser."""

from __future__ import annotations

import asyncio
import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.agents.agent import Agent
from antiphon.agents.manners import Manners, Voicemail
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.resample import resample
from antiphon.audio.tones import comfort_noise, sine
from antiphon.calls.events import AgentSpeechStarted, AgentTextSpoken, VoicemailBeep, VoicemailDetected
from antiphon.clock import VirtualClock
from antiphon.models.stt.moonshine import Moonshine
from antiphon.models.tts.hibari import HibariTTS
from antiphon.models.vad.silero import SileroVAD
from antiphon.models.weights.store import WeightStore
from tests.calls.phone import CallUnderTest, calling

pytestmark = pytest.mark.models

MESSAGE = "Please call the clinic back."
AGENT = Agent("rings", "Remind people.", manners=Manners(voicemail=Voicemail("audio", MESSAGE)))
MACHINES = [
    "Hi, this is Bob. I'm not available right now. Please leave a message after the tone.",
    "You have reached the voicemail box of Jane Miller. At the tone, please record your message.",
    "Hello, you've reached the Smiths. We can't come to the phone right now. Leave your name and number.",
    "Thank you for calling Harper and Lowe. Our office is currently closed. Our office hours are nine to five.",
]
PEOPLE = [
    "Hello?",
    "Hello, this is Bob speaking.",
    "Good morning, Harper and Lowe, how can I help you?",
    "Bob's phone, he is not here right now, can I take a message?",
]


@functools.cache
def spoken(text: str) -> NDArray[np.int16]:
    """What somebody says, at the telephone's rate."""

    async def speak() -> NDArray[np.int16]:
        voice = HibariTTS()
        pcm = np.concatenate([chunk.pcm async for chunk in voice.synthesize(text)])
        await voice.aclose()
        return resample(pcm, voice.rate_hz, PHONE.rate_hz)

    return asyncio.run(speak())


def answered(weights: WeightStore, *sound: NDArray[np.int16]) -> CallUnderTest:
    """The call to whoever sounds like this, behind a second of ringing and on a line that is never quite silent."""
    clock = VirtualClock()
    pcm = np.concatenate([np.zeros(4_000, np.int16), *sound, np.zeros(56_000, np.int16)])
    data = from_pcm(pcm + comfort_noise(len(pcm) / 8, level_dbfs=-60), PHONE)

    async def scenario() -> CallUnderTest:
        vad, stt = SileroVAD(weights, clock=clock), Moonshine(weights)
        llm = ["Hello, this is the clinic."] * 4
        async with calling(clock, agent=AGENT, vad=vad, stt=stt, llm=llm) as call:
            for start in range(0, len(data) - 159, 160):
                await clock.sleep(0.02)
                call.call.hear(data[start : start + 160])
        await stt.aclose()
        return call

    return clock.run(scenario())


@pytest.mark.parametrize("text", MACHINES)
def test_a_machine_is_found_and_gets_its_message_behind_the_beep(text: str, weights: WeightStore) -> None:
    announcement, pause = spoken(text), np.zeros(6_000, np.int16)
    call = answered(weights, announcement, pause, sine(1004, 500, amplitude=0.2))
    ends_s = 0.5 + (len(announcement) + len(pause)) / 8_000 + 0.5
    found = [(event.result, event.transcript) for event in call.events(VoicemailDetected)]
    print(f"found at {call.at(VoicemailDetected):.1f} s of {ends_s:.1f}: {found}")
    assert [result for result, _ in found] == ["machine"]
    assert call.events(VoicemailBeep)[0].frequency_hz == pytest.approx(1004, abs=5)
    assert call.at(VoicemailBeep) == pytest.approx(ends_s, abs=0.15)
    assert [event.text for event in call.events(AgentTextSpoken)][-1] == MESSAGE
    assert call.ended is not None
    assert call.ended.reason == "voicemail"


@pytest.mark.parametrize("text", PEOPLE)
def test_a_person_is_told_from_a_machine_and_answered(text: str, weights: WeightStore) -> None:
    said = spoken(text)
    call = answered(weights, said)
    waited_s = call.at(AgentSpeechStarted) - 0.5 - len(said) / 8_000
    print(f"answered {waited_s:.2f} s after the last word: {call.events(VoicemailDetected)}")
    assert [event.result for event in call.events(VoicemailDetected)] == ["human"]
    assert waited_s < 1.6
    assert [event.text for event in call.events(AgentTextSpoken)] == ["Hello, this is the clinic."]


def test_speech_and_no_beep_is_no_beep(weights: WeightStore) -> None:
    call = answered(weights, spoken(MACHINES[0]))
    assert [event.result for event in call.events(VoicemailDetected)] == ["machine"]
    assert call.events(VoicemailBeep) == []
