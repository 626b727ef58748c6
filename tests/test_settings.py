"""Where settings come from, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in os.environ:
        if name.startswith(("ANTIPHON_", "OPENAI_", "TWILIO_", "PLIVO_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_flag_wins_over_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 8000
    Path(".env").write_text("ANTIPHON_PORT=1001\nANTIPHON_HOST=127.0.0.2\nSOMETHING_ELSE=1\n")
    assert load_settings().port == 1001
    monkeypatch.setenv("ANTIPHON_PORT", "1002")
    assert (load_settings().port, load_settings().host) == (1002, "127.0.0.2")
    assert load_settings(port=1003).port == 1003
    assert load_settings(port=None).port == 1002


def test_data_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nobody")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert load_settings().data_dir == Path("/nobody/.local/share/antiphon")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert load_settings().data_dir == Path("/data/antiphon")
    monkeypatch.setenv("ANTIPHON_DATA_DIR", "~/calls")
    assert load_settings().data_dir == Path("/nobody/calls")


def test_keys_are_a_list_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_API_KEYS", "one, two ,,three")
    settings = load_settings()
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two", "three"]
    assert "two" not in repr(settings)


def test_vendors_names_are_read_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "tw")
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "pl")
    settings = load_settings()
    secrets = (settings.openai_api_key, settings.twilio_auth_token, settings.plivo_auth_token)
    assert [secret.get_secret_value() for secret in secrets if secret is not None] == ["sk-1", "tw", "pl"]
    assert settings.openai_base_url == "http://127.0.0.1:9/v1"
    assert settings.llm == "embedded"
    monkeypatch.setenv("ANTIPHON_OPENAI_API_KEY", "sk-2")
    ours = load_settings().openai_api_key
    assert ours is not None
    assert ours.get_secret_value() == "sk-2"


def test_audiohook_secrets_go_with_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_AUDIOHOOK_SECRETS", "one:c2VjcmV0, with:colon:c2VjcmV0")
    settings = load_settings()
    assert [pair.get_secret_value() for pair in settings.audiohook_secrets] == ["one:c2VjcmV0", "with:colon:c2VjcmV0"]
    assert "c2VjcmV0" not in repr(settings)
    for wrong in ("c2VjcmV0", ":c2VjcmV0", "one:", "one:no base64"):
        monkeypatch.setenv("ANTIPHON_AUDIOHOOK_SECRETS", wrong)
        with pytest.raises(ConfigurationError, match=r"ANTIPHON_AUDIOHOOK_SECRETS.*KEY:SECRET"):
            load_settings()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ANTIPHON_MAX_CALL", "ANTIPHON_MAX_CALLS"),
        ("ANTIPHON_APIKEYS", "ANTIPHON_API_KEYS"),
        ("ANTIPHON_DATADIR", "ANTIPHON_DATA_DIR"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_unknown_name_is_an_error_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str, place: str
) -> None:
    if place == "file":
        Path(".env").write_text(f"{name}=1\n")
    else:
        monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError, match=f"There is no setting {name}; did you mean {nearest}"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANTIPHON_PORT", "eighty"),
        ("ANTIPHON_PORT", "70000"),
        ("ANTIPHON_MAX_CALLS", "0"),
        ("ANTIPHON_LOG_LEVEL", "loud"),
        ("ANTIPHON_RECORD", "perhaps"),
        ("ANTIPHON_PUBLIC_URL", "voice.example.com"),
    ],
)
def test_wrong_value_is_one_sentence_with_the_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"^{name} cannot be used: .*\.$"):
        load_settings()


def test_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PORT", "s3cret")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)


def test_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PORT", "")
    assert load_settings().port == 8000


def test_manners_are_nested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_TURN_POLICY__STOP_S", "0.5")
    monkeypatch.setenv("ANTIPHON_CALL_POLICY__MAX_CALL_S", "60")
    settings = load_settings()
    assert settings.turn_policy == {"stop_s": "0.5"}
    assert settings.call_policy == {"max_call_s": "60"}


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
