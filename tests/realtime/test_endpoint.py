"""Where a service is, and how it knows us."""

from __future__ import annotations

import pytest

from antiphon.errors import ConfigurationError
from antiphon.realtime.endpoint import Provider, endpoint_for


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "wss://api.openai.com/v1/realtime?model=m"),
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/v1/realtime?model=m"),
        ("http://127.0.0.1:8000/", "ws://127.0.0.1:8000/v1/realtime?model=m"),
        ("https://host/v1/", "wss://host/v1/realtime?model=m"),
        ("https://host/openai/v1", "wss://host/openai/v1/realtime?model=m"),
        ("ws://host/v1/realtime", "ws://host/v1/realtime?model=m"),
        ("wss://host/v1/realtime?model=other&antiphon=1", "wss://host/v1/realtime?model=other&antiphon=1"),
        ("http://[::1]:8000", "ws://[::1]:8000/v1/realtime?model=m"),
    ],
)
def test_base_url_becomes_a_socket_address(base_url: str | None, url: str) -> None:
    endpoint = endpoint_for("openai", "m", api_key="k", base_url=base_url)
    assert endpoint.url == url
    assert endpoint.headers == {"Authorization": "Bearer k"}
    assert endpoint.dialect == "ga"


def test_model_is_escaped() -> None:
    assert endpoint_for("openai", "a b&c", api_key="k").url.endswith("?model=a+b%26c")


def test_azure_has_a_current_path_and_an_older_one() -> None:
    current = endpoint_for("azure", "voice", api_key="k", base_url="https://x.openai.azure.com/openai/v1/")
    assert current.url == "wss://x.openai.azure.com/openai/v1/realtime?model=voice"
    assert current.headers == {"api-key": "k"}
    assert current.dialect == "ga"
    older = endpoint_for(
        "azure", "voice", api_key="k", base_url="https://x.openai.azure.com", api_version="2024-10-01-preview"
    )
    assert older.url == "wss://x.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=voice"
    assert older.dialect == "beta"
    assert "OpenAI-Beta" not in older.headers


def test_antiphon_server_may_be_open_to_its_own_machine() -> None:
    endpoint = endpoint_for("antiphon", "front-desk", base_url="http://127.0.0.1:8000")
    assert endpoint.headers == {}


@pytest.mark.parametrize(
    ("provider", "key", "base_url", "words"),
    [
        ("openai", None, None, "OPENAI_API_KEY"),
        ("azure", None, None, "AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT"),
        ("azure", "k", None, "Set AZURE_OPENAI_ENDPOINT"),
        ("antiphon", "k", None, "base URL"),
        ("openai", "k", "host/v1", "no address"),
        ("openai", "k", "ftp://host", "no address"),
        ("openai", "k", "http://", "no address"),
        ("openai", "k", "http://[", "no address"),
        ("openai", "k", "https://me:word@host/v1", "user name or password"),
    ],
)
def test_what_is_missing_is_said(provider: Provider, key: str | None, base_url: str | None, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        endpoint_for(provider, "m", api_key=key, base_url=base_url)


def test_key_is_never_shown() -> None:
    for provider in ("openai", "azure"):
        assert "s3cret" not in repr(endpoint_for(provider, "m", api_key="s3cret", base_url="https://host"))


def test_a_further_connection_asks_an_antiphon_agent_not_to_greet_again() -> None:
    ours = endpoint_for("antiphon", "desk", base_url="http://127.0.0.1:8000?antiphon=1")
    assert ours.again().url == ours.url + "&greet=0"
    theirs = endpoint_for("openai", "gpt-realtime", api_key="k")
    assert theirs.again() is theirs
