"""Callers who give a number, a date or an address in pieces, with the real detector and recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from antiphon.agents.agent import Agent
from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE
from antiphon.audio.resample import resample
from antiphon.audio.wav import read_wav
from antiphon.calls.events import UserSpeechStopped, UserTurnCompleted
from antiphon.clock import VirtualClock
from antiphon.models.stt.moonshine import Moonshine
from antiphon.models.vad.silero import SileroVAD
from antiphon.models.weights.store import WeightStore
from tests.calls.phone import CallUnderTest, calling

pytestmark = pytest.mark.models

CALLERS = Path(__file__).parents[1] / "data" / "callers"
PAUSE_S = 1.2


def frames(name: str, cuts: Sequence[float]) -> list[bytes]:
    """A recording with a pause at each of these seconds, as the telephone brings it."""
    pcm, rate_hz = read_wav(CALLERS / name)
    pause = np.zeros(round(PAUSE_S * rate_hz), np.int16)
    pieces = np.split(pcm, [round(cut * rate_hz) for cut in cuts])
    spaced = [part for piece in pieces for part in (piece, pause)][:-1]
    data = from_pcm(resample(np.concatenate(spaced), rate_hz, PHONE.rate_hz), PHONE)
    return [data[start : start + 160] for start in range(0, len(data) - 159, 160)]


def asked(weights: WeightStore, question: str, sound: list[bytes]) -> CallUnderTest:
    clock = VirtualClock()

    async def scenario() -> CallUnderTest:
        agent = Agent("tester", "Ask.", greeting=question)
        vad, stt = SileroVAD(weights, clock=clock), Moonshine(weights)
        async with calling(clock, agent=agent, vad=vad, stt=stt, llm=["Thank you."] * 4) as call:
            await call.quiet(4)
            for frame in sound:
                await clock.sleep(0.02)
                call.call.hear(frame)
            await call.quiet(6)
        await stt.aclose()
        return call

    return clock.run(scenario())


@pytest.mark.parametrize(
    ("name", "question", "cuts", "within_s"),
    [
        ("emma_phone.wav", "What is your phone number?", (0.86, 1.92), 2.0),
        ("george_date.wav", "What is your date of birth?", (0.80, 1.78), 0.6),
        ("george_email.wav", "What is your e-mail address?", (1.06, 1.88, 2.40), 0.6),
    ],
)
def test_what_is_asked_for_is_one_turn_in_whatever_pieces_it_is_said(
    name: str, question: str, cuts: Sequence[float], within_s: float, weights: WeightStore
) -> None:
    call = asked(weights, question, frames(name, cuts))
    turns = [event.text for event in call.events(UserTurnCompleted)]
    pauses = call.events(UserSpeechStopped)
    waited_s = call.at(UserTurnCompleted) - pauses[-1].silence_at
    print(f"{name}: {turns}, decided {waited_s:.2f} s after the last sound")
    assert len(turns) == 1
    assert len(pauses) == len(cuts) + 1
    assert waited_s < within_s
