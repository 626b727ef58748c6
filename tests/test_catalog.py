"""Models by name: what is made, what is missing, what is not known."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from antiphon.clock import WallClock
from antiphon.errors import ConfigurationError, IntegrationInitializationError, SettingNotFoundError
from antiphon.models import catalog
from antiphon.models.llm.contract import ChatOptions
from antiphon.models.llm.messages import Message
from antiphon.settings import Settings


def settings(tmp_path: Path, **options: Any) -> Settings:
    return Settings(**{"_env_file": None, "data_dir": tmp_path, **options})


SCRIPTED = {"vad": "energy", "stt": "scripted", "llm": "scripted", "tts": "scripted"}


async def test_names_become_models_and_are_told_by_role(tmp_path: Path) -> None:
    models = await catalog.load(settings(tmp_path, **SCRIPTED), clock=WallClock())
    assert models.names() == {"vad": "energy", "stt": "scripted", "llm": "scripted/script", "tts": "scripted"}
    await models.warm([((Message("system", "Be brief."),), ChatOptions())])
    assert [request.messages[0].text for request in models.llm.warmed] == ["Be brief."]  # type: ignore[attr-defined]
    await models.aclose()


async def test_bench_replaces_what_speaks_and_not_what_listens(tmp_path: Path) -> None:
    models = await catalog.load(settings(tmp_path, models="bench", vad="energy", stt="none"), clock=WallClock())
    words = [delta.text async for delta in models.llm.stream([], ChatOptions()) if delta.text]
    assert len(words) == 20
    assert models.names()["vad"] == "energy"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"vad": "silera"}, "no vad model 'silera'; did you mean silero"),
        ({"stt": "whisper"}, "no stt model 'whisper'; use one of moonshine, scripted"),
        ({"tts": "hibary"}, "did you mean hibari"),
        ({"turn": "clever"}, "use one of none, smart-turn"),
        ({"llm": "embeded"}, "did you mean embedded"),
        ({"llm": "openai"}, "openai/gpt-4o-mini"),
        ({"llm": "acme/big-1"}, "OPENAI_BASE_URL"),
    ],
)
async def test_unknown_name_is_one_sentence(tmp_path: Path, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        await catalog.load(settings(tmp_path, **{**SCRIPTED, **options}), clock=WallClock())


@pytest.mark.parametrize("name", ["openai/any-model", "openai:any-model"])
async def test_any_compatible_endpoint_is_openai_with_a_base_url(tmp_path: Path, name: str) -> None:
    options = {**SCRIPTED, "llm": name, "openai_base_url": "http://127.0.0.1:9/v1"}
    models = await catalog.load(settings(tmp_path, **options), clock=WallClock())
    assert models.llm.name.endswith("/any-model")
    await models.aclose()


async def test_openai_without_a_key_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingNotFoundError, match="OPENAI_API_KEY"):
        await catalog.load(settings(tmp_path, **{**SCRIPTED, "llm": "openai/gpt-4o-mini"}), clock=WallClock())


async def test_chat_client_is_shared_within_a_loop(tmp_path: Path) -> None:
    options = settings(tmp_path, **SCRIPTED)
    first = catalog.chat_client(None, options)
    assert catalog.chat_client("scripted", options) is first
    other = await asyncio.to_thread(lambda: asyncio.run(_client(options)))
    assert other is not first


async def _client(options: Settings) -> object:
    return catalog.chat_client(None, options)


async def test_missing_weight_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(IntegrationInitializationError, match="antiphon models pull"):
        catalog.chat_client("embedded", settings(tmp_path))


async def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "antiphon.models.vad.energy", None)
    with pytest.raises(IntegrationInitializationError, match="is missing or does not load"):
        await catalog.load(settings(tmp_path, **SCRIPTED), clock=WallClock())
