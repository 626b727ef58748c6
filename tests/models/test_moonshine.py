from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.g711 import decode_mulaw, encode_mulaw
from antiphon.audio.resample import resample
from antiphon.audio.tones import comfort_noise, dtmf, silence, sine
from antiphon.errors import (
    AudioError,
    IntegrationInitializationError,
    IntegrationInvalidRequestException,
    IntegrationUnavailableException,
)
from antiphon.evals.wer import WordErrors, word_error_rate, word_errors
from antiphon.models.stt.contract import Transcript
from antiphon.models.stt.moonshine import Moonshine, MoonshineStream
from antiphon.models.stt.moonshine_decoder import NOTHING, MoonshineDecoder, quietest
from antiphon.models.weights.store import WeightStore

Recordings = dict[str, tuple[NDArray[np.int16], str]]

models = pytest.mark.models


class Listener:
    """What a call hears of its stream."""

    def __init__(self, stt: Moonshine, rate_hz: int = 16_000) -> None:
        self.transcripts: list[Transcript] = []
        self.failures: list[Exception] = []
        self._finals: asyncio.Queue[Transcript | Exception] = asyncio.Queue()
        self._partials: asyncio.Queue[Transcript] = asyncio.Queue()
        self.stream: MoonshineStream = stt.open(rate_hz, self._on_transcript, self._on_failure)

    def _on_transcript(self, transcript: Transcript) -> None:
        self.transcripts.append(transcript)
        (self._finals if transcript.is_final else self._partials).put_nowait(transcript)

    def _on_failure(self, error: Exception) -> None:
        self.failures.append(error)
        self._finals.put_nowait(error)

    async def end(self) -> Transcript | Exception:
        """The next final transcript, or the failure in its place."""
        return await asyncio.wait_for(self._finals.get(), 40)

    async def partial(self) -> Transcript:
        """The next partial transcript."""
        return await asyncio.wait_for(self._partials.get(), 40)

    async def hear(self, pcm: NDArray[np.int16]) -> str:
        """Feed an utterance at once and give its final text."""
        self.stream.feed(pcm)
        self.stream.finish()
        ended = await self.end()
        assert isinstance(ended, Transcript), ended
        return ended.text


