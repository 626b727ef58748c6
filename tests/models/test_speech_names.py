"""Vendors of speech by name: keys, addresses, chains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.clock import WallClock
from antiphon.errors import ConfigurationError, SettingNotFoundError
from antiphon.models import catalog
from antiphon.models.speech import STT_EXAMPLES, TTS_EXAMPLES
from antiphon.settings import Settings, load_settings
from tests.models.ears import Ears
from tests.models.vendors import listening, speaking
from tests.models.vendors.sound import KEY, sound_of

KEYS = {
    "DEEPGRAM_API_KEY": "dg-key",
    "OPENAI_API_KEY": "sk-key",
    "ELEVENLABS_API_KEY": "xi-key",
    "CARTESIA_API_KEY": "ca-key",
    "AZURE_SPEECH_KEY": "az-key",
    "AZURE_SPEECH_REGION": "westeurope",
}
SCRIPTED = {"vad": "energy", "stt": "scripted", "llm": "scripted", "tts": "scripted"}


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def names(tmp_path: Path, **options: Any) -> dict[str, str]:
    settings = load_settings(env_file=None, **{"data_dir": tmp_path, **SCRIPTED, **options})
    models = await catalog.load(settings, clock=WallClock())
    named = models.names()
    await models.aclose()
    return named


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("vendor", sorted(STT_EXAMPLES))
async def test_every_vendor_that_listens_is_a_name(tmp_path: Path, vendor: str) -> None:
    name = f"{vendor}/{STT_EXAMPLES[vendor]}"
    assert (await names(tmp_path, stt=name))["stt"] == name
    assert (await names(tmp_path, stt=f"{vendor}:own-model"))["stt"] == f"{vendor}/own-model"


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("vendor", sorted(TTS_EXAMPLES))
async def test_every_vendor_that_speaks_is_a_name(tmp_path: Path, vendor: str) -> None:
    name = f"{vendor}/{TTS_EXAMPLES[vendor]}"
    assert (await names(tmp_path, tts=name))["tts"] == name


@pytest.mark.usefixtures("keys")
async def test_chains_are_joined_by_a_bar(tmp_path: Path) -> None:
    named = await names(tmp_path, stt="deepgram/nova-3 | scripted", tts="elevenlabs/eleven_flash_v2_5|hibari")
    assert named["stt"] == "deepgram/nova-3|scripted"
    assert named["tts"] == "elevenlabs/eleven_flash_v2_5|hibari"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stt": "deepgram/nova-3"}, "set DEEPGRAM_API_KEY"),
        ({"stt": "openai/whisper-1"}, "set OPENAI_API_KEY"),
        ({"tts": "elevenlabs/x"}, "set ELEVENLABS_API_KEY"),
        ({"tts": "cartesia/x"}, "set CARTESIA_API_KEY"),
        ({"stt": "azure/conversation"}, "set AZURE_SPEECH_KEY"),
        ({"tts": "azure/en-US-AvaNeural"}, "set AZURE_SPEECH_KEY"),
        ({"tts": "hibari|cartesia/x"}, "set CARTESIA_API_KEY"),
    ],
)
async def test_r45_missing_key_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], sentence: str
) -> None:
    for name in (*KEYS, "OPENAI_BASE_URL", "ELEVEN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingNotFoundError, match=sentence):
        await names(tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stt": "deepgram"}, "Name the model too, such as --stt deepgram/nova-3"),
        ({"tts": "elevenlabs"}, "such as --tts elevenlabs/eleven_flash_v2_5"),
        ({"stt": "elevenlabs/scribe"}, "no stt model 'elevenlabs/scribe'"),
        ({"tts": "deepgram/aura"}, "no tts model 'deepgram/aura'"),
        ({"tts": "hibari|hibary"}, "did you mean hibari"),
    ],
)
async def test_what_is_not_known_is_one_sentence(tmp_path: Path, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        await names(tmp_path, **options)


async def test_elevenlabs_other_name_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    monkeypatch.setenv("ELEVEN_API_KEY", "xi-other")
    key = Settings(_env_file=None).elevenlabs_api_key
    assert key is not None
    assert key.get_secret_value() == "xi-other"


async def test_addresses_can_be_replaced_and_must_be_some(keys: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys.setenv("ANTIPHON_SPEECH_URLS__DEEPGRAM", "ws://10.0.0.5")
    with pytest.raises(ConfigurationError, match="deepgram must begin with http"):
        await names(tmp_path, stt="deepgram/nova-3")
    keys.setenv("ANTIPHON_SPEECH_URLS__DEEPGRAM", "http://10.0.0.5:8080/v1")
    assert (await names(tmp_path, stt="deepgram/nova-3"))["stt"] == "deepgram/nova-3"


async def test_key_with_a_line_end_in_its_middle_is_refused_and_not_shown(
    keys: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys.setenv("CARTESIA_API_KEY", "ca-\nsecret-key")
    with pytest.raises(ConfigurationError) as caught:
        await names(tmp_path, tts="cartesia/sonic-3")
    assert "secret" not in str(caught.value)


async def test_azure_needs_a_region_or_an_address(keys: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys.delenv("AZURE_SPEECH_REGION")
    with pytest.raises(SettingNotFoundError, match="set AZURE_SPEECH_REGION"):
        await names(tmp_path, stt="azure/conversation")
    keys.setenv("ANTIPHON_SPEECH_URLS__AZURE", "http://10.0.0.5:5000")
    assert (await names(tmp_path, stt="azure/conversation"))["stt"] == "azure/conversation"


@pytest.mark.parametrize("vendor", sorted(TTS_EXAMPLES))
async def test_voice_of_the_settings_speaks(keys: pytest.MonkeyPatch, tmp_path: Path, vendor: str) -> None:
    for name in KEYS:
        keys.setenv(name, KEY)
    async with speaking.VENDORS[vendor]() as (_, server):
        keys.setenv(f"ANTIPHON_SPEECH_URLS__{vendor.upper()}", server.url)
        settings = load_settings(env_file=None, **{**SCRIPTED, "data_dir": tmp_path, "tts": f"{vendor}/x-1"})
        models = await catalog.load(settings, clock=WallClock())
        await models.warm()
        sound = [chunk.pcm async for chunk in models.tts.synthesize("Hello.")]
        assert np.array_equal(np.concatenate(sound), sound_of("Hello."))
        assert models.has_room
        await models.aclose()


@pytest.mark.parametrize("vendor", sorted(STT_EXAMPLES))
async def test_recogniser_of_the_settings_listens(keys: pytest.MonkeyPatch, tmp_path: Path, vendor: str) -> None:
    for name in KEYS:
        keys.setenv(name, KEY)
    async with listening.VENDORS[vendor]() as (_, server):
        keys.setenv(f"ANTIPHON_SPEECH_URLS__{vendor.upper()}", server.url)
        name = f"{vendor}/{STT_EXAMPLES[vendor]}"
        settings = load_settings(env_file=None, **{**SCRIPTED, "data_dir": tmp_path, "stt": name})
        models = await catalog.load(settings, clock=WallClock())
        await models.warm()
        ears = Ears().listen(models.stt)
        ears.say(3)
        assert await ears.results(1) == ["three"]
        await ears.close()
        await models.aclose()
