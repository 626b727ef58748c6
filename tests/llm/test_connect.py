"""Providers by name: addresses, keys, dialects, and what is said where one is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ConfigurationError, IntegrationInitializationError, SettingNotFoundError
from antiphon.models import catalog
from antiphon.models.llm.connect import connect
from antiphon.models.llm.content import FunctionCall, Reasoning, Text
from antiphon.models.llm.contract import ChatClient, ChatOptions, ToolSpec
from antiphon.models.llm.failover import FailoverChatClient
from antiphon.models.llm.messages import Message
from antiphon.models.llm.openai_compatible import OpenAICompatibleClient
from antiphon.models.llm.openai_wire import RequestWriter
from antiphon.models.llm.providers import PROVIDERS, azure_url
from antiphon.settings import Settings, load_settings
from tests.llm.vendor import delta, stream, vendor, words
from tests.llm.vendors import KEY

USER = [Message("user", "hello")]
ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {}})
SUB = ToolSpec("sub", "Subtract.", {"type": "object", "properties": {}})


@pytest.fixture(autouse=True)
def _no_keys_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name.startswith(("OPENAI_", "AZURE_", "ANTIPHON_")):
            monkeypatch.delenv(name)


def settings(**options: Any) -> Settings:
    return Settings(**{"_env_file": None, **options})


async def answers(client: ChatClient) -> str:
    text = "".join([delta.text async for delta in client.stream(USER, ChatOptions())])
    await client.aclose()
    return text


@pytest.mark.parametrize("provider", [name for name, known in PROVIDERS.items() if known.needs_key])
def test_a_missing_key_is_one_sentence_that_names_the_variable(provider: str) -> None:
    options = {"azure_openai_endpoint": "https://desk.openai.azure.com"}
    with pytest.raises(SettingNotFoundError, match=rf"needs a key: set {PROVIDERS[provider].key}\b"):
        connect(provider, "m", settings(**options))


@pytest.mark.parametrize(
    ("provider", "variable"),
    [("anthropic", "ANTHROPIC_API_KEY"), ("google", "GEMINI_API_KEY"), ("openai-responses", "OPENAI_API_KEY")],
)
def test_so_is_one_of_a_provider_with_a_wire_of_its_own(provider: str, variable: str) -> None:
    with pytest.raises(SettingNotFoundError, match=f"set {variable}"):
        connect(provider, "m", settings())


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_every_provider_is_asked_with_its_own_key(provider: str) -> None:
    variable = PROVIDERS[provider].key.removeprefix("ANTIPHON_").lower()
    async with vendor(words("Hi")) as server:
        options: dict[str, Any] = {"llm_urls": {provider: server.url}, variable: KEY}
        client = connect(provider, "org/model-1", settings(**options))
        assert client.name == f"{provider}/org/model-1" or provider == "openai"
        assert await answers(client) == "Hi"
    sent = server.headers[0].get("api-key") or server.headers[0]["authorization"].removeprefix("Bearer ")
    assert sent == KEY
    assert server.bodies[0]["model"] == "org/model-1"
    assert server.paths == ["/v1/chat/completions"]


def test_keys_are_read_under_the_vendors_names_and_ours_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for preset in PROVIDERS.values():
        monkeypatch.setenv(preset.key, f"{preset.key}-value")
    monkeypatch.setenv("GOOGLE_API_KEY", "google")
    monkeypatch.setenv("ANTIPHON_GROQ_API_KEY", "ours")
    monkeypatch.setenv("ANTIPHON_LLM_URLS__OLLAMA", "http://10.0.0.5:11434/v1")
    read = load_settings(env_file=None)
    assert read.groq_api_key is not None
    assert read.groq_api_key.get_secret_value() == "ours"
    assert read.gemini_api_key is not None
    assert read.gemini_api_key.get_secret_value() == "google"
    assert read.llm_urls == {"ollama": "http://10.0.0.5:11434/v1"}
    for name, preset in PROVIDERS.items():
        field = preset.key.removeprefix("ANTIPHON_").lower()
        value = getattr(read, field).get_secret_value()
        assert value == ("ours" if name == "groq" else f"{preset.key}-value")


@pytest.mark.parametrize("provider", ["ollama", "vllm", "llamacpp", "lmstudio"])
async def test_a_local_server_needs_no_key(provider: str) -> None:
    async with vendor(words("Hi")) as server:
        assert await answers(connect(provider, "m", settings(llm_urls={provider: server.url}))) == "Hi"
    assert "authorization" not in server.headers[0]


def test_an_address_that_nobody_can_guess_is_asked_for() -> None:
    with pytest.raises(SettingNotFoundError, match="ANTIPHON_LLM_URLS__CUSTOM"):
        connect("custom", "m", settings())
    with pytest.raises(SettingNotFoundError, match="AZURE_OPENAI_ENDPOINT"):
        connect("azure", "m", settings(azure_openai_api_key=KEY))


@pytest.mark.parametrize(
    ("version", "url"),
    [
        (None, "https://desk.openai.azure.com/openai/v1"),
        ("2024-10-21", "https://desk.openai.azure.com/openai/deployments/gpt-desk?api-version=2024-10-21"),
    ],
)
def test_azure_has_two_addresses(version: str | None, url: str) -> None:
    for endpoint in ("https://desk.openai.azure.com", "https://desk.openai.azure.com/"):
        assert azure_url(endpoint, "gpt-desk", version) == url
    assert azure_url("https://desk.openai.azure.com/openai/v1/", "gpt-desk") == (
        "https://desk.openai.azure.com/openai/v1"
    )


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (None, "/openai/v1/chat/completions"),
        ("2024-10-21", "/openai/deployments/gpt-desk/chat/completions?api-version=2024-10-21"),
    ],
)
async def test_azure_is_asked_with_its_own_header(version: str | None, path: str) -> None:
    async with vendor(words("Hi")) as server:
        options: dict[str, Any] = {
            "azure_openai_endpoint": server.url.removesuffix("/v1"),
            "openai_api_version": version,
        }
        client = connect("azure", "gpt-desk", settings(**options, azure_openai_api_key=KEY))
        assert await answers(client) == "Hi"
    assert server.paths == [path]
    assert server.headers[0]["api-key"] == KEY
    assert "authorization" not in server.headers[0]


@pytest.mark.parametrize(("name", "nearest"), [("grok", "groq"), ("antropic", "anthropic"), ("ollamma", "ollama")])
def test_an_unknown_provider_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=f"There is no provider '{name}'; did you mean {nearest}"):
        connect(name, "m", settings())


@pytest.mark.parametrize("separator", [":", "/"])
async def test_the_catalog_knows_providers_by_name(separator: str) -> None:
    client = catalog.chat_client(f"groq{separator}llama-3.3-70b", settings(groq_api_key=KEY))
    assert client.name == "groq/llama-3.3-70b"
    await catalog.close_clients()


@pytest.mark.parametrize("name", ["google:gemini-2.5-flash", "gemini:gemini-2.5-flash"])
async def test_gemini_is_google(name: str) -> None:
    client = catalog.chat_client(name, settings(gemini_api_key=KEY))
    assert client.name == "google/gemini-2.5-flash"
    await catalog.close_clients()


async def test_names_with_a_bar_between_them_are_a_failover() -> None:
    options = settings(openai_api_key=KEY, groq_api_key=KEY)
    client = catalog.chat_client("openai:gpt-4o|groq:llama-3.3-70b", options)
    assert isinstance(client, FailoverChatClient)
    assert client.name == "openai/gpt-4o|groq/llama-3.3-70b"
    assert client.context_window == 128_000
    with pytest.raises(ConfigurationError, match="did you mean groq"):
        catalog.chat_client("openai:gpt-4o|grok:llama", options)
    await catalog.close_clients()


@pytest.mark.parametrize("name", ["openai", "groq"])
async def test_a_provider_without_a_model_is_asked_for_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Name the model too, such as --llm {name}/"):
        catalog.chat_client(name, settings())


@pytest.mark.parametrize(
    ("module", "provider", "extra"),
    [("anthropic", "anthropic", "anthropic"), ("google.genai", "google", "google-genai")],
)
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, provider: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    keys = {"anthropic_api_key": KEY, "gemini_api_key": KEY}
    with pytest.raises(IntegrationInitializationError) as caught:
        connect(provider, "m", settings(**keys))
    assert f'pip install "antiphon[{extra}]"' in str(caught.value)


def test_the_catalog_loads_no_vendors_package() -> None:
    script = (
        "import sys, antiphon, antiphon.models.catalog\n"
        "print([name for name in ('httpx', 'anthropic', 'google.genai', 'openai') if name in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert seen.stdout.strip() == "[]"


def body(provider: str, model: str, options: ChatOptions, *messages: Message) -> dict[str, Any]:
    writer = RequestWriter(provider, PROVIDERS[provider].dialect)
    made: dict[str, Any] = json.loads(writer.body(model, messages or USER, options))
    return made


def test_names_of_keys_are_the_providers() -> None:
    options = ChatOptions((ADD,), "required", rng=7, max_tokens=9, logit_bias={"1": 1.0}, parallel_tool_calls=False)
    mistral = body("mistral", "m", options)
    assert (mistral["random_seed"], mistral["tool_choice"], mistral["max_tokens"]) == (7, "any", 9)
    assert not mistral.keys() & {"seed", "stream_options", "logit_bias"}
    assert body("groq", "m", options)["max_completion_tokens"] == 9
    assert "parallel_tool_calls" not in body("deepseek", "m", options)
    assert not body("perplexity", "m", options).keys() & {"tools", "tool_choice", "parallel_tool_calls"}


def test_allowed_tools_are_a_choice_where_that_is_known_and_fewer_tools_elsewhere() -> None:
    options = ChatOptions((ADD, SUB), allowed_tools=("sub",))
    openai = body("openai", "gpt-4o", options)
    assert len(openai["tools"]) == 2
    assert openai["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "sub"}}]},
    }
    groq = body("groq", "m", options)
    assert [tool["function"]["name"] for tool in groq["tools"]] == ["sub"]
    assert "tool_choice" not in groq


@pytest.mark.parametrize(
    ("model", "sent", "left"),
    [
        (
            "gpt-5-mini",
            {"max_completion_tokens", "reasoning_effort", "verbosity"},
            {"max_tokens", "temperature", "top_p"},
        ),
        ("openai/o3-mini", {"max_completion_tokens", "reasoning_effort"}, {"max_tokens", "temperature", "verbosity"}),
        ("gpt-6", {"max_completion_tokens", "reasoning_effort"}, {"temperature"}),
        ("anthropic/claude-sonnet-4.5", {"max_tokens", "temperature"}, {"reasoning_effort"}),
        ("anthropic/claude-opus-5", {"max_tokens", "reasoning_effort"}, {"temperature", "top_p"}),
        ("gpt-4o", {"max_tokens", "temperature", "top_p"}, {"max_completion_tokens", "reasoning_effort", "verbosity"}),
        ("gpt-5-chat-latest", {"max_tokens", "temperature"}, {"reasoning_effort", "verbosity"}),
        ("openai/gpt-oss-120b", {"max_tokens", "temperature", "reasoning_effort"}, {"verbosity"}),
    ],
)
def test_families_get_the_keys_that_they_know(model: str, sent: set[str], left: set[str]) -> None:
    options = ChatOptions(temperature=0.5, top_p=0.5, max_tokens=9, reasoning_effort="low", verbosity="low")
    keys = body("openai", model, options).keys()
    assert sent <= keys
    assert not left & keys


def test_thoughts_go_back_with_calls_and_only_to_the_provider_that_had_them_and_wants_them() -> None:
    thought, call = Reasoning("First I add.", provider="deepseek"), FunctionCall("c1", "add", "{}")
    said, called = Message("assistant", (thought, Text("Five."))), Message("assistant", (thought, call))
    assert body("deepseek", "m", ChatOptions(), called)["messages"][0]["reasoning_content"] == "First I add."
    for provider, message in (("deepseek", said), ("openrouter", called), ("openai", called), ("groq", called)):
        assert "First I add." not in json.dumps(body(provider, "m", ChatOptions(), message))


async def test_thoughts_of_such_a_provider_are_kept_for_it() -> None:
    async with vendor(
        stream(delta(reasoning_content="First "), delta(reasoning_content="this."), delta(content="5"))
    ) as server:
        client = connect("deepseek", "m", settings(llm_urls={"deepseek": server.url}))
        parts = [part async for part in client.stream(USER, ChatOptions())]
        await client.aclose()
    assert parts[-1].contents == (Reasoning("First this.", provider="deepseek"),)


def test_messages_and_tools_are_written_once() -> None:
    writer = RequestWriter("openai")
    history = [*USER, Message("assistant", FunctionCall("c1", "add", "{}"))]
    options = ChatOptions((ADD,))
    first = writer.body("m", history, options)
    held = dict(writer._messages._held)
    assert len(held) == 2
    assert writer.body("m", history, options) == first
    assert writer._messages._held == held
    assert all(writer._messages._held[key] is value for key, value in held.items())


def test_telemetry_has_the_conventions_names() -> None:
    names = {
        name: OpenAICompatibleClient("m", base_url="http://h/v1", provider=name).provider_name for name in PROVIDERS
    }
    assert names["azure"] == "azure.ai.openai"
    assert names["mistral"] == "mistral_ai"
    assert names["xai"] == "x_ai"
    assert names["groq"] == "groq"
    assert names["ollama"] == "ollama"
