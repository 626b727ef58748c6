"""From ``provider/model`` and the operator's settings to a recogniser or a voice: addresses, keys, and what lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pydantic import SecretStr

from antiphon.clock import Clock
from antiphon.errors import SettingNotFoundError
from antiphon.models.stt.contract import STT
from antiphon.models.tts.contract import TTS
from antiphon.settings import Settings

STT_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {"azure": "conversation", "deepgram": "nova-3", "openai": "gpt-4o-mini-transcribe"}
)
"""Vendors of recognisers, each with a model; Azure has modes in the place of models."""
TTS_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "azure": "en-US-AvaMultilingualNeural",
        "cartesia": "sonic-3",
        "elevenlabs": "eleven_flash_v2_5",
        "openai": "gpt-4o-mini-tts",
    }
)
"""Vendors of voices, each with a model; Azure has voices in the place of models."""


def connect_stt(provider: str, model: str, settings: Settings, clock: Clock) -> STT:
    """A recogniser of a vendor.

    Args:
        provider: A name of ``STT_EXAMPLES``.
        model: The vendor's name of the model.
        settings: Keys and addresses.
        clock: The process's time.

    Raises:
        SettingNotFoundError: The key is not set.
        ConfigurationError: The address is none.
    """
    if provider == "openai":
        from antiphon.models.stt import openai as openai_stt

        key, url = _openai(settings)
        return openai_stt.OpenAISTT(model, api_key=key, base_url=url or openai_stt.BASE_URL)
    if provider == "azure":
        from antiphon.models.stt import azure as azure_stt
        from antiphon.models.stt import azure_fast

        secret = _key("AZURE_SPEECH_KEY", settings.azure_speech_key)
        if model == azure_fast.MODE:
            return azure_fast.AzureFastSTT(api_key=secret, base_url=_azure_url(settings, azure_fast.region_url))
        return azure_stt.AzureSTT(model, api_key=secret, base_url=_azure_url(settings, azure_stt.region_url))
    from antiphon.models.stt import deepgram

    url = settings.speech_urls.get(provider, deepgram.BASE_URL)
    return deepgram.DeepgramSTT(
        model, api_key=_key("DEEPGRAM_API_KEY", settings.deepgram_api_key), base_url=url, clock=clock
    )


def connect_tts(provider: str, model: str, settings: Settings, clock: Clock) -> TTS:
    """A voice of a vendor.

    Args:
        provider: A name of ``TTS_EXAMPLES``.
        model: The vendor's name of the model.
        settings: Keys and addresses.
        clock: The process's time.

    Raises:
        SettingNotFoundError: The key is not set.
        ConfigurationError: The address is none.
    """
    if provider == "openai":
        from antiphon.models.tts import openai as openai_tts

        key, url = _openai(settings)
        return openai_tts.OpenAITTS(model, api_key=key, base_url=url or openai_tts.BASE_URL)
    if provider == "azure":
        from antiphon.models.tts import azure as azure_tts

        secret = _key("AZURE_SPEECH_KEY", settings.azure_speech_key)
        return azure_tts.AzureTTS(model, api_key=secret, base_url=_azure_url(settings, azure_tts.region_url))
    if provider == "elevenlabs":
        from antiphon.models.tts import elevenlabs

        secret = _key("ELEVENLABS_API_KEY", settings.elevenlabs_api_key)
        address = settings.speech_urls.get(provider, elevenlabs.BASE_URL)
        return elevenlabs.ElevenLabsTTS(model, api_key=secret, base_url=address, clock=clock)
    from antiphon.models.tts import cartesia

    secret = _key("CARTESIA_API_KEY", settings.cartesia_api_key)
    address = settings.speech_urls.get(provider, cartesia.BASE_URL)
    return cartesia.CartesiaTTS(model, api_key=secret, base_url=address, clock=clock)


def _openai(settings: Settings) -> tuple[str | None, str | None]:
    """Key and address, where they are set; an endpoint of the operator's own may need no key."""
    url = settings.speech_urls.get("openai") or settings.openai_base_url
    if settings.openai_api_key is None and url is None:
        raise _no_key("OPENAI_API_KEY")
    return settings.openai_api_key.get_secret_value() if settings.openai_api_key is not None else None, url


def _azure_url(settings: Settings, region_url: Callable[[str], str]) -> str:
    """The address of a resource: by its region, unless there is another."""
    if "azure" in settings.speech_urls:
        return settings.speech_urls["azure"]
    if settings.azure_speech_region is None:
        raise SettingNotFoundError(
            "Azure Speech needs the region of your resource: set AZURE_SPEECH_REGION, such as westeurope.",
            provider="azure",
        )
    return region_url(settings.azure_speech_region)


def _key(variable: str, secret: SecretStr | None) -> str:
    if secret is None:
        raise _no_key(variable)
    return secret.get_secret_value()


def _no_key(variable: str) -> SettingNotFoundError:
    return SettingNotFoundError(
        f"The speech of this vendor needs a key: set {variable}.", provider=variable.partition("_")[0].lower()
    )
