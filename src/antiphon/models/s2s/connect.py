"""From ``openai/gpt-realtime`` and the operator's settings to a model that speaks."""

from __future__ import annotations

import re

from pydantic import SecretStr

from antiphon.clock import Clock
from antiphon.errors import ConfigurationError
from antiphon.models.s2s.contract import S2S
from antiphon.realtime.endpoint import Endpoint, endpoint_for
from antiphon.settings import Settings

_NAME = re.compile(r"(?P<provider>openai|azure)[/:](?P<model>\S+)")


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
    if name == "scripted":
        from antiphon.models.s2s.scripted import ScriptedS2S

        return ScriptedS2S(clock=clock)
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise ConfigurationError(
            f"There is no speech-to-speech model {name!r}: write openai/MODEL or azure/DEPLOYMENT, such as "
            "openai/gpt-realtime; OPENAI_BASE_URL leads to any other service of the Realtime protocol."
        )
    from antiphon.models.s2s.realtime import RealtimeS2S

    return RealtimeS2S(_endpoint(match["provider"], match["model"], settings), clock=clock)


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
