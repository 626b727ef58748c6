"""Vendors' sound, words and times, however they are cut into messages."""

from __future__ import annotations

import base64
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.models.speech_refusals import refused
from antiphon.models.stt.deepgram_words import Result, Spoken, result_of, spoken_at
from antiphon.models.tts.samples import Samples
from antiphon.models.tts.word_times import SpelledWords, WordPlaces

WORD = st.text("abcdefgäß'-", min_size=1, max_size=8)


def cuts(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, size), max_size=8).map(lambda places: sorted({0, *places, size}))


@given(st.lists(st.integers(-32768, 32767), max_size=60), st.data())
def test_samples_are_the_same_however_their_bytes_are_cut(values: list[int], data: st.DataObject) -> None:
    pcm = np.array(values, "<i2")
    raw = pcm.tobytes()
    places = data.draw(cuts(len(raw)))
    samples = Samples()
    parts = [samples.feed(raw[start:end]) for start, end in pairwise(places)]
    assert np.array_equal(np.concatenate([np.zeros(0, np.int16), *parts]), pcm)
    assert samples.count == len(pcm)


@pytest.mark.parametrize("garbage", [None, 7, "not base64!", "abc"])
def test_audio_that_is_none_is_an_error(garbage: object) -> None:
    with pytest.raises(ValueError, match="audio"):
        Samples().feed_base64(garbage)


def test_audio_in_base64() -> None:
    assert Samples().feed_base64(base64.b64encode(b"\x01\x00\xff\xff").decode()).tolist() == [1, -1]


@given(st.lists(WORD, min_size=1, max_size=8), st.data())
def test_words_are_timed_alike_however_they_are_spelled_out(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    ends = [10.0 * (index + 1) for index in range(len(text))]
    spelled, places = SpelledWords(), WordPlaces(text)
    marks = data.draw(cuts(len(text)))
    told = []
    for start, end in pairwise(marks):
        told += places.timings(spelled.feed(text[start:end], ends[start:end]))
    told += places.timings(spelled.finish())
    borders = [index for index, char in enumerate([*text, " "]) if char == " "]
    assert [timing.char_end for timing in told] == borders
    assert [timing.end_ms for timing in told] == [10.0 * border for border in borders]


def test_word_that_is_spoken_otherwise_is_skipped() -> None:
    timings = WordPlaces("It costs 5 euros, Dr. Smith.").timings(
        [("It", 100.0), ("costs", 200.0), ("five", 300.0), ("euros", 400.0), ("doctor", 500.0), ("Smith", 600.0)]
    )
    assert [(timing.char_end, timing.end_ms) for timing in timings] == [(2, 100), (8, 200), (17, 400), (28, 600)]


@given(
    st.lists(st.tuples(st.floats(0.3, 6.0), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 20),
)
def test_each_result_goes_to_its_utterance_and_discarded_sound_to_none(
    pieces: list[tuple[float, bool]], steps: int
) -> None:
    at = 0.0
    utterances: list[Spoken] = []
    wanted: list[tuple[Result, Spoken | None]] = []
    for seconds, is_kept in pieces:
        spoken = Spoken(len(utterances), at, at + seconds) if is_kept else None
        for step in range(steps):
            start, end = at + seconds * step / steps, at + seconds * (step + 1) / steps
            # Times are rounded: what lies at a border may be taken for the neighbour's.
            if (end + start) / 2 - at > 0.035 and at + seconds - (end + start) / 2 > 0.035:
                wanted.append((Result("w", round(start, 3), round(end, 3), True, False, None, None), spoken))
        if spoken is not None:
            utterances.append(spoken)
        at += seconds
    utterances.append(Spoken(len(utterances), at))
    for result, spoken in wanted:
        assert spoken_at(result, utterances) is spoken


def test_short_interim_behind_a_border_belongs_to_what_is_said_now() -> None:
    ended, now = Spoken(0, 0.0, 0.4), Spoken(1, 0.4)
    assert spoken_at(Result("w", 0.4, 0.45, False, False, None, None), (ended, now)) is now


@pytest.mark.parametrize(
    "message",
    [{}, {"channel": {}}, {"channel": {"alternatives": []}, "start": 0, "duration": 0}, {"channel": 3, "start": 0}],
)
def test_result_in_another_form_is_an_error(message: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a result without"):
        result_of(message)


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (401, b'{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}', "auth", ""),
        (401, b'{"detail":{"status":"quota_exceeded","message":"No credits left."}}', "quota", "No credits left"),
        (402, b'{"err_code":"PAYMENT","err_msg":"Top up.","request_id":"r"}', "quota", "Top up"),
        (400, b'{"err_code":"Bad Request","err_msg":"No such model."}', "invalid_request", "No such model"),
        (404, b'{"title":"Not found","message":"No such voice."}', "invalid_request", "No such voice"),
        (429, b'{"error":{"message":"Slow down.","code":"rate_limit_exceeded"}}', "rate_limited", "Slow down"),
        (503, b"<html>Overloaded</html>", "server_error", "Overloaded"),
        (500, b"", "server_error", ""),
        (500, b'["odd"]', "server_error", "odd"),
        (422, b'{"detail":[{"loc":["body"],"msg":"x"}]}', "invalid_request", ""),
    ],
)
def test_refusals_in_the_words_of_every_vendor(status: int, body: bytes, code: str, said: str) -> None:
    error = refused(status, {"retry-after": "3", "dg-request-id": "r1"}, body, provider="acme", secrets=("sk-secret",))
    assert error.code == code
    assert said in str(error)
    assert str(error).startswith("acme ")
    assert (error.status_code, error.retry_after_s, error.request_id) == (status, 3.0, "r1")
