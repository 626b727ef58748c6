from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.convert import from_pcm
from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.audio.resample import resample
from antiphon.audio.tones import comfort_noise
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationInitializationError
from antiphon.models.vad.silero import SileroVAD
from antiphon.models.weights.store import WeightStore

pytestmark = pytest.mark.models

Recordings = dict[str, tuple[NDArray[np.int16], str]]
FORMATS = [AudioFormat(encoding, rate) for encoding in ("mulaw", "alaw", "pcm16") for rate in (8_000, 16_000)]


def frames(pcm: NDArray[np.int16], audio: AudioFormat, ms: float = 20) -> list[bytes]:
    """A recording of 16 kHz as frames of a format."""
    data = from_pcm(resample(pcm, 16_000, audio.rate_hz), audio)
    size = audio.frame_bytes(ms)
    return [data[start : start + size] for start in range(0, len(data), size)]


async def scored(vad: SileroVAD, clock: VirtualClock, audio: AudioFormat, *calls: list[bytes]) -> list[list[float]]:
    """The scores of calls that send their frames side by side, 20 ms after 20 ms."""
    got: list[list[float]] = [[] for _ in calls]
    streams = [vad.open(audio, lambda score, _, n=n: got[n].append(score)) for n in range(len(calls))]
    for turn in range(max(len(call) for call in calls)):
        for stream, call in zip(streams, calls, strict=True):
            if turn < len(call):
                stream.feed(call[turn])
        await clock.sleep(0.02)
    await clock.sleep(1)
    for stream in streams:
        stream.close()
    return got


@pytest.mark.parametrize("audio", FORMATS, ids=str)
def test_it_hears_speech_and_no_noise_in_every_format(
    audio: AudioFormat, weights: WeightStore, recordings: Recordings
) -> None:
    clock = VirtualClock()
    speech = frames(recordings["jfk.wav"][0][:64_000], audio)
    noise = frames(comfort_noise(4_000, rate_hz=16_000, level_dbfs=-45), audio)
    heard, quiet = clock.run(scored(SileroVAD(weights, clock=clock), clock, audio, speech, noise))
    assert len(heard) == len(quiet) == 125
    assert sum(score >= 0.5 for score in heard) > 50
    assert max(quiet[5:]) < 0.5


def test_a_batch_gives_the_scores_of_single_runs(weights: WeightStore, recordings: Recordings) -> None:
    calls = [frames(pcm[:48_000], PHONE) for pcm, _ in recordings.values()]

    clock = VirtualClock()
    vad = SileroVAD(weights, clock=clock)
    together = clock.run(scored(vad, clock, PHONE, *calls))
    assert vad.batches < vad.windows / 4

    for call, expected in zip(calls, together, strict=True):
        clock = VirtualClock()
        (alone,) = clock.run(scored(SileroVAD(weights, clock=clock), clock, PHONE, call))
        assert len(alone) == len(expected)
        np.testing.assert_allclose(alone, expected, atol=1e-4)


def test_another_rate_is_resampled(weights: WeightStore, recordings: Recordings) -> None:
    audio = AudioFormat("pcm16", 24_000)
    clock = VirtualClock()
    speech = frames(recordings["jfk.wav"][0][:64_000], audio)
    (got,) = clock.run(scored(SileroVAD(weights, clock=clock), clock, audio, speech))
    assert sum(score >= 0.5 for score in got) > 50


def test_windows_of_one_call_that_wait_together_are_scored_in_order(
    weights: WeightStore, recordings: Recordings
) -> None:
    pcm = recordings["librivox_0880.wav"][0]
    paced, blob = frames(pcm, PHONE), frames(pcm, PHONE, ms=1_000)
    scores = []
    for call in (paced, blob):
        clock = VirtualClock()
        scores += clock.run(scored(SileroVAD(weights, clock=clock), clock, PHONE, call))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)


def test_more_calls_than_a_batch_holds_are_scored_in_the_next_run(weights: WeightStore, recordings: Recordings) -> None:
    calls = [frames(recordings["goforward.wav"][0][:16_000], PHONE)] * 70
    clock = VirtualClock()
    vad = SileroVAD(weights, max_batch=64, clock=clock)
    got = clock.run(scored(vad, clock, PHONE, *calls))
    assert {len(scores) for scores in got} == {31}
    assert vad.windows == 70 * 31
    assert vad.batches == 2 * 31


def test_a_place_that_was_used_before_starts_afresh(weights: WeightStore, recordings: Recordings) -> None:
    clock = VirtualClock()
    vad = SileroVAD(weights, clock=clock)
    call = frames(recordings["librivox_0930.wav"][0][:32_000], PHONE)

    async def twice() -> list[list[float]]:
        first = await scored(vad, clock, PHONE, call)
        await scored(vad, clock, PHONE, frames(recordings["jfk.wav"][0][:32_000], PHONE))
        return first + await scored(vad, clock, PHONE, call)

    first, again = clock.run(twice())
    np.testing.assert_allclose(first, again, atol=1e-4)


def test_no_score_comes_after_close_even_from_within_a_score(weights: WeightStore) -> None:
    clock = VirtualClock()
    vad = SileroVAD(weights, clock=clock)
    got: list[str] = []

    async def main() -> None:
        def on_first(_score: float, _seconds: float) -> None:
            got.append("first")
            first.close()
            second.close()

        first = vad.open(PHONE, on_first)
        second = vad.open(PHONE, lambda *_: got.append("second"))
        for stream in (first, second):
            stream.feed(b"\xff" * 1_024)
        await clock.sleep(1)
        first.feed(b"\xff" * 1_024)
        first.close()
        await clock.sleep(1)

    clock.run(main())
    assert got == ["first"]


def test_a_sink_that_fails_costs_no_other_call_its_score(weights: WeightStore) -> None:
    clock = VirtualClock()
    vad = SileroVAD(weights, clock=clock)
    got: list[float] = []

    async def main() -> None:
        def broken(_score: float, _seconds: float) -> None:
            raise RuntimeError("this call is broken")

        for stream in (vad.open(PHONE, broken), vad.open(PHONE, lambda score, _: got.append(score))):
            stream.feed(b"\xff" * 512)
        await clock.sleep(1)

    clock.run(main())
    assert len(got) == 2


def test_a_flood_is_cut_and_counted(weights: WeightStore) -> None:
    clock = VirtualClock()
    vad = SileroVAD(weights, clock=clock)
    got: list[float] = []

    async def main() -> None:
        vad.open(PHONE, lambda score, _: got.append(score)).feed(b"\xff" * 8_000 * 30)
        await clock.sleep(1)

    clock.run(main())
    assert vad.dropped_bytes % 256 == 0
    assert vad.dropped_bytes // 256 + len(got) == 8_000 * 30 // 256
    assert 9.9 < len(got) * 0.032 <= 10


async def test_a_missing_weight_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(IntegrationInitializationError, match="antiphon models pull silero-vad"):
        await SileroVAD(WeightStore(tmp_path)).warm()


async def test_it_works_on_the_wall_clock_too(weights: WeightStore) -> None:
    vad = SileroVAD(weights)
    await vad.warm()
    scored_once = asyncio.Event()
    vad.open(PHONE, lambda *_: scored_once.set()).feed(b"\xff" * 256)
    await asyncio.wait_for(scored_once.wait(), 10)
    await vad.aclose()
