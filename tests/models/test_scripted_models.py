from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from antiphon.audio.formats import PHONE, AudioFormat
from antiphon.clock import VirtualClock
from antiphon.errors import IntegrationUnavailableException
from antiphon.models.stt.contract import Transcript
from antiphon.models.stt.scripted import ScriptedSTT, STTFault
from antiphon.models.tts.contract import SpeechChunk
from antiphon.models.tts.scripted import ScriptedTTS, TTSFault
from antiphon.models.turn.scripted import ScriptedTurn
from antiphon.models.vad.scripted import ScriptedVAD, speech_between

SECOND = np.zeros(8_000, np.int16)


def test_the_vad_scores_each_frame_by_stream_time() -> None:
    got: list[tuple[float, float]] = []
    vad = ScriptedVAD(speech_between((0.04, 0.1), (0.12, 0.14)))
    stream = vad.open(PHONE, lambda score, seconds: got.append((score, seconds)))
    for _ in range(9):
        stream.feed(bytes(160))
    stream.close()
    stream.feed(bytes(160))
    assert [score for score, _ in got] == [0, 0, 1, 1, 1, 0, 1, 0, 0]
    assert {seconds for _, seconds in got} == {0.02}


def test_each_call_has_its_own_script_and_the_last_serves_all_others() -> None:
    vad = ScriptedVAD([(1.0, 0.3)], [(1.0, 0.9)])
    got: list[float] = []
    for _ in range(3):
        vad.open(AudioFormat("pcm16", 16_000), lambda score, _: got.append(score)).feed(bytes(640))
    assert got == [0.3, 0.9, 0.9]


class Heard:
    """A stream of the scripted recogniser in virtual time, and what came of it."""

    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock()
        self.transcripts: list[tuple[float, Transcript]] = []
        self.failures: list[tuple[float, Exception]] = []
        self.stream = ScriptedSTT(clock=self.clock, **options).open(
            8_000,
            lambda transcript: self.transcripts.append((self.clock.now(), transcript)),
            lambda error: self.failures.append((self.clock.now(), error)),
        )

    def run(self, *steps: Callable[[], object]) -> None:
        async def main() -> None:
            for step in steps:
                step()
                await self.clock.sleep(1)

        self.clock.run(main())

    @property
    def texts(self) -> list[str]:
        return [transcript.text for _, transcript in self.transcripts]


def test_the_recogniser_gives_the_next_text_after_its_delay() -> None:
    heard = Heard(texts=["one", "two"], delay_s=0.25)
    heard.run(heard.stream.finish, heard.stream.finish, heard.stream.finish)
    assert heard.texts == ["one", "two", "one"]
    assert [at for at, _ in heard.transcripts] == [0.25, 1.25, 2.25]
    assert [transcript.utterance for _, transcript in heard.transcripts] == [0, 1, 2]


def test_partials_grow_while_speech_is_fed_and_stop_at_the_end() -> None:
    heard = Heard(texts=["a b c d e"], words_per_partial=2)
    heard.run(*[lambda: heard.stream.feed(SECOND[:1_600])] * 5, heard.stream.finish)
    assert heard.texts == ["a b", "a b c d", "a b c d e", "a b c d e"]
    assert [transcript.is_final for _, transcript in heard.transcripts] == [False, False, False, True]


def test_no_partial_comes_after_discard_or_its_final() -> None:
    heard = Heard(texts=["a b c"], words_per_partial=1)

    def feed_and_discard() -> None:
        heard.stream.feed(SECOND)
        heard.stream.discard()

    def feed_and_finish() -> None:
        heard.stream.feed(SECOND)
        heard.stream.finish()

    heard.run(feed_and_discard, feed_and_finish)
    assert [(t.text, t.is_final) for _, t in heard.transcripts] == [("a b c", True)]


@pytest.mark.parametrize(
    ("fault", "texts", "failures"),
    [("fail", ["hello", "hello"], 1), ("stall", ["hello", "hello"], 0), ("close", ["hello"], 2)],
)
def test_an_utterance_can_fail_stall_or_close_the_stream(fault: STTFault, texts: list[str], failures: int) -> None:
    heard = Heard(faults={1: fault})
    heard.run(*[heard.stream.finish] * 3)
    assert heard.texts == texts
    assert len(heard.failures) == failures
    assert all(isinstance(error, IntegrationUnavailableException) for _, error in heard.failures)


def test_an_utterance_can_be_garbage() -> None:
    heard = Heard(faults={0: "empty", 1: "long"})
    heard.run(*[heard.stream.finish] * 2)
    assert heard.texts[0] == ""
    assert len(heard.texts[1].split()) == 20_000


