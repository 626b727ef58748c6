from __future__ import annotations

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.resample import resample
from antiphon.errors import IntegrationInvalidRequestException, IntegrationUnavailableException
from antiphon.evals.wer import word_error_rate
from antiphon.models.stt.moonshine_decoder import MoonshineDecoder
from antiphon.models.tts.hibari import HibariTTS
from antiphon.models.tts.hibari_text import pieces, speakable


async def spoken(tts: HibariTTS, text: str, **options: float) -> NDArray[np.int16]:
    parts = [chunk.pcm async for chunk in tts.synthesize(text, **options)]
    assert all(part.dtype == np.int16 and 0 < len(part) <= tts.rate_hz // 2 for part in parts)
    return np.concatenate([np.zeros(0, np.int16), *parts])


async def test_a_clause_starts_at_once_and_ends_with_a_pause() -> None:
    tts = HibariTTS()
    pcm = await spoken(tts, "Sure, let me check that for you.")
    audible = np.flatnonzero(np.abs(pcm) > 300)
    assert audible[0] < 0.06 * tts.rate_hz
    assert 0.2 < (len(pcm) - audible[-1]) / tts.rate_hz < 0.45
    assert 1.3 < len(pcm) / tts.rate_hz < 2.5
    assert np.array_equal(pcm, await spoken(tts, "Sure, let me check that for you."))
    assert len(await spoken(tts, "Sure, let me check that for you.", speed=1.5)) < 0.8 * len(pcm)
    await tts.aclose()


async def test_a_clause_has_a_shorter_pause_than_a_sentence() -> None:
    tts = HibariTTS()
    assert len(await spoken(tts, "All right,")) < len(await spoken(tts, "All right."))
    await tts.aclose()


async def test_what_cannot_be_spoken_gives_at_most_a_breath() -> None:
    tts = HibariTTS()
    for text in ("", "   ", "🙂", "...", "*", "你好"):
        assert len(await spoken(tts, text)) < tts.rate_hz
    await tts.aclose()


async def test_a_long_text_starts_as_fast_as_a_short_one_and_stops_when_nobody_listens() -> None:
    tts = HibariTTS()
    voice = tts.synthesize("We are open from nine to five on every day of the week, " * 100)
    assert len((await anext(voice)).pcm) > 0
    await voice.aclose()
    await tts.warm()
    await tts.aclose()


async def test_a_voice_or_language_that_is_not_here_is_one_sentence() -> None:
    tts = HibariTTS()
    with pytest.raises(IntegrationInvalidRequestException, match="no 'nobody' on this machine: use one of heart"):
        await anext(tts.synthesize("hello", voice="nobody"))
    with pytest.raises(IntegrationInvalidRequestException, match="English only, not fr"):
        await anext(tts.synthesize("bonjour", language="fr"))
    await tts.aclose()


async def test_too_many_waiting_pieces_fail_at_once() -> None:
    tts = HibariTTS(max_waiting=2)
    results = await asyncio.gather(*(spoken(tts, "hello") for _ in range(3)), return_exceptions=True)
    assert [isinstance(result, IntegrationUnavailableException) for result in results] == [False, False, True]
    await tts.aclose()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Call (415) 555-2671.", "Call 4 1 5, 5 5 5, 2 6 7 1."),
        ("+1 415-555-2671", "plus 1, 4 1 5, 5 5 5, 2 6 7 1"),
        ("5550198", "5 5 5, 0 1 9 8"),
        ("ZIP 90210", "ZIP 9 0 2 1 0"),
        ("8am-5pm, Mon-Fri.", "8 AM to 5 PM, Monday to Friday."),
        ("8 a.m.-5 p.m.", "8 a.m. to 5 p.m."),
        ("from 9:00-17:30", "from 9:00 to 17:30"),
        ("$90-$120", "$90 to $120"),
        ("on Jan. 3 and Sept. 4", "on January 3 and September 4"),
        ("No. 5, code 4-5-6", "number 5, code 4, 5, 6"),
        ("24/7 at www.example.com", "24 7 at W W W dot example.com"),
    ],
)
def test_what_the_voice_reads_wrong_is_rewritten(written: str, read: str) -> None:
    assert speakable(written) == read


@pytest.mark.parametrize(
    "text",
    [
        *("A cleaning is $90, and we open at 10 a.m. on Tuesday.", "Dr. Smith will see you at 3:30 p.m.", "$12500.50"),
        *(
            "It is 3.14159 or 12,500 or 12345.6.",
            "In the 1990s, on 2026-03-05 and 12/05/2025.",
            "I am at no. They may.",
        ),
    ],
)
def test_what_the_voice_reads_right_is_left_alone(text: str) -> None:
    assert speakable(text) == text


def test_long_text_is_cut_at_sentences_commas_and_words_without_loss() -> None:
    text = "First sentence here, with a comma. " * 10 + "word " * 60 + "x" * 300
    cut = pieces(text)
    assert max(len(piece) for piece in cut) <= 120
    assert "".join(cut).replace(" ", "") == text.replace(" ", "")
    assert cut[0].endswith("comma.")
    assert pieces("Hello there.") == ["Hello there."]
    assert pieces(" \n ") == []


@pytest.mark.models
async def test_prices_times_titles_and_phone_numbers_are_understood(decoder: MoonshineDecoder) -> None:
    tts = HibariTTS()
    pairs = []
    for text in (
        "A cleaning is $90, and we open at 10 a.m. on Tuesday.",
        "Doctor Smith will see you at 3:30 p.m.",
        "Please call us at (415) 555-2671.",
        "We are open from 8am to 5pm, Monday to Friday.",
    ):
        heard = decoder.transcribe(resample(await spoken(tts, text), tts.rate_hz, 16_000), lambda: False)
        assert heard is not None
        print(heard.text)
        pairs.append((text, heard.text))
    assert word_error_rate(pairs) <= 0.1
    await tts.aclose()