def on_the_phone(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """A recording of 16 kHz as it comes out of a telephone line, at 8 kHz."""
    return decode_mulaw(encode_mulaw(resample(pcm, 16_000, 8_000)))


@models
@pytest.mark.parametrize("rate_hz", [16_000, 8_000], ids=["wide band", "telephone"])
async def test_it_understands_people(rate_hz: int, weights: WeightStore, recordings: Recordings) -> None:
    stt = Moonshine(weights)
    listener = Listener(stt, rate_hz)
    errors = []
    for name, (pcm, said) in recordings.items():
        heard = await listener.hear(pcm if rate_hz == 16_000 else on_the_phone(pcm))
        print(f"{name}: {heard}")
        errors.append(word_errors(said, heard))
    assert sum(errors, WordErrors()).rate <= 0.04
    await stt.aclose()


@models
async def test_partials_grow_while_the_caller_speaks_and_the_final_is_last(
    weights: WeightStore, recordings: Recordings
) -> None:
    stt = Moonshine(weights)
    await stt.warm()
    listener = Listener(stt)
    pcm, said = recordings["librivox_0870.wav"]
    for piece in np.split(pcm, range(16_000, len(pcm), 4_800))[:-1]:
        listener.stream.feed(piece)
        await listener.partial()
    listener.stream.finish()
    ended = await listener.end()
    assert isinstance(ended, Transcript)
    assert listener.transcripts[-1] is ended
    partials = listener.transcripts[:-1]
    assert 15 < len(partials) <= stt.partials
    assert not any(partial.is_final or partial.text.endswith(".") for partial in partials)
    assert word_error_rate([(said, ended.text)]) == 0
    middle = partials[len(partials) // 2].text
    assert len(said) * 0.3 < len(middle) < len(said) * 0.7
    await stt.aclose()


@models
async def test_each_finish_gives_exactly_one_final_in_order(weights: WeightStore, recordings: Recordings) -> None:
    stt = Moonshine(weights, workers=2)
    listener = Listener(stt)
    for name in ("jfk.wav", "goforward.wav"):
        listener.stream.feed(recordings[name][0])
        listener.stream.finish()
    listener.stream.finish()
    finals = [await listener.end() for _ in range(3)]
    assert [final.utterance for final in finals if isinstance(final, Transcript)] == [0, 1, 2]
    texts = [final.text for final in finals if isinstance(final, Transcript)]
    assert "fellow Americans" in texts[0]
    assert texts[1] == "Go forward ten meters."
    assert texts[2] == ""
    await stt.aclose()


@models
async def test_what_is_discarded_is_never_heard(weights: WeightStore, recordings: Recordings) -> None:
    stt = Moonshine(weights)
    listener = Listener(stt)
    listener.stream.feed(recordings["jfk.wav"][0])
    listener.stream.discard()
    assert await listener.hear(recordings["goforward.wav"][0]) == "Go forward ten meters."
    assert [transcript.utterance for transcript in listener.transcripts] == [0]
    await stt.aclose()


@models
async def test_nothing_comes_after_the_stream_is_closed(weights: WeightStore, recordings: Recordings) -> None:
    stt = Moonshine(weights)
    closed, other = Listener(stt), Listener(stt)
    for _ in range(2):
        closed.stream.feed(recordings["goforward.wav"][0])
        closed.stream.finish()
    await closed.stream.aclose()
    await other.hear(recordings["goforward.wav"][0])
    assert closed.transcripts == []
    assert closed.failures == []
    await stt.aclose()


@models
async def test_speech_longer_than_the_model_takes_is_cut_at_pauses_and_joined(
    weights: WeightStore, recordings: Recordings
) -> None:
    stt = Moonshine(weights)
    names = ["librivox_0870.wav", "librivox_0920.wav", "libri_2412_0.wav"]
    long = on_the_phone(np.concatenate([recordings[name][0] for name in names]))
    assert len(long) > 24 * 8_000
    said = " ".join(recordings[name][1] for name in names)

    whole = await Listener(stt, 8_000).hear(long)
    assert word_error_rate([(said, whole)]) <= 0.05

    bit_by_bit = Listener(stt, 8_000)
    for chunk in np.array_split(long, 6):
        bit_by_bit.stream.feed(chunk)
        partial = (await bit_by_bit.partial()).text
    assert partial.startswith("And Mr. John Dashwood")
    assert word_error_rate([(said, partial)]) <= 0.05
    assert await bit_by_bit.hear(long[:0]) == partial + "."
    await stt.aclose()


@models
@pytest.mark.parametrize(
    "noise",
    [
        silence(2_000, rate_hz=16_000),
        comfort_noise(200, rate_hz=16_000, level_dbfs=-40),
        comfort_noise(1_000, rate_hz=16_000, level_dbfs=-26),
        comfort_noise(4_000, rate_hz=16_000, level_dbfs=-15),
        sine(500, 2_000, rate_hz=16_000, amplitude=0.1),
        dtmf("5", rate_hz=16_000, tone_ms=1_000),
        np.concatenate([silence(500, rate_hz=16_000), np.full(40, 20_000, np.int16), silence(500, rate_hz=16_000)]),
        np.zeros(3, np.int16),
        np.zeros(0, np.int16),
    ],
    ids=["silence", "tick", "hiss", "loud hiss", "tone", "key", "click", "three samples", "nothing"],
)
def test_noise_gives_no_words(noise: NDArray[np.int16], decoder: MoonshineDecoder) -> None:
    assert decoder.transcribe(noise, lambda: False) == NOTHING


@models
async def test_many_calls_at_once_all_get_their_finals(weights: WeightStore, recordings: Recordings) -> None:
    stt = Moonshine(weights)
    listeners = [Listener(stt) for _ in range(12)]
    pcm = recordings["goforward.wav"][0]
    for start in range(0, len(pcm), 6_000):
        for listener in listeners:
            listener.stream.feed(pcm[start : start + 6_000])
        await asyncio.sleep(0)
    for listener in listeners:
        listener.stream.finish()
    ended = [await listener.end() for listener in listeners]
    assert {final.text for final in ended if isinstance(final, Transcript)} == {"Go forward ten meters."}
    assert stt.finals == 12
    assert stt.partials_skipped > 0
    assert all(listener.transcripts[-1].is_final for listener in listeners)
    await stt.aclose()


@models
async def test_too_many_waiting_utterances_fail_at_once_and_the_stream_goes_on(
    weights: WeightStore, recordings: Recordings
) -> None:
    stt = Moonshine(weights, max_waiting=1, partial_every_s=60)
    listener = Listener(stt)
    for _ in range(3):
        listener.stream.feed(recordings["goforward.wav"][0])
        listener.stream.finish()
    ended = [type(await listener.end()) for _ in range(3)]
    assert ended == [IntegrationUnavailableException, Transcript, Transcript]
    assert await listener.hear(recordings["goforward.wav"][0]) == "Go forward ten meters."
    await stt.aclose()


@models
def test_work_that_nobody_wants_ends_between_two_tokens(decoder: MoonshineDecoder, recordings: Recordings) -> None:
    asked = iter([False, False, True])
    assert decoder.transcribe(recordings["jfk.wav"][0], lambda: next(asked)) is None


async def test_a_missing_weight_fails_each_utterance_with_one_sentence(tmp_path: Path) -> None:
    stt = Moonshine(WeightStore(tmp_path))
    with pytest.raises(IntegrationInitializationError, match="antiphon models pull moonshine-tiny-encoder"):
        await stt.warm()
    listener = Listener(stt)
    for _ in range(2):
        listener.stream.finish()
        assert isinstance(await listener.end(), IntegrationInitializationError)
    await stt.aclose()


async def test_other_languages_and_rates_are_refused_with_one_sentence(tmp_path: Path) -> None:
    stt = Moonshine(WeightStore(tmp_path))
    with pytest.raises(IntegrationInvalidRequestException, match="English only, not de-DE"):
        stt.open(16_000, print, print, language="de-DE")
    with pytest.raises(AudioError):
        stt.open(1_000, print, print)
    stt.open(16_000, print, print, language="en-GB")
    await stt.aclose()


def test_long_speech_is_cut_where_it_is_quietest() -> None:
    pcm = sine(300, 3_000, rate_hz=16_000)
    pcm[20_000:24_000] = 0
    assert 20_000 <= quietest(pcm, 8_000, 40_000) <= 24_000
