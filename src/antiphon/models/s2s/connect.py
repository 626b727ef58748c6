"""From ``openai/gpt-realtime`` and the operator's settings to a model that speaks."""

from __future__ import annotations

from pydantic import SecretStr

from antiphon.clock import Clock
from antiphon.models.s2s.contract import S2S
from antiphon.models.s2s.names import check_speech_name
from antiphon.realtime.endpoint import Endpoint, endpoint_for
from antiphon.settings import Settings


def speech_model(name: str, settings: Settings, *, clock: Clock | None = None) -> S2S:
    """A model that hears and speaks, by name.

    Args:
        name: ``openai/MODEL``, where ``OPENAI_BASE_URL`` may lead to any other service of the Realtime protocol, such
            as an Antiphon server, whose agents are its models; ``azure/DEPLOYMENT``; or ``scripted``.
        settings: Keys and addresses.
        clock: Wall time unless given.

    Raises:
        ConfigurationError: There is no such provider, or its key or address is not set.
    """
    match = check_speech_name(name)
    if match is None:
        from antiphon.models.s2s.scripted import ScriptedS2S

        return ScriptedS2S(clock=clock)
    from antiphon.models.s2s.realtime import RealtimeS2S

    provider, model = match["provider"], match["model"]
    return RealtimeS2S(_endpoint(provider, model, settings), name=f"{provider}/{model}", clock=clock)


def _endpoint(provider: str, model: str, settings: Settings) -> Endpoint:
    if provider == "azure":
        # ``OPENAI_API_VERSION`` is for chat: Azure's current Realtime address has no version.
        azure_key = _plain(settings.azure_openai_api_key)
        return endpoint_for("azure", model, api_key=azure_key, base_url=settings.azure_openai_endpoint)
    key = _plain(settings.openai_api_key)
    if settings.openai_base_url is not None:
        # A service of the operator's own may need no key.
        return endpoint_for("antiphon", model, api_key=key, base_url=settings.openai_base_url)
    return endpoint_for("openai", model, api_key=key)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
