"""From ``provider:model`` and the operator's settings to a client: addresses, keys, and what to say where one lacks."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from pydantic import SecretStr

from antiphon.errors import ConfigurationError, SettingNotFoundError
from antiphon.models.llm.contract import ChatClient
from antiphon.models.llm.providers import PROVIDERS, Provider, azure_url
from antiphon.settings import PREFIX, Settings

ALIASES: Mapping[str, str] = MappingProxyType({"gemini": "google", "openai_responses": "openai-responses"})


def provider_named(name: str) -> str:
    """The provider of that name.

    Raises:
        ConfigurationError: There is none; the sentence says which is meant.
    """
    name = ALIASES.get(name, name)
    if name in PROVIDERS or name in _OWN_CLIENTS:
        return name
    known = [*PROVIDERS, *_OWN_CLIENTS, *ALIASES]
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(sorted({*PROVIDERS, *_OWN_CLIENTS}))}."
    raise ConfigurationError(
        f"There is no provider {name!r}; {hint} Any other OpenAI-compatible endpoint is openai/MODEL with "
        "OPENAI_BASE_URL set to its address."
    )


def connect(provider: str, model: str, settings: Settings) -> ChatClient:
    """A client for a model.

    Args:
        provider: A name of ``PROVIDERS``, or ``openai-responses``, ``anthropic``, ``google``.
        model: The provider's name of the model.
        settings: Keys and addresses.

    Raises:
        ConfigurationError: There is no such provider, or its address is none.
        SettingNotFoundError: Its key or address is not set.
        IntegrationInitializationError: Its package is not installed.
    """
    provider = provider_named(provider)
    make = _OWN_CLIENTS.get(provider)
    return make(model, settings) if make is not None else _compatible(provider, model, settings)


def _compatible(provider: str, model: str, settings: Settings) -> ChatClient:
    from antiphon.models.llm.openai_compatible import OpenAICompatibleClient

    preset = PROVIDERS[provider]
    key = _key(preset.key, settings)
    base_url = _base_url(provider, preset, model, settings)
    # An endpoint of the operator's own may need no key.
    if key is None and preset.needs_key and base_url == preset.base_url:
        raise _no_key(provider, preset.key)
    if provider == "azure":
        if key is None:
            raise _no_key(provider, preset.key)
        return OpenAICompatibleClient(model, base_url=base_url, provider=provider, headers={"api-key": key})
    # An endpoint behind OPENAI_BASE_URL is named after its host, and spoken to in the plain dialect.
    named = None if provider == "openai" and base_url != preset.base_url else provider
    return OpenAICompatibleClient(model, base_url=base_url, api_key=key, provider=named)


def _base_url(provider: str, preset: Provider, model: str, settings: Settings) -> str:
    if provider in settings.llm_urls:
        return settings.llm_urls[provider]
    if provider == "openai":
        return settings.openai_base_url or preset.base_url
    if provider == "azure":
        if settings.azure_openai_endpoint is None:
            raise SettingNotFoundError(
                "Azure needs the address of your resource: set AZURE_OPENAI_ENDPOINT, such as "
                "https://NAME.openai.azure.com.",
                provider=provider,
            )
        return azure_url(settings.azure_openai_endpoint, model, settings.openai_api_version)
    if not preset.base_url:
        raise SettingNotFoundError(
            f"The provider {provider} has no address of its own: set {PREFIX}LLM_URLS__{provider.upper()}, such as "
            "http://10.0.0.5:8000/v1.",
            provider=provider,
        )
    return preset.base_url


def _responses(model: str, settings: Settings) -> ChatClient:
    from antiphon.models.llm.openai_responses import OpenAIResponsesClient

    base_url = settings.llm_urls.get("openai-responses") or settings.openai_base_url
    key = _key("OPENAI_API_KEY", settings)
    if base_url is None:
        if key is None:
            raise _no_key("openai", "OPENAI_API_KEY")
        return OpenAIResponsesClient(model, api_key=key)
    return OpenAIResponsesClient(model, base_url=base_url, api_key=key)


def _anthropic(model: str, settings: Settings) -> ChatClient:
    from antiphon.models.llm.anthropic_messages import AnthropicClient

    key = _key("ANTHROPIC_API_KEY", settings)
    if key is None:
        raise _no_key("anthropic", "ANTHROPIC_API_KEY")
    return AnthropicClient(model, api_key=key, base_url=settings.llm_urls.get("anthropic"))


def _google(model: str, settings: Settings) -> ChatClient:
    from antiphon.models.llm.google_genai import GoogleClient

    key = _key("GEMINI_API_KEY", settings)
    if key is None:
        raise _no_key("google", "GEMINI_API_KEY")
    return GoogleClient(model, api_key=key, base_url=settings.llm_urls.get("google"))


def _key(variable: str, settings: Settings) -> str | None:
    secret: SecretStr | None = getattr(settings, variable.removeprefix(PREFIX).lower())
    return secret.get_secret_value() if secret is not None else None


def _no_key(provider: str, variable: str) -> SettingNotFoundError:
    named = "OpenAI" if provider == "openai" else provider
    hint = ", or set OPENAI_BASE_URL to an endpoint that needs none" if provider == "openai" else ""
    return SettingNotFoundError(f"{named} needs a key: set {variable}{hint}.", provider=provider)


_OWN_CLIENTS: Mapping[str, Callable[[str, Settings], ChatClient]] = MappingProxyType(
    {"openai-responses": _responses, "anthropic": _anthropic, "google": _google}
)
"""Providers with a wire of their own."""
