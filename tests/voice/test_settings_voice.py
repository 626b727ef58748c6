from __future__ import annotations

import os
from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.settings_voice import NAMES, VoiceClientSettings, instructions_of, load_voice_settings
from antiphon.voice.configuration import endpoint_of, session_of


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = {name.removeprefix("ANTIPHON_") for name in NAMES}
    for name in os.environ:
        if name.upper() in plain or name.upper() in NAMES:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_voice_settings().jitter_ms == 120
    Path(".env").write_text("JITTER_MS=60\nVOICE_NAME=cedar\n")
    assert load_voice_settings().jitter_ms == 60
    monkeypatch.setenv("JITTER_MS", "80")
    assert load_voice_settings().jitter_ms == 80
    monkeypatch.setenv("ANTIPHON_JITTER_MS", "90")
    assert load_voice_settings().jitter_ms == 90
    assert load_voice_settings(jitter_ms=100, voice_name=None).jitter_ms == 100
    assert load_voice_settings().voice_name == "cedar"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"jitter_ms": 10}, "JITTER_MS cannot be used"),
        ({"chunk_ms": 200}, "CHUNK_MS cannot be used"),
        ({"sample_rate_hz": 16000}, "SAMPLE_RATE_HZ cannot be used"),
        ({"provider": "other"}, "PROVIDER cannot be used"),
        ({"redact_kinds": "email,fax"}, "REDACT_KINDS cannot be used: there is no kind 'fax'"),
        ({"language": "no language"}, "LANGUAGE cannot be used"),
        ({"provider": "openai"}, "set OPENAI_API_KEY"),
        ({"provider": "azure"}, "set AZURE_OPENAI_API_KEY"),
        ({"provider": "azure", "azure_openai_api_key": "k"}, "set AZURE_OPENAI_ENDPOINT"),
        ({"audio_backend": "file"}, "set INPUT_FILE"),
        ({"reconnect_max_s": 0.1}, "RECONNECT_MAX_S is below RECONNECT_BASE_S"),
    ],
)
def test_what_is_wrong_or_missing_is_told_in_one_sentence(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_voice_settings(**given)


def test_secrets_are_never_shown() -> None:
    settings = load_voice_settings(openai_api_key="sk-very-secret", summary_api_key="also-secret")
    shown = dict(settings.shown())
    assert shown["OPENAI_API_KEY"] == shown["SUMMARY_API_KEY"] == "set"
    assert shown["AZURE_OPENAI_API_KEY"] == "not set"
    assert "secret" not in repr(settings) + str(shown)
    assert len(shown) == len(VoiceClientSettings.model_fields)


@pytest.mark.parametrize(
    ("value", "tag"), [("de", "de"), ("pt_BR.UTF-8:en", "pt-BR"), ("C", "en"), ("en_GB:en", "en-GB")]
)
def test_the_systems_own_language_variable_is_understood(value: str, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", value)
    assert load_voice_settings().language == tag


@pytest.mark.parametrize("word", ["none", "NULL", "off", "disabled"])
def test_summaries_can_be_switched_off_by_many_words(word: str) -> None:
    assert not load_voice_settings(summary_model=word).writes_summaries
    assert not load_voice_settings(transcribe_model=word).writes_summaries
    assert load_voice_settings().writes_summaries


def test_instructions_come_from_the_text_or_the_file(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Be brief.\n")
    assert instructions_of(load_voice_settings(instructions_file=file)) == "Be brief."
    assert instructions_of(load_voice_settings(instructions="Be kind.", instructions_file=file)) == "Be kind."
    with pytest.raises(ConfigurationError, match="give another file"):
        instructions_of(load_voice_settings(instructions_file=tmp_path / "none"))


def test_openai_is_told_all_of_the_configuration() -> None:
    settings = load_voice_settings(provider="openai", openai_api_key="k", instructions="Be brief.")
    session = session_of(settings, [{"type": "function", "name": "clock"}])
    assert session["type"] == "realtime"
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
        "transcription": {"model": "gpt-realtime-whisper"},
    }
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["instructions"] == "Be brief."
    assert session["tools"] == [{"type": "function", "name": "clock"}]


def test_an_antiphon_agent_keeps_its_own_voice_and_manners_unless_told() -> None:
    session = session_of(load_voice_settings(provider="antiphon"), [])
    assert "voice" not in session["audio"]["output"]
    assert "turn_detection" not in session["audio"]["input"]
    assert "tools" not in session
    chosen = session_of(load_voice_settings(provider="antiphon", voice_name="x", turn_detection="none"), [])
    assert chosen["audio"]["output"]["voice"] == "x"
    assert chosen["audio"]["input"]["turn_detection"] is None


def test_the_service_is_found_by_the_provider() -> None:
    openai = endpoint_of(load_voice_settings(provider="openai", openai_api_key="k"))
    assert openai.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2"
    azure = load_voice_settings(
        provider="azure", azure_openai_api_key="k", azure_openai_endpoint="https://x.openai.azure.com"
    )
    assert endpoint_of(azure).url == "wss://x.openai.azure.com/openai/v1/realtime?model=realtime"
    older = endpoint_of(azure.model_copy(update={"azure_openai_api_version": "2024-10-01-preview"}))
    assert older.dialect == "beta"
