from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.errors import IntegrationInitializationError, IntegrationUnavailableException
from antiphon.models.turn.log_mel import log_mel
from antiphon.models.turn.smart_turn import SmartTurn
from antiphon.models.weights.store import WeightStore

Recordings = dict[str, tuple[NDArray[np.int16], str]]


def test_a_tone_stands_in_the_band_of_its_pitch() -> None:
    audio = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000).astype(np.float32)
    features = log_mel(audio)
    assert features.shape == (80, 100)
    assert features.dtype == np.float32
    # 1000 Hz is 15 of the scale's 45.245 mels, and the middle of band n is at (n + 1) / 81 of them: n is 25.9.
    assert set(features[:, 2:-2].argmax(axis=0)) == {26}


def test_the_features_do_not_depend_on_loudness() -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    np.testing.assert_allclose(log_mel(audio), log_mel(audio * 0.1), atol=1e-3)


def test_the_range_of_the_features_is_limited() -> None:
    audio = np.zeros(16_000, np.float32)
    audio[8_000:] = np.sin(np.arange(8_000))
    features = log_mel(audio)
    assert features.max() - features.min() == pytest.approx(2.0, abs=1e-5)
    assert np.isfinite(log_mel(np.zeros(16_000, np.float32))).all()


@pytest.mark.models
async def test_whole_sentences_score_higher_than_cut_ones(weights: WeightStore, recordings: Recordings) -> None:
    turn = SmartTurn(weights)
    whole, cut = [], []
    for name in ("librivox_0880.wav", "librivox_0930.wav", "goforward.wav", "librivox_0890.wav"):
        pcm, text = recordings[name]
        whole.append(await turn.score(pcm, text))
        cut.append(await turn.score(pcm[: len(pcm) // 2], text))
    assert all(0 <= score <= 1 for score in (*whole, *cut))
    assert all(complete > half for complete, half in zip(whole, cut, strict=True))
    await turn.aclose()


@pytest.mark.models
async def test_only_the_last_eight_seconds_count(weights: WeightStore, recordings: Recordings) -> None:
    turn = SmartTurn(weights)
    pcm = recordings["libri_2412_0.wav"][0]
    assert await turn.score(pcm, "") == await turn.score(pcm[-8 * 16_000 :], "")
    assert 0 <= await turn.score(pcm[:0], "") <= 1
    await turn.aclose()


@pytest.mark.models
async def test_too_many_questions_fail_at_once(weights: WeightStore) -> None:
    turn = SmartTurn(weights, max_waiting=2)
    silence = np.zeros(16_000, np.int16)
    answers = await asyncio.gather(*(turn.score(silence, "") for _ in range(3)), return_exceptions=True)
    assert [isinstance(answer, IntegrationUnavailableException) for answer in answers] == [False, False, True]
    await turn.aclose()


async def test_a_missing_weight_is_one_sentence(tmp_path: Path) -> None:
    turn = SmartTurn(WeightStore(tmp_path))
    with pytest.raises(IntegrationInitializationError, match="antiphon models pull smart-turn"):
        await turn.warm()
    await turn.aclose()