def test_nothing_comes_after_the_stream_is_closed() -> None:
    heard = Heard(delay_s=0.5, faults={1: "fail"})
    heard.run(heard.stream.finish)
    heard.clock = VirtualClock()

    async def main() -> None:
        stream = ScriptedSTT(delay_s=0.5, clock=heard.clock).open(8_000, pytest.fail, pytest.fail)
        stream.finish()
        await stream.aclose()
        await heard.clock.sleep(1)

    heard.clock.run(main())


def spoken(tts: ScriptedTTS, text: str, clock: VirtualClock | None = None, **options: Any) -> list[SpeechChunk]:
    async def main() -> list[SpeechChunk]:
        return [chunk async for chunk in tts.synthesize(text, **options)]

    return (clock or VirtualClock()).run(main())


def test_the_voice_hums_as_long_as_its_text() -> None:
    chunks = spoken(ScriptedTTS(ms_per_char=100, chunk_s=0.3), "0123456789")
    assert [len(chunk.pcm) for chunk in chunks] == [2_400, 2_400, 2_400, 800]
    joined = np.concatenate([chunk.pcm for chunk in chunks])
    assert np.abs(np.diff(joined.astype(int))).max() < 7_000  # no click where chunks meet
    assert len(np.concatenate([c.pcm for c in spoken(ScriptedTTS(seconds=2), "a", speed=2.0)])) == 8_000


def test_the_voice_waits_before_its_first_chunk() -> None:
    clock = VirtualClock()
    spoken(ScriptedTTS(first_chunk_delay_s=0.4, clock=clock), "hello", clock)
    assert clock.now() == pytest.approx(0.4)


def test_word_timings_end_with_the_text_and_each_comes_once() -> None:
    text = "Well, well: hello there."
    chunks = spoken(ScriptedTTS(ms_per_char=50, chunk_s=0.1, word_timings=True), text)
    words = [word for chunk in chunks for word in chunk.words]
    assert [text[: word.char_end].split()[-1] for word in words] == text.split()
    assert words[-1].end_ms == pytest.approx(len(text) * 50)
    assert [word.end_ms for word in words] == sorted(word.end_ms for word in words)


@pytest.mark.parametrize(("fault", "chunks"), [("fail", 0), ("break", 1)])
async def test_the_voice_can_fail_at_once_or_in_the_middle(fault: TTSFault, chunks: int) -> None:
    tts = ScriptedTTS(seconds=3, faults={0: fault})
    voice = tts.synthesize("hello")
    for _ in range(chunks):
        await anext(voice)
    with pytest.raises(IntegrationUnavailableException):
        await anext(voice)
    assert len([chunk async for chunk in tts.synthesize("again")]) == 3


def test_the_voice_can_give_nothing_or_odd_chunks() -> None:
    tts = ScriptedTTS(seconds=1, faults={0: "empty", 1: "odd"})
    assert spoken(tts, "a") == []
    sizes = [len(chunk.pcm) for chunk in spoken(tts, "b")]
    assert sizes[:4] == [0, 1, 3, 7]
    assert sum(sizes) == 8_000
    assert list(tts.said) == ["a", "b"]


def test_a_stalled_voice_ends_when_nobody_listens() -> None:
    clock = VirtualClock()
    tts = ScriptedTTS(seconds=3, faults={0: "stall"}, clock=clock)

    async def main() -> None:
        voice = tts.synthesize("hello")
        await anext(voice)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(voice), 5)
        voice = tts.synthesize("hello")
        await anext(voice)
        await voice.aclose()

    clock.run(main())
    assert tts.cut == 2


def asked(turn: ScriptedTurn, times: int, clock: VirtualClock) -> Sequence[float]:
    async def main() -> list[float]:
        return [await turn.score(SECOND, "so") for _ in range(times)]

    return clock.run(main())


def test_the_turn_model_gives_its_scores_in_order_and_repeats_the_last() -> None:
    clock = VirtualClock()
    turn = ScriptedTurn([0.1, 0.8], delay_s=0.05, clock=clock)
    assert asked(turn, 3, clock) == [0.1, 0.8, 0.8]
    assert clock.now() == pytest.approx(0.15)
    assert turn.asked == 3


def test_the_turn_model_can_fail_and_stall() -> None:
    clock = VirtualClock()
    with pytest.raises(IntegrationUnavailableException):
        asked(ScriptedTurn(faults={1: "fail"}), 2, clock)

    async def stalled() -> None:
        async with asyncio.timeout(1):
            await ScriptedTurn(faults={0: "stall"}).score(SECOND, "")

    with pytest.raises(TimeoutError):
        VirtualClock().run(stalled())
