"""The weights of this machine, for tests of the real models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.wav import read_wav
from antiphon.models.stt.moonshine_decoder import MoonshineDecoder
from antiphon.models.weights.store import WeightStore
from antiphon.settings import load_settings

HUMAN = Path(__file__).parents[1] / "data" / "human"


@pytest.fixture(scope="session")
def weights() -> WeightStore:
    """The store that the settings name; a test of a model is skipped where its weights are not there."""
    store = WeightStore(load_settings(env_file=None).data_dir)
    speech = ("silero-vad", "smart-turn", "moonshine-tiny-encoder", "moonshine-tiny-decoder", "moonshine-tokenizer")
    missing = [name for name in speech if not store.has(name)]
    if missing:
        pytest.skip(f"weights are missing: run `antiphon models pull {' '.join(missing)}`")
    return store


@pytest.fixture(scope="session")
def decoder(weights: WeightStore) -> MoonshineDecoder:
    """The recogniser's model alone."""
    parts = ("tiny-encoder", "tiny-decoder", "tokenizer")
    return MoonshineDecoder(*(weights.path(f"moonshine-{part}") for part in parts))


@pytest.fixture(scope="session")
def recordings() -> dict[str, tuple[NDArray[np.int16], str]]:
    """Recordings of people at 16 kHz, and what they say."""
    manifest: dict[str, str] = json.loads((HUMAN / "manifest.json").read_text())
    return {name: (read_wav(HUMAN / name)[0], text) for name, text in manifest.items()}
